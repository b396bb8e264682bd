// SPDX-License-Identifier: GPL-2.0
/*
 * bench lookup: a table's program and that of an empty table run over the same packets in turns.
 *
 * Before that, every verdict and every counter is compared with the model's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "driver.h"
#include "median.h"
#include "model.h"
#include "place.h"

/* Rules that the model may look at in a check: about a second. */
#define CHECK_STEPS 300000000

/* At a link, one test run has one packet: so many of them, each so often, less where it takes long. */
#define LINK_PACKETS 256
#define LINK_REPEAT  400
#define LINK_NS	     400000

/**
 * struct result - of one set
 * @checked: packets whose verdict was compared with the model's
 * @uniform, @zipf: nanoseconds; @empty: those of the empty table, of which they are the excess
 */
struct result {
	double compile_ms, load_ms;
	uint32_t checked;
	double empty, uniform, zipf;
};

struct job {
	const struct options *o;
	struct place place;
	struct bf_kernel kernel;
	struct bf_loaded *empty;
};

/**
 * struct subject - a set that is being measured
 */
struct subject {
	const struct job *job;
	const struct shape *shape;
	struct set *set;
	struct key *keys;
	uint32_t *flows;
	struct bf_loaded *loaded;
	struct driver *driver;
	struct result result;
	struct bf_why why;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int load(const struct job *j, struct bf_table *table, enum bf_form form,
		struct bf_loaded **loaded, struct result *r, struct bf_why *why)
{
	double start = now_ms(), compiled;
	struct bf_program *program;
	int err;

