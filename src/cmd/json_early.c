/*
 * JSON text that is parsed while it arrives (engine/early.h).
 *
 * The parser is the one that the command goes on with, and destroys, as if it had created it itself.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "engine/early.h"
#include "engine/engine.h"
#include "json_priv.h"
#include "store/document.h"
#include "json/parse.h"

enum { VALUES_FROM = 3 }; /* JSON.SET key path value: nobody has values before that */

struct json_early {
    struct early early;
    struct json_parser *parser; /* owned; NULL once it was taken */
};

static struct early *create(struct bytes text)
{
    struct json_early *self = mem_try_alloc(sizeof *self);
    if (!self)
        return NULL;
    *self = (struct json_early){ .parser = json_parser_create_early(text) };
    if (self->parser)
        return &self->early;
    mem_free(self);
    return NULL;
}

/* A document takes about as much memory as its text. */
static size_t work(struct early *early, size_t len, uint64_t end_ns)
{
    struct json_early *self = (struct json_early *)early;
    json_parser_extend(self->parser, len);
    enum json_parse_status status;
    do {
        status = json_parser_step(self->parser, JSON_TEXT_SLICE);
    } while (status == JSON_PARSE_MORE && clock_mono_ns() < end_ns);
    return json_parser_error_at(self->parser);
}

static void destroy(struct early *early, struct engine *engine)
{
    struct json_early *self = (struct json_early *)early;
    struct json_trash trash = { 0 };
    json_parser_destroy(self->parser, &trash);
    keyspace_discard_json(engine->keyspace, &trash);
    mem_free(self);
}

const struct early_type json_early_type = { .from = VALUES_FROM, .create = create, .work = work, .destroy = destroy };

struct json_parser *json_call_parser(struct call *call, uint32_t index)
{
    struct json_early *self = (struct json_early *)early_take(call, index, &json_early_type);
    if (!self)
        return json_parser_create(call->argv[index]);
    struct json_parser *parser = self->parser;
    self->parser = NULL;
    early_drop(&self->early, call->engine);
    json_parser_extend(parser, call->argv[index].len);
    return parser;
}
