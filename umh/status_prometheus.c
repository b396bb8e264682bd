// SPDX-License-Identifier: GPL-2.0
/*
 * "bpfilter status --prometheus": the number of series depends on the number of namespaces, to a limit,
 * but not on that of rules, chains or interfaces.
 */
#include <inttypes.h>
#include <linux/netfilter.h>
#include <string.h>

#include "config.h"
#include "exposition.h"
#include "status.h"

/* More namespaces than these are only counted. The machine's own is always among them. */
#define MAX_NAMESPACES 256
#define OWN_NAMESPACE  "init"

static void put_labelled(const struct bf_series *s, const char *label, const char *value,
			 uint64_t number)
{
	struct bf_series one = *s;

	bf_series_label(&one, label, value);
	bf_series_number(&one, number);
}

/* --- families of which each namespace has something ------------------------------------------- */

static void put_in_ebpf(const struct bf_series *s, const struct bf_filter_status *st)
{
	bf_series_number(s, st->ours);
}

static void put_info(const struct bf_series *s, const struct bf_filter_status *st)
{
	struct bf_series one = *s;

	if (!st->ours)
		return;
	bf_series_label(&one, "placement", bf_placement_name(st->placement));
	bf_series_label(&one, "hook", bf_status_hook(st->attach));
	bf_series_label(&one, "form", st->form ?: "");
	bf_series_number(&one, 1);
}

static void put_fallback(const struct bf_series *s, const struct bf_filter_status *st)
{
	struct bf_extension e = bf_status_extension(&st->why_kernel);
	struct bf_series one = *s;

	if (st->ours || !st->why_kernel.text[0])
		return;
	bf_series_label(&one, "kind", e.kind ?: "");
	bf_series_label(&one, "extension", e.name);
	bf_series_number(&one, 1);
}

static void put_displaced(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->why_place.text[0] != '\0');
}

static void put_also_kernel(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->also_kernel);
}

static void put_rules(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->rules);
}

static void put_chains(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->chains);
}

static void put_insns(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->insns);
}

static void put_memory(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (!st->ours)
		return;
	put_labelled(s, "kind", "program", st->jited_bytes);
	put_labelled(s, "kind", "maps", st->map_bytes);
	put_labelled(s, "kind", "spare_maps", st->spare_bytes);
}

static void put_interfaces(const struct bf_series *s, const struct bf_filter_status *st)
{
	static const enum bf_placement places[] = {BF_TC, BF_XDP, BF_XDP_GENERIC, BF_OFFLOAD};
	uint64_t n[BF_OFFLOAD + 1] = {0}, nowhere = 0;
	const struct bf_interface_status *i;
	unsigned int p;

	if (!st->ours || st->attach != BF_ATTACH_TC)
		return;
	for (i = st->interfaces; i < st->interfaces + st->nr_interfaces; i++) {
		if (i->port)
			continue;
		if (i->how == BF_AUTO)
			nowhere++;
		else
			n[i->how]++;
	}
	for (p = 0; p < ARRAY_SIZE(places); p++)
		put_labelled(s, "placement", bf_placement_name(places[p]), n[places[p]]);
	put_labelled(s, "placement", "none", nowhere);
}

static void put_early(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours && st->early)
		bf_series_number(s, st->early_on);
}

static void put_early_drops(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours && st->early)
		bf_series_number(s, st->early_packets[BF_EARLY_NONE]);
}

static void put_early_left(const struct bf_series *s, const struct bf_filter_status *st)
{
	uint64_t n = 0;
	int i;

	for (i = BF_EARLY_NONE + 1; i < BF_NR_EARLY; i++)
		n += st->early_packets[i];
	if (st->ours && st->early)
		bf_series_number(s, n);
}

static void put_effects(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->effects);
}

static void put_effects_lost(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->effects_lost);
}

static void put_unanswered(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->ours)
		bf_series_number(s, st->unanswered);
}

static void put_replaced_at(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->replaced_at)
		bf_series_number(s, st->replaced_at);
}