	*loaded = NULL;
	err = bf_compile(table, &j->kernel, j->o->attach, form, bf_env_jiffies(j->place.env),
			 &program, why);
	compiled = now_ms();
	if (!err) {
		err = bf_load(table, program, NULL, j->kernel.cpus, 0, loaded, why);
		bf_program_free(program);
	}
	r->compile_ms = compiled - start;
	r->load_ms = now_ms() - compiled;
	if (err)
		bf_table_free(table);
	return err;
}

/* What a link's test run has of a packet: no connection, no mark, and its interfaces are "lo". */
static void link_fields(uint32_t *fields)
{
	memset(&fields[BF_IIF], 0, 32);
	strcpy((char *)&fields[BF_IIF], "lo");
	strcpy((char *)&fields[BF_OIF], "lo");
	fields[BF_CT_STATE] = CT_INVALID;
}

static int verdict(struct subject *t, uint32_t i)
{
	int v;

	if (t->loaded->attach == BF_ATTACH_MODULE)
		return driver_one(t->driver);
	link_run(t->loaded->prog, &t->keys[i], 1, &v);
	return v;
}

static int compare_counters(struct subject *t, const struct xt_counters *wanted)
{
	uint32_t n = t->loaded->table->num_entries, i;
	struct xt_counters *got = calloc(n, sizeof(*got));

	if (!got)
		return -ENOMEM;
	bf_loaded_counters(t->loaded, got);
	for (i = 0; i < n; i++)
		if (memcmp(&got[i], &wanted[i], sizeof(*got)))
			break;
	if (i < n)
		fprintf(stderr, "bench: %s: entry %u has counted %llu packets instead of %llu\n",
			t->shape->name, i, (unsigned long long)got[i].pcnt,
			(unsigned long long)wanted[i].pcnt);
	free(got);
	return i < n ? -EBADMSG : 0;
}

/* As many packets as there is time for. */
static int check_with(struct subject *t, struct model *m, struct xt_counters *counters)
{
	uint32_t i;

	for (i = 0; i < NR_KEYS && model_steps(m) < CHECK_STEPS; i++) {
		uint32_t fields[BF_NR_FIELDS];
		int wanted, got;

		key_fields(t->set, &t->keys[i], fields);
		if (t->loaded->attach == BF_ATTACH_LINK)
			link_fields(fields);
		wanted = model_walk(m, fields, counters);
		got = verdict(t, i);
		if (got != wanted) {
			fprintf(stderr, "bench: %s: packet %u: verdict %d instead of %d\n",
				t->shape->name, i, got, wanted);
			return -EBADMSG;
		}
	}
	t->result.checked = i;
	return compare_counters(t, counters);
}

static int check(struct subject *t)
{
	struct model *m = model_make(t->loaded->table);
	struct xt_counters *counters = calloc(t->loaded->table->num_entries, sizeof(*counters));
	int err = -ENOMEM;

	if (m && counters)
		err = check_with(t, m, counters);
	free(counters);
	model_free(m);
	return err;
}

/* So many packets take about the time that one sample has; whole rounds of them where that is possible. */
static uint32_t sample_size(const struct subject *t, double ns)
{
	double n = t->job->o->ms * 1e6 / ns;

	if (n > 1e9)
		n = 1e9;
	if (n > NR_KEYS)
		return (uint32_t)(n / NR_KEYS) * NR_KEYS;
	return n < 64 ? 64 : n;
}

/* One after the other, which is what makes the difference worth something. */
static double measure_order(struct subject *t, const uint32_t *order, double *empty)
{
	unsigned int rounds = t->job->o->rounds, i;
	double over[rounds], base[rounds], probe;
	uint32_t n, n_empty;

	driver_set(t->driver, order);
	driver_choose(t->driver, t->job->empty);
	n_empty = sample_size(t, driver_run(t->driver, NR_KEYS));
	driver_choose(t->driver, t->loaded);
	probe = driver_run(t->driver, 64);
	n = sample_size(t, driver_run(t->driver, sample_size(t, probe)));
	for (i = 0; i < rounds; i++) {
		driver_choose(t->driver, t->job->empty);
		base[i] = driver_run(t->driver, n_empty);
		driver_choose(t->driver, t->loaded);
		over[i] = driver_run(t->driver, n) - base[i];
	}
	*empty = median(base, rounds);
	return median(over, rounds);
}

/* Every packet for itself, again and again: what it costs when it has just been there. */
static int measure_link(struct subject *t)
{
	unsigned int rounds = t->job->o->rounds, r, i;
	double over[rounds], base[rounds], ns, full;
	int v;

	for (r = 0; r < rounds; r++) {
		over[r] = base[r] = 0;
		for (i = 0; i < LINK_PACKETS; i++) {
			const struct key *k = &t->keys[i * (NR_KEYS / LINK_PACKETS)];
			double warm = link_run(t->loaded->prog, k, 4, &v);
			uint32_t n = warm * LINK_REPEAT > LINK_NS ? LINK_NS / warm + 1
								  : LINK_REPEAT;

			ns = link_run(t->job->empty->prog, k, LINK_REPEAT, &v);
			full = link_run(t->loaded->prog, k, n, &v);
			if (ns < 0 || full < 0)
				return ns < 0 ? ns : full;
			base[r] += ns / LINK_PACKETS;
			over[r] += (full - ns) / LINK_PACKETS;
		}
	}
	t->result.empty = median(base, rounds);
	t->result.uniform = median(over, rounds);
	return 0;
}

static int measure(struct subject *t)
{
	double ignored;

	if (t->loaded->attach == BF_ATTACH_LINK)
		return measure_link(t);
	t->result.uniform = measure_order(t, NULL, &t->result.empty);
	t->result.zipf = measure_order(t, t->flows, &ignored);
	return 0;
}

static void print_json(const struct subject *t)
{
	const struct result *r = &t->result;
	const struct bf_loaded *l = t->loaded;

	printf("{\"shape\": \"%s\", \"rules\": %u, \"form\": \"%s\", \"attach\": \"%s\", ",
	       t->shape->name, t->set->nr_rules, bf_form_name(l->form), bf_attach_name(l->attach));
	printf("\"compile_ms\": %.2f, \"load_ms\": %.2f, \"insns\": %u, \"jited\": %u, ",
	       r->compile_ms, r->load_ms, l->nr_insns, l->jited_bytes);
	printf("\"map_bytes\": %llu, \"table_bytes\": %u, \"entries\": %u, \"cpus\": %u, ",
	       (unsigned long long)l->map_bytes, l->table->size, l->table->num_entries, l->cpus);
	printf("\"checked\": %u, \"empty_ns\": %.1f, \"uniform_ns\": %.1f", r->checked, r->empty,
	       r->uniform);
	if (l->attach == BF_ATTACH_MODULE)
		printf(", \"zipf_ns\": %.1f", r->zipf);
	puts("}");
}

static void print(const struct subject *t)
{
	const struct result *r = &t->result;
	const struct bf_loaded *l = t->loaded;

	printf("%-12s %6u %-13s %9.2f %9.2f %7u %10llu %7u %6.1f %9.1f", t->shape->name,
	       t->set->nr_rules, bf_form_name(l->form), r->compile_ms, r->load_ms, l->nr_insns,
	       (unsigned long long)l->map_bytes, r->checked, r->empty, r->uniform);
	if (l->attach == BF_ATTACH_MODULE)
		printf(" %9.1f", r->zipf);
	putchar('\n');
}

/* What cannot be translated is a result too. */
static void print_refused(const struct subject *t, uint32_t rules)
{
	char why[sizeof(t->why.text)], *p;

	strcpy(why, t->why.text);
	for (p = why; *p; p++)
		if (*p == '"' || *p == '\\')
			*p = '\'';
	if (t->job->o->json)
		printf("{\"shape\": \"%s\", \"rules\": %u, \"attach\": \"%s\", \"refused\": \"%s\"}\n",
		       t->shape->name, rules, bf_attach_name(t->job->o->attach), why);
	else
		printf("%-12s %6u refused: %s\n", t->shape->name, rules, why);
}

static int make_subject(struct subject *t, uint32_t rules)
{
	struct job *j = (struct job *)t->job;
	struct bf_table *table;
	char *text;
	int err;

	t->set = set_make(t->shape, rules, j->o->seed);
	text = set_text(t->set);
	err = place_table(&j->place, text, &table, &t->why);
	free(text);
	err = err ?: load(j, table, j->o->form, &t->loaded, &t->result, &t->why);
	if (err)
		return err;
	t->keys = keys_make(t->set, NR_KEYS, j->o->seed);
	t->flows = zipf_make(NR_FLOWS, NR_KEYS, j->o->seed);
	if (j->o->attach == BF_ATTACH_LINK)
		return 0;
	t->driver = driver_make(t->set, t->keys, NR_KEYS);
	return t->driver ? driver_choose(t->driver, t->loaded) : -EINVAL;
}

static void free_subject(struct subject *t)
{
	if (t->driver)
		driver_free(t->driver);
	bf_loaded_free(t->loaded);
	free(t->flows);
	free(t->keys);
	set_free(t->set);
}

static int one_set(void *arg, const struct shape *shape, uint32_t rules)
{
	struct subject t = {.job = arg, .shape = shape};
	int err = make_subject(&t, rules);

	err = err ?: check(&t);
	err = err ?: measure(&t);
	if (!err)
		(t.job->o->json ? print_json : print)(&t);
	else if (err == -EOPNOTSUPP || err == -E2BIG)
		print_refused(&t, rules);
	else
		fprintf(stderr, "bench: %s with %u rules: %s: %s\n", shape->name, rules,
			strerror(-err), t.why.text);
	free_subject(&t);
	return err && err != -EOPNOTSUPP && err != -E2BIG;
}

int cmd_lookup(const struct options *o)
{
	struct job j = {.o = o};
	struct bf_why why = {};
	struct result ignored;
	int status;

	if (place_enter(&j.place))
		return 1;
	bf_env_kernel(j.place.env, &j.kernel);
	if (load(&j, bf_table_empty(NF_ACCEPT), BF_FORM_AUTO, &j.empty, &ignored, &why)) {
		fprintf(stderr, "bench: %s\n", why.text);
		return 1;
	}
	if (!o->json)
		printf("%-12s %6s %-13s %9s %9s %7s %10s %7s %6s %9s %9s\n", "shape", "rules",
		       "form", "build ms", "load ms", "insns", "map bytes", "checked", "empty",
		       "+uniform", "+zipf ns");
	status = for_each_set(o, one_set, &j);
	bf_loaded_free(j.empty);
	bf_env_close(j.place.env);
	return status;
}
