// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aside.h"
#include "env.h"
#include "ext.h"
#include "live.h"
#include "rule_line.h"
#include "ruleset.h"

/* Where there is no ip_tables, iptables would load it before it asks anything. */
#define NO_MODPROBE "--modprobe=/bin/true"

static const char *const hook_chains[NF_INET_NUMHOOKS] = {"PREROUTING", "INPUT", "FORWARD",
							  "OUTPUT", "POSTROUTING"};

/* --- the chains ---------------------------------------------------------------------------- */

static const struct xt_entry_target *target_of(const struct ipt_entry *e)
{
	return (const void *)e + e->target_offset;
}

static bool is_error(const struct ipt_entry *e)
{
	return !strcmp(target_of(e)->u.user.name, XT_ERROR_TARGET);
}

static int hook_at(const struct ipt_replace *r, uint32_t offset)
{
	int h;

	for (h = 0; h < NF_INET_NUMHOOKS; h++)
		if (r->valid_hooks & 1U << h && r->hook_entry[h] == offset)
			return h;
	return -1;
}

/* Find all entries. -EINVAL if they are none: a table that the kernel gave can be trusted, but why? */
static int find_entries(struct bf_ruleset *r)
{
	uint32_t n = r->replace->num_entries, offset = 0, i;

	r->entries = calloc(n ?: 1, sizeof(*r->entries));
	r->chain_of = calloc(n ?: 1, sizeof(*r->chain_of));
	r->texts = calloc(n ?: 1, sizeof(*r->texts));
	r->chains = calloc(n ?: 1, sizeof(*r->chains));
	if (!r->entries || !r->chain_of || !r->texts || !r->chains)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const struct ipt_entry *e = (const void *)r->replace->entries + offset;

		if (r->replace->size - offset < sizeof(*e) + sizeof(struct xt_entry_target) ||
		    e->next_offset > r->replace->size - offset || e->next_offset < sizeof(*e) ||
		    e->target_offset > e->next_offset - sizeof(struct xt_entry_target))
			return -EINVAL;
		r->entries[i] = e;
		offset += e->next_offset;
	}
	r->nr_entries = n;
	return 0;
}

/* A chain begins at each hook's entry point and behind each ERROR entry but the last. */
static int find_chains(struct bf_ruleset *r)
{
	struct bf_chain *c = NULL;
	uint32_t i;
	int err = find_entries(r);

	for (i = 0; i < r->nr_entries && !err; i++) {
		const struct ipt_entry *e = r->entries[i];
		uint32_t offset = (const uint8_t *)e - (const uint8_t *)r->replace->entries;
		int hook = hook_at(r->replace, offset);

		r->chain_of[i] = UINT32_MAX;
		if (is_error(e)) {
			const struct xt_error_target *t = (const void *)target_of(e);

			c = i + 1 < r->nr_entries ? &r->chains[r->nr_chains++] : NULL;
			if (c) {
				*c = (struct bf_chain){.hook = -1, .first = i + 1};
				memcpy(c->name, t->errorname, sizeof(c->name) - 1);
			}
			continue;
		}
		if (hook >= 0) {
			c = &r->chains[r->nr_chains++];
			*c = (struct bf_chain){.hook = hook, .first = i};
			strcpy(c->name, hook_chains[hook]);
		}
		if (!c)
			return -EINVAL;
		r->chain_of[i] = c - r->chains;
		c->nr = i - c->first; /* so far, without this one */
	}
	return err;
}

uint32_t bf_ruleset_chain(const struct bf_ruleset *r, const char *name)
{
	uint32_t i;

	for (i = 0; i < r->nr_chains; i++)
		if (!strcmp(r->chains[i].name, name))
			return i;
	return UINT32_MAX;
}

uint32_t bf_ruleset_rules(const struct bf_ruleset *r)
{
	uint32_t n = 0, i;

	for (i = 0; i < r->nr_chains; i++)
		n += r->chains[i].nr;
	return n;
}

struct bf_entry_name bf_ruleset_entry(const struct bf_ruleset *r, uint32_t entry)
{
	uint32_t chain = entry < r->nr_entries ? r->chain_of[entry] : UINT32_MAX;
	struct bf_entry_name name;
	const struct bf_chain *c;

	if (chain == UINT32_MAX) {
		snprintf(name.text, sizeof(name.text), "entry %u", entry);
		return name;
	}
	c = &r->chains[chain];
	if (entry - c->first < c->nr)
		snprintf(name.text, sizeof(name.text), "rule %u of %s", entry - c->first + 1,
			 c->name);
	else
		snprintf(name.text, sizeof(name.text), "%s of %s",
			 c->hook < 0 ? "the end" : "the policy", c->name);
	return name;
}

