#include "fetch/test_server.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void
must(bool condition)
{
    if (!condition) {
        perror("test_server");
        abort();
    }
}

/* ---- certificates */

static void
write_pem(struct test_certificate *certificate)
{
    BIO *bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(bio, certificate->certificate) == 1);
    int n = BIO_read(bio, certificate->pem, sizeof certificate->pem - 1);
    must(n > 0);
    certificate->pem[n] = '\0';
    BIO_free(bio);
}

void
test_certificate_make(const char *common_name, const char *names, long from_s, long until_s,
                      struct test_certificate *certificate_out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509V3_CTX context;
    must(key != NULL && X509_set_version(certificate, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common_name, -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    if (names != NULL) {
        X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
        X509V3_set_ctx_nodb(&context);
        X509_EXTENSION *extension =
            X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
        must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }
    must(X509_sign(certificate, key, EVP_sha256()) > 0);
    *certificate_out = (struct test_certificate){.certificate = certificate, .key = key};
    write_pem(certificate_out);
}

void
test_certificate_free(struct test_certificate *certificate)
{
    X509_free(certificate->certificate);
    EVP_PKEY_free(certificate->key);
}

/* ---- one client */

static void
wait_until_gone(int fd)
{
    char octets[1024];
    while (recv(fd, octets, sizeof octets, 0) > 0) {
    }
}

static void
read_request(struct test_server *server, SSL *tls)
{
    server->request_length = 0;
    for (;;) {
        size_t const room = sizeof server->request - server->request_length;
        int n = SSL_read(tls, server->request + server->request_length, (int)room);
        if (n <= 0) {
            return;
        }
        server->request_length += (size_t)n;
        if (str_find(str_make(server->request, server->request_length), STR("\r\n\r\n")) !=
            STR_NPOS) {
            return;
        }
    }
}

static void
drip(struct test_server *server, SSL *tls, const char *text)
{
    struct timespec const pause = {0, 20000000};
    size_t at = 0;
    while (!atomic_load(&server->ending) && SSL_write(tls, text + at, 1) == 1) {
        at += text[at + 1] != '\0'; /* the last octet again and again */
        nanosleep(&pause, NULL);
    }
}

static void
write_more(SSL *tls, const struct test_script *script)
{
    char block[1024];
    memset(block, 'x', sizeof block);
    for (size_t left = script->more; left > 0;) {
        size_t const n = left < sizeof block ? left : sizeof block;
        const char *octets = script->more_lines ? "X-Line: x\r\n" : block;
        int written = SSL_write(tls, octets, script->more_lines ? 11 : (int)n);
        if (written <= 0) {
            return;
        }
        left -= script->more_lines ? 1 : n;
    }
}

static void
speak(struct test_server *server, SSL *tls, int fd)
{
    const struct test_script *script = server->script;
    if (SSL_accept(tls) != 1) {
        return;
    }
    read_request(server, tls);
    if (script->drip) {
        drip(server, tls, script->text);
        return;
    }
    if (script->text != NULL) {
        (void)SSL_write(tls, script->text, (int)strlen(script->text));
    }
    write_more(tls, script);
    if (script->hang) {
        wait_until_gone(fd);
    }
    if (!script->cut) {
        (void)SSL_shutdown(tls);
        wait_until_gone(fd); /* a reset would overtake what was written */
    }
}

static void
serve(struct test_server *server, int fd)
{
    atomic_fetch_add(&server->connections, 1);
    if (server->script->before_tls) {
        wait_until_gone(fd);
    } else if (server->script->clear) {
        (void)send(fd, server->script->text, strlen(server->script->text), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        wait_until_gone(fd);
    } else {
        SSL *tls = SSL_new(server->context);
        SSL_set_fd(tls, fd);
        speak(server, tls, fd);
        SSL_free(tls);
    }
    close(fd);
}

/* ---- life */

static void *
server_main(void *state)
{
    struct test_server *server = state;
    while (!atomic_load(&server->ending)) {
        struct pollfd wait = {.fd = server->listener, .events = POLLIN};
        if (poll(&wait, 1, 20) == 1) {
            int fd = accept(server->listener, NULL, NULL);
            must(fd >= 0);
            serve(server, fd);
        }
    }
    return NULL;
}

void
test_server_start(struct test_server *server, const struct test_certificate *certificate,
                  const struct test_script *script)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    *server = (struct test_server){.script = script};
    server->context = SSL_CTX_new(TLS_server_method());
    must(SSL_CTX_use_certificate(server->context, certificate->certificate) == 1 &&
         SSL_CTX_use_PrivateKey(server->context, certificate->key) == 1);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server->listener, (struct sockaddr *)&address, length) == 0 &&
         listen(server->listener, 16) == 0 &&
         getsockname(server->listener, (struct sockaddr *)&address, &length) == 0);
    server->port = ntohs(address.sin_port);
    must(pthread_create(&server->thread, NULL, server_main, server) == 0);
}

void
test_server_stop(struct test_server *server)
{
    atomic_store(&server->ending, true);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->context);
}
