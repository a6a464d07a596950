/*
 * The rows as documents: the commented configuration file and its manual page.
 */
#include <string.h>

#include "base/num.h"
#include "config_priv.h"

enum { COLUMNS = 100 };

static const char *const section_titles[SECTION_COUNT] = {
    [SECTION_NETWORK] = "Network",
    [SECTION_TLS] = "TLS",
    [SECTION_GENERAL] = "Process and log",
    [SECTION_SECURITY] = "Security",
    [SECTION_CLIENTS] = "Clients",
    [SECTION_MEMORY] = "Memory",
    [SECTION_EXPIRY] = "Expiry",
    [SECTION_SAVING] = "Saving",
    [SECTION_MONITORING] = "Slow log and latency",
};

/* Appends text in lines that begin with `prefix`, broken between words. */
static void append_wrapped(struct buf *out, const char *prefix, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (column && column + 1 + len > COLUMNS) {
            buf_append_char(out, '\n');
            column = 0;
        }
        buf_append_cstr(out, column ? " " : prefix);
        column += column ? 1 : strlen(prefix);
        buf_append(out, bytes_make(text, len));
        column += len;
        text += len;
        text += strspn(text, " ");
    }
    buf_append_char(out, '\n');
}

/* --- Lines of a file --- */

enum { SAVE_WORDS = 2, LIMIT_WORDS = 4 };

static void append_memory(struct buf *out, struct bytes value)
{
    static const char *const units[] = { "", "kb", "mb", "gb" };
    uint64_t bytes = 0;
    int unit = 0;
    num_parse_memory(value, &bytes);
    while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    buf_printf(out, "%llu%s", (unsigned long long)bytes, units[unit]);
}

/* A line for each part: a save point, a class of clients. */
static void append_parts(const struct config_row *row, struct bytes value, struct buf *out)
{
    struct config_words words;
    config_words_split(&words, value);
    bool is_save = strcmp(row->name, "save") == 0;
    size_t step = is_save ? SAVE_WORDS : LIMIT_WORDS;
    if (words.count == 0)
        buf_printf(out, "%s \"\"\n", row->name);
    for (size_t i = 0; i + step <= words.count; i += step) {
        buf_append_cstr(out, row->name);
        for (size_t k = i; k < i + step; k++) {
            buf_append_char(out, ' ');
            if (bytes_is(words.items[k], "slave"))
                buf_append_cstr(out, "replica");
            else if (!is_save && (k % step == 1 || k % step == 2))
                append_memory(out, words.items[k]);
            else
                buf_append(out, words.items[k]);
        }
        buf_append_char(out, '\n');
    }
    config_words_fini(&words);
}

void config_append_lines(const struct config_row *row, struct bytes value, struct buf *out)
{
    if (row->flags & CONFIG_LINES) {
        append_parts(row, value, out);
        return;
    }
    buf_printf(out, "%s ", row->name);
    if (value.len == 0 || (row->type == CONFIG_TEXT && !(row->flags & CONFIG_MULTI)))
        buf_append_quoted(out, value);
    else if (row->type == CONFIG_MEMORY)
        append_memory(out, value);
    else
        buf_append(out, value);
    buf_append_char(out, '\n');
}

/* --- The configuration file --- */

static bool is_in(const struct config_row *row, int section)
{
    return (int)row->section == section && !config_row_is_ineffective(row);
}

static void append_setting(struct buf *out, const struct config_row *row)
{
    const char *value = row->suggested ? row->suggested : row->initial;
    buf_append_char(out, '\n');
    append_wrapped(out, "# ", row->help);
    if (!*value)
        buf_append_cstr(out, "# ");
    config_append_lines(row, bytes_from_cstr(value), out);
}

void config_print_default(struct buf *out)
{
    append_wrapped(out, "# ",
        "The configuration of larder-server. It has the format of redis.conf: a directive and its values on a line, "
        "values with spaces in double quotes, comments behind a '#' that begins a line. Amounts of memory may have "
        "units: 1k is 1000 bytes, 1kb is 1024, and so on for m, mb, g and gb.");
    buf_append_cstr(out, "#\n");
    append_wrapped(out, "# ",
        "Every directive may be given on the command line too (--port 7000), which then overrides this file. "
        "larder.conf(5) tells more.");
    for (int section = SECTION_NETWORK; section < SECTION_ACCEPTED; section++) {
        buf_printf(out, "\n# --- %s ---\n", section_titles[section]);
        for (size_t i = 0; i < config_row_count(); i++)
            if (is_in(config_row_at(i), section))
                append_setting(out, config_row_at(i));
    }
    buf_append_cstr(out, "\n# --- Other files and names ---\n\n");
    append_wrapped(out, "# ",
        "Read other files in place of the line; the name may have wildcards. What comes later overrides what came "
        "before.");
    buf_append_cstr(out, "# include /etc/larder/conf.d/*.conf\n\n");
    append_wrapped(out, "# ", "Give a command another name, or switch it off with an empty one.");
    buf_append_cstr(out, "# rename-command FLUSHALL \"\"\n");
}

/* --- The manual page --- */

