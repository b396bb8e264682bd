// SPDX-License-Identifier: GPL-2.0
/*
 * Who has the table, and how it changes hands. See filter.h.
 *
 *		   replace, translatable: move_here()
 *	  ip_tables --------------------------------> programs
 *	    |    ^  <--------------------------------  |   ^
 *	    +----+   replace, not translatable, or     +---+
 *	    replace, detach: move_to_kernel()          replace: swap()
 *	    not translatable
 *
 * A swap is one store. A move switches two independent hooks, so packets are held in front of
 * them meanwhile (hold.h), and the pin "moving" tells a successor that it was under way: then the
 * switch decides, and what it does not name is removed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conntrack.h"
#include "env.h"
#include "filter.h"
#include "hold.h"
#include "kernel_table.h"
#include "load.h"
#include "pins.h"

struct bf_filter {
	struct bf_env *env;
	char name[64];
	struct bf_pins pins;
	struct bf_loaded *loaded; /* NULL: ip_tables has the table */
	struct bf_ct_pin *ct_pin;
	bool ct_used; /* there was a pin, now or before */
	int kernel_sk;
	struct bf_why why_kernel;
	uint64_t replaced_at, replace_us;
};

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* The socket for ip_tables, opened when it is first needed. */
static int kernel_socket(struct bf_filter *f)
{
	if (f->kernel_sk < 0)
		f->kernel_sk = bf_kernel_socket();
	return f->kernel_sk;
}

/* Conntrack must be there as long as a table looks at it, and not be there for one that does not. */
static int want_conntrack(struct bf_filter *f, bool wanted, struct bf_why *why)
{
	if (wanted && !f->ct_pin) {
		int err = bf_ct_pin(&f->ct_pin, why);

		f->ct_used |= !err;
		return err;
	}
	if (!wanted && f->ct_pin) {
		bf_ct_unpin(f->ct_pin);
		f->ct_pin = NULL;
	}
	return 0;
}

/*
 * The last helper was interrupted in a move: the switch says who has the table. As long as ip_tables has
 * rules too, what they drop is dropped.
 */
static int finish_move(struct bf_filter *f, struct bf_why *why)
{
	int sk, err;

	if (f->loaded) {
		sk = kernel_socket(f);
		err = sk < 0 ? sk : bf_kernel_clear(sk, NULL, NULL);
		if (err)
			return bf_why(why, err,
				      "cannot finish the handover that a former helper had "
				      "begun: %s",
				      strerror(-err));
		bf_log(BF_LOG_WARN,
		       "%s: finished the handover that a former helper had begun: "
		       "the table is enforced by eBPF",
		       f->name);
	}
	return bf_pins_set_moving(&f->pins, false);
}

static int pick_up(struct bf_filter *f, struct bf_why *why)
{
	struct bf_kernel kernel;
	uint32_t prog_id;
	int err = bf_pins_open(&f->pins);

	if (err == -ENOENT) {
		/* The folder may be there, of a helper killed before its first pin or after its last. */
		bf_pins_remove(&f->pins);
		return 0;
	}
	if (err)
		return bf_why(why, err, "cannot open the pins in %s: %s", f->pins.dir,
			      strerror(-err));
	err = bf_pins_current(&f->pins, &prog_id);
	if (!err && prog_id)
		err = bf_load_by_id(prog_id, &f->loaded, why);
	if (err)
		return err;
	if (bf_pins_is_moving(&f->pins))
		err = finish_move(f, why);
	if (err)
		return err;
	if (!f->loaded) {
		bf_pins_remove(&f->pins);
		return 0;
	}
	bf_env_kernel(f->env, &kernel);
	err = bf_pins_make(&f->pins, &kernel, why);
	return err ?: want_conntrack(f, f->loaded->wants_conntrack, why);
}

int bf_filter_open(struct bf_env *env, ino_t inode, const char *name, struct bf_filter **result,
		   struct bf_why *why)
{
	struct bf_filter *f = calloc(1, sizeof(*f));
	int err;

	*result = NULL;
	if (!f)
		return -ENOMEM;
	f->env = env;
	f->kernel_sk = -1;
	snprintf(f->name, sizeof(f->name), "%s", name);
	bf_pins_init(&f->pins, inode);
	err = pick_up(f, why);
	if (err) {
		bf_filter_close(f);
		return err;
	}
	*result = f;
	return 0;
}

void bf_filter_close(struct bf_filter *f)
{
	if (!f)
		return;
	if (f->ct_pin)
		bf_ct_pin_close(f->ct_pin);
	if (f->kernel_sk >= 0)
		close(f->kernel_sk);
	bf_loaded_free(f->loaded);
	bf_pins_close(&f->pins);
	free(f);
}

