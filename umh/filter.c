// SPDX-License-Identifier: GPL-2.0
/*
 * Who has the table, and how it changes hands. See filter.h.
 *
 *		   replace, translatable: bf_move_here()
 *	  ip_tables --------------------------------> programs
 *	    |    ^  <--------------------------------  |   ^
 *	    +----+   replace, not translatable, or     +---+
 *	    replace, detach: bf_move_to_kernel()       replace: swap()
 *	    not translatable
 *
 * A swap is one store, unless the new program is for other hooks; for that and the moves see move.c.
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
#include "move.h"

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int bf_filter_socket(struct bf_filter *f)
{
	if (f->kernel_sk < 0)
		f->kernel_sk = bf_kernel_socket();
	return f->kernel_sk;
}

int bf_filter_want_conntrack(struct bf_filter *f, bool wanted, struct bf_why *why)
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

void bf_filter_final_counters(struct bf_filter *f, const struct bf_loaded *loaded,
			      struct xt_counters *counters)
{
	int err = bf_seat_wait(&f->seat, loaded->attach);

	if (err)
		bf_log(BF_LOG_WARN,
		       "%s: cannot wait for packets in flight (%s): the counters of the old "
		       "table may lack the last ones",
		       f->name, strerror(-err));
	bf_loaded_counters(loaded, counters);
}

static int pick_up(struct bf_filter *f, struct bf_why *why)
{
	enum bf_attach other;
	uint32_t prog_id;
	bool moving;
	int err = bf_seat_open(&f->seat, &prog_id, &moving, why);

	if (!err && prog_id)
		err = bf_load_by_id(prog_id, &f->loaded, why);
	if (err)
		return err;
	if (!f->loaded) {
		bf_seat_remove(&f->seat);
		return 0;
	}
	err = bf_seat_make(&f->seat, f->loaded->attach, why);
	if (!err && moving)
		err = bf_move_finish(f, why);
	if (err)
		return err;
	other = f->loaded->attach == BF_ATTACH_LINK ? BF_ATTACH_MODULE : BF_ATTACH_LINK;
	bf_seat_leave(&f->seat, other);
	return bf_filter_want_conntrack(f, f->loaded->wants_conntrack, why);
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
	bf_seat_init(&f->seat, env, inode);
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
	bf_seat_close(&f->seat);
	free(f);
}

int bf_filter_settle(struct bf_filter *f)
{
	uint32_t prog_id;
	int err = bf_seat_meet(&f->seat, &prog_id);

	if (!err && prog_id && !f->loaded) {
		/* Another helper had the module, and the table, when we came. */
		err = pick_up(f, NULL);
		if (err) {
			bf_loaded_free(f->loaded);
			f->loaded = NULL;
			f->seat.device = NULL;
		}
	}
	if (err)
		return err;
	/* If it cannot be told now, it is at the next call. */
	bf_seat_settle(&f->seat, f->loaded);
	return 0;
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
	int sk, err = bf_filter_settle(f);

	if (err)
		return err;
	if (f->loaded) {
		const struct bf_table *t = f->loaded->table;

		info->valid_hooks = BF_FILTER_HOOKS;
		memcpy(info->hook_entry, t->hook_entry, sizeof(info->hook_entry));
		memcpy(info->underflow, t->underflow, sizeof(info->underflow));
		info->num_entries = t->num_entries;
		info->size = t->size;
		return 0;
	}
	sk = bf_filter_socket(f);
	strcpy(info->name, "filter");
	err = sk < 0 ? sk : bf_kernel_get(sk, IPT_SO_GET_INFO, info, &len);
	if (err == -ENOPROTOOPT && bf_env_device(f->env))
		err = bf_kernel_absent_info(info);
	return err;
}

static struct xt_counters *alloc_counters(uint32_t n)
{
	return calloc(n ?: 1, sizeof(struct xt_counters));
}

