// SPDX-License-Identifier: GPL-2.0
/*
 * A move switches two independent hooks, so packets are held in front of them meanwhile (hold.h). What a
 * successor makes of a move that was interrupted is in seat.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conntrack.h"
#include "env.h"
#include "hold.h"
#include "kernel_table.h"
#include "move.h"

/*
 * Hold packets if the kernel can; if not, they may pass both tables for a moment, which is the
 * safe side: what either drops is dropped. What comes in by interfaces with programs has been judged
 * before it could be held: only what goes out is.
 */
static struct bf_hold *hold_packets(struct bf_filter *f, bool edge)
{
	uint32_t hooks = edge ? 1U << NF_INET_LOCAL_OUT : BF_HOLD_ALL;
	struct bf_hold *hold = NULL;
	struct bf_why why = {};

	if (bf_hold_begin(&hold, hooks, bf_env_rcu(f->env), bf_env_device(f->env), &why)) {
		bf_log(BF_LOG_WARN,
		       "%s: packets cannot be held during the handover (%s): some may be "
		       "counted by both tables",
		       f->name, why.text);
		return NULL;
	}
	return hold;
}

/* The kernel's counters as of the end of its table, in the caller's number. No ip_tables, no table. */
static int take_kernel_table(struct bf_filter *f, uint32_t num_counters, struct xt_counters *old)
{
	struct xt_counters *final = NULL;
	uint32_t nr = 0;
	int err = bf_kernel_clear(f->kernel_sk, &final, &nr);

	if (err == -ENOPROTOOPT)
		return 0;
	if (!err && nr == num_counters)
		memcpy(old, final, nr * sizeof(*old));
	free(final);
	return err;
}

bool bf_move_kernel_has_rules(struct bf_filter *f)
{
	struct bf_kernel_table *table;
	bool empty;

	if (bf_kernel_read(f->kernel_sk, &table))
		return false;
	empty = bf_kernel_table_is_empty(table);
	bf_kernel_table_free(table);
	return !empty;
}

/*
 * No hook may come or go in front of the hold while packets are held: the kernel drops them when one goes, and
 * resumes them at a wrong place when one comes. Conntrack's hooks go with its last user, which can be the kernel's
 * table that is emptied, or a pin that we gave up, which the kernel takes a while to release; and they come with a
 * table of the kernel's that looks at conntrack. So it is pinned before packets are held wherever that may be.
 */
static void pin_conntrack_for_move(struct bf_filter *f, bool to_kernel)
{
	bool used = f->ct_used;

	if (to_kernel)
		/* The kernel has judged the new table and has loaded what that needs. */
		used |= !access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK);
	else
		used = used || bf_move_kernel_has_rules(f);
	if (used)
		bf_filter_want_conntrack(f, true, NULL);
}

int bf_move_here(struct bf_filter *f, struct bf_loaded *loaded, uint32_t num_counters,
		 struct xt_counters *old, struct bf_why *why)
{
	bool edge = loaded->attach == BF_ATTACH_TC;
	struct bf_hold *hold;
	int err;

	f->seat.place = BF_AUTO;
	err = bf_filter_want_conntrack(f, loaded->wants_conntrack, why);
	pin_conntrack_for_move(f, false);
	err = err ?: bf_seat_make(&f->seat, loaded->attach, why);
	err = err ?: bf_seat_set_moving(&f->seat, loaded->attach, true);
	if (err)
		goto fail;
	hold = hold_packets(f, edge);
	err = bf_seat_put(&f->seat, loaded);
	if (!err) {
		/* What had passed the interface unjudged has passed ip_tables afterwards. */
		if (edge)
			bf_seat_wait(&f->seat, loaded->attach);
		err = take_kernel_table(f, num_counters, old);
		if (err)
			bf_seat_take(&f->seat, loaded->attach);
	}
	bf_hold_end(hold);
	if (err)
		goto fail;
	bf_seat_set_moving(&f->seat, loaded->attach, false);
	f->loaded = loaded;
	bf_move_settle(f);
	bf_filter_want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
fail:
	bf_seat_remove(&f->seat);
	bf_filter_want_conntrack(f, false, NULL);
	return err;
}

void bf_move_settle(struct bf_filter *f)
{
	struct bf_why why = {};
	int err;

	if (f->loaded->attach != BF_ATTACH_TC || f->seat.edge.place == f->place)
		return;
	f->seat.place = f->place;
	err = bf_seat_make(&f->seat, BF_ATTACH_TC, &why);
	if (!err)
		return;
	f->seat.place = f->seat.edge.place;
	f->why_place = why;
	bf_log(BF_LOG_WARN, "%s: %s", f->name, why.text[0] ? why.text : strerror(-err));
}

/* Both places are made; the one that has nothing yet gets @loaded, the other one is emptied. */
static int change_hooks(struct bf_filter *f, struct bf_loaded *loaded, bool edge,
			struct xt_counters *old)
{
	struct bf_loaded *before = f->loaded;
	int err = bf_seat_put(&f->seat, loaded);

	if (err)
		return err;
	/* As in bf_move_here(), in either direction. */
	if (edge)
		bf_seat_wait(&f->seat, loaded->attach);
	err = bf_seat_take(&f->seat, before->attach);
	if (err)
		bf_seat_take(&f->seat, loaded->attach);
	else
		bf_filter_final_counters(f, before, old);
	return err;
}

/* XDP is entered and left by way of tc. */
static int make_hooks(struct bf_filter *f, enum bf_attach before, enum bf_attach attach,
		      struct bf_why *why)
{
	int err = 0;