bool bf_filter_is_ours(const struct bf_filter *f)
{
	return f->loaded;
}

int bf_filter_fd(const struct bf_filter *f)
{
	return f->ct_pin ? bf_ct_pin_fd(f->ct_pin) : -1;
}

void bf_filter_event(struct bf_filter *f)
{
	int err = f->ct_pin ? bf_ct_pin_check(f->ct_pin) : 0;

	if (err)
		bf_log(BF_LOG_ERR,
		       "%s: conntrack cannot be kept active (%s): rules that look at it "
		       "see no connections",
		       f->name, strerror(-err));
}

int bf_filter_info(struct bf_filter *f, struct ipt_getinfo *info)
{
	socklen_t len = sizeof(*info);
	int sk;

	if (f->loaded) {
		const struct bf_table *t = f->loaded->table;

		info->valid_hooks = BF_FILTER_HOOKS;
		memcpy(info->hook_entry, t->hook_entry, sizeof(info->hook_entry));
		memcpy(info->underflow, t->underflow, sizeof(info->underflow));
		info->num_entries = t->num_entries;
		info->size = t->size;
		return 0;
	}
	sk = kernel_socket(f);
	strcpy(info->name, "filter");
	return sk < 0 ? sk : bf_kernel_get(sk, IPT_SO_GET_INFO, info, &len);
}

static struct xt_counters *alloc_counters(uint32_t n)
{
	return calloc(n ?: 1, sizeof(struct xt_counters));
}

static int kernel_entries(struct bf_filter *f, uint32_t size, void *entries)
{
	socklen_t len = sizeof(struct ipt_get_entries) + size;
	struct ipt_get_entries *get = calloc(1, len);
	int sk = kernel_socket(f), err;

	if (!get)
		return -ENOMEM;
	strcpy(get->name, "filter");
	get->size = size;
	err = sk < 0 ? sk : bf_kernel_get(sk, IPT_SO_GET_ENTRIES, get, &len);
	if (!err)
		memcpy(entries, get->entrytable, size);
	free(get);
	return err;
}

int bf_filter_entries(struct bf_filter *f, uint32_t size, void *entries)
{
	struct xt_counters *counters;

	if (!f->loaded)
		return kernel_entries(f, size, entries);
	if (size != f->loaded->table->size)
		return -EAGAIN;
	counters = alloc_counters(f->loaded->table->num_entries);
	if (!counters)
		return -ENOMEM;
	bf_loaded_counters(f->loaded, counters);
	bf_table_show(f->loaded->table, counters, entries);
	free(counters);
	return 0;
}

int bf_filter_add_counters(struct bf_filter *f, const void *value, size_t len)
{
	const struct xt_counters_info *info = value;
	size_t size;
	int sk;

	if (!f->loaded) {
		sk = kernel_socket(f);
		return sk < 0 ? sk : bf_kernel_set(sk, IPT_SO_SET_ADD_COUNTERS, value, len);
	}
	if (len < sizeof(*info) || info->num_counters != f->loaded->table->num_entries)
		return -EINVAL;
	size = (size_t)info->num_counters * sizeof(info->counters[0]);
	if (len - sizeof(*info) < size)
		return -EINVAL;
	bf_loaded_add_counters(f->loaded, info->counters);
	return 0;
}

/*
 * The final counters of our table: no packet is in it any more. Failing to wait can only mean that the
 * last few packets are not counted, and must not undo a switch that has happened.
 */
static void final_counters(struct bf_filter *f, const struct bf_loaded *loaded,
			   struct xt_counters *counters)
{
	int err = bf_rcu_wait();

	if (err)
		bf_log(BF_LOG_WARN,
		       "%s: cannot wait for packets in flight (%s): the counters of the old "
		       "table may lack the last ones",
		       f->name, strerror(-err));
	bf_loaded_counters(loaded, counters);
}

/* A new program for the old one: the store in the switch is the commit. */
static int swap(struct bf_filter *f, struct bf_loaded *loaded, struct xt_counters *old,
		struct bf_why *why)
{
	struct bf_loaded *before = f->loaded;
	int err = 0;

	if (loaded->wants_conntrack)
		err = want_conntrack(f, true, why);
	err = err ?: bf_pins_switch(&f->pins, loaded->prog);
	if (err) {
		want_conntrack(f, before->wants_conntrack, NULL);
		return err;
	}
	f->loaded = loaded;
	final_counters(f, before, old);
	bf_loaded_free(before);
	want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
}

