// SPDX-License-Identifier: GPL-2.0
/* "bpfilter status", for people. */
#include <inttypes.h>
#include <linux/netfilter.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "early.h"
#include "status.h"
#include "utf8.h"

/* Names come from whoever made a mount or named a process: nothing in them may reach a terminal. */
static void put_printable(FILE *f, const char *s)
{
	size_t len;

	for (; *s; s += len ?: 1) {
		len = bf_utf8_length(s);
		if (!len || bf_utf8_is_control(s, len))
			fputc('?', f);
		else
			fwrite(s, 1, len, f);
	}
}

/* 1234567 as 1,234,567 */
static void put_number(FILE *f, uint64_t n)
{
	if (n >= 1000) {
		put_number(f, n / 1000);
		fprintf(f, ",%03u", (unsigned int)(n % 1000));
	} else {
		fprintf(f, "%u", (unsigned int)n);
	}
}

static void put_counted(FILE *f, uint64_t n, const char *singular)
{
	put_number(f, n);
	fprintf(f, " %s%s", singular, n == 1 ? "" : "s");
}

static void put_bytes(FILE *f, uint64_t n)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double v = n / 1024.0;
	unsigned int i = 0;

	if (n < 1024) {
		put_counted(f, n, "byte");
		return;
	}
	for (; v >= 1023.95 && i + 1 < ARRAY_SIZE(units); i++)
		v /= 1024;
	fprintf(f, "%.1f %s", v, units[i]);
}

static void put_duration(FILE *f, uint64_t us)
{
	if (us < 1000)
		fprintf(f, "%" PRIu64 " us", us);
	else if (us < 1000000)
		fprintf(f, "%.1f ms", us / 1e3);
	else
		fprintf(f, "%.1f s", us / 1e6);
}

static void put_label(FILE *f, const char *label)
{
	fprintf(f, "  %-13s ", label);
}

/* How long ago, in the largest unit that it is two of. */
static void put_age(FILE *f, uint64_t seconds)
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}};
	unsigned int i = 0;

	while (i + 1 < ARRAY_SIZE(units) && seconds < 2 * units[i].seconds)
		i++;
	put_counted(f, seconds / units[i].seconds, units[i].name);
	fprintf(f, " ago");
}

static void put_last_replace(FILE *f, const struct bf_status *all, const struct bf_filter_status *s)
{
	time_t t = s->replaced_at;
	char when[32];
	struct tm tm;

	if (!t || !localtime_r(&t, &tm))
		return;
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	put_label(f, "last replace");
	fprintf(f, "%s, ", when);
	put_age(f, bf_status_age(all, s));
	fprintf(f, ", took ");
	put_duration(f, s->replace_us);
	fprintf(f, "%s\n", s->reused ? ", of data alone" : "");
}

static const char *interface_place(const struct bf_interface_status *i)
{
	if (i->port)
		return "port of another";
	if (i->asked == BF_EARLY)
		return i->how == BF_EARLY ? "early drop" : "no early drop";
	return i->how == BF_AUTO ? "NOT FILTERED" : bf_placement_name(i->how);
}

static void put_interfaces(FILE *f, const struct bf_filter_status *s)
{
	const struct bf_interface_status *i;

	for (i = s->interfaces; i < s->interfaces + s->nr_interfaces; i++) {
		put_label(f, i == s->interfaces ? "interfaces" : "");
		put_printable(f, i->name);
		fprintf(f, ": %s", interface_place(i));
		if (i->why.text[0]) {
			fprintf(f, " (");
			put_printable(f, i->why.text);
			fputc(')', f);
		}
		fputc('\n', f);
	}
}

static void put_early_packets(FILE *f, const struct bf_filter_status *s)
{
	int i;

	put_counted(f, s->early_packets[BF_EARLY_NONE], "packet");
	fprintf(f, " dropped by drivers\n");
	for (i = BF_EARLY_NONE + 1; i < BF_NR_EARLY; i++) {
		if (!s->early_packets[i])
			continue;
		put_label(f, "");
		put_counted(f, s->early_packets[i], "packet");
		fprintf(f, " not, because %s\n", bf_early_text(i));
	}
}

/* The early-drop stage: what it has done, or why it is not there. */
static void put_early(FILE *f, const struct bf_filter_status *s)
{
	if (!s->early)
		return;
	put_label(f, "early drop");
	if (s->early_on) {
		put_early_packets(f, s);
	} else {
		fprintf(f, "none, because ");
		put_printable(f, s->why_early.text);
		fputc('\n', f);
	}
}

static void put_place(FILE *f, const struct bf_filter_status *s)
{
	put_label(f, "filter table");
	if (s->attach == BF_ATTACH_TC)
		fprintf(f, "eBPF, at the interfaces (%s)\n", bf_placement_name(s->placement));
	else
		fprintf(f, "eBPF, at the netfilter hooks (%s)\n", bf_status_hook(s->attach));
	if (s->why_place.text[0]) {
		put_label(f, "");
		fprintf(f, "not at %s, because ", bf_placement_name(s->asked));
		put_printable(f, s->why_place.text);
		fputc('\n', f);
	}
	put_early(f, s);
	put_interfaces(f, s);
}

