/*
 * Contexts: OpenSSL set up from the settings, all or nothing.
 *
 * Renegotiation and compression are off, whatever the protocol. A stream that ends without a farewell counts as ended:
 * every request says how long it is, so nothing can be cut off unnoticed.
 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "tls_priv.h"

enum {
    TLS_CERTIFICATES_MAX = 32 * 1024, /* bytes of a client's chain: all that somebody unknown can make us keep */
    TLS_READ_AHEAD = 32 * 1024,       /* read at once; held only while something is under way */
};

struct tls_context {
    SSL_CTX *ssl;
};

static const struct protocol {
    const char *name;
    uint64_t off;
} protocols[] = {
    { "TLSv1", SSL_OP_NO_TLSv1 },
    { "TLSv1.1", SSL_OP_NO_TLSv1_1 },
    { "TLSv1.2", SSL_OP_NO_TLSv1_2 },
    { "TLSv1.3", SSL_OP_NO_TLSv1_3 },
};

bool tls_is_built(void)
{
    return true;
}

/* "what: why", from OpenSSL's last error. Always false. */
static bool fail(struct buf *error, const char *what)
{
    char reason[256];
    ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
    buf_printf(error, "%s: %s", what, reason);
    ERR_clear_error();
    return false;
}

static bool fail_file(struct buf *error, const char *what, const char *path)
{
    buf_printf(error, "Failed to load %s: ", what);
    return fail(error, path);
}

/* The protocols that are not named, as options that switch them off; false if a word is none. */
static bool read_protocols(const char *text, uint64_t *off)
{
    enum { COUNT = sizeof protocols / sizeof *protocols };
    *off = 0;
    for (size_t i = 0; i < COUNT; i++)
        *off |= protocols[i].off;
    if (!text[strspn(text, " ")])
        text = "TLSv1.2 TLSv1.3";
    while (*(text += strspn(text, " "))) {
        size_t len = strcspn(text, " "), i = 0;
        while (i < COUNT && !(strlen(protocols[i].name) == len && strncasecmp(text, protocols[i].name, len) == 0))
            i++;
        if (i == COUNT)
            return false;
        *off &= ~protocols[i].off;
        text += len;
    }
    return true;
}

static bool set_protocols(SSL_CTX *ssl, const struct tls_settings *settings, struct buf *error)
{
    uint64_t off;
    if (!read_protocols(settings->protocols, &off)) {
        buf_append_cstr(error, "Invalid tls-protocols: a combination of TLSv1, TLSv1.1, TLSv1.2 and TLSv1.3 is needed");
        return false;
    }
    SSL_CTX_set_min_proto_version(ssl, 0);
    SSL_CTX_set_options(ssl,
        off | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_SINGLE_DH_USE);
    if (settings->prefer_server_ciphers)
        SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (settings->ciphers[0] && !SSL_CTX_set_cipher_list(ssl, settings->ciphers))
        return fail(error, "Failed to configure ciphers");
    if (settings->ciphersuites[0] && !SSL_CTX_set_ciphersuites(ssl, settings->ciphersuites))
        return fail(error, "Failed to configure ciphersuites");
    return true;
}

static int give_password(char *out, int size, int writing, void *context)
{
    (void)writing;
    const char *password = context;
    size_t len = strlen(password);
    if (size < 0 || len > (size_t)size)
        return -1;
    memcpy(out, password, len);
    return (int)len;
}

static bool set_certificate(SSL_CTX *ssl, const struct tls_settings *settings, struct buf *error)
{
    if (!settings->cert_file[0] || !settings->key_file[0]) {
        buf_printf(error, "No %s configured!", settings->cert_file[0] ? "tls-key-file" : "tls-cert-file");
        return false;
    }
    SSL_CTX_set_default_passwd_cb(ssl, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, settings->key_file_pass);
    bool good = SSL_CTX_use_certificate_chain_file(ssl, settings->cert_file) == 1;
    if (!good)
        fail_file(error, "certificate", settings->cert_file);
    else if (SSL_CTX_use_PrivateKey_file(ssl, settings->key_file, SSL_FILETYPE_PEM) != 1)
        good = fail_file(error, "private key", settings->key_file);
    else if (SSL_CTX_check_private_key(ssl) != 1)
        good = fail_file(error, "private key that fits the certificate", settings->key_file);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL); /* it is borrowed for this call only */
    SSL_CTX_set_default_passwd_cb(ssl, NULL);
    return good;
}

static bool set_trust(SSL_CTX *ssl, const struct tls_settings *settings, struct buf *error)
{
    const char *file = settings->ca_cert_file[0] ? settings->ca_cert_file : NULL;
    const char *dir = settings->ca_cert_dir[0] ? settings->ca_cert_dir : NULL;
    if (settings->auth_clients == TLS_AUTH_NO) {
        SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    } else {
        if (!file && !dir) {
            buf_append_cstr(error, "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, "
                                   "tls-replication or tls-auth-clients are enabled!");
            return false;
        }
        int required = settings->auth_clients == TLS_AUTH_YES ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | required, NULL);
    }
    if ((file || dir) && SSL_CTX_load_verify_locations(ssl, file, dir) != 1)
        return fail_file(error, "CA certificates", file ? file : dir);
    STACK_OF(X509_NAME) *names = file ? SSL_load_client_CA_file(file) : NULL;
    if (names)
        SSL_CTX_set_client_CA_list(ssl, names);
    ERR_clear_error();
    return true;
}

static bool set_dh_params(SSL_CTX *ssl, const struct tls_settings *settings, struct buf *error)
{
    if (!settings->dh_params_file[0]) {
        SSL_CTX_set_dh_auto(ssl, 1);
        return true;
    }
    BIO *file = BIO_new_file(settings->dh_params_file, "re");
    EVP_PKEY *params = file ? PEM_read_bio_Parameters(file, NULL) : NULL;
    BIO_free(file);
    if (params && SSL_CTX_set0_tmp_dh_pkey(ssl, params) == 1)
        return true;
    EVP_PKEY_free(params);
    return fail_file(error, "DH parameters", settings->dh_params_file);
}

/* Tickets are of the same use as the cache, and remembered by the client instead: both or neither. */
static void set_sessions(SSL_CTX *ssl, const struct tls_settings *settings)
{
    if (!settings->session_caching) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
        return;
    }
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(ssl, (long)settings->session_cache_size);
    SSL_CTX_set_timeout(ssl, (long)settings->session_cache_timeout_s);
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"larder", 6);
}

struct tls_context *tls_context_create(const struct tls_settings *settings, struct buf *error)
{
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (!ssl) {
        fail(error, "Failed to create a TLS context");
        return NULL;
    }
    SSL_CTX_set_mode(
        ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ssl, 1);
    SSL_CTX_set_default_read_buffer_len(ssl, TLS_READ_AHEAD);
    SSL_CTX_set_max_cert_list(ssl, TLS_CERTIFICATES_MAX);
    set_sessions(ssl, settings);
    if (!set_protocols(ssl, settings, error) || !set_certificate(ssl, settings, error) ||
        !set_trust(ssl, settings, error) || !set_dh_params(ssl, settings, error)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    struct tls_context *context = mem_alloc(sizeof *context);
    context->ssl = ssl;
    return context;
}

void tls_context_destroy(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    mem_free(context);
}

struct ssl_st *tls_context_open(struct tls_context *context, int fd)
{
    SSL *ssl = SSL_new(context->ssl);
    if (ssl && SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        ssl = NULL;
    }
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}
