/* fanout_floor: what fan-out costs at least on one core.
 *   fanout_floor PORT
 * Answers every GET with the head of an event stream; the body of a POST goes to every open stream as
 * one chunk.  One thread, one send() per delivery. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc < 2) return 2;
    struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
    static int subs[65536]; int ns = 0, one = 1; static char b[65536], fr[66000];
    int ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(ls, (void *)&sa, sizeof sa) || listen(ls, 4096)) { perror("bind"); return 1; }
    int ep = epoll_create1(0); struct epoll_event e = {.events = EPOLLIN, .data.fd = ls}, ev[256]; epoll_ctl(ep, EPOLL_CTL_ADD, ls, &e);
    for (;;) {
        int k = epoll_wait(ep, ev, 256, -1);
        for (int j = 0; j < k; j++) {
            int fd = ev[j].data.fd;
            if (fd == ls) { int c; while ((c = accept4(ls, 0, 0, SOCK_NONBLOCK)) >= 0) { setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); e.data.fd = c; e.events = EPOLLIN; epoll_ctl(ep, EPOLL_CTL_ADD, c, &e); } continue; }
            int n = recv(fd, b, sizeof b - 1, 0);
            if (n <= 0) { if (n < 0 && errno == EAGAIN) continue; for (int i = 0; i < ns; i++) if (subs[i] == fd) { subs[i] = subs[--ns]; break; } close(fd); continue; }
            b[n] = 0;
            if (!memcmp(b, "GET", 3)) { const char *h = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\n: ok\n\r\n"; send(fd, h, strlen(h), MSG_NOSIGNAL); subs[ns++] = fd; }
            else if (!memcmp(b, "POST", 4)) { /* head and body come in one segment: the publisher sends them so */
                const char *h = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"; send(fd, h, strlen(h), MSG_NOSIGNAL);
                char *body = strstr(b, "\r\n\r\n"); if (!body) continue; body += 4;
                int f = sprintf(fr, "%x\r\n%s\r\n", (int)strlen(body), body);
                for (int i = 0; i < ns; i++) while (send(subs[i], fr, f, MSG_NOSIGNAL) < 0 && errno == EAGAIN) usleep(100);
            }
        }
    }
}
