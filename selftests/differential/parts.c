// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of a session: where rule sets come from.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "session.h"
#include "shapes.h"

#define PROGRESS_SECONDS 10

/* From where on large rule sets have their numbers, and those of files. */
#define SHAPE_NUMBERS 2000000
#define FILE_NUMBERS  1000000

/* One of so many trials of a soak is a large one. */
#define SOAK_SHAPES 25

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/**
 * struct progress - when to say how far it is
 * @pairs: that there were at the start
 */
struct progress {
	double start, next;
	unsigned long pairs;
};

static struct progress progress_start(const struct session *s)
{
	return (struct progress){seconds(), seconds() + PROGRESS_SECONDS, s->done_pairs};
}

static void progress(struct progress *p, const struct session *s, bool now)
{
	double t = seconds();

	if (t < p->next && !now)
		return;
	p->next = t + PROGRESS_SECONDS;
	printf("# %.0f s: %lu rule sets (%lu refused by both), %lu packet/rule-set pairs, ",
	       t - p->start, s->done_sets, s->refused, s->done_pairs);
	printf("%.0f pairs/s, %lu failures\n", (s->done_pairs - p->pairs) / (t - p->start + 0.001),
	       s->failures);
	fflush(stdout);
}

static bool random_trial(struct session *s, uint64_t number)
{
	struct ruleset rules;
	unsigned int packets;
	bool ok;

	session_draw(s, &rules, &packets, number);
	ok = session_trial(s, &rules, packets, number);
	ruleset_free(&rules);
	return ok;
}

static void say_enforcers(const struct session *s)
{
	printf("# tables with rules in the second world: %lu enforced by its kernel's ip_tables, "
	       "%lu not\n",
	       s->duel[0].by_kernel + s->duel[1].by_kernel,
	       s->duel[0].by_other + s->duel[1].by_other);
	printf("# with accounting objects: %lu and %lu\n", s->accounting[1], s->accounting[0]);
	printf("# %lu of %lu rules and policies counted a packet\n",
	       s->duel[0].rules_matched + s->duel[1].rules_matched,
	       s->duel[0].rules + s->duel[1].rules);
	if (s->early)
		printf("# %lu runs without any difference; %lu packets seen in one world, %lu in the "
		       "other\n",
		       s->duel[0].exact, s->duel[0].seen[0], s->duel[0].seen[1]);
}

void session_random(struct session *s)
{
	struct progress p = progress_start(s);
	unsigned long i, bad = 0, pairs = s->done_pairs, refused = s->refused, left = s->left;

	if (!s->sets)
		return;
	for (i = 0; i < s->sets && (!bad || s->keep_going) && !*s->stop; i++) {
		bad += !random_trial(s, i);
		progress(&p, s, false);
	}
	progress(&p, s, true);
	say_enforcers(s);
	session_result(s, !bad, "%lu random rule sets, %lu pairs, %lu differ (seed %llu)", i,
		       s->done_pairs - pairs, bad, (unsigned long long)s->seed);
	if (s->strict)
		session_result(s, s->left == left, "none of these tables was left to ip_tables");
	refused = s->refused - refused;
	/* A fifth is too many; but one of five is none yet. */
	session_result(s, refused * 5 < i || (refused == 1 && i == 5),
		       "the grammar makes tables that are accepted (%lu of %lu)", i - refused, i);
}

/* Number @number of each shape; the first is as large as they come. */
static void draw_shape(struct session *s, struct ruleset *rules, enum shape shape, uint64_t number)
{
	struct rng r = rng_make(s->seed ^ 0x736861706573, number);
	unsigned int size = s->shape_rules;
	char name[64];

	if (number >= NR_SHAPES)
		size = rng_between(&r, size / 20, size);
	snprintf(name, sizeof(name), "%s, %u rules", shape_name(shape), size);
	ruleset_init(rules, name);
	shape_ruleset(rules, &r, shape, size);
	rules->nat = rng_chance(&r, 30) && !s->early;
}

static bool shape_trial(struct session *s, uint64_t number)
{
	struct ruleset rules;
	bool ok;

	draw_shape(s, &rules, number % NR_SHAPES, number);
	ruleset_for_kernel(&rules);
	ok = session_trial(s, &rules, s->packets, SHAPE_NUMBERS + number);
	ruleset_free(&rules);
	return ok;
}

void session_shapes(struct session *s)
{
	struct progress p = progress_start(s);
	unsigned long i, n = s->shapes * NR_SHAPES, bad = 0, pairs = s->done_pairs;
	unsigned long left = s->left, refused = s->refused;

	if (!n)
		return;
	for (i = 0; i < n && (!bad || s->keep_going) && !*s->stop; i++) {
		bad += !shape_trial(s, i);
		progress(&p, s, false);
	}
	progress(&p, s, true);
	say_enforcers(s);
	session_result(s, !bad, "%lu large rule sets, %lu pairs, %lu differ (seed %llu)", i,
		       s->done_pairs - pairs, bad, (unsigned long long)s->seed);
	session_result(s, s->refused == refused && (!s->strict || s->left == left),
		       "none of these was refused or left to ip_tables");
}

