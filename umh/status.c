// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "status.h"

static const char *placement_name(enum bf_placement placement)
{
	static const char *const names[] = {
		[BF_AUTO] = "auto",
		[BF_NETFILTER] = "netfilter",
	};

	return placement < ARRAY_SIZE(names) ? names[placement] : "unknown";
}

/* Which hooks the programs are at. */
static const char *hook_name(enum bf_attach attach)
{
	static const char *const names[] = {
		[BF_ATTACH_LINK] = "netfilter link",
		[BF_ATTACH_MODULE] = "module hook",
	};

	return attach < ARRAY_SIZE(names) ? names[attach] : "unknown";
}

/**
 * utf8_length - bytes of the UTF-8 character at @s
 *
 * 0 if it is none: RFC 3629, so neither surrogates nor forms longer than need be.
 */
static size_t utf8_length(const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	uint8_t lo = 0x80, hi = 0xbf;
	size_t len, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	/* A terminating NUL is no continuation byte: nothing behind it is read. */
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/* C1 control characters, U+0080 to U+009F, are commands to some terminals. */
static bool is_control(const char *s, size_t len)
{
	uint8_t c = s[0], d = s[1];

	return len == 1 ? c < 0x20 || c == 0x7f : len == 2 && c == 0xc2 && d < 0xa0;
}

/* --- for people ---------------------------------------------------------------------------- */

/* Names come from whoever made a mount or named a process: nothing in them may reach a terminal. */
static void put_printable(FILE *f, const char *s)
{
	size_t len;

	for (; *s; s += len ?: 1) {
		len = utf8_length(s);
		if (!len || is_control(s, len))
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

static void put_last_replace(FILE *f, const struct bf_filter_status *s)
{
	time_t t = s->replaced_at;
	char when[32];
	struct tm tm;

	if (!t || !localtime_r(&t, &tm))
		return;
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	put_label(f, "last replace");
	fprintf(f, "%s, took ", when);
	put_duration(f, s->replace_us);
	fputc('\n', f);
}

static void put_ours(FILE *f, const struct bf_filter_status *s)
{
	put_label(f, "filter table");
	fprintf(f, "eBPF, at the %s hooks (%s)\n",
		placement_name(s->placement == BF_AUTO ? BF_NETFILTER : s->placement),
		hook_name(s->attach));
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
	fputc('\n', f);
	put_label(f, "program ids");
	if (s->prog_ids[0])
		fprintf(f, "%u (root), ", s->prog_ids[0]);
	fprintf(f, "%u (table)\n", s->prog_ids[1]);
	put_last_replace(f, s);
	if (s->also_kernel) {
		put_label(f, "besides");
		fprintf(f, "ip_tables has rules too, set outside of bpfilter: packets pass both\n");
	}
}

static void put_kernels(FILE *f, const struct bf_filter_status *s)
{
	put_label(f, "filter table");
	fprintf(f, "kernel (ip_tables)\n");
	if (s->why_kernel.text[0]) {
		put_label(f, "because");
		put_printable(f, s->why_kernel.text);
		fputc('\n', f);
	}
	put_last_replace(f, s);
}

static void put_entry(FILE *f, const struct bf_status_entry *e)
{
	fprintf(f, "\n");
	put_printable(f, e->name);
	fprintf(f, "  net:[%ju]\n", (uintmax_t)e->inode);
	if (e->error) {
		put_label(f, "filter table");
		fprintf(f, "unknown: %s\n", strerror(-e->error));
	} else if (e->status.ours) {
		put_ours(f, &e->status);
	} else {
		put_kernels(f, &e->status);
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

static void render_text(FILE *f, const struct bf_status_module *module,
			const struct bf_status_entry *entries, size_t n)
{
	size_t i, ours = 0, failed = 0;

	put_module(f, module);
	if (!n) {
		fprintf(f, "bpfilter serves no network namespace yet. %s\n",
			module->served ? "The next iptables call starts with its own."
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
		put_entry(f, &entries[i]);
}

/* --- for programs -------------------------------------------------------------------------- */

/* RFC 8259. What is not UTF-8 becomes U+FFFD, byte by byte. */
static void put_string(FILE *f, const char *s)
{
	size_t len;

	fputc('"', f);
	for (; *s; s += len ?: 1) {
		len = utf8_length(s);
		if (!len)
			fprintf(f, "\\ufffd");
		else if (len == 1 && (*s == '"' || *s == '\\'))
			fprintf(f, "\\%c", *s);
		else if (len == 1 && is_control(s, 1))
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

static void put_json_status(FILE *f, const struct bf_filter_status *s)
{
	put_member_string(f, "table", s->ours ? "bpf" : "kernel");
	put_member_string(f, "reason", s->ours ? NULL : s->why_kernel.text);
	fprintf(f, ",\n      \"last_replace\": ");
	if (s->replaced_at)
		fprintf(f, "{\"time\": %" PRIu64 ", \"duration_us\": %" PRIu64 "}", s->replaced_at,
			s->replace_us);
	else
		fprintf(f, "null");
	if (!s->ours)
		return;
	fprintf(f, ",\n      \"also_kernel\": %s", s->also_kernel ? "true" : "false");
	put_member_string(f, "placement", placement_name(s->placement));
	put_member_string(f, "hook", hook_name(s->attach));
	put_member_string(f, "form", s->form);
	put_member_number(f, "rules", s->rules);
	put_member_number(f, "user_chains", s->chains);
	fprintf(f, ",\n      \"program_ids\": {\"root\": %u, \"table\": %u}", s->prog_ids[0],
		s->prog_ids[1]);
	put_member_number(f, "instructions", s->insns);
	put_member_number(f, "jited_bytes", s->jited_bytes);
	put_member_number(f, "map_bytes", s->map_bytes);
}

static void render_json(FILE *f, const struct bf_status_module *module,
			const struct bf_status_entry *entries, size_t n)
{
	size_t i;

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
			put_json_status(f, &entries[i].status);
		fprintf(f, "\n    }");
	}
	fprintf(f, "%s]\n}\n", n ? "\n  " : "");
}

int bf_status_render(const struct bf_status_module *module, const struct bf_status_entry *entries,
		     size_t n, bool json, char **text)
{
	size_t size = 0;
	FILE *f;

	*text = NULL;
	f = open_memstream(text, &size);
	if (!f)
		return -ENOMEM;
	if (json)
		render_json(f, module, entries, n);
	else
		render_text(f, module, entries, n);
	/* The stream grows when it is flushed: that is when memory can run out. */
	if (fclose(f)) {
		free(*text);
		*text = NULL;
		return -ENOMEM;
	}
	return 0;
}
