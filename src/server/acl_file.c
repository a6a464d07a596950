/*
 * Where users are kept over a restart: in lines of the configuration file, or in a file of their own (`aclfile`), which
 * can be read anew and written while the server runs.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/acl.h"
#include "engine/session.h"
#include "server_priv.h"

static const char no_file[] =
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
    "command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store "
    "users in the Redis configuration.";

static bool has_file(const struct server *server)
{
    return server->config.aclfile && server->config.aclfile[0];
}

static void describe_all(const struct server *server, struct buf *out)
{
    struct acl_user *user;
    for (size_t i = 0; (user = acl_user_at(server->engine->acl, i)); i++) {
        acl_describe_user(user, out);
        buf_append_char(out, '\n');
    }
}

static bool load_file(struct server *server, struct session *keep, struct buf *error)
{
    struct buf text = BUF_EMPTY;
    const char *path = server->config.aclfile;
    bool good = config_load_file(path, &text);
    if (!good)
        buf_printf(error, "Error loading ACLs, opening file '%s': %s", path, strerror(errno));
    else
        good = acl_load(server->engine, buf_bytes(&text), path, keep, error);
    buf_fini(&text);
    return good;
}

/* The configuration's lines say nothing of `default` if requirepass does, or nobody. */
static bool load_lines(struct server *server, struct buf *error)
{
    struct buf text = BUF_EMPTY;
    const char *lines = server->config.users;
    if (strncmp(lines, "user default ", 13) != 0 && !strstr(lines, "\nuser default ")) {
        acl_describe_user(acl_default_user(server->engine->acl), &text);
        buf_append_char(&text, '\n');
    }
    buf_append_cstr(&text, lines);
    bool good = acl_load(server->engine, buf_bytes(&text), "user lines", NULL, error);
    buf_fini(&text);
    return good;
}

bool acl_file_begin(struct server *server)
{
    struct buf error = BUF_EMPTY;
    bool has_lines = server->config.users && server->config.users[0], good = true;
    acl_set_options(server->engine, server->config.acl_pubsub_default == 0, (size_t)server->config.acllog_max_len);
    acl_set_default_password(server->engine, buf_bytes(&server->config.requirepass));
    if (has_file(server) && has_lines) {
        buf_append_cstr(&error, "Users are defined in the configuration file and an aclfile is set as well: define "
                                "them in one of the two");
        good = false;
    } else if (has_file(server)) {
        good = load_file(server, NULL, &error);
    } else if (has_lines) {
        good = load_lines(server, &error);
    }
    if (!good)
        log_write(LOG_WARNING, "Aborting Larder startup because of ACL errors: %s", buf_cstr(&error));
    buf_fini(&error);
    return good;
}

void acl_file_run_load(struct call *call)
{
    struct server *server = server_of(call);
    struct buf error = BUF_EMPTY;
    if (!has_file(server)) {
        reply_error(call->reply, bytes_from_cstr(no_file));
    } else if (load_file(server, call->session, &error)) {
        reply_ok(call->reply);
    } else {
        log_write(LOG_WARNING, "ACL LOAD failed: %s", buf_cstr(&error));
        buf_append_cstr(&error, "WARNING: ACL errors detected, no change to the previously active ACL rules was "
                                "performed");
        reply_error_printf(call->reply, "ERR %s", buf_cstr(&error));
    }
    buf_fini(&error);
}

void acl_file_run_save(struct call *call)
{
    struct server *server = server_of(call);
    struct buf text = BUF_EMPTY, error = BUF_EMPTY;
    if (!has_file(server)) {
        reply_error(call->reply, bytes_from_cstr(no_file));
        return;
    }
    describe_all(server, &text);
    if (config_replace_file(server->config.aclfile, buf_bytes(&text), &error)) {
        reply_ok(call->reply);
    } else {
        log_write(LOG_WARNING, "ACL SAVE failed: %s", buf_cstr(&error));
        reply_error(call->reply,
            BYTES("ERR There was an error trying to save the ACLs. Please check the server logs for more information"));
    }
    buf_fini(&error);
    buf_fini(&text);
}

void acl_file_update_config(struct server *server)
{
    struct buf text = BUF_EMPTY;
    if (!has_file(server))
        describe_all(server, &text);
    mem_free(server->config.users);
    server->config.users = mem_strdup(buf_cstr(&text));
    buf_fini(&text);
}
