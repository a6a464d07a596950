/* Looking ahead over requests that will be executed next. */
#pragma once

#include <stddef.h>

struct engine;
struct request;

enum { PLAN_WINDOW = 64 }; /* requests: their cache lines must still be there when the last one's turn comes */

/* Looks up the commands of at most PLAN_WINDOW requests, and asks for the memory that they will look at. */
void plan_requests(struct engine *engine, struct request *requests, size_t count);
