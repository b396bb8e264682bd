// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset.h"
#include "topology.h"

#define NAMES 64

void ruleset_init(struct ruleset *rs, const char *name)
{
	memset(rs, 0, sizeof(*rs));
	rs->name = must_strdup(name);
}

void ruleset_free(struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		free(rs->lines[i]);
	free(rs->lines);
	free(rs->name);
	memset(rs, 0, sizeof(*rs));
}

static void add_line(struct ruleset *rs, char *line)
{
	if (rs->nr == rs->max) {
		rs->max = rs->max * 2 + 32;
		rs->lines = must_realloc(rs->lines, rs->max * sizeof(*rs->lines));
	}
	rs->lines[rs->nr++] = line;
}

void ruleset_add(struct ruleset *rs, const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		exit(1);
	va_end(ap);
	add_line(rs, line);
}

void ruleset_copy(struct ruleset *to, const struct ruleset *from, const bool *keep)
{
	unsigned int i;

	ruleset_init(to, from->name);
	to->nat = from->nat;
	to->pokes = from->pokes;
	for (i = 0; i < from->nr; i++)
		if (!keep || keep[i])
			add_line(to, must_strdup(from->lines[i]));
}

void ruleset_print(const struct ruleset *rs, struct text *out)
{
	unsigned int i;

	text_add(out, "*filter\n");
	for (i = 0; i < rs->nr; i++) {
		text_add_bytes(out, rs->lines[i], strlen(rs->lines[i]));
		text_add_bytes(out, "\n", 1);
	}
	text_add(out, "COMMIT\n");
}

unsigned int ruleset_rules(const struct ruleset *rs)
{
	unsigned int i, n = 0;

	for (i = 0; i < rs->nr; i++)
		n += rs->lines[i][0] == '-';
	return n;
}

/* Interface names of a dump, in the order in which they came up. */
struct names {
	char seen[NAMES][32];
	unsigned int nr;
};

static const char *our_name(struct names *names, const char *theirs)
{
	static const char *const wild[] = {"eth+", "docker+", "eth1+"};
	size_t len = strlen(theirs);
	unsigned int i;

	if (!strcmp(theirs, "lo") || !strcmp(theirs, "+"))
		return theirs;
	for (i = 0; i < names->nr; i++)
		if (!strcmp(names->seen[i], theirs))
			break;
	if (i == names->nr && i < NAMES)
		snprintf(names->seen[names->nr++], sizeof(names->seen[0]), "%.31s", theirs);
	if (len && theirs[len - 1] == '+')
		return wild[i % 3];
	return topology_ifs[i % TOPOLOGY_IFS].name;
}

static void add_token(struct text *t, struct names *names, const char *before, const char *token)
{
	if (!strcmp(before, "-i") || !strcmp(before, "-o"))
		text_add(t, "%s", our_name(names, token));
	else if (!strcmp(before, "--limit"))
		text_add(t, "1/hour"); /* only the burst passes, whenever packets come */
	else
		text_add_bytes(t, token, strlen(token));
}

/* Tokens are separated by single blanks; a quoted one is copied as it is. */
static void add_rule(struct ruleset *rs, struct names *names, const char *rule)
{
	char before[16] = "", token[4096];
	struct text t = {0};

	while (*rule) {
		size_t len = strcspn(rule, " ");

		if (*rule == '"')
			for (len = 1; rule[len] && (rule[len] != '"' || rule[len - 1] == '\\');)
				len++;
		if (*rule == '"' && rule[len])
			len++;
		if (len >= sizeof(token))
			len = sizeof(token) - 1;
		memcpy(token, rule, len);
		token[len] = '\0';
		if (t.len)
			text_add(&t, " ");
		add_token(&t, names, before, token);
		snprintf(before, sizeof(before), "%.15s", token);
		rule += len;
		rule += strspn(rule, " ");
	}
	add_line(rs, t.s);
}

bool ruleset_parse(struct ruleset *rs, const char *dump)
{
	char *copy = must_strdup(dump), *line, *save, name[64], policy[16];
	struct names names = {.nr = 0};
	bool in = false, found = false, chance = false;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '*')
			found |= in = !strcmp(line, "*filter");
		if (!in)
			continue;
		if (line[0] == '[')
			line += strcspn(line, " ") + 1;
		if (!strcmp(line, "COMMIT"))
			in = false;
		else if (sscanf(line, ":%63s %15s", name, policy) == 2)
			ruleset_add(rs, ":%s %s [0:0]", name, policy);
		else if (line[0] == '-')
			add_rule(rs, &names, line);
		chance |= strstr(line, "-m statistic") != NULL;
	}
	free(copy);
	return found && !chance;
}

static bool is_translated(const char *line)
{
	static const char *const matches[] = {"tcp ",	    "udp ",	"icmp ",    "multiport ",
					      "conntrack ", "state ",	"comment ", "mark ",
					      "limit ",	    "addrtype "};
	const char *m;
	unsigned int i;

	for (m = strstr(line, " -m "); m; m = strstr(m + 1, " -m ")) {
		for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
			if (!strncmp(m + 4, matches[i], strlen(matches[i])))
				break;
		if (i == sizeof(matches) / sizeof(matches[0]))
			return false;
	}
	return true;
}

static bool is_chain(const struct ruleset *rs, const char *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < rs->nr && rs->lines[i][0] == ':'; i++)
		if (!strncmp(rs->lines[i] + 1, name, len) && rs->lines[i][1 + len] == ' ')
			return true;
	return false;
}

static void reduce_target(const struct ruleset *rs, char *line)
{
	char *target = strstr(line, " -j ");
	size_t len;

	if (!target)
		return;
	len = strcspn(target + 4, " ");
	if (is_chain(rs, target + 4, len) || !strncmp(target + 4, "ACCEPT", len) ||
	    !strncmp(target + 4, "DROP", len) || !strncmp(target + 4, "RETURN", len))
		return;
	if (!strncmp(target + 4, "REJECT", len))
		strcpy(target, " -j DROP");
	else
		*target = '\0';
}

void ruleset_reduce(struct ruleset *rs)
{
	unsigned int i, nr = 0;

	for (i = 0; i < rs->nr; i++) {
		if (rs->lines[i][0] == '-' && !is_translated(rs->lines[i])) {
			free(rs->lines[i]);
			continue;
		}
		if (rs->lines[i][0] == '-')
			reduce_target(rs, rs->lines[i]);
		rs->lines[nr++] = rs->lines[i];
	}
	rs->nr = nr;
}

bool ruleset_marks(const struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		if (strstr(rs->lines[i], " -j MARK "))
			return true;
	return false;
}
