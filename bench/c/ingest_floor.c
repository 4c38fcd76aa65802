/* ingest_floor: physical floor of upload ingest on one core.
 *   ingest_floor PORT DEST MODE [BUF_KB]
 *     MODE null    recv() and discard
 *          write   recv() + write()
 *          scan    recv() + memmem(boundary) + write()      (a perfect multipart parser)
 *          hash    scan, and the SHA-256 of what came (libcrypto, declared by hand: no headers needed)
 *          splice  socket -> pipe -> file, no user-space copy, no parsing
 * Blocking, one connection at a time; answers 200 after Content-Length bytes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
extern void *EVP_MD_CTX_new(void); extern const void *EVP_sha256(void); extern int EVP_DigestInit_ex(void *, const void *, void *); extern int EVP_DigestUpdate(void *, const void *, size_t);
int main(int argc, char **argv) {
    int one = 1, ls = socket(AF_INET, SOCK_STREAM, 0); setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(ls, (void *)&sa, sizeof sa) || listen(ls, 64)) { perror("bind"); return 1; }
    const char *mode = argv[3]; size_t bs = (argc > 4 ? atoi(argv[4]) : 256) << 10; char *b = malloc(bs + 64);
    void *sum = EVP_MD_CTX_new(); const char *bd = "\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW"; size_t bl = strlen(bd);
    for (;;) {
        int s = accept(ls, 0, 0); char h[8192]; int n = 0; char *e = 0;
        while (n < 8000) { int r = recv(s, h + n, 8000 - n, 0); if (r <= 0) break; n += r; h[n] = 0; if ((e = strstr(h, "\r\n\r\n"))) break; }
        if (!e) { close(s); continue; }
        uint64_t cl = strtoull(strstr(h, "Content-Length: ") + 16, 0, 10), got = n - (e + 4 - h); char d[512]; snprintf(d, sizeof d, "%s/floor.bin", argv[2]);
        EVP_DigestInit_ex(sum, EVP_sha256(), 0); int fd = open(d, O_CREAT | O_TRUNC | O_WRONLY, 0600); if (got && mode[0] != 'n') write(fd, e + 4, got);
        if (!strcmp(mode, "splice")) { int p[2]; pipe(p); fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
            while (got < cl) { ssize_t k = splice(s, 0, p[1], 0, 1 << 20, SPLICE_F_MOVE); if (k <= 0) break; got += k; while (k > 0) { ssize_t w = splice(p[0], 0, fd, 0, k, SPLICE_F_MOVE); if (w <= 0) { perror("splice"); return 1; } k -= w; } } close(p[0]); close(p[1]); }
        else while (got < cl) { ssize_t k = recv(s, b, bs, 0); if (k <= 0) break; got += k;
            if (mode[0] == 'h') EVP_DigestUpdate(sum, b, k);
            if ((mode[0] == 's' || mode[0] == 'h') && memmem(b, k, bd, bl) == (void *)1) return 9; /* result only forces the scan */
            if (mode[0] != 'n') { ssize_t o = 0; while (o < k) { ssize_t w = write(fd, b + o, k - o); if (w < 0) { perror("write"); return 1; } o += w; } } }
        close(fd); const char *r = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"; send(s, r, strlen(r), MSG_NOSIGNAL); shutdown(s, SHUT_WR); close(s);
    }
}
