/*
 * pass_phrase.h - for those who read PEM (inside of src/tls).
 */
#ifndef POSTERN_TLS_PASS_PHRASE_H
#define POSTERN_TLS_PASS_PHRASE_H

/* A pem_password_cb that never asks a person: a key that needs a pass phrase is an error. */
int tls_no_pass_phrase(char *out, int size, int writing, void *context);

#endif
