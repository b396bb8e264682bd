/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A generated set of rules: the text for iptables-legacy-restore, and for the rules that decide something
 * what packets they are about.
 *
 * The same shape, size and seed give the same set everywhere.
 */
#ifndef BENCH_SET_H
#define BENCH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rng.h"

/* Conntrack states as the key has them (XT_CONNTRACK_STATE_*). */
#define CT_INVALID     1
#define CT_ESTABLISHED 2
#define CT_NEW	       8

/**
 * struct region - the packets that a rule is about, if no rule before it takes them
 * @saddr, @daddr: host byte order, @slen and @dlen bits of them count
 * @sport, @dport: first and last; only with a @proto of TCP or UDP
 * @proto: 0: any
 * @in, @out: numbers of interfaces in the set
 * @not_in: "! -i" instead, for the rule; packets come in by interface 0
 */
struct region {
	uint32_t saddr, daddr;
	uint8_t slen, dlen;
	uint8_t proto;
	bool not_in;
	uint16_t sport[2], dport[2];
	uint16_t in, out;
};

/* Every packet. */
#define REGION_ANY                                                                                 \
	{                                                                                          \
		.sport = {0, 65535}, .dport = { 0, 65535 }                                         \
	}

struct text {
	char *s;
	size_t len, max;
};

/**
 * struct set - what a shape makes
 * @limit: so many rules there will be; what comes after those is left out
 * @policy: of FORWARD
 * @chains, @rules: the lines
 * @regions: in the order of their rules
 * @devices: names of interfaces; 0 and 1 are those that packets go in and out by where no rule says
 *	otherwise
 */
struct set {
	uint32_t limit, nr_rules;
	const char *policy;
	struct text chains, rules;
	struct region *regions;
	uint32_t nr_regions, max_regions;
	char (*devices)[16];
	uint32_t nr_devices, max_devices;
	struct rng rng;
};

/**
 * struct shape - a kind of rule set
 * @make: fill the set with set->limit rules
 * @flat_of: makes the rules of that shape that decide something, as one chain; then @make is NULL
 * @forward: all its rules are reached from FORWARD, and packets can be sent that it accepts and drops
 */
struct shape {
	const char *name;
	void (*make)(struct set *s);
	const char *flat_of;
	const char *what;
};

/* NULL if there is none of this name, or with this number. */
const struct shape *shape_find(const char *name);
const struct shape *shape_at(unsigned int i);

/* Aborts if there is no memory. */
struct set *set_make(const struct shape *shape, uint32_t rules, uint64_t seed);
void set_free(struct set *s);

/* The table, for iptables-restore. One that is freed by the caller. */
char *set_text(const struct set *s);

/* For those that make sets. */

static inline bool set_full(const struct set *s)
{
	return s->nr_rules == s->limit;
}

void set_chain(struct set *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line of text without "-A "; false if the set is full and it was left out. */
bool set_rule(struct set *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * A rule in @chain about a region, which is noted: what the region does not tell is @more, options
 * with the target last. Interfaces are matched if they are not 0.
 */
bool set_about(struct set *s, const char *chain, const struct region *region, const char *more);
/* Packets of this kind are sent, although no single rule is about them. */
void set_region(struct set *s, const struct region *region);
/* The number of the interface. */
uint16_t set_device(struct set *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What shapes share. */

/* Is it a unicast address that is nobody's in particular: not in 0, 10, 127, 224 and above? */
bool is_ordinary(uint32_t addr);
/* One that is. */
uint32_t some_address(struct rng *r);
uint32_t prefix_mask(unsigned int len);

void make_acl(struct set *s);
void make_fw(struct set *s);
void make_ipc(struct set *s);
void make_k8s(struct set *s);
void make_block(struct set *s);
void make_grid(struct set *s);
void make_docker(struct set *s);
void make_kube(struct set *s);
void make_calico(struct set *s);
void make_nested(struct set *s);
void make_crossing(struct set *s);
void make_nonterminal(struct set *s);
void make_stateful(struct set *s);

#endif /* BENCH_SET_H */