/* Hold packets if the kernel can; if not, they may pass both tables for a moment, which is the
 * safe side: what either drops is dropped. */
static struct bf_hold *hold_packets(struct bf_filter *f)
{
	struct bf_hold *hold = NULL;
	struct bf_why why = {};

	if (bf_hold_begin(&hold, &why)) {
		bf_log(BF_LOG_WARN,
		       "%s: packets cannot be held during the handover (%s): some may be "
		       "counted by both tables",
		       f->name, why.text);
		return NULL;
	}
	return hold;
}

/* The kernel's counters as of the end of its table, in the caller's number. */
static int take_kernel_table(struct bf_filter *f, uint32_t num_counters, struct xt_counters *old)
{
	struct xt_counters *final = NULL;
	uint32_t nr = 0;
	int err = bf_kernel_clear(f->kernel_sk, &final, &nr);

	if (!err && nr == num_counters)
		memcpy(old, final, nr * sizeof(*old));
	free(final);
	return err;
}

/*
 * No hook may come or go in front of the hold while packets are held: the kernel drops them when one goes, and
 * resumes them at a wrong place when one comes. Conntrack's hooks go with its last user, which can be the kernel's
 * table that is emptied, or a pin that we gave up, which the kernel takes a while to release; and they come with a
 * table of the kernel's that looks at conntrack. So it is pinned before packets are held wherever that may be.
 */
static void pin_conntrack_for_move(struct bf_filter *f, bool to_kernel)
{
	struct bf_kernel_table *table;
	bool used = f->ct_used;

	if (to_kernel) {
		/* The kernel has judged the new table and has loaded what that needs. */
		used |= !access("/proc/sys/net/netfilter/nf_conntrack_max", F_OK);
	} else if (!used && !bf_kernel_read(f->kernel_sk, &table)) {
		used = !bf_kernel_table_is_empty(table);
		bf_kernel_table_free(table);
	}
	if (used)
		want_conntrack(f, true, NULL);
}

static int move_here(struct bf_filter *f, struct bf_loaded *loaded, uint32_t num_counters,
		     struct xt_counters *old, struct bf_why *why)
{
	struct bf_kernel kernel;
	struct bf_hold *hold;
	int err;

	bf_env_kernel(f->env, &kernel);
	err = want_conntrack(f, loaded->wants_conntrack, why);
	pin_conntrack_for_move(f, false);
	err = err ?: bf_pins_make(&f->pins, &kernel, why);
	err = err ?: bf_pins_set_moving(&f->pins, true);
	if (err)
		goto fail;
	hold = hold_packets(f);
	err = bf_pins_switch(&f->pins, loaded->prog);
	if (!err) {
		err = take_kernel_table(f, num_counters, old);
		if (err)
			bf_pins_switch(&f->pins, -1);
	}
	bf_hold_end(hold);
	if (err)
		goto fail;
	bf_pins_set_moving(&f->pins, false);
	f->loaded = loaded;
	want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
fail:
	bf_pins_remove(&f->pins);
	want_conntrack(f, false, NULL);
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
	err = bf_pins_switch(&f->pins, -1);
	if (!err) {
		final_counters(f, f->loaded, old);
		if (keep)
			err = bf_kernel_add_counters(f->kernel_sk, old,
						     f->loaded->table->num_entries);
	}
	/* One after the other, so that one of the two is always in force. */
	if (err && !bf_pins_switch(&f->pins, f->loaded->prog))
		bf_kernel_clear(f->kernel_sk, NULL, NULL);
	return err;
}

/* @old receives the final counters of our table. On error it stays in force. */
static int move_to_kernel(struct bf_filter *f, const void *replace, size_t len,
			  struct xt_counters *old, bool keep, struct bf_why *why)
{
	int err, sk = kernel_socket(f);
	struct bf_hold *hold;

	if (sk < 0)
		return bf_why(why, sk, "ip_tables cannot be reached (%s)", strerror(-sk));
	err = bf_pins_set_moving(&f->pins, true);
	if (err)
		return err;
	pin_conntrack_for_move(f, true);
	hold = hold_packets(f);
	err = switch_to_kernel(f, replace, len, old, keep);
	bf_hold_end(hold);
	if (err) {
		bf_pins_set_moving(&f->pins, false);
		want_conntrack(f, f->loaded->wants_conntrack, NULL);
		return err;
	}
	bf_loaded_free(f->loaded);
	f->loaded = NULL;
	bf_pins_remove(&f->pins);
	want_conntrack(f, false, NULL);
	return 0;
}

