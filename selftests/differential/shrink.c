// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shrink.h"

/**
 * struct shrinking - the trial that still fails, and the clock
 */
struct shrinking {
	struct duel *d;
	struct ruleset *rules;
	struct packets *packets;
	time_t deadline;
};

static bool differs(struct shrinking *s, const struct ruleset *rules, struct packets *packets)
{
	struct trial t = {.rules = rules, .packets = packets};

	return duel_run(s->d, &t, NULL) == DUEL_DIFFERENT;
}

static bool time_is_up(const struct shrinking *s)
{
	return time(NULL) >= s->deadline;
}

/*
 * Try to do without each of @n things, large groups first. @without says whether it still fails
 * with only those things for which keep is true.
 */
static void minimise(struct shrinking *s, unsigned int n, bool *keep,
		     bool (*without)(struct shrinking *s, const bool *keep))
{
	unsigned int size, at, i;
	bool *attempt = must_alloc(n * sizeof(*attempt)), progress;

	for (size = n; size && !time_is_up(s); size = progress && size == 1 ? 1 : size / 2) {
		progress = false;
		for (at = 0; at < n && !time_is_up(s); at += size) {
			bool any = false;

			memcpy(attempt, keep, n * sizeof(*attempt));
			for (i = at; i < n && i < at + size; i++) {
				any |= attempt[i];
				attempt[i] = false;
			}
			if (any && without(s, attempt)) {
				memcpy(keep, attempt, n * sizeof(*attempt));
				progress = true;
			}
		}
	}
	free(attempt);
}

/* The packets that are kept, sharing their data with @from. */
static struct packets some_packets(const struct packets *from, const bool *keep)
{
	struct packets some = {.list = must_alloc((from->nr + 1) * sizeof(*some.list))};
	unsigned int i;

	for (i = 0; i < from->nr; i++)
		if (keep[i])
			some.list[some.nr++] = from->list[i];
	return some;
}

static bool without_packets(struct shrinking *s, const bool *keep)
{
	struct packets some = some_packets(s->packets, keep);
	bool ret = differs(s, s->rules, &some);

	free(some.list);
	return ret;
}

static void shrink_packets(struct shrinking *s)
{
	bool *keep = must_alloc(s->packets->nr);
	struct packets some;

	memset(keep, true, s->packets->nr);
	minimise(s, s->packets->nr, keep, without_packets);
	/* The data of the others is given up with the process. */
	some = some_packets(s->packets, keep);
	free(s->packets->list);
	some.max = some.nr;
	*s->packets = some;
	free(keep);
}

static bool without_lines(struct shrinking *s, const bool *keep)
{
	struct ruleset some;
	bool ret;

	ruleset_copy(&some, s->rules, keep);
	ret = differs(s, &some, s->packets);
	ruleset_free(&some);
	return ret;
}

/* Rules first, then the chains that nobody calls any more: iptables refuses the others. */
static void shrink_lines(struct shrinking *s)
{
	bool *keep = must_alloc(s->rules->nr);
	struct ruleset some;

	memset(keep, true, s->rules->nr);
	minimise(s, s->rules->nr, keep, without_lines);
	ruleset_copy(&some, s->rules, keep);
	ruleset_free(s->rules);
	*s->rules = some;
	free(keep);
}

#define TOKENS 256

/*
 * Does a clause start at this token? "!" belongs to what follows it, and unless they are looked
 * at one by one (@fine) "--" options belong to the match before them.
 */
static bool starts_clause(char *const *token, unsigned int i, bool fine)
{
	const char *t = token[i];

	if (i < 2 || !strcmp(token[i - 1], "!"))
		return false;
	if (!strcmp(t, "!"))
		t = token[i + 1];
	if (!t || t[0] != '-')
		return false;
	return t[1] == '-' ? fine : isalpha(t[1]) != 0;
}

/* @line without its @n-th clause, or NULL if there are not so many. */
static char *without_clause(const char *line, unsigned int n, bool fine)
{
	char *copy = must_strdup(line), *token[TOKENS + 1] = {NULL}, *save;
	unsigned int nr = 0, clause = 0, i;
	struct text t = {0};
	bool cut = false;

	for (token[0] = strtok_r(copy, " ", &save); token[nr] && nr < TOKENS - 1;)
		token[++nr] = strtok_r(NULL, " ", &save);
	for (i = 0; i < nr; i++) {
		clause += starts_clause(token, i, fine);
		cut |= clause == n;
		if (clause == n)
			continue;
		text_add(&t, "%s", i ? " " : "");
		text_add_bytes(&t, token[i], strlen(token[i]));
	}
	free(copy);
	if (cut)
		return t.s;
	text_free(&t);
	return NULL;
}

static void shrink_line(struct shrinking *s, unsigned int line, bool fine)
{
	char *full, *less;
	unsigned int n = 1;

	while (!time_is_up(s)) {
		full = s->rules->lines[line];
		less = without_clause(full, n, fine);
		if (!less)
			return;
		s->rules->lines[line] = less;
		if (differs(s, s->rules, s->packets)) {
			free(full);
			continue;
		}
		s->rules->lines[line] = full;
		free(less);
		n++;
	}
}

static void shrink_policies(struct shrinking *s)
{
	unsigned int i;

	for (i = 0; i < s->rules->nr; i++) {
		char *line = s->rules->lines[i], *drop = strstr(line, " DROP");

		if (line[0] != ':' || !drop)
			continue;
		s->rules->lines[i] = must_strdup(line);
		strcpy(s->rules->lines[i] + (drop - line), " ACCEPT [0:0]");
		if (differs(s, s->rules, s->packets)) {
			free(line);
		} else {
			free(s->rules->lines[i]);
			s->rules->lines[i] = line;
		}
	}
}

void shrink(struct duel *d, struct ruleset *rules, struct packets *packets, unsigned int seconds)
{
	struct shrinking s = {
		.d = d, .rules = rules, .packets = packets, .deadline = time(NULL) + seconds};
	unsigned int i;

	shrink_packets(&s);
	shrink_lines(&s);
	for (i = 0; i < rules->nr; i++) {
		if (rules->lines[i][0] == '-') {
			shrink_line(&s, i, false);
			shrink_line(&s, i, true);
		}
	}
	shrink_policies(&s);
	shrink_lines(&s);
	shrink_packets(&s);
}
