// SPDX-License-Identifier: GPL-2.0
/* "bpfilter status --json", for programs: docs/status-json.md. */
#include <inttypes.h>
#include <linux/netfilter.h>
#include <string.h>

#include "config.h"
#include "early.h"
#include "status.h"
#include "utf8.h"

/* RFC 8259. What is not UTF-8 becomes U+FFFD, byte by byte. */
static void put_string(FILE *f, const char *s)
{
	size_t len;

	fputc('"', f);
	for (; *s; s += len ?: 1) {
		len = bf_utf8_length(s);
		if (!len)
			fprintf(f, "\\ufffd");
		else if (len == 1 && (*s == '"' || *s == '\\'))
			fprintf(f, "\\%c", *s);
		else if (len == 1 && bf_utf8_is_control(s, 1))
			fprintf(f, "\\u%04x", (uint8_t)*s);
		else
			fwrite(s, 1, len, f);
	}
	fputc('"', f);
}

static void put_member_string(FILE *f, const char *name, const char *value)
{
	fprintf(f, ",\n      \"%s\": ", name);
	if (value && *value)
		put_string(f, value);
	else
		fprintf(f, "null");
}

static void put_member_number(FILE *f, const char *name, uint64_t value)
{
	fprintf(f, ",\n      \"%s\": %" PRIu64, name, value);
}

static void put_json_early(FILE *f, const struct bf_filter_status *s)
{
	bool first = true;
	int i;

	fprintf(f, ",\n      \"early_drop\": ");
	if (!s->early) {
		fprintf(f, "null");
		return;
	}
	fprintf(f, "{\"active\": %s, \"reason\": ", s->early_on ? "true" : "false");
	if (s->early_on)
		fprintf(f, "null");
	else
		put_string(f, s->why_early.text);
	fprintf(f, ", \"dropped_packets\": %" PRIu64 ", \"left\": [",
		s->early_packets[BF_EARLY_NONE]);
	for (i = BF_EARLY_NONE + 1; i < BF_NR_EARLY; i++) {
		if (!s->early_packets[i])
			continue;
		fprintf(f, "%s{\"reason\": ", first ? "" : ", ");
		put_string(f, bf_early_text(i));
		fprintf(f, ", \"packets\": %" PRIu64 "}", s->early_packets[i]);
		first = false;
	}
	fprintf(f, "]}");
}

static void put_json_interfaces(FILE *f, const struct bf_filter_status *s)
{
	size_t i;

	fprintf(f, ",\n      \"interfaces\": [");
	for (i = 0; i < s->nr_interfaces; i++) {
		const struct bf_interface_status *p = &s->interfaces[i];

		fprintf(f, "%s\n        {\"name\": ", i ? "," : "");
		put_string(f, p->name);
		fprintf(f, ", \"placement\": ");
		if (p->how == BF_AUTO)
			fprintf(f, "null");
		else
			put_string(f, bf_placement_name(p->how));
		fprintf(f, ", \"asked\": \"%s\", \"port\": %s, \"reason\": ",
			bf_placement_name(p->asked), p->port ? "true" : "false");
		if (p->why.text[0])
			put_string(f, p->why.text);
		else
			fprintf(f, "null");
		fputc('}', f);
	}
	fputc(']', f);
}

static void put_json_extension(FILE *f, const struct bf_filter_status *s)
{
	struct bf_extension e = bf_status_extension(&s->why_kernel);

	fprintf(f, ",\n      \"extension\": ");
	if (s->ours || !e.kind) {
		fprintf(f, "null");
		return;
	}
	fprintf(f, "{\"kind\": \"%s\", \"name\": ", e.kind);
	put_string(f, e.name);
	fputc('}', f);
}

