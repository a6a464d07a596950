/*
 * The table of shared error texts, in the wording that clients and their tests match on.
 */
#include "resp/errors.h"

#include "base/assert.h"

#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

static const struct bytes texts[ERROR_COUNT] = {
    [ERROR_WRONG_TYPE] = TEXT("WRONGTYPE Operation against a key holding the wrong kind of value"),
    [ERROR_SYNTAX] = TEXT("ERR syntax error"),
    [ERROR_NOT_INTEGER] = TEXT("ERR value is not an integer or out of range"),
    [ERROR_NOT_FLOAT] = TEXT("ERR value is not a valid float"),
    [ERROR_NO_SUCH_KEY] = TEXT("ERR no such key"),
    [ERROR_OVERFLOW] = TEXT("ERR increment or decrement would overflow"),
    [ERROR_NAN_INFINITY] = TEXT("ERR increment would produce NaN or Infinity"),
    [ERROR_OUT_OF_RANGE] = TEXT("ERR index out of range"),
    [ERROR_POSITIVE] = TEXT("ERR value is out of range, must be positive"),
    [ERROR_STRING_TOO_LONG] = TEXT("ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
    [ERROR_DB_INDEX] = TEXT("ERR DB index is out of range"),
    [ERROR_INVALID_DB] = TEXT("ERR invalid DB index"),
    [ERROR_SAME_OBJECT] = TEXT("ERR source and destination objects are the same"),
    [ERROR_CURSOR] = TEXT("ERR invalid cursor"),
    [ERROR_OUT_OF_MEMORY] = TEXT("OOM command not allowed when used memory > 'maxmemory'."),
    [ERROR_NO_AUTH] = TEXT("NOAUTH Authentication required."),
    [ERROR_WRONG_PASS] = TEXT("WRONGPASS invalid username-password pair or user is disabled."),
    [ERROR_NO_PROTO] = TEXT("NOPROTO unsupported protocol version"),
    [ERROR_NESTED] = TEXT("ERR This command is not allowed from here"),
    [ERROR_MEMORY_REQUEST] = TEXT("ERR out of memory for this request"),
};

struct bytes error_text(enum error error)
{
    ASSERT((unsigned)error < ERROR_COUNT);
    return texts[error];
}
