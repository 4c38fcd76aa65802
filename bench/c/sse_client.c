/* sse_client: epoll SSE load generator (one thread).
 *
 *   sse_client HOST PORT NCONN PATH_TEMPLATE [EXTRA_HEADER...]
 *
 * PATH_TEMPLATE may hold one %d (connection index).  Opens NCONN GET requests,
 * prints "READY n" once every connection has received response bytes, then obeys
 * stdin lines:
 *     phase EXPECT TIMEOUT_S   count events until EXPECT seen (or timeout), print one JSON line
 *     quit
 * An event is an occurrence of  TS=<CLOCK_MONOTONIC ns>  in the stream; latency = receive - ts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CARRY = 40, RBUF = 1 << 17, NB = 64 * 64 };
typedef struct { int fd, state, ncarry; uint64_t events; char carry[CARRY]; } conn_t;
static conn_t *C;
static int N, ep, live, ready, closed_n;
static uint64_t hist[NB], nev, lat_max, first_ns, last_ns, bytes_in, nreads;
static double lat_sum;
static char buf[RBUF + CARRY + 1];

static uint64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static int bucket(uint64_t v) { if (v < 64) return (int)v; int e = 63 - __builtin_clzll(v); int b = (e - 5) * 64 / 2 + (int)((v >> (e - 5)) & 31) + 32; return b < NB ? b : NB - 1; }
static double bucket_val(int b) { if (b < 64) return b; int e = (b - 32) / 32 + 5; int m = (b - 32) % 32; return (double)((32ull + m) << (e - 5)); }
static double pct(double p) { uint64_t want = (uint64_t)(p * nev), acc = 0; for (int i = 0; i < NB; i++) { acc += hist[i]; if (acc > want) return bucket_val(i) / 1000.0; } return lat_max / 1000.0; }

static void add(int op, int fd, uint32_t ev, uint64_t d) { struct epoll_event e = {.events = ev, .data.u64 = d}; if (epoll_ctl(ep, op, fd, &e)) { perror("epoll_ctl"); exit(2); } }

static void feed(conn_t *c, int n, uint64_t now) {
    char *p = buf, *end = buf + n, *tail = NULL;
    for (;;) {
        char *m = memmem(p, end - p, "TS=", 3);
        if (!m) { tail = end - p > 4 ? end - 4 : p; break; }
        char *q = m + 3; uint64_t v = 0;
        if (q < end && *q == ' ') q++;
        while (q < end && *q >= '0' && *q <= '9') v = v * 10 + (*q++ - '0');
        if (q == end && end - m < CARRY - 2) { tail = m; break; }
        uint64_t lat = now > v ? now - v : 0;
        hist[bucket(lat)]++; nev++; c->events++; lat_sum += lat; if (lat > lat_max) lat_max = lat;
        if (!first_ns) first_ns = now; last_ns = now;
        p = q;
    }
    c->ncarry = end - tail; memcpy(c->carry, tail, c->ncarry);
}

static void start_connect(int i, struct sockaddr_in *sa) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); if (fd < 0) { perror("socket"); exit(2); }
    int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    C[i].fd = fd; C[i].state = 0;
    if (connect(fd, (void *)sa, sizeof *sa) && errno != EINPROGRESS) { perror("connect"); exit(2); }
    add(EPOLL_CTL_ADD, fd, EPOLLOUT, i);
}

int main(int argc, char **argv) {
    if (argc < 5) { fprintf(stderr, "usage: HOST PORT NCONN PATH [HEADER...]\n"); return 2; }
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))}; inet_pton(AF_INET, argv[1], &sa.sin_addr);
    N = atoi(argv[3]); C = calloc(N, sizeof *C); ep = epoll_create1(0);
    char extra[2048] = ""; for (int i = 5; i < argc; i++) { strcat(extra, argv[i]); strcat(extra, "\r\n"); }
    int next = 0, inflight = 0, phase = 0, said = 0; uint64_t expect = 0, deadline = 0, t0 = now_ns();
    add(EPOLL_CTL_ADD, 0, EPOLLIN, UINT64_MAX);
    static struct epoll_event ev[1024];
    for (;;) {
        while (next < N && inflight < 128) { start_connect(next++, &sa); inflight++; }
        int k = epoll_wait(ep, ev, 1024, 100);
        for (int j = 0; j < k; j++) {
            if (ev[j].data.u64 == UINT64_MAX) {
                char line[256]; int n = read(0, line, 255); if (n <= 0) return 0; line[n] = 0;
                double to; unsigned long long ex;
                if (sscanf(line, "phase %llu %lf", &ex, &to) == 2) {
                    memset(hist, 0, sizeof hist); nev = lat_max = first_ns = last_ns = bytes_in = nreads = 0; lat_sum = 0;
                    for (int i = 0; i < N; i++) C[i].events = 0;
                    expect = ex; deadline = now_ns() + (uint64_t)(to * 1e9); phase = 1; printf("GO\n"); fflush(stdout);
                } else return 0;
                continue;
            }
            conn_t *c = &C[ev[j].data.u64];
            if (c->state == 0) {
                int err = 0; socklen_t l = sizeof err; getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l);
                if (err) { fprintf(stderr, "connect: %s\n", strerror(err)); return 3; }
                char path[512], req[4096]; snprintf(path, sizeof path, argv[4], (int)(c - C));
                int n = snprintf(req, sizeof req, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s\r\n", path, extra);
                if (write(c->fd, req, n) != n) { perror("write"); return 3; }
                c->state = 1; add(EPOLL_CTL_MOD, c->fd, EPOLLIN, c - C); continue;
            }
            memcpy(buf, c->carry, c->ncarry);
            ssize_t r = recv(c->fd, buf + c->ncarry, RBUF, 0);
            if (r <= 0) { if (r < 0 && errno == EAGAIN) continue; epoll_ctl(ep, EPOLL_CTL_DEL, c->fd, NULL); close(c->fd); closed_n++; live--; if (!said) { fprintf(stderr, "closed before ready\n"); return 4; } continue; }
            if (c->state == 1) { buf[r] = 0; if (memcmp(buf, "HTTP/1.1 200", 12)) { fprintf(stderr, "bad status: %.60s\n", buf); return 5; } c->state = 2; live++; ready++; inflight--; }
            bytes_in += r; nreads++;
            feed(c, r + c->ncarry, now_ns());
        }
        if (!said && ready == N) { printf("READY %d %.3f\n", N, (now_ns() - t0) / 1e9); fflush(stdout); said = 1; }
        if (phase && (nev >= expect || now_ns() > deadline)) {
            uint64_t mn = UINT64_MAX, mx = 0; for (int i = 0; i < N; i++) { if (C[i].events < mn) mn = C[i].events; if (C[i].events > mx) mx = C[i].events; }
            printf("{\"events\":%llu,\"expect\":%llu,\"span_s\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"mean_us\":%.1f,\"reads\":%llu,\"bytes\":%llu,\"conn_min\":%llu,\"conn_max\":%llu,\"closed\":%d}\n",
                   (unsigned long long)nev, (unsigned long long)expect, nev ? (last_ns - first_ns) / 1e9 : 0.0, pct(.5), pct(.99), lat_max / 1e3, nev ? lat_sum / nev / 1e3 : 0, (unsigned long long)nreads, (unsigned long long)bytes_in, (unsigned long long)mn, (unsigned long long)mx, closed_n);
            fflush(stdout); phase = 0;
        }
    }
}
