/*
 * TLS: what a server is and demands when connections are encrypted: certificate, key, whom it trusts, which protocols.
 *
 * A context is made from settings in one go, or not at all; net_set_tls puts it in the place of the one before, for
 * connections that are accepted from then on. Those that are open keep what they began with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum tls_auth { TLS_AUTH_NO, TLS_AUTH_YES, TLS_AUTH_OPTIONAL }; /* of clients, by certificate */

/* All texts are owned by whoever has the settings; "" is not set. */
struct tls_settings {
    char *cert_file, *key_file, *key_file_pass;
    char *ca_cert_file, *ca_cert_dir;
    char *dh_params_file;
    char *protocols;    /* words "TLSv1" to "TLSv1.3"; "" is 1.2 and 1.3 */
    char *ciphers;      /* up to TLS 1.2, as OpenSSL writes them */
    char *ciphersuites; /* of TLS 1.3 */
    bool prefer_server_ciphers;
    int auth_clients; /* enum tls_auth */
    bool session_caching;
    int64_t session_cache_size, session_cache_timeout_s;
};

struct tls_context;

/* False in a build without TLS, in which no context can be made. */
bool tls_is_built(void);

/*
 * Reads the files. NULL, and a text appended to `error`, if something is missing or makes no sense; nothing is left
 * behind then.
 */
struct tls_context *tls_context_create(const struct tls_settings *settings, struct buf *error);
void tls_context_destroy(struct tls_context *context);
