/*
 * Aside: a handler that has much to do runs once more on a stack of its own, in slices, while others are served.
 *
 * The handler stays one piece of straight code: it finds out how much there is to do, asks call_aside, and returns if
 * that took the work over. It is then run from its beginning as a task (engine/task.h) in a fiber (base/fiber.h), and
 * its loops breathe. Meanwhile the keys that the command's row names are held: who wants to change one of them waits
 * until the work is done, in order of arrival; everybody may read them. So the reply is that of one moment, and so is
 * what is stored, which is published in the last slice. A handler that breathes after its first change has the keys
 * that it changes closed until its end: then nobody else reads them, either. It must know that other keys come and go
 * meanwhile, so that an edit of its own that points into the keyspace's table is not to be open then.
 *
 * What cannot wait (commands in transactions, retries of blocked ones) finishes all work that is aside before it
 * changes a held key. A blocked one that is woken to much work goes aside, too, and is not blocked any more. A command
 * whose client leaves is carried out to its end all the same, as if it had been quick; but what it answers is dropped
 * as it is made, and loops that do nothing but answer end (fiber_is_over).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct call;

/* Items (elements walked over, written, compared) up to which work is done at once. */
enum { CALL_AT_ONCE = 2000 };

/*
 * True if the work is taken over or has to wait: the handler, which has neither answered nor changed anything, returns.
 * False if it goes on: there are fewer than CALL_AT_ONCE items, it is aside already, or nobody can wait here.
 */
bool call_aside(struct call *call, size_t items);

/*
 * For a handler that is aside and waits for something outside (another thread): returns after the next
 * engine_wake_tasks, or sooner, so that it is to be called in a loop. False, at once, if it is not aside.
 */
bool call_sleep(struct call *call);

/*
 * For a handler that has answered in full and goes on with what its client need not wait for, as giving memory back:
 * the answer leaves at once. The client's next request waits until the handler has returned, so that nobody can make
 * more such work than is done. Aside it breathes, otherwise it is nothing; the handler changes nothing more after it.
 */
void call_answered(struct call *call);

/*
 * For a handler that reads, is aside by call_aside, and has pinned all that it goes on with: others may change its keys
 * from now on. Nothing elsewhere.
 */
void call_let_go(struct call *call);

/* As call_aside, for a command that reads keys that its row does not name: nothing at all is changed meanwhile. */
bool call_aside_everywhere(struct call *call, size_t items);

/*
 * The same for what needs nothing held: a handler that pins what it reads, or a command whose arguments are all that it
 * works on. Whether that is much the caller knows. Everybody may change the keys meanwhile. Large arguments are taken
 * over without a copy, here and above.
 */
bool call_aside_unheld(struct call *call);