const char *bf_ruleset_verdict(const struct bf_ruleset *r, uint32_t entry, int verdict)
{
	const struct xt_entry_target *t;
	const struct bf_target *target = NULL;

	if (verdict == NF_ACCEPT)
		return "ACCEPT";
	if (entry < r->nr_entries) {
		t = target_of(r->entries[entry]);
		target = bf_target_find(t->u.user.name, t->u.user.revision);
	}
	return target && target->drops ? target->name : "DROP";
}

const char *bf_ruleset_text(const struct bf_ruleset *r, uint32_t entry)
{
	const struct xt_standard_target *t = (const void *)target_of(r->entries[entry]);
	uint32_t chain = r->chain_of[entry];

	if (r->texts[entry])
		return r->texts[entry];
	if (chain == UINT32_MAX)
		return "the head of a chain";
	if (r->chains[chain].hook < 0)
		return "the end of the chain: RETURN";
	return t->verdict == -NF_ACCEPT - 1 ? "policy ACCEPT" : "policy DROP";
}

/* --- the texts ----------------------------------------------------------------------------- */

/* A line "-A CHAIN ...": the next rule of that chain. @met: how many of each chain there were. */
static void take_line(struct bf_ruleset *r, const char *line, uint32_t *met, uint32_t *last)
{
	struct bf_chain *c;
	uint32_t i, n = *last;
	size_t len;

	if (strncmp(line, "-A ", 3))
		return;
	len = strcspn(line + 3, " ");
	for (i = 0; i < r->nr_chains; i++, n = (n + 1) % r->nr_chains) {
		c = &r->chains[n];
		if (!strncmp(c->name, line + 3, len) && !c->name[len])
			break;
	}
	if (i == r->nr_chains || met[n] == c->nr)
		return;
	*last = n;
	r->texts[c->first + met[n]++] = line;
}

static int take_texts(struct bf_ruleset *r, char *text)
{
	uint32_t *met = calloc(r->nr_chains ?: 1, sizeof(*met)), last = 0;
	char *line;

	r->text = text;
	if (!met || !text) {
		free(met);
		return -ENOMEM;
	}
	while ((line = bf_rule_line(&text)))
		take_line(r, line, met, &last);
	free(met);
	return 0;
}

int bf_ruleset_print(struct bf_ruleset *r, int *exit_code, struct bf_why *why)
{
	char *const argv[] = {"iptables-legacy", NO_MODPROBE, "-S", NULL};
	struct bf_aside result;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), err;

	err = bf_aside_run(&r->memory, argv[0], argv, null, &result, exit_code, why);
	close(null);
	if (!err && result.status)
		err = bf_why(why, -EIO, "iptables-legacy -S failed: %.150s", result.err);
	if (!err) {
		err = take_texts(r, result.out);
		result.out = NULL;
	}
	bf_aside_free(&result);
	return err;
}

/* --- reading ------------------------------------------------------------------------------- */

/* Everything but the texts from the table in memory. */
static int look_at_entries(struct bf_ruleset *r, struct bf_why *why)
{
	int err;

	r->replace = bf_memory_table(&r->memory, "filter", &r->len);
	r->why = r->memory.why;
	err = find_chains(r);
	if (!err && r->memory.translatable)
		err = bf_table_check(r->replace, r->len, &r->table, &r->why);
	if (err)
		return bf_why(why, err, "%s: %s", r->name, strerror(-err));
	return 0;
}

static int look(struct bf_ruleset *r, int *exit_code, struct bf_why *why)
{
	return look_at_entries(r, why) ?: bf_ruleset_print(r, exit_code, why);
}

int bf_ruleset_copy(struct bf_ruleset *r, const struct ipt_getinfo *info, const void *entries,
		    struct bf_why *why)
{
	int err;

	memset(r, 0, sizeof(*r));
	bf_memory_init(&r->memory);
	r->name = "a table";
	err = bf_memory_put(&r->memory, info, entries);
	return err ?: look_at_entries(r, why);
}

int bf_ruleset_bare(struct bf_ruleset *r, const void *replace, size_t len, struct bf_why *why)
{
	const struct ipt_replace *head = replace;
	struct ipt_getinfo info = {.valid_hooks = head->valid_hooks,
				   .num_entries = head->num_entries,
				   .size = head->size};

	memset(r, 0, sizeof(*r));
	if (len != sizeof(*head) + head->size)
		return -EINVAL;
	memcpy(info.hook_entry, head->hook_entry, sizeof(info.hook_entry));
	memcpy(info.underflow, head->underflow, sizeof(info.underflow));
	return bf_ruleset_copy(r, &info, head->entries, why);
}

