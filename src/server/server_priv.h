/* What the files of the server layer share among themselves. */
#pragma once

#include "net/net.h"
#include "server/server.h"

/* glue.c: what net calls. */
struct net_receiver glue_receiver(struct server *server);

/* background.c: work that runs in slices between the requests. */
bool background_run(void *context);

/* cron.c: sees to it that the next wait that ends does so in time. */
void cron_set_deadline(struct server *server);

/* cron.c: also called when the clock jumped or a command changed what INFO shows. */
void cron_sample_memory(struct server *server);
