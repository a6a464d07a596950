/* What the files of the server layer share among themselves. */
#pragma once

#include "net/net.h"
#include "server/server.h"

/* glue.c: what net calls. */
struct net_receiver glue_receiver(struct server *server);

/* background.c: work that runs in slices between the requests. */
bool background_run(void *context);

/* glue.c: the connection that carries a session; NULL if it is none of the network's. */
struct connection *glue_connection(const struct session *session);

/* background.c: something of the server's own held the loop so long: a latency event, and perhaps to be blamed. */
void blame_background(struct server *server, const char *name, uint64_t us);

/* latency_report.c: an event's samples as a picture in text; and what there is to say about all events. */
struct latency_event;
void latency_report_graph(const struct latency_event *event, int64_t now_s, struct buf *out);
void latency_report_doctor(struct server *server, struct buf *out);

/* cron.c: sees to it that the next wait that ends does so in time. */
void cron_set_deadline(struct server *server);

/*
 * insight.c: the clockwork of what is always watched; what INFO and MEMORY CURVE say of it; and forgetting it (CONFIG
 * RESETSTAT).
 */
void insight_cron(struct server *server, int64_t now_ms);
void insight_print_info(struct server *server, struct buf *out);
void insight_print_keysizes(struct server *server, struct buf *out);
void insight_run_curve(struct call *call);
void insight_reset_stats(struct server *server);

/* defrag.c: begins to defragment if there is reason to; and does some of it, true while there is more to do. */
void defrag_judge(struct server *server, int64_t now_ms);
bool defrag_run(struct server *server, uint64_t end_ns);
void defrag_stop(struct server *server);

/* How long the databases have been walked, in milliseconds: in all, and in this run; and back to nothing. */
uint64_t defrag_run_ms(const struct server *server);
uint64_t defrag_this_run_ms(const struct server *server);
void defrag_reset_stats(struct server *server);

/* All of it at once, from the beginning, whether there is reason to or not; returns how many allocations moved. */
uint64_t defrag_whole(struct server *server);

/* oom.c: tells the kernel of the score that the configuration asks for; false, logged, if that fails. */
enum oom_role { OOM_SERVER = 0, OOM_CHILD = 2 };
bool oom_apply(struct server *server, enum oom_role role);

/* client_eviction.c: bytes that one client holds, that all do, and that they may (0: no limit); and enforcing that. */
size_t client_memory(const struct session *session);
size_t clients_memory(const struct server *server);
uint64_t clients_limit(const struct server *server);
void clients_evict(struct server *server);

/* client.c: a client as CLIENT INFO shows it. */
void client_describe(const struct session *session, struct buf *out);

/* client_tracking.c */
void client_run_tracking(struct call *call);
void client_run_caching(struct call *call);
void client_run_getredir(struct call *call);
void client_run_trackinginfo(struct call *call);

/*
 * acl_file.c: makes the users that the configuration names, in its own lines or in the file `aclfile`. False, with the
 * reason logged.
 */
bool acl_file_begin(struct server *server);

/* ACL LOAD and ACL SAVE; and the users as lines of the configuration file, for CONFIG REWRITE. */
void acl_file_run_load(struct call *call);
void acl_file_run_save(struct call *call);
void acl_file_update_config(struct server *server);

/* cron.c: also called when the clock jumped or a command changed what INFO shows. */
void cron_sample_memory(struct server *server);
