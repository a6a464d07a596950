/*
 * What the tests of documents share: seeds, checks that cost nothing while they hold, texts of values.
 */
#pragma once

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/check.h"
#include "../base/seed.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/random.h"
#include "json/edit.h"
#include "json/parse.h"
#include "json/print.h"

/* Keys are hashed: the secret is drawn before any test. */
__attribute__((constructor)) static void hash_prepare(void)
{
    hash_init();
}

/* The value of a text that must be right. */
static inline struct json_value parsed_bytes(struct bytes text)
{
    struct json_value value;
    const char *why = "";
    size_t at = 0;

    if (json_parse(text, &value, &why, &at) != JSON_ERROR_NONE)
        cr_assert_fail("%s at %zu of %.*s", why, at, (int)(text.len < 200 ? text.len : 200), text.ptr);
    return value;
}

static inline struct json_value parsed(const char *text)
{
    return parsed_bytes(bytes_from_cstr(text));
}

/* The text of a value must be this; the value is destroyed. */
static inline void expect_text(struct json_value value, const char *expected)
{
    struct buf out = BUF_EMPTY;

    json_print(&value, &out);
    cr_expect_str_eq(buf_cstr(&out), expected);
    buf_fini(&out);
    json_value_destroy(value);
}