static int kernel_entries(struct bf_filter *f, uint32_t size, void *entries)
{
	socklen_t len = sizeof(struct ipt_get_entries) + size;
	struct ipt_get_entries *get = calloc(1, len);
	int sk = bf_filter_socket(f), err;

	if (!get)
		return -ENOMEM;
	strcpy(get->name, "filter");
	get->size = size;
	err = sk < 0 ? sk : bf_kernel_get(sk, IPT_SO_GET_ENTRIES, get, &len);
	if (!err)
		memcpy(entries, get->entrytable, size);
	else if (err == -ENOPROTOOPT && bf_env_device(f->env))
		err = bf_kernel_absent_entries(size, entries);
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
		sk = bf_filter_socket(f);
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

/* A new program for the old one: the store at its hooks is the commit. */
static int swap(struct bf_filter *f, struct bf_loaded *loaded, struct xt_counters *old,
		struct bf_why *why)
{
	struct bf_loaded *before = f->loaded;
	int err = 0;

	if (loaded->attach != before->attach)
		return bf_move_hooks(f, loaded, old, why);
	if (loaded->wants_conntrack)
		err = bf_filter_want_conntrack(f, true, why);
	err = err ?: bf_seat_put(&f->seat, loaded);
	if (err) {
		bf_filter_want_conntrack(f, before->wants_conntrack, NULL);
		return err;
	}
	f->loaded = loaded;
	bf_filter_final_counters(f, before, old);
	bf_loaded_free(before);
	bf_filter_want_conntrack(f, loaded->wants_conntrack, NULL);
	return 0;
}

/* ip_tables has the table and keeps it. */
static int replace_in_kernel(struct bf_filter *f, const struct ipt_replace *replace, size_t len,
			     struct xt_counters *old)
{
	struct ipt_replace *copy = malloc(len);
	int sk = bf_filter_socket(f), err;

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

/*
 * By links, unless the kernel has none or the table is one that only the module's hooks can do. It stays there
 * for as long as it is ours: going back is worth no pause.
 */
static int compile(struct bf_filter *f, const struct bf_table *table,
		   const struct bf_kernel *kernel, struct bf_program **program, struct bf_why *why)
{
	uint64_t jiffies = bf_env_jiffies(f->env);
	bool module = bf_env_device(f->env);
	struct bf_why other = {};
	int err = -EOPNOTSUPP;

	if (!module && !kernel->has_links)
		return bf_why(why, err,
			      "the kernel has no BPF netfilter links, which came with Linux 6.4, "
			      "and the module is not loaded");
	if (!kernel->has_links || (f->loaded && f->loaded->attach == BF_ATTACH_MODULE))
		return bf_compile(table, kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, jiffies, program,
				  why);
	err = bf_compile(table, kernel, BF_ATTACH_LINK, BF_FORM_AUTO, jiffies, program, why);
	if (err == -EOPNOTSUPP && module &&
	    !bf_compile(table, kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, jiffies, program, &other))
		err = 0;
	return err;
}

/* The table as a loaded program. @table is taken over on success. */
static int translate(struct bf_filter *f, struct bf_table *table, uint64_t started,
		     struct bf_loaded **loaded, struct bf_why *why)
{
	struct bf_program *program;
	struct bf_kernel kernel;
	int err;

	bf_env_kernel(f->env, &kernel);
	err = compile(f, table, &kernel, &program, why);
	if (err)
		return err;
	err = bf_load(table, program, kernel.cpus, started, loaded, why);
	bf_program_free(program);
	return err;
}

static int judge(struct bf_filter *f, const void *replace, size_t len)
{
	int sk = bf_filter_socket(f);

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
		      bf_move_to_kernel(f, replace, len, old, false, why);
	else
		err = replace_in_kernel(f, replace, len, old);
	if (err == -ENOPROTOOPT && why && !why->text[0])
		bf_why(why, err, "the table needs ip_tables, which this kernel does not have: %s",
		       why_kernel->text);
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
		err = bf_move_here(f, loaded, replace->num_counters, old, &reason);
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
	if (!err && bf_env_leaving(f->env)) {
		bf_table_free(table);
		err = bf_why(&reason, BF_NOT_TRANSLATABLE, "bpfilter is being stopped");
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
		return bf_seat_settle(&f->seat, NULL);
	n = f->loaded->table->num_entries;
	counters = alloc_counters(n);
	if (!counters)
		return -ENOMEM;
	replace = as_replace(f->loaded->table, counters, &len);
	err = replace ? bf_move_to_kernel(f, replace, len, counters, true, why) : -ENOMEM;
	free(replace);
	free(counters);
	if (err)
		return err;
	f->replaced_at = f->replace_us = 0;
	if (bf_env_leaving(f->env))
		bf_why(&f->why_kernel, 0, "bpfilter is being stopped");
	else
		bf_why(&f->why_kernel, 0,
		       "it was detached; the next change %s moves it to eBPF again",
		       bf_env_device(f->env) ? "of it" : "below \"bpfilter run\"");
	return 0;
}

void bf_filter_abandon(struct bf_filter *f)
{
	bf_loaded_free(f->loaded);
	f->loaded = NULL;
	bf_seat_remove(&f->seat);
	bf_filter_want_conntrack(f, false, NULL);
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
	int sk = bf_kernel_has_filter() == 1 ? bf_filter_socket(f) : -ENOENT;
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
	status->also_kernel = bf_filter_socket(f) >= 0 && bf_move_kernel_has_rules(f);
	count_rules(l->table, status);
	status->attach = l->attach;
	status->prog_ids[0] = bf_pins_root_id(&f->seat.pins);
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