static void put_replace_time(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->replaced_at)
		bf_series_seconds(s, st->replace_us);
}

static void put_rule_packets(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->tally.known)
		bf_series_number(s, st->tally.rules.pcnt);
}

static void put_rule_bytes(const struct bf_series *s, const struct bf_filter_status *st)
{
	if (st->tally.known)
		bf_series_number(s, st->tally.rules.bcnt);
}

/* The built-in chains' counters; with the policy beside the chain if it is the policy's. */
static void put_chain_counters(const struct bf_series *s, const struct bf_filter_status *st,
			       bool policy, bool bytes)
{
	unsigned int i;

	for (i = 0; st->tally.known && i < BF_TALLY_CHAINS; i++) {
		const struct bf_tally_chain *c = &st->tally.chains[i];
		const struct xt_counters *n = policy ? &c->fell : &c->rules;
		struct bf_series one = *s;

		bf_series_label(&one, "chain", bf_tally_chain_name(i));
		if (policy)
			bf_series_label(&one, "policy", c->policy == NF_DROP ? "DROP" : "ACCEPT");
		bf_series_number(&one, bytes ? n->bcnt : n->pcnt);
	}
}

static void put_chain_packets(const struct bf_series *s, const struct bf_filter_status *st)
{
	put_chain_counters(s, st, false, false);
}

static void put_chain_bytes(const struct bf_series *s, const struct bf_filter_status *st)
{
	put_chain_counters(s, st, false, true);
}

static void put_policy_packets(const struct bf_series *s, const struct bf_filter_status *st)
{
	put_chain_counters(s, st, true, false);
}

static void put_policy_bytes(const struct bf_series *s, const struct bf_filter_status *st)
{
	put_chain_counters(s, st, true, true);
}

static const struct family {
	const char *name, *type, *help;
	void (*put)(const struct bf_series *s, const struct bf_filter_status *st);
} families[] = {
	{"bpfilter_table_in_ebpf", "gauge", "1: the filter table is in eBPF; 0: ip_tables has it.",
	 put_in_ebpf},
	{"bpfilter_table_info", "gauge", "Where the programs of a table in eBPF are, always 1.",
	 put_info},
	{"bpfilter_table_fallback_info", "gauge",
	 "Why ip_tables has the table, always 1: the extension, empty if it is not because of one.",
	 put_fallback},
	{"bpfilter_table_displaced", "gauge", "1: the table is not in the placement asked for.",
	 put_displaced},
	{"bpfilter_table_also_kernel", "gauge",
	 "1: ip_tables has rules too, set outside of bpfilter: packets pass both.",
	 put_also_kernel},
	{"bpfilter_rules", "gauge", "Rules, without policies.", put_rules},
	{"bpfilter_user_chains", "gauge", "User chains.", put_chains},
	{"bpfilter_program_instructions", "gauge", "BPF instructions of the table's program.",
	 put_insns},
	{"bpfilter_memory_bytes", "gauge",
	 "Machine code of the program, maps, and maps kept a while for the next replace.",
	 put_memory},
	{"bpfilter_interfaces", "gauge",
	 "Interfaces by where what comes in is filtered; none: it is not.", put_interfaces},
	{"bpfilter_early_drop", "gauge", "1: drivers drop what INPUT is certain to drop.",
	 put_early},
	{"bpfilter_early_drop_packets_total", "counter",
	 "Packets that drivers have dropped, since the last replace.", put_early_drops},
	{"bpfilter_early_drop_left_packets_total", "counter",
	 "Packets that the rules drop, and drivers did not because of what else is there, since the last "
	 "replace.",
	 put_early_left},
	{"bpfilter_effects", "gauge",
	 "Different uses of REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct.", put_effects},
	{"bpfilter_effects_lost_total", "counter",
	 "Effects of rules that were not carried out: no reply, line, message, mark or count.",
	 put_effects_lost},
	{"bpfilter_unanswered_packets_total", "counter",
	 "Packets that were dropped because the kernel could not be asked.", put_unanswered},
	{"bpfilter_last_replace_timestamp_seconds", "gauge",
	 "When the table was last replaced through bpfilter.", put_replaced_at},
	{"bpfilter_last_replace_duration_seconds", "gauge", "How long that took.",
	 put_replace_time},
	{"bpfilter_table_rule_packets_total", "counter",
	 "Sum of the packet counters of all rules: a packet that several count is in it several "
	 "times.",
	 put_rule_packets},
	{"bpfilter_table_rule_bytes_total", "counter", "The same of their byte counters.",
	 put_rule_bytes},
	{"bpfilter_chain_rule_packets_total", "counter",
	 "Sum of the packet counters of the rules of a built-in chain.", put_chain_packets},
	{"bpfilter_chain_rule_bytes_total", "counter", "The same of their byte counters.",
	 put_chain_bytes},
	{"bpfilter_policy_packets_total", "counter", "Packets that the policy has decided.",
	 put_policy_packets},
	{"bpfilter_policy_bytes_total", "counter", "Bytes of those.", put_policy_bytes},
};

