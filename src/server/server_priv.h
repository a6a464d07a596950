/* What the files of the server layer share among themselves. */
#pragma once

#include "net/net.h"
#include "server/server.h"

/* glue.c: what net calls. */
struct net_receiver glue_receiver(struct server *server);

/* background.c: work that runs in slices between the requests. */
bool background_run(void *context);

/* cron.c: also called when the clock jumped or a command changed what INFO shows. */
void cron_sample_memory(struct server *server);
