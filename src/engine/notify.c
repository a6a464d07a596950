/*
 * Keyspace notifications: the two channels' names are put together, and the message goes the way of every other.
 */
#include "engine/notify.h"

#include <string.h>

#include "base/buf.h"
#include "engine/pubsub.h"
#include "store/keyspace.h"

static const struct {
    char letter;
    uint32_t classes;
} letters[] = {
    { 'A', NOTIFY_ALL },
    { 'g', NOTIFY_GENERIC },
    { '$', NOTIFY_STRING },
    { 'l', NOTIFY_LIST },
    { 's', NOTIFY_SET },
    { 'h', NOTIFY_HASH },
    { 'z', NOTIFY_ZSET },
    { 'x', NOTIFY_EXPIRED },
    { 'e', NOTIFY_EVICTED },
    { 't', NOTIFY_STREAM },
    { 'd', NOTIFY_MODULE },
    { 'n', NOTIFY_NEW },
    { 'K', NOTIFY_KEYSPACE },
    { 'E', NOTIFY_KEYEVENT },
    { 'm', NOTIFY_KEY_MISS },
};
enum { LETTERS = sizeof letters / sizeof *letters };

bool notify_parse(struct bytes text, uint32_t *classes)
{
    uint32_t found = 0;
    for (size_t i = 0; i < text.len; i++) {
        size_t j = 0;
        while (j < LETTERS && letters[j].letter != text.ptr[i])
            j++;
        if (j == LETTERS)
            return false;
        found |= letters[j].classes;
    }
    *classes = found;
    return true;
}

void notify_print(uint32_t classes, char out[NOTIFY_LETTERS_MAX])
{
    uint32_t said = 0;
    for (size_t i = 0; i < LETTERS; i++) {
        bool whole = (classes & letters[i].classes) == letters[i].classes;
        if (whole && letters[i].classes & ~said) {
            *out++ = letters[i].letter;
            said |= letters[i].classes;
        }
    }
    *out = '\0';
}

/* Nobody may be listening; memory that is out for a message has told nobody, as with any message. */
static void publish(
    struct engine *engine, const char *kind, const struct db *db, struct bytes name, struct bytes message)
{
    struct buf channel = BUF_EMPTY;
    buf_printf(&channel, "__%s@%d__:", kind, db->index);
    buf_append(&channel, name);
    size_t receivers;
    pubsub_publish(engine, PUBSUB_CHANNEL, buf_bytes(&channel), message, &receivers);
    buf_fini(&channel);
}

void notify_publish(
    struct engine *engine, enum notify_class class, const char *event, const struct db *db, struct bytes key)
{
    uint32_t events = engine->settings->notify_events;
    if (!(events & class) || !pubsub_sessions(engine))
        return;
    struct bytes name = bytes_from_cstr(event);
    if (events & NOTIFY_KEYSPACE)
        publish(engine, "keyspace", db, key, name);
    if (events & NOTIFY_KEYEVENT)
        publish(engine, "keyevent", db, name, key);
}
