/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changed tables, sent to the kernel's ip_tables and to ours.
 */
#ifndef BPFILTER_MUTATE_H
#define BPFILTER_MUTATE_H

#include <linux/netfilter_ipv4/ip_tables.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bpfilter.h"

#define MAX_VALUE (256 * 1024)

/* A small generator of our own, so that a seed means the same everywhere. */
struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return rng_next(r) % n;
}

/**
 * struct value - the option value of an IPT_SO_SET_REPLACE
 * @len: the option length; what is behind data[len] is not sent
 */
struct value {
	uint8_t data[MAX_VALUE] __attribute__((aligned(8)));
	size_t len;
};

static inline struct ipt_replace *value_head(struct value *v)
{
	return (struct ipt_replace *)v->data;
}

#define MAX_RULESETS 64

/**
 * struct ruleset - a table as iptables made it
 * @name: what it is, or the file it came from
 * @translatable: we must not leave it to the kernel
 */
struct ruleset {
	const char *name;
	bool translatable;
	struct value *value;
};

/* rulesets.c: let iptables-legacy-restore load @text into this namespace; 0 or -1. */
int ruleset_restore(const char *text);
/* Our own rule sets and those of @files, read back from the kernel. Returns how many, or -1. */
int rulesets_load(struct ruleset *sets, char **files, int nr_files);
void rulesets_free(struct ruleset *sets, int n);

/* What was changed, in words. */
struct story {
	char text[600];
	size_t len;
};

void story_add(struct story *s, const char *fmt, ...) BF_PRINTF(2, 3);

/* change.c: change something at random, guided by the structure. */
void change_at_random(struct value *v, struct rng *rng, const struct ruleset *sets, int nr_sets,
		      struct story *story);

/**
 * struct spot - a field of the value
 * @width: 1, 2, 4 or 8 bytes
 */
struct spot {
	uint32_t at;
	uint8_t width;
	const char *name;
};

/* All fields of a sound value, malloc'd; returns how many. */
size_t spots_of(const struct value *v, struct spot **spots);

/* The @i-th interesting content for a field; false if there are no more. */
bool spot_change(struct value *v, const struct spot *spot, unsigned int i, struct rng *rng,
		 struct story *story);

/* Would the kernel need so much memory for this one that the machine might suffer? */
bool value_is_greedy(struct value *v);

/* TAP. */
struct tap {
	unsigned int tests, failed;
};

void tap_result(struct tap *tap, bool ok, const char *fmt, ...) BF_PRINTF(3, 4);

/* Where @v differs from @base, at most @max lines of "# ". */
void print_difference(const struct value *base, const struct value *v, unsigned int max);

struct options {
	uint64_t seed;
	uint64_t count;
	int64_t only; /* -1: all */
	bool systematic;
	char **files;
	int nr_files;
};

/* live.c */
int run_live(const struct options *o, const char *self);
int run_child(void);

#endif /* BPFILTER_MUTATE_H */
