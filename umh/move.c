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

/* Hold packets if the kernel can; if not, they may pass both tables for a moment, which is the
 * safe side: what either drops is dropped. */
static struct bf_hold *hold_packets(struct bf_filter *f)
{
	struct bf_hold *hold = NULL;
	struct bf_why why = {};

	if (bf_hold_begin(&hold, bf_env_device(f->env), &why)) {
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
	struct bf_hold *hold;
	int err;

	err = bf_filter_want_conntrack(f, loaded->wants_conntrack, why);
	pin_conntrack_for_move(f, false);
	err = err ?: bf_seat_make(&f->seat, loaded->attach, why);
	err = err ?: bf_seat_set_moving(&f->seat, loaded->attach, true);
	if (err)
		goto fail;
	hold = hold_packets(f);
	err = bf_seat_put(&f->seat, loaded);
	if (!err) {
		err = take_kernel_table(f, num_counters, old);
		if (err)
			bf_seat_take(&f->seat, loaded->attach);
	}
	bf_hold_end(hold);
	if (err)
		goto fail;
	bf_seat_set_moving(&f->seat, loaded->attach, false);
	f->loaded = loaded;
	bf_filter_want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
fail:
	bf_seat_remove(&f->seat);
	bf_filter_want_conntrack(f, false, NULL);
	return err;
}

int bf_move_hooks(struct bf_filter *f, struct bf_loaded *loaded, struct xt_counters *old,
		  struct bf_why *why)
{
	struct bf_loaded *before = f->loaded;
	struct bf_hold *hold;
	int err;

	err = bf_filter_want_conntrack(f, loaded->wants_conntrack || f->ct_used, why);
	err = err ?: bf_seat_make(&f->seat, loaded->attach, why);
	if (err)
		goto fail;
	hold = hold_packets(f);
	err = bf_seat_put(&f->seat, loaded);
	if (!err) {
		err = bf_seat_take(&f->seat, before->attach);
		if (err)
			bf_seat_take(&f->seat, loaded->attach);
		else
			bf_filter_final_counters(f, before, old);
	}
	bf_hold_end(hold);
	if (err)
		goto fail;
	bf_seat_leave(&f->seat, before->attach);
	f->loaded = loaded;
	bf_loaded_free(before);
	bf_filter_want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
fail:
	bf_seat_leave(&f->seat, loaded->attach);
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

int bf_move_to_kernel(struct bf_filter *f, const void *replace, size_t len, struct xt_counters *old,
		      bool keep, struct bf_why *why)
{
	int err, sk = bf_filter_socket(f);
	struct bf_hold *hold;

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
	err = bf_seat_set_moving(&f->seat, f->loaded->attach, true);
	if (err)
		return err;
	pin_conntrack_for_move(f, true);
	hold = hold_packets(f);
	err = switch_to_kernel(f, replace, len, old, keep);
	bf_hold_end(hold);
	if (err) {
		bf_seat_set_moving(&f->seat, f->loaded->attach, false);
		bf_filter_want_conntrack(f, f->loaded->wants_conntrack, NULL);
		return err;
	}
	bf_loaded_free(f->loaded);
	f->loaded = NULL;
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