/* ip_tables has the table and keeps it. */
static int replace_in_kernel(struct bf_filter *f, const struct ipt_replace *replace, size_t len,
			     struct xt_counters *old)
{
	struct ipt_replace *copy = malloc(len);
	int sk = kernel_socket(f), err;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, replace, len);
	copy->counters = old;
	err = sk < 0 ? sk : bf_kernel_set(sk, IPT_SO_SET_REPLACE, copy, len);
	free(copy);
	return err;
}

/* How many counters the caller must have asked for: -EAGAIN is what the kernel says otherwise. */
static int check_num_counters(struct bf_filter *f, uint32_t num_counters)
{
	struct ipt_getinfo info = {};
	int err = bf_filter_info(f, &info);

	if (err)
		return err;
	return info.num_entries == num_counters ? 0 : -EAGAIN;
}

/* The table as a loaded program. @table is taken over on success. */
static int translate(struct bf_filter *f, struct bf_table *table, uint64_t started,
		     struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_program *program;
	struct bf_kernel kernel;
	int err;

	bf_env_kernel(f->env, &kernel);
	err = bf_compile(table, &kernel, BF_FORM_AUTO, bf_env_jiffies(f->env), &program, why);
	if (err)
		return err;
	err = bf_load(table, program, kernel.cpus, started, loaded, why);
	bf_program_free(program);
	return err;
}

static int judge(struct bf_filter *f, const void *replace, size_t len)
{
	int sk = kernel_socket(f);

	return sk < 0 ? sk : bf_kernel_judge(sk, replace, len);
}

/* @why_kernel says why it cannot be ours. */
static int fall_back(struct bf_filter *f, const struct ipt_replace *replace, size_t len,
		     struct xt_counters *old, const struct bf_why *why_kernel, struct bf_why *why)
{
	int err;

	/* The kernel compares the number of counters last, and is asked before packets are held. */
	if (f->loaded)
		err = judge(f, replace, len) ?: check_num_counters(f, replace->num_counters) ?:
		      move_to_kernel(f, replace, len, old, false, why);
	else
		err = replace_in_kernel(f, replace, len, old);
	if (err)
		return err;
	/* Once for each reason, not for every rule that is added to such a table. */
	if (strcmp(f->why_kernel.text, why_kernel->text))
		bf_log(BF_LOG_INFO,
		       "%s: the filter table is enforced by the kernel's ip_tables: %s", f->name,
		       why_kernel->text);
	f->why_kernel = *why_kernel;
	return 0;
}

static int replace_checked(struct bf_filter *f, struct bf_table *table,
			   const struct ipt_replace *replace, size_t len, uint64_t started,
			   struct xt_counters *old, struct bf_why *why)
{
	struct bf_loaded *loaded;
	struct bf_why reason = {};
	int err = check_num_counters(f, replace->num_counters);

	if (err)
		goto fail;
	err = translate(f, table, started, &loaded, &reason);
	if (err) {
		bf_table_free(table);
		if (!reason.text[0])
			bf_why(&reason, err, "%s", strerror(-err));
		return fall_back(f, replace, len, old, &reason, why);
	}
	if (f->loaded)
		err = swap(f, loaded, old, &reason);
	else
		err = move_here(f, loaded, replace->num_counters, old, &reason);
	if (err) {
		bf_loaded_free(loaded);
		if (!reason.text[0])
			bf_why(&reason, err, "it could not be put in force (%s)", strerror(-err));
		return fall_back(f, replace, len, old, &reason, why);
	}
	f->why_kernel.text[0] = '\0';
	return 0;
fail:
	bf_table_free(table);
	return err;
}

int bf_filter_replace(struct bf_filter *f, const void *value, size_t len,
		      struct xt_counters **result, struct bf_why *why)
{
	const struct ipt_replace *replace = value;
	uint64_t started = monotonic_ns();
	struct bf_table *table = NULL;
	struct bf_why reason = {};
	struct xt_counters *old;
	int err;

	*result = NULL;
	err = bf_table_check(value, len, &table, &reason);
	if (err < 0) {
		if (why)
			*why = reason;
		return err;
	}
	old = alloc_counters(replace->num_counters);
	if (!old) {
		bf_table_free(table);
		return -ENOMEM;
	}
	if (err == BF_NOT_TRANSLATABLE)
		err = fall_back(f, replace, len, old, &reason, why);
	else
		err = replace_checked(f, table, replace, len, started, old, why);
	if (err) {
		free(old);
		return err;
	}
	f->replaced_at = time(NULL);
	f->replace_us = (monotonic_ns() - started) / 1000;
	*result = old;
	return 0;
}