/* --- all -------------------------------------------------------------------------------------- */

/* Is the namespace at @i, of which @before are shown already, one of those that are? */
static bool is_shown(const struct bf_status *s, size_t i, size_t before)
{
	return s->n <= MAX_NAMESPACES || before < MAX_NAMESPACES - 1 ||
	       !strcmp(s->entries[i].name, OWN_NAMESPACE);
}

/* Returns how many namespaces were not shown. */
static size_t put_family(FILE *f, const struct bf_status *s, const struct family *family)
{
	struct bf_series all = {.f = f};
	size_t shown = 0, i;
	char inode[24];

	bf_series_family(&all, family->name, family->type, family->help);
	for (i = 0; i < s->n; i++) {
		const struct bf_status_entry *e = &s->entries[i];
		struct bf_series one = all;

		if (!is_shown(s, i, shown))
			continue;
		shown++;
		snprintf(inode, sizeof(inode), "%ju", (uintmax_t)e->inode);
		bf_series_label(&one, "netns", e->name);
		bf_series_label(&one, "inode", inode);
		if (!e->error)
			family->put(&one, &e->status);
	}
	return s->n - shown;
}

static void put_machine(FILE *f, const struct bf_status *s)
{
	struct bf_series all = {.f = f};
	uint64_t ours = 0, unknown = 0;
	size_t i;

	for (i = 0; i < s->n; i++) {
		unknown += s->entries[i].error != 0;
		ours += !s->entries[i].error && s->entries[i].status.ours;
	}
	bf_series_family(&all, "bpfilter_build_info", "gauge", "The release, always 1.");
	put_labelled(&all, "version", BPFILTER_RELEASE, 1);
	bf_series_family(&all, "bpfilter_module_loaded", "gauge",
			 "1: the kernel module is loaded.");
	bf_series_number(&all, s->module.loaded);
	bf_series_family(&all, "bpfilter_module_served", "gauge",
			 "1: this helper answers all iptables of the machine.");
	bf_series_number(&all, s->module.served);
	bf_series_family(&all, "bpfilter_module_requests", "gauge",
			 "Calls of iptables that wait for an answer.");
	if (s->module.loaded && s->module.requests >= 0)
		bf_series_number(&all, s->module.requests);
	bf_series_family(&all, "bpfilter_namespaces", "gauge",
			 "Network namespaces by who has the filter table.");
	put_labelled(&all, "table", "bpf", ours);
	put_labelled(&all, "table", "kernel", s->n - ours - unknown);
	put_labelled(&all, "table", "unknown", unknown);
}

void bf_status_prometheus(FILE *f, const struct bf_status *s)
{
	struct bf_series all = {.f = f};
	size_t omitted = 0, i;

	put_machine(f, s);
	for (i = 0; i < ARRAY_SIZE(families); i++)
		omitted = put_family(f, s, &families[i]);
	bf_series_family(&all, "bpfilter_namespaces_omitted", "gauge",
			 "Network namespaces beyond those of which there are series.");
	bf_series_number(&all, omitted);
}