/* One line out of what iptables-restore wrote, which has its name, a hint and the number of a line. */
static void tidy(char *text, long *line)
{
	char *at = strstr(text, "Error occurred at line: "), *to = text, *s;

	if (at) {
		*line = atol(at + strlen("Error occurred at line: "));
		*at = '\0';
	}
	at = strstr(text, "Try `");
	if (at)
		*at = '\0';
	if (!strncmp(text, "iptables", 8) && (at = strchr(text, ':')))
		text = at + 1;
	while (isspace((unsigned char)*text) || *text == ':')
		text++;
	for (s = text; *s; s++)
		if (!isspace((unsigned char)*s))
			*to++ = *s;
		else if (s[1] && !isspace((unsigned char)s[1]))
			*to++ = ' ';
	*to = '\0';
}

/* "iptables-restore: line 7 failed" says that what is before COMMIT was refused. */
static int say_refused(const struct bf_ruleset *r, char *text, struct bf_why *why)
{
	const char *reason = r->memory.why.text;
	unsigned int failed;
	long line = 0;

	tidy(text, &line);
	if (sscanf(text, "line %u failed", &failed) == 1) {
		if (*reason)
			return bf_why(why, -EINVAL, "%s: line %u: %s", r->name, failed, reason);
		return bf_why(why, -EINVAL, "%s: line %u: this is not iptables-save text", r->name,
			      failed);
	}
	if (sscanf(text, "COMMIT expected at line %u", &failed) == 1)
		return bf_why(why, -EINVAL, "%s: line %u: the text ends without COMMIT", r->name,
			      failed);
	if (line)
		return bf_why(why, -EINVAL, "%s: line %ld: %.180s", r->name, line, text);
	return bf_why(why, -EINVAL, "%s: %.200s", r->name, text);
}

static int open_input(const char *file, struct bf_why *why)
{
	int fd;

	if (!file)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return bf_why(why, -errno, "%s: %s", file, strerror(errno));
	return fd;
}

/* iptables-restore has nothing against what holds no text at all. */
static int say_no_table(const struct bf_ruleset *r, int input, struct bf_why *why)
{
	struct stat st;

	if (!fstat(input, &st) && S_ISDIR(st.st_mode))
		return bf_why(why, -EISDIR, "%s: it is a directory", r->name);
	if (!fstat(input, &st) && S_ISREG(st.st_mode) && !st.st_size)
		return bf_why(why, -EINVAL,
			      "%s: it is empty (as what iptables-legacy-save prints where no table "
			      "was ever used)",
			      r->name);
	return bf_why(why, -EINVAL, "%s: there is no table filter in it (\"*filter\")", r->name);
}

static int restore(struct bf_ruleset *r, int input, int *exit_code, struct bf_why *why)
{
	char *const argv[] = {"iptables-legacy-restore", NO_MODPROBE, NULL};
	struct bf_aside result;
	size_t len;
	int err;

	err = bf_aside_run(&r->memory, argv[0], argv, input, &result, exit_code, why);
	if (!err && result.status) {
		*exit_code = BF_EXIT_USAGE;
		err = say_refused(r, result.err, why);
	} else if (!err && !bf_memory_table(&r->memory, "filter", &len)) {
		*exit_code = BF_EXIT_USAGE;
		err = say_no_table(r, input, why);
	}
	bf_aside_free(&result);
	return err;
}

int bf_ruleset_read(struct bf_ruleset *r, const char *file, int *exit_code, struct bf_why *why)
{
	int input, err;

	memset(r, 0, sizeof(*r));
	bf_memory_init(&r->memory);
	if (file && !strcmp(file, "-"))
		file = NULL;
	r->name = file ?: "stdin";
	*exit_code = BF_EXIT_USAGE;
	input = open_input(file, why);
	if (input < 0)
		return input;
	err = restore(r, input, exit_code, why) ?: look(r, exit_code, why);
	close(input);
	return err;
}

int bf_ruleset_live(struct bf_ruleset *r, int *exit_code, struct bf_why *why)
{
	int err;

	memset(r, 0, sizeof(*r));
	bf_memory_init(&r->memory);
	r->name = "the table in force";
	err = bf_live_read(&r->memory, exit_code, why);
	return err ?: look(r, exit_code, why);
}

void bf_ruleset_free(struct bf_ruleset *r)
{
	bf_table_free(r->table);
	free(r->entries);
	free(r->chain_of);
	free(r->chains);
	free(r->texts);
	free(r->text);
	bf_memory_free(&r->memory);
	memset(r, 0, sizeof(*r));
}