/* Text in troff: a line must not begin with a dot or a quote, and dashes of names are not hyphens. */
static void append_troff(struct buf *out, const char *text)
{
    struct buf wrapped = BUF_EMPTY;
    append_wrapped(&wrapped, "", text);
    for (const char *c = buf_cstr(&wrapped); *c; c++) {
        bool begins = c == buf_cstr(&wrapped) || c[-1] == '\n';
        if (begins && (*c == '.' || *c == '\''))
            buf_append_cstr(out, "\\&");
        if (*c == '-')
            buf_append_cstr(out, "\\-");
        else if (*c == '\\')
            buf_append_cstr(out, "\\e");
        else if (*c == '\'')
            buf_append_cstr(out, "\\(aq");
        else
            buf_append_char(out, *c);
    }
    buf_fini(&wrapped);
}

static void append_kind(struct buf *out, const struct config_row *row)
{
    static const char *const kinds[] = {
        [CONFIG_TEXT] = "text",
        [CONFIG_BOOL] = "yes | no",
        [CONFIG_INTEGER] = "number",
        [CONFIG_MEMORY] = "memory",
        [CONFIG_PERCENT] = "memory or percentage",
        [CONFIG_OCTAL] = "octal number",
    };
    if (row->type != CONFIG_CHOICE && row->type != CONFIG_WORDS) {
        buf_append_cstr(out, kinds[row->type]);
        return;
    }
    for (const struct config_choice *choice = row->choices; choice->word; choice++)
        buf_printf(out, "%s%s", choice == row->choices ? "" : " | ", choice->word);
}

static void append_entry(struct buf *out, const struct config_row *row)
{
    struct buf kind = BUF_EMPTY, initial = BUF_EMPTY;
    append_kind(&kind, row);
    buf_append_cstr(out, ".TP\n.B ");
    append_troff(out, row->name);
    append_troff(out, row->help);
    buf_append_cstr(out, ".br\n");
    if (row->initial[0])
        buf_printf(&initial, "(%s; default: %s%s)", buf_cstr(&kind), row->initial,
            row->flags & CONFIG_IMMUTABLE ? "; set at start only" : "");
    else
        buf_printf(&initial, "(%s; empty by default%s)", buf_cstr(&kind),
            row->flags & CONFIG_IMMUTABLE ? "; set at start only" : "");
    append_troff(out, buf_cstr(&initial));
    buf_fini(&kind);
    buf_fini(&initial);
}

static void append_accepted(struct buf *out)
{
    struct buf names = BUF_EMPTY;
    for (size_t i = 0; i < config_accepted_count; i++)
        if (!(config_accepted_rows[i].flags & CONFIG_HIDDEN))
            buf_printf(&names, "%s%s", names.len ? ", " : "", config_accepted_rows[i].name);
    buf_append_char(&names, '.');
    buf_append_cstr(out, ".SH DIRECTIVES WITHOUT EFFECT\n");
    append_troff(out,
        "These directives of Redis are accepted, so that its files and tools work, and CONFIG GET shows what they were "
        "set to. They have no effect in this version; the log names those that were set to something else than their "
        "default.");
    buf_append_cstr(out, ".PP\n");
    append_troff(out, buf_cstr(&names));
    buf_fini(&names);
}

void config_print_manual(struct buf *out)
{
    buf_append_cstr(out, ".TH LARDER.CONF 5 \"\" \"Larder\" \"File formats\"\n"
                         ".SH NAME\nlarder.conf \\- configuration of larder\\-server\n"
                         ".SH DESCRIPTION\n");
    append_troff(out,
        "A directive and its values stand on a line, separated by white space; a line that begins with # is a comment. "
        "Values with spaces stand in double quotes, where \\n, \\r, \\t, \\\", \\\\ and \\xHH have their meaning "
        "in C, or in single quotes. Of lines for the same directive the last one counts. Files of Redis 7 are "
        "understood.");
    buf_append_cstr(out, ".PP\n");
    append_troff(out,
        "Amounts of memory may have units in any case: k is 1000 bytes, kb 1024 bytes, and so on for m, mb, g and gb.");
    buf_append_cstr(out, ".PP\n");
    append_troff(out,
        "Every directive is an option of larder-server(1) too (--port 7000). CONFIG SET changes directives of the "
        "running server, unless they are set at start only, and CONFIG REWRITE writes them back to the file.");
    for (int section = SECTION_NETWORK; section < SECTION_ACCEPTED; section++) {
        struct buf title = BUF_EMPTY;
        buf_append_cstr(&title, section_titles[section]);
        for (size_t i = 0; i < title.len; i++)
            title.ptr[i] = ascii_upper(title.ptr[i]);
        buf_printf(out, ".SH %s\n", buf_cstr(&title));
        buf_fini(&title);
        for (size_t i = 0; i < config_row_count(); i++)
            if (is_in(config_row_at(i), section))
                append_entry(out, config_row_at(i));
    }
    buf_append_cstr(out, ".SH OTHER FILES AND NAMES\n.TP\n.BI include \" file\"\n");
    append_troff(out, "Reads another file in place of the line. The name may have wildcards, which may fit nothing. "
                      "Files may include others, sixteen levels deep.");
    buf_append_cstr(out, ".TP\n.BI rename\\-command \" name new\\-name\"\n");
    append_troff(out, "Gives a command another name; an empty one (\"\") switches it off.");
    append_accepted(out);
    buf_append_cstr(out, ".SH SEE ALSO\n.BR larder\\-server (1)\n");
}
