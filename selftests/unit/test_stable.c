// SPDX-License-Identifier: GPL-2.0
/*
 * A table with a rule more or less mostly has the same instructions and maps of the same size, so that it
 * can take over the loaded program with new contents. How often, for tables of several shapes and sizes.
 */
#include "dice.h"

#include <linux/netfilter/xt_tcpudp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "program.h"

/* Single-rule changes that are tried with each table. */
#define CHANGES 6

/* Tables of each shape and size. */
#define TABLES 16

/* Of 100 changes, the least that keep program and maps; in small tables there is less room. */
#define LEAST	    80
#define LEAST_SMALL 40

#define MAX_RULES 10000

enum shape {
	SHAPE_BLOCK,	/* one source each */
	SHAPE_SERVICES, /* an address and a port */
	SHAPE_ACL,	/* both addresses, a range of ports */
	SHAPE_NAMES,	/* an interface each, of hundreds */
	SHAPE_MANY,
};

/* One rule is what its number says. */
static void add_tcp(struct blob *b, uint16_t low, uint16_t high)
{
	struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {low, high}};

	blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
}

static void add_rule(struct blob *b, enum shape shape, uint64_t number)
{
	struct dice d = {.state = number};
	struct ipt_ip *ip = blob_begin(b);
	uint32_t len = 16 + roll(&d, 17);

	switch (shape) {
	case SHAPE_BLOCK:
		ip->src.s_addr = htonl(roll(&d, UINT32_MAX));
		ip->smsk.s_addr = UINT32_MAX;
		break;
	case SHAPE_SERVICES:
		ip->dst.s_addr = htonl(0x0a000000 | roll(&d, 1 << 16));
		ip->dmsk.s_addr = UINT32_MAX;
		ip->proto = IPPROTO_TCP;
		add_tcp(b, 80 + roll(&d, 20), 100);
		break;
	case SHAPE_ACL:
		ip->src.s_addr = htonl(roll(&d, UINT32_MAX) << (32 - len));
		ip->smsk.s_addr = htonl(UINT32_MAX << (32 - len));
		ip->dst.s_addr = htonl(0x0a000000 | roll(&d, 256) << 8);
		ip->dmsk.s_addr = htonl(0xffffff00);
		ip->proto = IPPROTO_TCP;
		add_tcp(b, roll(&d, 1000), 1000 + roll(&d, 60000));
		break;
	default:
		snprintf(ip->iniface, sizeof(ip->iniface), "veth%x", roll(&d, 400));
		memset(ip->iniface_mask, 0xff, strlen(ip->iniface) + 1);
		ip->dst.s_addr = htonl(0x0a000000 | roll(&d, 1 << 16));
		ip->dmsk.s_addr = UINT32_MAX;
	}
	blob_end(b, roll(&d, 2) ? BLOB_ACCEPT : BLOB_DROP);
}

/* FORWARD has @n rules with these numbers; the chains of the others are empty. */
static struct bf_program *compile(enum shape shape, const uint64_t *numbers, uint32_t n)
{
	static const struct bf_kernel kernel = {.has_may_goto = true, .hz = 250, .cpus = 2};
	struct bf_program *program = NULL;
	struct bf_table *table;
	struct bf_why why = {};
	struct blob b = {};
	uint32_t i;

	blob_empty_hook(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_hook(&b, NF_INET_FORWARD);
	for (i = 0; i < n; i++)
		add_rule(&b, shape, numbers[i]);
	blob_policy(&b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	blob_free(&b);
	if (table)
		bf_compile(table, &kernel, BF_ATTACH_MODULE, BF_FORM_RECORDS, 0, &program, &why);
	bf_table_free(table);
	return program;
}

/* Same instructions, and maps of the same size: what may be told apart is their content alone. */
static bool same_code(const struct bf_program *x, const struct bf_program *y)
{
	return x->nr_insns == y->nr_insns &&
	       !memcmp(x->insns, y->insns, x->nr_insns * sizeof(*x->insns));
}

static bool same_maps(const struct bf_program *x, const struct bf_program *y)
{
	unsigned int i;

	for (i = 0; i < BF_NR_MAPS; i++)
		if (x->maps[i].value_size != y->maps[i].value_size ||
		    x->maps[i].max_entries != y->maps[i].max_entries)
			return false;
	return true;
}

/* What single-rule changes kept. */
struct kept {
	unsigned int code, both, tried;
};

/* Of the table of @n rules with these numbers, one with a rule appended, or one deleted. */
static struct bf_program *changed(struct dice *d, enum shape shape, const uint64_t *numbers,
				  uint32_t n)
{
	static uint64_t other[MAX_RULES + 1];
	uint32_t at = roll(d, n);

	memcpy(other, numbers, n * sizeof(*other));
	if (chance(d, 50)) {
		other[n] = roll(d, UINT32_MAX);
		return compile(shape, other, n + 1);
	}
	memmove(&other[at], &other[at + 1], (n - at - 1) * sizeof(*other));
	return compile(shape, other, n - 1);
}

/* One table, and so many changes, each of them to that table. */
static bool change(struct dice *d, enum shape shape, uint32_t n, struct kept *kept)
{
	static uint64_t numbers[MAX_RULES];
	struct bf_program *before, *after;
	unsigned int i;

	for (i = 0; i < n; i++)
		numbers[i] = roll(d, UINT32_MAX);
	before = compile(shape, numbers, n);
	for (i = 0; i < CHANGES && before; i++) {
		after = changed(d, shape, numbers, n);
		if (!after)
			break;
		kept->tried++;
		kept->code += same_code(before, after);
		kept->both += same_code(before, after) && same_maps(before, after);
		bf_program_free(after);
	}
	bf_program_free(before);
	return i == CHANGES;
}

FIXTURE(stable)
{
	struct dice dice;
};

FIXTURE_VARIANT(stable)
{
	enum shape shape;
};

FIXTURE_VARIANT_ADD(stable, block){.shape = SHAPE_BLOCK};
FIXTURE_VARIANT_ADD(stable, services){.shape = SHAPE_SERVICES};
FIXTURE_VARIANT_ADD(stable, acl){.shape = SHAPE_ACL};
FIXTURE_VARIANT_ADD(stable, names){.shape = SHAPE_NAMES};

FIXTURE_SETUP(stable)
{
	self->dice.state = 1;
}

FIXTURE_TEARDOWN(stable)
{
}

static void check(struct __test_metadata *_metadata, FIXTURE_DATA(stable) * self, enum shape shape,
		  uint32_t rules)
{
	struct kept kept = {};
	unsigned int i;

	/* Of many sizes, since it depends on how much room is left. */
	for (i = 0; i < TABLES; i++)
		ASSERT_TRUE(
			change(&self->dice, shape, rules - roll(&self->dice, rules / 3), &kept));
	printf("# up to %u rules: of %u changes %u kept the code, %u of these the maps\n", rules,
	       kept.tried, kept.code, kept.both);
	EXPECT_LE((rules < 1000 ? LEAST_SMALL : LEAST) * kept.tried, 100 * kept.both);
}

TEST_F(stable, hundred_rules)
{
	check(_metadata, self, variant->shape, 100);
}

TEST_F(stable, thousand_rules)
{
	check(_metadata, self, variant->shape, 1000);
}

TEST_F_TIMEOUT(stable, ten_thousand_rules, 120)
{
	check(_metadata, self, variant->shape, 10000);
}

TEST_HARNESS_MAIN
