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
 * A swap is one store, unless the new program is for other hooks; for that and the moves see
 * move.c. The program that was replaced is kept for a while, as the spare one, to be given the next
 * table if that differs in data alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "conntrack.h"
#include "env.h"
#include "filter_parts.h"
#include "hold.h"
#include "kernel_table.h"

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

int bf_filter_final_counters(struct bf_filter *f, const struct bf_loaded *loaded,
			     struct xt_counters *counters)
{
	int err = bf_seat_wait(&f->seat, loaded->attach);

	if (err)
		bf_log(BF_LOG_WARN,
		       "%s: cannot wait for packets in flight (%s): the counters of the old "
		       "table may lack the last ones",
		       f->name, strerror(-err));
	bf_loaded_counters(loaded, counters);
	return err;
}

void bf_filter_drop_spare(struct bf_filter *f)
{
	bf_loaded_free(f->spare);
	f->spare = NULL;
}

void bf_filter_tidy(struct bf_filter *f, unsigned int idle_ms)
{
	if (f->spare && bf_now_ns() - f->spare_since >= idle_ms * 1000000ULL)
		bf_filter_drop_spare(f);
	if (bf_filter_asks(f))
		bf_stage_reap(&f->stage);
}

bool bf_filter_asks(const struct bf_filter *f)
{
	return f->loaded && f->loaded->asks && f->loaded->attach == BF_ATTACH_LINK;
}

const struct bf_effects *bf_filter_staged(const struct bf_filter *f)
{
	static const struct bf_effects none;

	return f->loaded && f->loaded->attach == BF_ATTACH_LINK ? &f->effects : &none;
}

void bf_filter_tidy_stage(struct bf_filter *f)
{
	bf_effects_free(&f->next_effects);
	if (f->loaded) {
		bf_stage_settle(&f->stage, bf_filter_staged(f), f->loaded);
	} else {
		bf_effects_free(&f->effects);
		bf_stage_remove(&f->stage);
	}
}

void bf_filter_offload(struct bf_filter *f)
{
	bool at_links = f->loaded && f->loaded->attach == BF_ATTACH_LINK;

	if (f->loaded && f->loaded->attach == BF_ATTACH_TC)
		bf_offload_sync(&f->offload, f->loaded);
	else
		bf_offload_close(&f->offload);
	bf_early_drop_sync(&f->early, f->asked, f->loaded,
			   at_links ? bf_pins_root_id(&f->seat.pins) : 0, f->name);
}

void bf_filter_withdraw(struct bf_filter *f)
{
	bf_offload_withdraw(&f->offload, f->loaded);
	bf_early_drop_withdraw(&f->early);
}

/* The effects of a table that a former helper has put in force. */
static int pick_up_effects(struct bf_filter *f, struct bf_why *why)
{
	struct bf_why reason = {};
	int err;

	bf_effects_free(&f->effects);
	err = bf_effects_of(f->loaded->table, &f->effects);
	if (err)
		return err;
	if (bf_filter_asks(f)) {
		err = bf_stage_adopt(&f->stage, f->loaded, &reason);
		if (err) {
			bf_log(BF_LOG_ERR,
			       "%s: what asks the kernel about packets stays as it is until the "
			       "table is replaced: %s",
			       f->name, reason.text[0] ? reason.text : strerror(-err));
			return 0;
		}
	}
	if (bf_filter_staged(f)->nr || f->stage.nr_askers)
		err = bf_stage_prepare(&f->stage, &f->effects, &f->effects, why);
	if (err)
		bf_log(BF_LOG_ERR, "%s: REJECT sends no replies and LOG writes no lines: %s",
		       f->name, why && why->text[0] ? why->text : strerror(-err));
	else
		bf_stage_settle(&f->stage, bf_filter_staged(f), f->loaded);
	return 0;
}