void session_soak(struct session *s)
{
	struct progress p = progress_start(s);
	unsigned long i;

	for (i = 0; (!s->failures || s->keep_going) && !*s->stop; i++) {
		bool ok = i % SOAK_SHAPES ? random_trial(s, i) : shape_trial(s, i / SOAK_SHAPES);

		if (!ok && !*s->stop)
			session_result(s, false, "trial %lu", i);
		progress(&p, s, false);
	}
	progress(&p, s, true);
	say_enforcers(s);
}

/* Without and with address translation. */
static bool both_hosts(struct session *s, struct ruleset *rules)
{
	bool ok;

	rules->nat = false;
	ok = session_trial(s, rules, s->packets, FILE_NUMBERS);
	if (s->early)
		return ok;
	rules->nat = true;
	return ok && session_trial(s, rules, s->packets, FILE_NUMBERS + 1);
}

void session_file(struct session *s, const char *path)
{
	unsigned long refused = s->refused, left = s->left;
	const char *refusal = s->strict ? ", which both refuse" : " # SKIP refused by both";
	struct ruleset rules;
	struct text dump = {0};
	bool ok;

	ruleset_init(&rules, path);
	if (text_read_file(&dump, path)) {
		session_result(s, false, "%s cannot be read", path);
	} else if (!ruleset_parse(&rules, dump.s)) {
		session_result(s, true,
			       "%s # SKIP no filter table, or one that asks for a random number",
			       path);
	} else {
		ok = both_hosts(s, &rules);
		session_result(s, ok, "%s, %u rules%s%s", path, ruleset_rules(&rules),
			       s->left != left ? ", left to ip_tables" : "",
			       refused != s->refused ? refusal : "");
		/* What is left to ip_tables, or names ipsets that are not there: without those rules. */
		if (s->strict && (s->left != left || s->refused != refused) && ok) {
			left = s->left;
			ruleset_reduce(&rules);
			ok = both_hosts(s, &rules);
			session_result(s, ok && s->left == left, "%s, reduced to %u rules", path,
				       ruleset_rules(&rules));
		}
	}
	text_free(&dump);
	ruleset_free(&rules);
}

static int only_saves(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return dot && !strcmp(dot, ".save");
}

void session_directory(struct session *s, const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, only_saves, alphasort), i;
	char path[512];

	if (n < 0) {
		session_result(s, false, "%s cannot be read", dir);
		return;
	}
	for (i = 0; i < n && !*s->stop; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		session_file(s, path);
		free(names[i]);
	}
	free(names);
}

/* Turn one clause round, or change a target, so that a table means something else. */
static bool mutate(struct ruleset *rules, struct rng *r)
{
	unsigned int tries = 200;

	while (tries--) {
		unsigned int i = rng_below(r, rules->nr);
		char *line = rules->lines[i], *at, *copy = NULL;

		if (line[0] != '-')
			continue;
		if (rng_chance(r, 30) && (at = strstr(line, " ! ")) &&
		    asprintf(&copy, "%.*s%s", (int)(at - line), line, at + 2) > 0) {
		} else if (rng_chance(r, 30) && (at = strstr(line, "-j ACCEPT"))) {
			copy = must_strdup(line);
			memcpy(copy + (at - line), "-j DROP  ", 9);
		} else if (rng_chance(r, 30) && (at = strstr(line, " -g "))) {
			copy = must_strdup(line);
			copy[at - line + 2] = 'j';
		} else if (rng_chance(r, 30) && (at = strstr(line, "port ")) && at[5] != '!') {
			if (asprintf(&copy, "%.*s%u%s", (int)(at + 5 - line), line,
				     rng_below(r, 65536), at + 5 + strcspn(at + 5, " ")) < 0)
				exit(1);
		}
		if (!copy)
			continue;
		free(line);
		rules->lines[i] = copy;
		return true;
	}
	return false;
}

/* A change to one rule of what the second world gets, or of what replay does. */
static bool try_mutant(struct session *s, uint64_t number, enum duel_result *result)
{
	struct rng r = rng_make(s->seed ^ 0x6d7574616e74, number);
	struct ruleset rules, other;
	struct packets packets = {0};
	struct trial t = {.rules = &rules, .packets = &packets};
	unsigned int n;
	bool changed;

	session_draw(s, &rules, &n, number);
	session_reduce(s, &rules);
	rules.pokes = 0;
	ruleset_copy(&other, &rules, NULL);
	*(s->third ? &t.replayed : &t.other) = &other;
	changed = mutate(&other, &r);
	if (changed) {
		session_packets(s, &rules, n, number, &packets);
		*result = duel_run(&s->duel[rules.nat], &t, NULL);
		packets_free(&packets);
	}
	ruleset_free(&rules);
	ruleset_free(&other);
	return changed;
}

void session_mutants(struct session *s)
{
	unsigned long i, tried = 0, found = 0;
	enum duel_result result;

	for (i = 0; i < s->sets && !*s->stop; i++) {
		if (!try_mutant(s, i, &result))
			continue;
		tried += result == DUEL_SAME || result == DUEL_DIFFERENT;
		found += result == DUEL_DIFFERENT;
	}
	session_result(s, found * 100 >= tried * 15, "%lu of %lu changes to one rule were noticed",
		       found, tried);
}
