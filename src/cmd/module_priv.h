/* What is built in that elsewhere is a module, as MODULE LIST and HELLO show it. */
#pragma once

struct reply;

void module_reply_list(struct reply *reply);