static int pick_up(struct bf_filter *f, struct bf_why *why)
{
	const void *saved;
	enum bf_attach a;
	uint32_t prog_id;
	size_t len;
	bool moving;
	int err = bf_seat_open(&f->seat, &prog_id, &moving, why);

	if (!err && prog_id)
		err = bf_load_by_id(prog_id, &f->loaded, why);
	if (!err && prog_id)
		err = bf_seat_adopt(&f->seat, f->loaded);
	if (err)
		return err;
	err = bf_offload_open(&f->offload, f->loaded, why);
	if (err)
		return err;
	if (bf_early_drop_open(&f->early))
		f->asked = BF_EARLY;
	if (!f->loaded) {
		bf_early_drop_remove(&f->early);
		bf_seat_remove(&f->seat);
		bf_filter_tidy_stage(f);
		return 0;
	}
	if (f->loaded->attach == BF_ATTACH_TC)
		f->asked = f->place = f->seat.place;
	err = pick_up_effects(f, NULL);
	if (err)
		return err;
	err = bf_seat_make(&f->seat, f->loaded->attach, why);
	if (!err && moving)
		err = bf_move_finish(f, why);
	if (err)
		return err;
	if (!bf_table_save(f->loaded->table, &saved, &len))
		bf_table_fold(f->loaded->table);
	for (a = BF_ATTACH_LINK; a <= BF_ATTACH_TC; a++)
		if (a != f->loaded->attach)
			bf_seat_leave(&f->seat, a);
	bf_filter_offload(f);
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
	f->asked = bf_env_config(env)->attach;
	f->kernel_sk = -1;
	snprintf(f->name, sizeof(f->name), "%s", name);
	bf_seat_init(&f->seat, env, inode);
	bf_offload_init(&f->offload, &f->seat.edge, f->name);
	bf_early_drop_init(&f->early, env, inode);
	bf_stage_init(&f->stage, env, inode);
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
	bf_filter_drop_spare(f);
	bf_offload_close(&f->offload);
	bf_early_drop_close(&f->early);
	bf_seat_close(&f->seat);
	bf_stage_close(&f->stage);
	bf_effects_free(&f->effects);
	bf_effects_free(&f->next_effects);
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

void bf_filter_ask(struct bf_filter *f, enum bf_placement placement)
{
	f->asked = placement;
}

int bf_filter_edge_fd(const struct bf_filter *f)
{
	return f->early.watch >= 0 ? f->early.watch : bf_edge_fd(&f->seat.edge);
}

void bf_filter_edge_event(struct bf_filter *f)
{
	if (bf_edge_fd(&f->seat.edge) >= 0)
		bf_edge_event(&f->seat.edge, f->name);
	bf_early_drop_changed(&f->early);
	bf_filter_offload(f);
}

int bf_filter_again_ms(const struct bf_filter *f)
{
	uint64_t at = bf_offload_again_at(&f->offload), now = bf_now_ms();

	if (at == BF_OFFLOAD_NEVER)
		return -1;
	return at > now ? at - now : 0;
}

void bf_filter_again(struct bf_filter *f)
{
	bf_filter_offload(f);
}

int bf_filter_fd(const struct bf_filter *f)
{
	return f->ct_pin ? bf_ct_pin_fd(f->ct_pin) : -1;
}

int bf_filter_effects_fd(const struct bf_filter *f)
{
	return bf_stage_fd(&f->stage);
}

void bf_filter_event(struct bf_filter *f)
{
	int err = f->ct_pin ? bf_ct_pin_check(f->ct_pin) : 0;

	if (err)
		bf_log(BF_LOG_ERR,
		       "%s: conntrack cannot be kept active (%s): rules that look at it "
		       "see no connections",
		       f->name, strerror(-err));
	bf_stage_event(&f->stage);
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

struct xt_counters *bf_filter_alloc_counters(uint32_t n)
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
	int err;

	if (!f->loaded)
		return kernel_entries(f, size, entries);
	if (size != f->loaded->table->size)
		return -EAGAIN;
	counters = bf_filter_alloc_counters(f->loaded->table->num_entries);
	if (!counters)
		return -ENOMEM;
	bf_loaded_counters(f->loaded, counters);
	bf_offload_add_counters(&f->offload, counters, f->loaded->table->num_entries);
	err = bf_table_show(f->loaded->table, counters, entries);
	free(counters);
	return err;
}

int bf_filter_add_counters(struct bf_filter *f, const void *value, size_t len)
{
	const struct xt_counters_info *info = value;
	size_t size;
	int sk, err;

	if (!f->loaded) {
		sk = bf_filter_socket(f);
		err = sk < 0 ? sk : bf_kernel_set(sk, IPT_SO_SET_ADD_COUNTERS, value, len);
		if (!err)
			f->due_since = 0;
		return err;
	}
	if (len < sizeof(*info) || info->num_counters != f->loaded->table->num_entries)
		return -EINVAL;
	size = (size_t)info->num_counters * sizeof(info->counters[0]);
	if (len - sizeof(*info) < size)
		return -EINVAL;
	bf_loaded_add_counters(f->loaded, info->counters);
	f->due_since = 0;
	return 0;
}

/* Our table as an option value for ip_tables, malloc'd; NULL. */
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
	if (bf_table_show(t, counters, r->entries)) {
		free(r);
		return NULL;
	}
	return r;
}

int bf_filter_to_links(struct bf_filter *f)
{
	uint32_t n = f->loaded->table->num_entries;
	struct xt_counters *none = bf_filter_alloc_counters(n);
	struct bf_loaded *loaded = NULL;
	struct ipt_replace *replace;
	size_t len;
	int err;

	replace = none ? as_replace(f->loaded->table, none, &len) : NULL;
	if (replace) {
		/* What it checks the counters for is not used. */
		replace->num_counters = n;
		replace->counters = none;
		loaded = bf_filter_load_for_links(f, replace, len);
	}
	err = loaded ? bf_filter_move_same(f, loaded, NULL) : -EOPNOTSUPP;
	if (err)
		bf_loaded_free(loaded);
	free(replace);
	free(none);
	return err;
}

int bf_filter_others(struct bf_filter *f, const char *name)
{
	struct bf_why why = {};
	int err;

	f->others_at = bf_now_ns();
	if (!f->loaded || f->loaded->attach != BF_ATTACH_TC)
		return 0;
	bf_filter_refuse_edge(name, &why);
	err = bf_filter_to_links(f);
	if (!err) {
		bf_filter_note_place(f, -EOPNOTSUPP, &why);
		return 0;
	}
	err = bf_filter_detach(f, NULL);
	if (!err) {
		bf_log(BF_LOG_INFO,
		       "%s: the filter table is enforced by the kernel's ip_tables: %s", f->name,
		       why.text);
		f->why_kernel = why;
	}
	bf_filter_offload(f);
	return err;
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
	counters = bf_filter_alloc_counters(n);
	if (!counters)
		return -ENOMEM;
	replace = as_replace(f->loaded->table, counters, &len);
	err = replace ? bf_move_to_kernel(f, replace, len, counters, true, why) : -ENOMEM;
	free(replace);
	free(counters);
	if (err) {
		bf_filter_offload(f);
		return err;
	}
	bf_filter_tidy_stage(f);
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
	bf_filter_withdraw(f);
	bf_early_drop_remove(&f->early);
	bf_loaded_free(f->loaded);
	f->loaded = NULL;
	bf_filter_drop_spare(f);
	bf_seat_remove(&f->seat);
	bf_filter_tidy_stage(f);
	bf_filter_want_conntrack(f, false, NULL);
}
