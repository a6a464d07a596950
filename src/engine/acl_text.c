/*
 * Users as text: in words that make an equal one (acl_rules.c), and in parts.
 *
 * In a fiber all of it breathes: what is described there is a copy that nobody else knows (acl_user_copy).
 */
#include "acl_priv.h"
#include "base/fiber.h"

enum { ITEM_COST = 10 };

void acl_user_flags(const struct acl_user *user, const char *out[8], size_t *count)
{
    *count = 0;
    out[(*count)++] = user->flags & ACL_ON ? "on" : "off";
    if (user->flags & ACL_NO_PASS)
        out[(*count)++] = "nopass";
    if (user->flags & ACL_SKIP_SANITIZE)
        out[(*count)++] = "skip-sanitize-payload";
    if (user->flags & ACL_SANITIZE)
        out[(*count)++] = "sanitize-payload";
}

size_t acl_user_passwords(const struct acl_user *user)
{
    return user->password_count;
}

void acl_user_password(const struct acl_user *user, size_t index, char hex[64])
{
    for (size_t i = 0; i < ACL_DIGEST; i++) {
        hex[2 * i] = "0123456789abcdef"[user->passwords[index][i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[user->passwords[index][i] & 15];
    }
}

const struct acl_selector *acl_user_selector(const struct acl_user *user)
{
    return &user->root;
}

const struct acl_selector *acl_selector_next(const struct acl_selector *selector)
{
    return selector->next;
}

void acl_selector_commands(const struct acl_selector *selector, struct buf *out)
{
    buf_append_cstr(out, selector->base_all ? "+@all" : "-@all");
    for (size_t i = 0; i < selector->rule_count; i++) {
        fiber_breathe(ITEM_COST);
        buf_printf(out, " %c%s", selector->rules[i].allow ? '+' : '-', selector->rules[i].name);
    }
}

void acl_selector_keys(const struct acl_selector *selector, struct buf *out)
{
    static const char *const prefixes[] = { [ACL_READ] = "%R~", [ACL_WRITE] = "%W~", [ACL_READ | ACL_WRITE] = "~" };
    if (selector->all_keys)
        buf_append_cstr(out, "~*");
    for (size_t i = 0; i < selector->key_count; i++) {
        fiber_breathe(ITEM_COST);
        buf_printf(out, "%s%s%s", i ? " " : "", prefixes[selector->keys[i].access], selector->keys[i].text);
    }
}

void acl_selector_channels(const struct acl_selector *selector, struct buf *out)
{
    if (selector->all_channels)
        buf_append_cstr(out, "&*");
    for (size_t i = 0; i < selector->channel_count; i++) {
        fiber_breathe(ITEM_COST);
        buf_printf(out, "%s&%s", i ? " " : "", selector->channels[i]);
    }
}

static void describe_selector(const struct acl_selector *selector, struct buf *out)
{
    size_t start = out->len;
    acl_selector_keys(selector, out);
    if (out->len > start)
        buf_append_char(out, ' ');
    if (!selector->all_channels)
        buf_append_cstr(out, selector->channel_count ? "resetchannels " : "resetchannels");
    acl_selector_channels(selector, out);
    buf_append_char(out, ' ');
    acl_selector_commands(selector, out);
}

void acl_describe_user(const struct acl_user *user, struct buf *out)
{
    const char *flags[8];
    size_t count;
    buf_printf(out, "user %s", user->name);
    acl_user_flags(user, flags, &count);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, " %s", flags[i]);
    for (size_t i = 0; i < user->password_count; i++) {
        char hex[64];
        fiber_breathe(ITEM_COST);
        acl_user_password(user, i, hex);
        buf_printf(out, " #%.64s", hex);
    }
    buf_append_char(out, ' ');
    describe_selector(&user->root, out);
    for (const struct acl_selector *selector = user->root.next; selector; selector = selector->next) {
        fiber_breathe(ITEM_COST);
        buf_append_cstr(out, " (");
        describe_selector(selector, out);
        buf_append_char(out, ')');
    }
}
