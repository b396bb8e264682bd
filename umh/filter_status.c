// SPDX-License-Identifier: GPL-2.0
/* A picture of the filter, for people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "device.h"
#include "env.h"
#include "filter.h"
#include "kernel_table.h"
#include "move.h"

#define COUNTERS_DUE_NS 1000000000ULL

/* Rules that ip_tables already had when we first met the namespace: what will become of them? */
static void explain_kernel_table(const struct bf_kernel_table *kt, struct bf_why *why)
{
	struct xt_counters none = {};
	struct ipt_replace *replace;
	struct bf_table *table = NULL;
	size_t len;

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
}

static int copy_ours(struct bf_filter *f, struct bf_kernel_table **table)
{
	const struct bf_table *t = f->loaded->table;
	struct bf_kernel_table *copy = calloc(1, sizeof(*copy));
	int err = -ENOMEM;

	if (copy)
		copy->entries = malloc(t->size);
	if (copy && copy->entries) {
		copy->info.valid_hooks = BF_FILTER_HOOKS;
		memcpy(copy->info.hook_entry, t->hook_entry, sizeof(t->hook_entry));
		memcpy(copy->info.underflow, t->underflow, sizeof(t->underflow));
		copy->info.num_entries = t->num_entries;
		copy->info.size = t->size;
		err = bf_filter_entries(f, t->size, copy->entries);
	}
	if (err) {
		bf_kernel_table_free(copy);
		return err;
	}
	*table = copy;
	return 0;
}

int bf_filter_copy(struct bf_filter *f, struct bf_kernel_table **table)
{
	int sk;

	*table = NULL;
	if (f->loaded)
		return copy_ours(f, table);
	if (bf_kernel_has_filter() != 1)
		return 0;
	sk = bf_filter_socket(f);
	return sk < 0 ? sk : bf_kernel_read(sk, table);
}

/*
 * iptables replaces the table by one that has counted nothing, and gives the counters back by a second call. In between
 * a sum would be one of nothing, which a reader takes for a restart, and the next one for as much traffic.
 * Whoever never makes that call is not waited for.
 */
bool bf_filter_counters_are_due(const struct bf_filter *f)
{
	return f->due_since && bf_now_ns() - f->due_since < COUNTERS_DUE_NS;
}

/* What cannot be looked at, for want of memory or of ip_tables, is not shown. */
static void look_at_table(struct bf_filter *f, struct bf_filter_status *status)
{
	struct bf_kernel_table *t;

	if (bf_filter_copy(f, &t) || !t)
		return;
	if (!f->loaded && !status->why_kernel.text[0])
		explain_kernel_table(t, &status->why_kernel);
	if (!bf_filter_counters_are_due(f))
		bf_tally(t->info.hook_entry, t->info.underflow, t->entries, t->info.size,
			 &status->tally);
	bf_kernel_table_free(t);
}

/* What cannot be shown for want of memory is not. */
static void show_interfaces(const struct bf_filter *f, struct bf_filter_status *status)
{
	const struct bf_edge *e = &f->seat.edge;
	size_t i;

	status->interfaces = calloc(e->nr_ports + 1, sizeof(*status->interfaces));
	for (i = 0; status->interfaces && i < e->nr_ports; i++) {
		const struct bf_edge_port *p = &e->ports[i];
		const struct bf_offload_port *card = bf_offload_find(&f->offload, p->dev.ifindex);
		struct bf_interface_status *s = &status->interfaces[status->nr_interfaces++];

		memcpy(s->name, p->dev.name, sizeof(s->name));
		s->port = p->dev.port;
		s->how = p->how;
		s->asked = p->asked;
		s->why = card ? card->why : p->why;
		if (card && card->link >= 0)
			s->how = BF_OFFLOAD;
	}
}

static void show_early(const struct bf_filter *f, struct bf_filter_status *status)
{
	const struct bf_early_drop *d = &f->early;
	size_t i;

	status->early = bf_config_wants_early(bf_env_config(f->env), f->asked);
	if (!status->early)
		return;
	status->early_on = d->counts >= 0;
	status->why_early = d->why;
	bf_early_drop_counts(d, status->early_packets);
	if (status->interfaces)
		return;
	status->interfaces = calloc(d->nr_ports + 1, sizeof(*status->interfaces));
	for (i = 0; status->interfaces && i < d->nr_ports; i++) {
		const struct bf_early_port *p = &d->ports[i];
		struct bf_interface_status *s = &status->interfaces[status->nr_interfaces++];

		memcpy(s->name, p->dev.name, sizeof(s->name));
		s->asked = BF_EARLY;
		s->how = p->link >= 0 ? BF_EARLY : BF_NETFILTER;
		s->why = p->why;
	}
}

/* BF_AUTO is tc at all of them. */
static enum bf_placement placement_of(const struct bf_filter *f)
{
	if (f->loaded->attach != BF_ATTACH_TC)
		return BF_NETFILTER;
	return f->seat.edge.place == BF_AUTO ? BF_TC : f->seat.edge.place;
}

int bf_filter_status(struct bf_filter *f, struct bf_filter_status *status)
{
	struct bf_loaded *l = f->loaded;

	memset(status, 0, sizeof(*status));
	status->placement = BF_NETFILTER;
	status->asked = f->asked;
	status->why_kernel = f->why_kernel;
	status->replaced_at = f->replaced_at;
	status->replace_us = f->replace_us;
	status->form = "";
	look_at_table(f, status);
	if (!l)
		return 0;
	status->ours = true;
	status->also_kernel = bf_filter_socket(f) >= 0 && bf_move_kernel_has_rules(f);
	status->rules = bf_table_rules(l->table);
	status->chains = bf_table_chains(l->table);
	status->attach = l->attach;
	status->placement = placement_of(f);
	status->why_place = f->why_place;
	if (l->attach == BF_ATTACH_TC)
		show_interfaces(f, status);
	show_early(f, status);
	status->prog_ids[0] = bf_pins_root_id(&f->seat.pins);
	status->prog_ids[1] = l->prog_id;
	status->insns = l->nr_insns;
	status->jited_bytes = l->jited_bytes;
	status->map_bytes = l->map_bytes;
	status->spare_bytes = f->spare ? f->spare->map_bytes : 0;
	status->effects = f->effects.nr;
	status->effects_lost = bf_stage_lost(&f->stage) + bf_edge_lost(&f->seat.edge);
	status->asks = l->asks;
	status->unanswered = bf_stage_unanswered(&f->stage);
	if (f->seat.device)
		status->effects_lost += bf_device_ns_lost(f->seat.device);
	status->reused = l->reused;
	status->form = bf_form_name(l->form);
	if (!status->replaced_at) {
		status->replaced_at = l->replaced_at;
		status->replace_us = l->replace_us;
	}
	return 0;
}