/* Our table as an option value for ip_tables. */
static struct ipt_replace *as_replace(const struct bf_table *t, const struct xt_counters *counters,
				      size_t *len)
{
	struct ipt_replace *r;

	*len = sizeof(*r) + t->size;
	r = calloc(1, *len);
	if (!r)
		return NULL;
	strcpy(r->name, "filter");
	r->valid_hooks = BF_FILTER_HOOKS;
	r->num_entries = t->num_entries;
	r->size = t->size;
	memcpy(r->hook_entry, t->hook_entry, sizeof(r->hook_entry));
	memcpy(r->underflow, t->underflow, sizeof(r->underflow));
	bf_table_show(t, counters, r->entries);
	return r;
}

int bf_filter_detach(struct bf_filter *f, struct bf_why *why)
{
	struct xt_counters *counters;
	struct ipt_replace *replace;
	uint32_t n;
	size_t len;
	int err;

	if (!f->loaded)
		return 0;
	n = f->loaded->table->num_entries;
	counters = alloc_counters(n);
	if (!counters)
		return -ENOMEM;
	replace = as_replace(f->loaded->table, counters, &len);
	err = replace ? move_to_kernel(f, replace, len, counters, true, why) : -ENOMEM;
	free(replace);
	free(counters);
	return err;
}

static void count_rules(const struct bf_table *t, struct bf_filter_status *status)
{
	uint32_t i;

	for (i = 0; i < t->num_entries; i++) {
		const struct ipt_entry *e = bf_table_entry(t, i);
		const struct xt_entry_target *target = (const void *)e + e->target_offset;

		if (!strcmp(target->u.user.name, XT_ERROR_TARGET))
			status->chains++;
		else
			status->rules++;
	}
	/* The last ERROR entry ends the table; each user chain ends in a RETURN of its own, each
	 * built-in one in its policy. */
	status->chains--;
	status->rules -= status->chains + 3;
}

/* Rules that ip_tables already had when we first met the namespace: what will become of them? */
static void explain_kernel_table(struct bf_filter *f, struct bf_why *why)
{
	struct xt_counters none = {};
	struct bf_kernel_table *kt;
	struct ipt_replace *replace;
	struct bf_table *table = NULL;
	int sk = bf_kernel_has_filter() == 1 ? kernel_socket(f) : -ENOENT;
	size_t len;

	if (sk < 0 || bf_kernel_read(sk, &kt))
		return;
	len = sizeof(*replace) + kt->info.size;
	replace = bf_kernel_table_is_empty(kt) ? NULL : calloc(1, len);
	if (replace) {
		strcpy(replace->name, "filter");
		replace->valid_hooks = kt->info.valid_hooks;
		replace->num_entries = kt->info.num_entries;
		replace->size = kt->info.size;
		memcpy(replace->hook_entry, kt->info.hook_entry, sizeof(replace->hook_entry));
		memcpy(replace->underflow, kt->info.underflow, sizeof(replace->underflow));
		replace->num_counters = 1;
		replace->counters = &none;
		memcpy(replace->entries, kt->entries, kt->info.size);
		if (!bf_table_check(replace, len, &table, why))
			bf_why(why, 0,
			       "the rules were there before bpfilter; the next change of the "
			       "table moves them to eBPF");
		bf_table_free(table);
		free(replace);
	}
	bf_kernel_table_free(kt);
}

int bf_filter_status(struct bf_filter *f, struct bf_filter_status *status)
{
	struct bf_loaded *l = f->loaded;

	memset(status, 0, sizeof(*status));
	status->placement = BF_NETFILTER;
	status->why_kernel = f->why_kernel;
	status->replaced_at = f->replaced_at;
	status->replace_us = f->replace_us;
	status->form = "";
	if (!l) {
		if (!status->why_kernel.text[0])
			explain_kernel_table(f, &status->why_kernel);
		return 0;
	}
	status->ours = true;
	count_rules(l->table, status);
	status->prog_ids[0] = bf_pins_root_id(&f->pins);
	status->prog_ids[1] = l->prog_id;
	status->insns = l->nr_insns;
	status->jited_bytes = l->jited_bytes;
	status->map_bytes = l->map_bytes;
	status->form = bf_form_name(l->form);
	if (!status->replaced_at) {
		status->replaced_at = l->replaced_at;
		status->replace_us = l->replace_us;
	}
	return 0;
}
