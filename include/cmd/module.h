/* What is built in that elsewhere is a module, as MODULE LIST, HELLO and INFO show it. */
#pragma once

#define MODULE_JSON "ReJSON" /* what has the JSON commands elsewhere */

struct buf;
struct reply;

/* An array of maps, one for each. */
void module_reply_list(struct reply *reply);

/* Appends the lines of INFO's section: one for each, with what elsewhere stands there about a module. */
void module_print_info(struct buf *out);
