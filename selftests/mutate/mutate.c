// SPDX-License-Identifier: GPL-2.0
/*
 * Does our check of a table agree with the kernel's, for tables that were tampered with?
 *
 * --check: each value goes through bf_table_check() and, in a network namespace of our own, to the
 * kernel; the error must be the same, and what an accepted table reads back.
 * --live: see live.c.
 *
 * Everything that is drawn depends on the seed and the number of the change alone, so that any one
 * can be repeated with --seed and --only.
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel_table.h"
#include "mutate.h"
#include "table.h"

#define EXIT_SKIP 4

/**
 * struct check - a run against the kernel
 * @installed: entries of the table that the kernel has now
 * @same, @accepted, @left: values on which both agreed, of these accepted ones, and values that we
 *	would leave to the kernel
 */
struct check {
	struct ruleset sets[MAX_RULESETS];
	int nr_sets;
	int sk;
	uint32_t installed;
	struct xt_counters *counters;
	struct tap tap;
	uint64_t same, accepted, left, failed;
};

void tap_result(struct tap *tap, bool ok, const char *fmt, ...)
{
	va_list ap;

	tap->tests++;
	tap->failed += !ok;
	printf("%sok %u - ", ok ? "" : "not ", tap->tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void print_difference(const struct value *base, const struct value *v, unsigned int max)
{
	size_t i, j, len = base->len > v->len ? base->len : v->len;

	printf("# length %zu, was %zu\n", v->len, base->len);
	for (i = 0; i < len && max; i += 16) {
		if (i + 16 <= base->len && i + 16 <= v->len &&
		    !memcmp(base->data + i, v->data + i, 16))
			continue;
		max--;
		printf("# %6zu was", i);
		for (j = i; j < i + 16 && j < base->len; j++)
			printf(" %02x", base->data[j]);
		printf("\n#        is ");
		for (j = i; j < i + 16 && j < v->len; j++)
			printf(" %02x", v->data[j]);
		printf("\n");
	}
}

static const char *error_text(int err)
{
	return err == BF_NOT_TRANSLATABLE ? "left to the kernel"
	       : err			  ? strerror(-err)
					  : "accepted";
}

/* Read back what the kernel made of an accepted table and compare it with ours. */
static const char *compare_tables(struct check *c, const struct bf_table *t)
{
	static uint8_t shown[MAX_VALUE];
	struct bf_kernel_table *k;
	const char *fault = NULL;

	if (bf_kernel_read(c->sk, &k))
		return "the kernel's table cannot be read";
	if (k->info.size != t->size || k->info.num_entries != t->num_entries) {
		fault = "another size";
	} else if (memcmp(k->info.hook_entry, t->hook_entry, sizeof(t->hook_entry)) ||
		   memcmp(k->info.underflow, t->underflow, sizeof(t->underflow))) {
		fault = "other hooks";
	} else {
		bf_table_show(t, c->counters, shown);
		if (memcmp(shown, k->entries, t->size))
			fault = "other entries read back";
	}
	bf_kernel_table_free(k);
	return fault;
}

/* Saving and loading must not lose anything either. */
static const char *compare_saved(struct bf_table *t)
{
	const char *fault = NULL;
	struct bf_table *copy;
	const void *saved;
	size_t len;

	if (bf_table_save(t, &saved, &len))
		return "a table cannot be saved";
	if (bf_table_load(saved, len, &copy))
		fault = "a saved table does not load";
	else if (copy->size != t->size || copy->stacksize != t->stacksize ||
		 memcmp(copy->entries, t->entries, t->size))
		fault = "a saved table loads as another one";
	if (!fault)
		bf_table_free(copy);
	return fault;
}

/* One value to both. NULL, or how they differ. */
static const char *try_value(struct check *c, struct value *v, int *ours, int *kernels,
			     struct bf_why *why)
{
	struct bf_table *t = NULL;
	const char *fault = NULL;

	if (v->len >= sizeof(struct ipt_replace))
		value_head(v)->counters = c->counters;
	/* Exactly as much memory as was announced, so that ASan sees a step beyond. */
	void *exact = malloc(v->len ? v->len : 1);

	memcpy(exact, v->data, v->len);
	*ours = bf_table_check(exact, v->len, &t, why);
	free(exact);
	*kernels = bf_kernel_set(c->sk, IPT_SO_SET_REPLACE, v->data, v->len);

	/* The number of counters is compared with the table in force, which is not our part. */
	if (!*ours && value_head(v)->num_counters != c->installed)
		*ours = -EAGAIN;

	if (*ours == BF_NOT_TRANSLATABLE)
		c->left++;
	else if (*ours != *kernels)
		fault = "another error";
	else if (!*ours)
		fault = compare_tables(c, t);
	if (!fault && t)
		fault = compare_saved(t);
	if (!*kernels) {
		c->installed = value_head(v)->num_entries;
		c->accepted++;
	}
	c->same += !fault;
	c->failed += !!fault;
	bf_table_free(t);
	return fault;
}

static bool run_one(struct check *c, const struct ruleset *base, struct value *v,
		    const struct story *story, const char *repeat)
{
	struct bf_why why = {""};
	int ours, kernels;
	const char *fault;

	if (value_is_greedy(v))
		return true;
	fault = try_value(c, v, &ours, &kernels, &why);
	if (!fault)
		return true;
	if (c->failed > 20)
		return false;
	printf("# %s (%s, rule set %s)\n# changes: %s\n", fault, repeat, base->name, story->text);
	printf("# kernel: %s; ours: %s (%s)\n", error_text(kernels), error_text(ours), why.text);
	print_difference(base->value, v, 12);
	return false;
}

/* As many counters as the kernel has entries, so that a sound value is accepted. */
static void start_from(const struct check *c, struct value *v, const struct ruleset *base)
{
	memcpy(v->data, base->value->data, base->value->len);
	memset(v->data + base->value->len, 0, MAX_VALUE - base->value->len);
	v->len = base->value->len;
	value_head(v)->num_counters = c->installed;
}

static void check_unchanged(struct check *c, struct value *v)
{
	struct story story = {.text = "none"};
	uint64_t left;
	bool ok;
	int i;

	for (i = 0; i < c->nr_sets; i++) {
		start_from(c, v, &c->sets[i]);
		left = c->left;
		ok = run_one(c, &c->sets[i], v, &story, "unchanged");
		if (c->sets[i].translatable && c->left > left) {
			printf("# left to the kernel\n");
			ok = false;
		}
		tap_result(&c->tap, ok, "%s: as iptables made it", c->sets[i].name);
	}
}

static void check_fields(struct check *c, struct value *v, const struct ruleset *base,
			 struct rng *rng)
{
	struct spot *spots;
	size_t n = spots_of(base->value, &spots), i;
	uint64_t changes = 0;
	char repeat[64];
	bool ok = true;
	unsigned int k;

	for (i = 0; i < n; i++) {
		for (k = 0;; k++) {
			struct story story = {.len = 0};

			start_from(c, v, base);
			if (!spot_change(v, &spots[i], k, rng, &story))
				break;
			snprintf(repeat, sizeof(repeat), "field %zu, content %u", i, k);
			ok &= run_one(c, base, v, &story, repeat);
			changes++;
		}
	}
	free(spots);
	tap_result(&c->tap, ok, "%s: %llu changes of one field", base->name,
		   (unsigned long long)changes);
}

static void check_random(struct check *c, struct value *v, const struct options *o)
{
	char repeat[64];
	bool ok = true;
	uint64_t i;

	for (i = 0; i < o->count; i++) {
		struct rng rng = {o->seed * 0x100000001b3ULL + i};
		const struct ruleset *base = &c->sets[rng_below(&rng, c->nr_sets)];
		struct story story = {.len = 0};

		if (o->only >= 0 && i != (uint64_t)o->only)
			continue;
		start_from(c, v, base);
		change_at_random(v, &rng, c->sets, c->nr_sets, &story);
		snprintf(repeat, sizeof(repeat), "--seed=%llu --only=%llu",
			 (unsigned long long)o->seed, (unsigned long long)i);
		ok &= run_one(c, base, v, &story, repeat);
	}
	tap_result(&c->tap, ok, "%llu random changes, seed %llu", (unsigned long long)o->count,
		   (unsigned long long)o->seed);
}

static int run_check(const struct options *o)
{
	struct value *v = calloc(1, sizeof(*v));
	struct rng rng = {o->seed};
	struct check c = {0};
	struct bf_kernel_table *k;
	int i;

	if (unshare(CLONE_NEWNET)) {
		printf("1..0 # SKIP a network namespace cannot be made: %s\n", strerror(errno));
		return EXIT_SKIP;
	}
	c.counters = calloc(1 << 20, sizeof(*c.counters));
	c.sk = bf_kernel_socket();
	if (!v || !c.counters || c.sk < 0 || bf_kernel_touch_filter(c.sk)) {
		printf("1..0 # SKIP the kernel has no ip_tables here\n");
		return EXIT_SKIP;
	}
	c.nr_sets = rulesets_load(c.sets, o->files, o->nr_files);
	if (c.nr_sets <= 0 || bf_kernel_read(c.sk, &k))
		return 1;
	c.installed = k->info.num_entries;
	bf_kernel_table_free(k);

	check_unchanged(&c, v);
	for (i = 0; o->systematic && i < c.nr_sets; i++)
		check_fields(&c, v, &c.sets[i], &rng);
	check_random(&c, v, o);

	printf("1..%u\n# %llu values: %llu accepted by the kernel, %llu left to it, %llu differ\n",
	       c.tap.tests, (unsigned long long)(c.same + c.failed), (unsigned long long)c.accepted,
	       (unsigned long long)c.left, (unsigned long long)c.failed);
	rulesets_free(c.sets, c.nr_sets);
	free(c.counters);
	free(v);
	close(c.sk);
	return c.tap.failed ? 1 : 0;
}

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: mutate [--check|--live] [OPTION...] [RULES...]\n"
		"Send changed tables to the kernel's ip_tables and to bpfilter, and compare.\n\n"
		"  --check       the check of tables alone, within this process (the default)\n"
		"  --live        two namespaces, one under \"$BPFILTER run\"\n"
		"  --count=N     random changes to try (10000; --live: 1000)\n"
		"  --seed=S      where the random numbers begin (1)\n"
		"  --only=N      only the N-th random change\n"
		"  --random      leave out the systematic changes\n"
		"RULES are files as iptables-save writes them, to start from as well.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"check", no_argument, NULL, 'C'},
		{"live", no_argument, NULL, 'L'},
		{"child", no_argument, NULL, 'X'},
		{"count", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"only", required_argument, NULL, 'o'},
		{"random", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.seed = 1, .only = -1, .systematic = true};
	int opt, mode = 'C';

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'C':
		case 'L':
		case 'X':
			mode = opt;
			break;
		case 'n':
			o.count = strtoull(optarg, NULL, 0);
			break;
		case 's':
			o.seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			o.only = strtoll(optarg, NULL, 0);
			o.systematic = false;
			break;
		case 'r':
			o.systematic = false;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	o.files = argv + optind;
	o.nr_files = argc - optind;
	if (!o.count)
		o.count = o.only >= 0 ? (uint64_t)o.only + 1 : mode == 'L' ? 1000 : 10000;

	switch (mode) {
	case 'L':
		return run_live(&o, "/proc/self/exe");
	case 'X':
		return run_child();
	default:
		return run_check(&o);
	}
}