static void put_json_tally(FILE *f, const struct bf_tally *t)
{
	unsigned int i;

	fprintf(f, ",\n      \"counters\": ");
	if (!t->known) {
		fprintf(f, "null");
		return;
	}
	fprintf(f,
		"{\n        \"rule_packets\": %" PRIu64 ", \"rule_bytes\": %" PRIu64
		",\n        \"chains\": [",
		(uint64_t)t->rules.pcnt, (uint64_t)t->rules.bcnt);
	for (i = 0; i < BF_TALLY_CHAINS; i++) {
		const struct bf_tally_chain *c = &t->chains[i];

		fprintf(f,
			"%s\n          {\"name\": \"%s\", \"policy\": \"%s\", "
			"\"policy_packets\": %" PRIu64 ", \"policy_bytes\": %" PRIu64
			", \"rule_packets\": %" PRIu64 ", \"rule_bytes\": %" PRIu64 "}",
			i ? "," : "", bf_tally_chain_name(i),
			c->policy == NF_DROP ? "DROP" : "ACCEPT", (uint64_t)c->fell.pcnt,
			(uint64_t)c->fell.bcnt, (uint64_t)c->rules.pcnt, (uint64_t)c->rules.bcnt);
	}
	fprintf(f, "\n        ]\n      }");
}

static void put_json_status(FILE *f, const struct bf_status *all, const struct bf_filter_status *s)
{
	put_member_string(f, "table", s->ours ? "bpf" : "kernel");
	put_member_string(f, "reason", s->ours ? NULL : s->why_kernel.text);
	put_json_extension(f, s);
	fprintf(f, ",\n      \"last_replace\": ");
	if (s->replaced_at)
		fprintf(f,
			"{\"time\": %" PRIu64 ", \"age_s\": %" PRIu64 ", \"duration_us\": %" PRIu64
			", \"reused\": %s}",
			s->replaced_at, bf_status_age(all, s), s->replace_us,
			s->reused ? "true" : "false");
	else
		fprintf(f, "null");
	put_json_tally(f, &s->tally);
	if (!s->ours)
		return;
	fprintf(f, ",\n      \"also_kernel\": %s", s->also_kernel ? "true" : "false");
	put_member_string(f, "placement", bf_placement_name(s->placement));
	put_member_string(f, "placement_asked", bf_placement_name(s->asked));
	put_member_string(f, "placement_reason", s->why_place.text);
	put_member_string(f, "hook", bf_status_hook(s->attach));
	put_json_early(f, s);
	put_json_interfaces(f, s);
	put_member_string(f, "form", s->form);
	put_member_number(f, "rules", s->rules);
	put_member_number(f, "user_chains", s->chains);
	fprintf(f, ",\n      \"program_ids\": {\"root\": %u, \"table\": %u}", s->prog_ids[0],
		s->prog_ids[1]);
	put_member_number(f, "instructions", s->insns);
	put_member_number(f, "jited_bytes", s->jited_bytes);
	put_member_number(f, "map_bytes", s->map_bytes);
	put_member_number(f, "spare_map_bytes", s->spare_bytes);
	put_member_number(f, "effects", s->effects);
	put_member_number(f, "effects_lost", s->effects_lost);
	fprintf(f, ",\n      \"asks_kernel\": %s", s->asks ? "true" : "false");
	put_member_number(f, "unanswered_packets", s->unanswered);
}

void bf_status_json(FILE *f, const struct bf_status *s)
{
	const struct bf_status_module *module = &s->module;
	const struct bf_status_entry *entries = s->entries;
	size_t n = s->n, i;

	fprintf(f,
		"{\n  \"version\": 1,\n  \"module\": {\"loaded\": %s, \"served\": %s, \"requests\": ",
		module->loaded ? "true" : "false", module->served ? "true" : "false");
	if (module->loaded && module->requests >= 0)
		fprintf(f, "%d},\n", module->requests);
	else
		fprintf(f, "null},\n");
	fprintf(f, "  \"namespaces\": [");
	for (i = 0; i < n; i++) {
		fprintf(f, "%s\n    {\n      \"inode\": %ju", i ? "," : "",
			(uintmax_t)entries[i].inode);
		fprintf(f, ",\n      \"name\": ");
		put_string(f, entries[i].name);
		put_member_string(f, "error",
				  entries[i].error ? strerror(-entries[i].error) : NULL);
		if (!entries[i].error)
			put_json_status(f, s, &entries[i].status);
		fprintf(f, "\n    }");
	}
	fprintf(f, "%s]\n}\n", n ? "\n  " : "");
}
