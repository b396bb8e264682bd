// SPDX-License-Identifier: GPL-2.0
/* Another table for the one in force. See filter.c for who has it before and after. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "env.h"
#include "filter_parts.h"
#include "kernel_table.h"
#include "trees.h"

/* @unused: nothing runs it any more, so that it may be filled again. */
static void retire(struct bf_filter *f, struct bf_loaded *before, bool unused)
{
	bf_filter_drop_spare(f);
	if (!unused || !before->shape) {
		bf_loaded_free(before);
		return;
	}
	bf_table_free(before->table);
	before->table = NULL;
	/* The next table's are made of those in force. */
	bf_trees_free(before->shape->trees);
	before->shape->trees = NULL;
	f->spare = before;
	/* It will have those of the next table; until then, they would hold what its rules name. */
	if (before->questions >= 0)
		close(before->questions);
	before->questions = -1;
	f->spare_since = bf_now_ns();
}

/* A new program for the old one: the store at its hooks is the commit. */
static int swap(struct bf_filter *f, struct bf_loaded *loaded, struct xt_counters *old,
		struct bf_why *why)
{
	struct bf_loaded *before = f->loaded;
	int err = 0;

	bf_filter_withdraw(f);
	if (loaded->attach != before->attach)
		return bf_move_hooks(f, loaded, old, why);
	if (loaded->wants_conntrack)
		err = bf_filter_want_conntrack(f, true, why);
	/* XDP is left before a table comes that has no program for it. */
	if (loaded->attach == BF_ATTACH_TC && loaded->xdp < 0 && f->seat.edge.place != BF_AUTO) {
		f->seat.place = BF_AUTO;
		err = err ?: bf_seat_make(&f->seat, BF_ATTACH_TC, why);
	}
	err = err ?: bf_seat_put(&f->seat, loaded);
	if (err) {
		bf_filter_want_conntrack(f, before->wants_conntrack, NULL);
		return err;
	}
	f->loaded = loaded;
	err = bf_filter_final_counters(f, before, old);
	bf_move_settle(f);
	retire(f, before, !err);
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

/* The same table at other hooks, with its counters. @loaded is taken over on success. */
int bf_filter_move_same(struct bf_filter *f, struct bf_loaded *loaded, struct bf_why *why)
{
	struct xt_counters *counters = bf_filter_alloc_counters(loaded->table->num_entries);
	int err = counters ? bf_move_hooks(f, loaded, counters, why) : -ENOMEM;

	if (!err)
		bf_loaded_add_counters(loaded, counters);
	free(counters);
	return err;
}

/*
 * From ip_tables to the interfaces: by way of links where there are some, so that each packet is counted once.
 * It stays at those if it gets no further.
 */
static int enter(struct bf_filter *f, struct bf_loaded *loaded, const struct ipt_replace *replace,
		 size_t len, struct xt_counters *old, struct bf_why *why)
{
	struct bf_loaded *via = NULL;
	struct bf_why reason = {};
	int err;

	if (loaded->attach == BF_ATTACH_TC)
		via = bf_filter_load_for_links(f, replace, len);
	if (!via)
		return bf_move_here(f, loaded, replace->num_counters, old, why);
	err = bf_move_here(f, via, replace->num_counters, old, why);
	if (err) {
		bf_loaded_free(via);
		return err;
	}
	err = bf_filter_move_same(f, loaded, &reason);
	if (err) {
		bf_filter_note_place(f, err, &reason);
		bf_loaded_free(loaded);
	}
	return 0;
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

/*
 * It could not be attached to the interfaces, because of @err: then to netfilter's hooks. *@loaded becomes another.
 */
static int try_hooks(struct bf_filter *f, struct bf_loaded **loaded,
		     const struct ipt_replace *replace, uint64_t started, struct xt_counters *old,
		     int err, struct bf_why *why)
{
	struct bf_table *table = (*loaded)->table;
	struct bf_loaded *other;
	struct bf_why reason = {};

	if (bf_filter_translate_hooks(f, table, started, &other, &reason))
		return err;
	bf_filter_note_place(f, err, why);
	(*loaded)->table = NULL;
	bf_loaded_free(*loaded);
	*loaded = other;
	why->text[0] = '\0';
	return f->loaded ? swap(f, other, old, why)
			 : bf_move_here(f, other, replace->num_counters, old, why);
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
	err = bf_filter_translate(f, table, started, &loaded, &reason);
	if (err) {
		bf_table_free(table);
		if (!reason.text[0])
			bf_why(&reason, err, "%s", strerror(-err));
		return fall_back(f, replace, len, old, &reason, why);
	}
	if (f->loaded)
		err = swap(f, loaded, old, &reason);
	else
		err = enter(f, loaded, replace, len, old, &reason);
	if (err && loaded->attach == BF_ATTACH_TC)
		err = try_hooks(f, &loaded, replace, started, old, err, &reason);
	if (err) {
		bf_loaded_free(loaded);
		if (!reason.text[0])
			bf_why(&reason, err, "it could not be put in force (%s)", strerror(-err));
		return fall_back(f, replace, len, old, &reason, why);
	}
	bf_table_fold(f->loaded->table);
	bf_effects_free(&f->effects);
	f->effects = f->next_effects;
	f->next_effects = (struct bf_effects){};
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
	uint64_t started = bf_now_ns();
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
	old = bf_filter_alloc_counters(replace->num_counters);
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
	bf_filter_tidy_stage(f);
	bf_filter_offload(f);
	if (err) {
		free(old);
		return err;
	}
	f->due_since = bf_now_ns();
	f->replaced_at = time(NULL);
	f->replace_us = (bf_now_ns() - started) / 1000;
	*result = old;
	return 0;
}