static void put_counters(FILE *f, const struct xt_counters *c)
{
	put_counted(f, c->pcnt, "packet");
	fprintf(f, ", ");
	put_bytes(f, c->bcnt);
}

/* What the rules have counted, and what the policies have decided. */
static void put_tally(FILE *f, const struct bf_tally *t)
{
	unsigned int i;

	if (!t->known)
		return;
	put_label(f, "counted");
	put_counters(f, &t->rules);
	fprintf(f, " by all rules\n");
	for (i = 0; i < BF_TALLY_CHAINS; i++) {
		put_label(f, i ? "" : "policies");
		fprintf(f, "%s %s: ", bf_tally_chain_name(i),
			t->chains[i].policy == NF_DROP ? "DROP" : "ACCEPT");
		put_counters(f, &t->chains[i].fell);
		fputc('\n', f);
	}
}

static void put_ours(FILE *f, const struct bf_status *all, const struct bf_filter_status *s)
{
	put_place(f, s);
	put_label(f, "rules");
	put_number(f, s->rules);
	if (s->chains) {
		fprintf(f, ", ");
		put_counted(f, s->chains, "user chain");
	}
	fputc('\n', f);
	put_label(f, "program");
	if (s->form && *s->form)
		fprintf(f, "%s, ", s->form);
	put_counted(f, s->insns, "instruction");
	fprintf(f, ", ");
	put_bytes(f, s->jited_bytes);
	fprintf(f, " of machine code\n");
	put_label(f, "maps");
	put_bytes(f, s->map_bytes);
	if (s->spare_bytes) {
		fprintf(f, ", and ");
		put_bytes(f, s->spare_bytes);
		fprintf(f, " kept a while for the next replace");
	}
	fputc('\n', f);
	put_label(f, "program ids");
	if (s->prog_ids[0])
		fprintf(f, "%u (root), ", s->prog_ids[0]);
	fprintf(f, "%u (table)\n", s->prog_ids[1]);
	if (s->effects || s->effects_lost) {
		put_label(f, "effects");
		put_number(f, s->effects);
		fprintf(f, " of REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct; ");
		put_number(f, s->effects_lost);
		fprintf(f, " not run\n");
	}
	if (s->asks || s->unanswered) {
		put_label(f, "questions");
		fprintf(f, "rules ask the kernel; ");
		put_number(f, s->unanswered);
		fprintf(f, " %s dropped without an answer\n",
			s->unanswered == 1 ? "packet" : "packets");
	}
	put_tally(f, &s->tally);
	put_last_replace(f, all, s);
	if (s->also_kernel) {
		put_label(f, "besides");
		fprintf(f, "ip_tables has rules too, set outside of bpfilter: packets pass both\n");
	}
}

static void put_kernels(FILE *f, const struct bf_status *all, const struct bf_filter_status *s)
{
	put_label(f, "filter table");
	fprintf(f, "kernel (ip_tables)\n");
	if (s->why_kernel.text[0]) {
		put_label(f, "because");
		put_printable(f, s->why_kernel.text);
		fputc('\n', f);
	}
	put_tally(f, &s->tally);
	put_last_replace(f, all, s);
}

static void put_entry(FILE *f, const struct bf_status *all, const struct bf_status_entry *e)
{
	fprintf(f, "\n");
	put_printable(f, e->name);
	fprintf(f, "  net:[%ju]\n", (uintmax_t)e->inode);
	if (e->error) {
		put_label(f, "filter table");
		fprintf(f, "unknown: %s\n", strerror(-e->error));
	} else if (e->status.ours) {
		put_ours(f, all, &e->status);
	} else {
		put_kernels(f, all, &e->status);
	}
}

static void put_module(FILE *f, const struct bf_status_module *m)
{
	if (!m->loaded) {
		fprintf(f, "module: not loaded, only iptables below \"bpfilter run\" is served\n");
		return;
	}
	if (!m->served) {
		fprintf(f, "module: loaded, but not served by this helper\n");
		return;
	}
	fprintf(f, "module: loaded, iptables of the whole machine is served");
	if (m->requests >= 0) {
		fprintf(f, ", ");
		put_counted(f, m->requests, "call");
		fprintf(f, " waiting");
	}
	fputc('\n', f);
}

void bf_status_text(FILE *f, const struct bf_status *s)
{
	const struct bf_status_entry *entries = s->entries;
	size_t n = s->n, i, ours = 0, failed = 0;

	put_module(f, &s->module);
	if (!n) {
		fprintf(f, "bpfilter serves no network namespace yet. %s\n",
			s->module.served ? "The next iptables call starts with its own."
					 : "\"bpfilter run -- COMMAND\" starts one.");
		return;
	}
	for (i = 0; i < n; i++) {
		if (entries[i].error)
			failed++;
		else if (entries[i].status.ours)
			ours++;
	}
	put_counted(f, n, "network namespace");
	fprintf(f, ": %zu filtered by eBPF, %zu by the kernel", ours, n - ours - failed);
	if (failed)
		fprintf(f, ", %zu unknown", failed);
	fputc('\n', f);
	for (i = 0; i < n; i++)
		put_entry(f, s, &entries[i]);
}