	f->seat.place = BF_AUTO;
	if (before == BF_ATTACH_TC)
		err = bf_seat_make(&f->seat, BF_ATTACH_TC, why);
	return err ?: bf_seat_make(&f->seat, attach, why);
}

int bf_move_hooks(struct bf_filter *f, struct bf_loaded *loaded, struct xt_counters *old,
		  struct bf_why *why)
{
	struct bf_loaded *before = f->loaded;
	bool edge = loaded->attach == BF_ATTACH_TC || before->attach == BF_ATTACH_TC;
	bool guard = edge && loaded->attach != BF_ATTACH_MODULE &&
		     before->attach != BF_ATTACH_MODULE;
	struct bf_hold *hold;
	int err;

	bf_filter_withdraw(f);
	err = bf_filter_want_conntrack(f, loaded->wants_conntrack || f->ct_used, why);
	err = err ?: make_hooks(f, before->attach, loaded->attach, why);
	if (err)
		goto fail;
	guard = guard && !bf_seat_guard(&f->seat, true);
	hold = hold_packets(f, edge);
	err = change_hooks(f, loaded, edge, old);
	bf_hold_end(hold);
	if (guard)
		bf_seat_guard(&f->seat, false);
	if (err)
		goto fail;
	bf_seat_leave(&f->seat, before->attach);
	f->loaded = loaded;
	bf_loaded_free(before);
	bf_filter_tidy(f, 0);
	bf_move_settle(f);
	bf_filter_want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
fail:
	bf_seat_leave(&f->seat, loaded->attach);
	bf_move_settle(f);
	bf_filter_want_conntrack(f, before->wants_conntrack, NULL);
	return err;
}

/*
 * The two tables change places. @keep: it is the same table, and its counters go along. On error it is
 * ours that is in force.
 */
static int switch_to_kernel(struct bf_filter *f, const void *replace, size_t len,
			    struct xt_counters *old, bool keep)
{
	int err = bf_kernel_replace(f->kernel_sk, replace, len, NULL, NULL);

	if (err)
		return err;
	err = bf_seat_take(&f->seat, f->loaded->attach);
	if (!err) {
		bf_filter_final_counters(f, f->loaded, old);
		if (keep)
			err = bf_kernel_add_counters(f->kernel_sk, old,
						     f->loaded->table->num_entries);
	}
	/* One after the other, so that one of the two is always in force. */
	if (err && !bf_seat_put(&f->seat, f->loaded))
		bf_kernel_clear(f->kernel_sk, NULL, NULL);
	return err;
}

/* What was at the interfaces is at links by now, if the kernel has those. */
static int move_from_hooks(struct bf_filter *f, const void *replace, size_t len,
			   struct xt_counters *old, bool keep)
{
	int err = bf_seat_set_moving(&f->seat, f->loaded->attach, true);
	struct bf_hold *hold;

	if (err)
		return err;
	pin_conntrack_for_move(f, true);
	hold = hold_packets(f, f->loaded->attach == BF_ATTACH_TC);
	err = switch_to_kernel(f, replace, len, old, keep);
	bf_hold_end(hold);
	if (!err)
		return 0;
	bf_seat_set_moving(&f->seat, f->loaded->attach, false);
	bf_filter_want_conntrack(f, f->loaded->wants_conntrack, NULL);
	return err;
}

int bf_move_to_kernel(struct bf_filter *f, const void *replace, size_t len, struct xt_counters *old,
		      bool keep, struct bf_why *why)
{
	int err, sk = bf_filter_socket(f);
	bool via_links;

	if (sk < 0)
		return bf_why(why, sk, "ip_tables cannot be reached (%s)", strerror(-sk));
	if (bf_kernel_touch_filter(sk) == -ENOPROTOOPT)
		return bf_why(why, -ENOPROTOOPT,
			      "the table cannot go to ip_tables, which this kernel does not have "
			      "(modprobe ip_tables)");
	if (bf_move_kernel_has_rules(f))
		return bf_why(
			why, -EBUSY,
			"the table cannot go to ip_tables, which has rules of its own, set outside "
			"of bpfilter, that would be lost: remove those first");
	bf_filter_withdraw(f);
	via_links = f->loaded->attach == BF_ATTACH_TC && !bf_filter_to_links(f);
	if (via_links)
		bf_why(&f->why_place, 0,
		       "it was to go to ip_tables by way of those hooks, and got no further");
	err = move_from_hooks(f, replace, len, old, keep);
	if (err)
		return err;
	if (via_links)
		f->why_place.text[0] = '\0';
	bf_loaded_free(f->loaded);
	f->loaded = NULL;
	bf_filter_tidy(f, 0);
	bf_early_drop_remove(&f->early);
	bf_seat_remove(&f->seat);
	bf_filter_want_conntrack(f, false, NULL);
	return 0;
}

int bf_move_finish(struct bf_filter *f, struct bf_why *why)
{
	int sk = bf_filter_socket(f);
	int err = sk < 0 ? sk : bf_kernel_clear(sk, NULL, NULL);

	if (err && err != -ENOPROTOOPT)
		return bf_why(why, err,
			      "cannot finish the handover that a former helper had begun: %s",
			      strerror(-err));
	bf_log(BF_LOG_WARN,
	       "%s: finished the handover that a former helper had begun: the table is enforced "
	       "by eBPF",
	       f->name);
	return bf_seat_set_moving(&f->seat, f->loaded->attach, false);
}
