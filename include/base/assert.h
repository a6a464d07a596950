/*
 * Assertions: what must hold if the program is right.
 *
 * ASSERT stays on in release builds; DASSERT is for checks on hot paths and is compiled in only with
 * -Ddebug_checks=true. Neither expression may have a side effect. A failed assertion is a bug of ours, never the
 * client's or the machine's fault.
 */
#pragma once

/* Logs the place and the expression, and aborts. */
_Noreturn void assert_fail(const char *file, int line, const char *function, const char *expression);

#define ASSERT(e)                                          \
    do {                                                   \
        if (__builtin_expect(!(e), 0))                     \
            assert_fail(__FILE__, __LINE__, __func__, #e); \
    } while (0)

#ifdef LARDER_DEBUG_CHECKS
#define DASSERT(e) ASSERT(e)
#else
#define DASSERT(e) ((void)sizeof(!(e)))
#endif

#define UNREACHABLE() assert_fail(__FILE__, __LINE__, __func__, "unreachable")
