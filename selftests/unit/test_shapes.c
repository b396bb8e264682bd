// SPDX-License-Identifier: GPL-2.0
/*
 * Tables and packets of a certain shape, in both forms of program: very deep and very large tables,
 * packets that are cut short, conditions at packet time.
 */
#include "run.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "asm.h"
#include "env.h"
#include "layout.h"
#include "kselftest_harness.h"

FIXTURE(shapes)
{
	struct run r;
};

FIXTURE_SETUP(shapes)
{
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
}

FIXTURE_TEARDOWN(shapes)
{
	run_end(&self->r);
}

/* A packet to port 443, with a TCP header of 20 bytes behind an IP header of @header bytes. */
static void make_packet(struct packet *p, uint8_t proto, uint32_t header)
{
	memset(p, 0, sizeof(*p));
	p->hook = NF_INET_LOCAL_IN;
	p->len = header + 20;
	p->data[0] = 0x40 | header / 4;
	p->data[9] = proto;
	p->data[12] = 10;
	p->data[16] = 127;
	p->data[19] = 1;
	p->data[header + 2] = 443 >> 8;
	p->data[header + 3] = 443 & 0xff;
	p->data[header + 12] = 0x50;
	p->data[header + 13] = 2;
}

static void empty_forward_and_output(struct blob *b)
{
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
}

/*
 * INPUT jumps into the first of @depth chains, each into the next. Each has a rule behind the
 * jump that counts, and comes back; the last drops TCP.
 */
static void nested_table(struct blob *b, unsigned int depth)
{
	uint32_t from;
	unsigned int i;

	blob_hook(b, NF_INET_LOCAL_IN);
	from = blob_rule(b, BLOB_NEXT);
	blob_rule(b, BLOB_NEXT);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(b);
	for (i = 0; i < depth; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		blob_set_verdict(b, from, blob_chain(b, name));
		from = blob_rule(b, BLOB_NEXT);
		blob_rule(b, BLOB_NEXT);
		if (i == depth - 1) {
			blob_begin(b)->proto = IPPROTO_TCP;
			blob_end(b, BLOB_DROP);
		}
		blob_rule(b, BLOB_RETURN);
	}
	blob_finish(b);
}

/* Return addresses that a program has room for in its frame, besides the policy's. */
#define FITS (BF_MAX_RETURNS - 1)

TEST_F(shapes, nested_chains)
{
	static const unsigned int depths[] = {1,  2,  FITS - 1, FITS, FITS + 1, FITS + 2,
					      29, 30, 31,	64,   200};
	unsigned int i, n;
	struct packet p;

	for (i = 0; i < ARRAY_SIZE(depths); i++) {
		nested_table(&self->r.b, depths[i]);
		ASSERT_TRUE(run_load_forms(&self->r)) TH_LOG("%u chains", depths[i]);
		/* More often than a deep table has stacks: each must be given back. */
		for (n = 0; n < 70; n++) {
			make_packet(&p, n % 2 ? IPPROTO_TCP : IPPROTO_UDP, 20);
			ASSERT_TRUE(run_agrees(&self->r, &p)) TH_LOG("%u chains", depths[i]);
		}
		run_for_each(&self->r, n)
			EXPECT_EQ(NF_DROP, run_packet(&self->r, self->r.loaded[n], &p));
		run_unload(&self->r);
	}
}

/* A descriptor of the map with the stacks of very deep tables, or -1. */
static int stacks_map(const struct bf_loaded *l, struct bpf_map_info *info)
{
	uint32_t ids[8] = {}, len = sizeof(struct bpf_prog_info), i;
	struct bpf_prog_info prog = {.nr_map_ids = ARRAY_SIZE(ids), .map_ids = (uintptr_t)ids};

	if (bpf_obj_get_info_by_fd(l->prog, &prog, &len))
		return -1;
	for (i = 0; i < prog.nr_map_ids; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);

		len = sizeof(*info);
		if (!bpf_obj_get_info_by_fd(fd, info, &len) && !strcmp(info->name, "bf_stacks"))
			return fd;
		close(fd);
	}
	return -1;
}

/* As other packets do. */
static void claim_stacks(int fd, const struct bpf_map_info *info, bool claimed)
{
	uint32_t value[info->value_size / 4], i;

	memset(value, 0, info->value_size);
	value[0] = claimed;
	for (i = 0; i < info->max_entries; i++)
		bpf_map_update_elem(fd, &i, value, BPF_ANY);
}

static uint32_t count_claimed(int fd, const struct bpf_map_info *info)
{
	uint32_t value[info->value_size / 4], i, n = 0;

	for (i = 0; i < info->max_entries; i++)
		if (!bpf_map_lookup_elem(fd, &i, value))
			n += value[0];
	return n;
}

TEST_F(shapes, stacks_that_others_have)
{
	struct bpf_map_info info = {};
	struct packet p;
	uint32_t left;
	unsigned int i;
	int fd;

	nested_table(&self->r.b, FITS);
	ASSERT_TRUE(run_load_forms(&self->r));
	run_for_each(&self->r, i) EXPECT_EQ(-1, stacks_map(self->r.loaded[i], &info));
	run_unload(&self->r);

	nested_table(&self->r.b, FITS + 1);
	ASSERT_TRUE(run_load_forms(&self->r));
	make_packet(&p, IPPROTO_UDP, 20);
	run_for_each(&self->r, i)
	{
		struct bf_loaded *l = self->r.loaded[i];

		if (l->form != BF_FORM_RECORDS)
			continue;
		fd = stacks_map(l, &info);
		ASSERT_LE(0, fd);
		/* A packet takes whichever is left, and gives it back. */
		for (left = 0; left < info.max_entries; left += 9) {
			uint32_t one = left;

			claim_stacks(fd, &info, true);
			bpf_map_update_elem(fd, &one, (uint32_t[64]){0}, BPF_ANY);
			EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("stack %u is left", left);
			EXPECT_EQ(info.max_entries - 1, count_claimed(fd, &info));
		}
		claim_stacks(fd, &info, true);
		EXPECT_EQ(NF_DROP, run_packet(&self->r, l, &p));
		EXPECT_EQ(info.max_entries, count_claimed(fd, &info));
		claim_stacks(fd, &info, false);
		EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, l, &p));
		close(fd);
	}
}

/*
 * Jumps within one chain, each to the rule after the next, and back from the last one: the
 * kernel's stack has room for as many as there are ERROR entries.
 */
static void jumping_chain(struct blob *b, unsigned int jumps, unsigned int chains)
{
	uint32_t rules[128];
	unsigned int i;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i <= 2 * jumps; i++)
		rules[i] = blob_rule(b, BLOB_RETURN);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	for (i = 0; i < 2 * jumps; i += 2)
		blob_set_verdict(b, rules[i], rules[i + 2]);
	empty_forward_and_output(b);
	for (i = 0; i < chains; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		blob_chain(b, name);
		blob_rule(b, BLOB_RETURN);
	}
	blob_finish(b);
}

TEST_F(shapes, more_jumps_than_the_stack_has_room_for)
{
	/* jumps, user chains, verdict: room is for one jump more than there are user chains */
	static const struct {
		unsigned int jumps, chains;
		int verdict;
	} v[] = {{1, 0, NF_ACCEPT},
		 {2, 0, NF_DROP},
		 {2, 1, NF_ACCEPT},
		 {3, 1, NF_DROP},
		 {29, 28, NF_ACCEPT},
		 {30, 28, NF_DROP},
		 {30, 29, NF_ACCEPT},
		 {40, 39, NF_ACCEPT},
		 {41, 39, NF_DROP},
		 {60, 28, NF_DROP},
		 {60, 40, NF_DROP},
		 {FITS, FITS - 1, NF_ACCEPT},
		 {FITS + 1, FITS - 1, NF_DROP},
		 {FITS + 1, FITS, NF_ACCEPT},
		 {FITS + 1, FITS + 1, NF_ACCEPT},
		 {FITS + 2, FITS, NF_DROP}};
	struct packet p;
	unsigned int i, n;

	make_packet(&p, IPPROTO_TCP, 20);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		jumping_chain(&self->r.b, v[i].jumps, v[i].chains);
		ASSERT_TRUE(run_load_forms(&self->r));
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("%u jumps", v[i].jumps);
		run_for_each(&self->r, n)
			EXPECT_EQ(v[i].verdict, run_packet(&self->r, self->r.loaded[n], &p))
				TH_LOG("vector %u, program %u", i, n);
		run_unload(&self->r);
	}
}

/* For what does not depend on it. */
static enum bf_attach default_attach(const struct run *r)
{
	return r->module_only ? BF_ATTACH_MODULE : BF_ATTACH_LINK;
}

/* INPUT jumps thrice to the first of @depth chains, each to the next: 3 ^ depth ways through the last. */
static void tripling_jumps(struct blob *b, unsigned int depth)
{
	uint32_t from[3], at;
	unsigned int i, j;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (j = 0; j < ARRAY_SIZE(from); j++)
		from[j] = blob_rule(b, BLOB_NEXT);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(b);
	for (i = 0; i < depth; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		at = blob_chain(b, name);
		for (j = 0; j < ARRAY_SIZE(from); j++) {
			blob_set_verdict(b, from[j], at);
			from[j] = blob_rule(b, BLOB_NEXT);
		}
		blob_rule(b, BLOB_RETURN);
	}
	blob_finish(b);
}

/* More steps than the loops of the main program and one bpf_loop() can take. */
TEST_F(shapes, many_ways)
{
	struct packet p;

	make_packet(&p, IPPROTO_TCP, 20);
	tripling_jumps(&self->r.b, 15);
	ASSERT_TRUE(run_load_forms(&self->r));
	EXPECT_TRUE(run_agrees(&self->r, &p));
}

/* More than can be counted: such a table is for the kernel. */
TEST_F(shapes, too_many_ways)
{
	static const enum bf_form forms[] = {BF_FORM_STRAIGHT, BF_FORM_RECORDS, BF_FORM_AUTO};
	enum bf_attach attach = default_attach(&self->r);
	unsigned int i;

	tripling_jumps(&self->r.b, 21);
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		struct bf_loaded *l;
		struct bf_why why = {};

		EXPECT_EQ(-E2BIG, run_load(&self->r.s, &self->r.b, attach, forms[i], &l, &why));
		EXPECT_NE('\0', why.text[0]);
	}
}

/* A rule whose match needs the header of the protocol drops what is too short to have one. */
static void add_header_match(struct blob *b, uint8_t proto, bool multiport)
{
	static const struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {443, 443}};
	static const struct xt_udp udp = {.spts = {0, 65535}, .dpts = {443, 443}};
	static const struct xt_multiport_v1 mp = {
		.flags = XT_MULTIPORT_DESTINATION, .count = 1, .ports = {443}};
	static const struct ipt_icmp icmp = {.type = 0, .code = {0, 255}};

	blob_begin(b)->proto = proto;
	if (multiport)
		blob_match(b, "multiport", 1, &mp, sizeof(mp));
	else if (proto == IPPROTO_TCP)
		blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
	else if (proto == IPPROTO_UDP)
		blob_match(b, "udp", 0, &udp, sizeof(udp));
	else
		blob_match(b, "icmp", 0, &icmp, sizeof(icmp));
	blob_end(b, BLOB_NEXT);
}

TEST_F(shapes, packets_that_are_cut_short)
{
	static const struct {
		uint8_t proto;
		bool multiport;
		uint32_t needs;
	} v[] = {{IPPROTO_TCP, false, 20},
		 {IPPROTO_UDP, false, 8},
		 {IPPROTO_ICMP, false, 8},
		 {IPPROTO_TCP, true, 4},
		 {IPPROTO_UDP, true, 4}};
	uint32_t i, header, len, n;
	struct packet p;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		blob_hook(&self->r.b, NF_INET_LOCAL_IN);
		add_header_match(&self->r.b, v[i].proto, v[i].multiport);
		blob_policy(&self->r.b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
		empty_forward_and_output(&self->r.b);
		blob_finish(&self->r.b);
		ASSERT_TRUE(run_load_forms(&self->r));
		for (header = 20; header <= 60; header += 4)
			for (len = 0; len <= 24; len++) {
				int verdict = len < v[i].needs ? NF_DROP : NF_ACCEPT;

				make_packet(&p, v[i].proto, header);
				p.len = header + len;
				ASSERT_TRUE(run_agrees(&self->r, &p));
				run_for_each(&self->r, n) EXPECT_EQ(
					verdict, run_packet(&self->r, self->r.loaded[n], &p))
					TH_LOG("vector %u, %u + %u bytes", i, header, len);
			}
		run_unload(&self->r);
	}
}

/* How many packets of @n the first rule of INPUT counts, in one form. */
static uint64_t count_hits(const struct run *r, struct bf_loaded *l, const struct packet *p,
			   unsigned int n)
{
	struct xt_counters counters[l->table->num_entries];

	while (n--)
		run_packet(r, l, p);
	bf_loaded_counters(l, counters);
	return counters[0].pcnt;
}

/* A table whose first rule has the match and only counts, and the rest of it. */
static void one_rule(struct blob *b, const char *name, uint8_t revision, const void *info,
		     size_t size)
{
	blob_hook(b, NF_INET_LOCAL_IN);
	blob_begin(b);
	blob_match(b, name, revision, info, size);
	blob_end(b, BLOB_NEXT);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(b);
	blob_finish(b);
}

TEST_F(shapes, limit)
{
	/* one an hour, and five at once */
	const struct xt_rateinfo rate = {.avg = XT_LIMIT_SCALE * 60 * 60, .burst = 5};
	struct xt_counters counters[5];
	struct packet p;
	unsigned int i;

	make_packet(&p, IPPROTO_TCP, 20);
	one_rule(&self->r.b, "limit", 0, &rate, sizeof(rate));
	ASSERT_TRUE(run_load_forms(&self->r));
	run_for_each(&self->r, i)
	{
		EXPECT_EQ(3U, count_hits(&self->r, self->r.loaded[i], &p, 3));
		EXPECT_EQ(5U, count_hits(&self->r, self->r.loaded[i], &p, 20));
		/* Those over the limit go on to the next rule. */
		bf_loaded_counters(self->r.loaded[i], counters);
		EXPECT_EQ(23U, counters[1].pcnt);
		EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, self->r.loaded[i], &p));
	}
}

TEST_F(shapes, address_types)
{
	/* Those that need no routing table, which a test run has none of. */
	static const struct {
		uint32_t dest;
		uint16_t types;
		unsigned int hits;
	} v[] = {
		{0xe0000001, XT_ADDRTYPE_MULTICAST, 1}, {0xefffffff, XT_ADDRTYPE_MULTICAST, 1},
		{0xdfffffff, XT_ADDRTYPE_MULTICAST, 0}, {0xf0000000, XT_ADDRTYPE_MULTICAST, 0},
		{0xffffffff, XT_ADDRTYPE_BROADCAST, 1}, {0, XT_ADDRTYPE_BROADCAST, 1},
		{0xe0000001, XT_ADDRTYPE_BROADCAST, 0},
	};
	unsigned int i, form;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct xt_addrtype_info_v1 info = {.dest = v[i].types};
		uint32_t dest = htonl(v[i].dest);
		struct packet p;

		make_packet(&p, IPPROTO_TCP, 20);
		memcpy(p.data + 16, &dest, 4);
		one_rule(&self->r.b, "addrtype", 1, &info, sizeof(info));
		ASSERT_TRUE(run_load_forms(&self->r));
		run_for_each(&self->r, form)
			EXPECT_EQ(v[i].hits, count_hits(&self->r, self->r.loaded[form], &p, 1))
				TH_LOG("vector %u, program %u", i, form);
		run_unload(&self->r);
	}
}

/* Each of the six types that the module can be asked for is the one that is looked at. */
TEST_F(shapes, address_types_that_are_told)
{
	static const uint8_t flags[] = {0, XT_ADDRTYPE_LIMIT_IFACE_IN, XT_ADDRTYPE_LIMIT_IFACE_OUT};
	struct xt_counters counters[16];
	unsigned int dir, dev, i, n, type;
	struct packet p;

	blob_empty_hook(&self->r.b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_hook(&self->r.b, NF_INET_FORWARD);
	for (i = 0; i < 6; i++) {
		struct xt_addrtype_info_v1 info = {.flags = flags[i % 3]};

		*(i < 3 ? &info.source : &info.dest) = 1 << (i + 1);
		blob_begin(&self->r.b);
		blob_match(&self->r.b, "addrtype", 1, &info, sizeof(info));
		blob_end(&self->r.b, BLOB_NEXT);
	}
	blob_policy(&self->r.b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&self->r.b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&self->r.b);
	self->r.module_only = true;
	ASSERT_TRUE(run_load_forms(&self->r));
	make_packet(&p, IPPROTO_TCP, 20);
	p.hook = NF_INET_FORWARD;
	/* Each type in each place in turn: a rule counts the one that it asks for, where it asks. */
	for (type = 1; type <= 11; type++)
		for (dir = 0; dir < 2; dir++)
			for (dev = 0; dev < 3; dev++) {
				memset(p.types, 11, sizeof(p.types));
				p.types[dir][dev] = type;
				run_for_each(&self->r, n)
					run_packet(&self->r, self->r.loaded[n], &p);
			}
	run_for_each(&self->r, n)
	{
		EXPECT_EQ(0x3fU << 4, self->r.loaded[n]->want);
		bf_loaded_counters(self->r.loaded[n], counters);
		for (i = 0; i < 6; i++)
			EXPECT_EQ(1U, counters[1 + i].pcnt) TH_LOG("rule %u", i);
		EXPECT_EQ(66U, counters[7].pcnt);
	}
}

/* A condition in a chain that nothing leads to is no reason for the verifier to refuse the rest. */
TEST_F(shapes, conditions_that_are_never_reached)
{
	const struct xt_rateinfo rate = {.avg = XT_LIMIT_SCALE, .burst = 5};
	const struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {0, 65535}, .option = 2};
	struct packet p;

	blob_hook(&self->r.b, NF_INET_LOCAL_IN);
	blob_policy(&self->r.b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(&self->r.b);
	blob_chain(&self->r.b, "unused");
	blob_begin(&self->r.b);
	blob_match(&self->r.b, "limit", 0, &rate, sizeof(rate));
	blob_end(&self->r.b, BLOB_ACCEPT);
	blob_begin(&self->r.b)->proto = IPPROTO_TCP;
	blob_match(&self->r.b, "tcp", 0, &tcp, sizeof(tcp));
	blob_end(&self->r.b, BLOB_ACCEPT);
	blob_rule(&self->r.b, BLOB_RETURN);
	blob_finish(&self->r.b);
	ASSERT_TRUE(run_load_forms(&self->r));
	make_packet(&p, IPPROTO_TCP, 20);
	EXPECT_TRUE(run_agrees(&self->r, &p));
}

TEST_F(shapes, a_queue_verdict_is_for_the_kernel)
{
	struct bf_table *table;
	struct bf_why why = {};

	blob_hook(&self->r.b, NF_INET_LOCAL_IN);
	blob_rule(&self->r.b, BLOB_QUEUE);
	blob_policy(&self->r.b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(&self->r.b);
	blob_finish(&self->r.b);
	EXPECT_EQ(BF_NOT_TRANSLATABLE, bf_table_check(self->r.b.data, self->r.b.len, &table, &why));
	EXPECT_NE('\0', why.text[0]);
	EXPECT_EQ(NULL, table);
}

/*
 * One rule with more alternatives than straight-line code has labels for: whoever may choose the
 * form takes the other one. Small tables become straight-line code.
 */
TEST_F(shapes, the_form_that_fits)
{
	struct xt_multiport_v1 mp = {.flags = XT_MULTIPORT_EITHER, .count = XT_MULTI_PORTS};
	enum bf_attach attach = default_attach(&self->r);
	struct bf_loaded *l;
	struct bf_why why = {};
	struct packet p;
	int i;

	blob_empty(&self->r.b, BLOB_ACCEPT);
	ASSERT_EQ(0, run_load(&self->r.s, &self->r.b, attach, BF_FORM_AUTO, &l, &why));
	EXPECT_TRUE(l->form == BF_FORM_STRAIGHT);
	bf_loaded_free(l);
	run_unload(&self->r);

	for (i = 0; i < XT_MULTI_PORTS; i++)
		mp.ports[i] = 443 + 2 * i;
	blob_hook(&self->r.b, NF_INET_LOCAL_IN);
	blob_begin(&self->r.b)->proto = IPPROTO_TCP;
	for (i = 0; i < 3; i++)
		blob_match(&self->r.b, "multiport", 1, &mp, sizeof(mp));
	blob_end(&self->r.b, BLOB_DROP);
	blob_policy(&self->r.b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(&self->r.b);
	blob_finish(&self->r.b);
	EXPECT_EQ(-E2BIG, run_load(&self->r.s, &self->r.b, attach, BF_FORM_STRAIGHT, &l, &why));
	ASSERT_EQ(0, run_load(&self->r.s, &self->r.b, attach, BF_FORM_AUTO, &l, &why));
	EXPECT_TRUE(l->form == BF_FORM_RECORDS);
	make_packet(&p, IPPROTO_TCP, 20);
	EXPECT_EQ(NF_DROP, run_packet(&self->r, l, &p));
	p.data[23]++;
	EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, l, &p));
	bf_loaded_free(l);
}

/* @n rules that a packet has to pass, then one for it. */
static void large_table(struct blob *b, uint32_t n)
{
	uint32_t i;

	blob_hook(b, NF_INET_LOCAL_IN);
	for (i = 0; i < n; i++) {
		struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {i % 400, i % 400}};
		struct ipt_ip *ip = blob_begin(b);

		ip->src.s_addr = htonl(0x0a000000 | i);
		ip->smsk.s_addr = UINT32_MAX;
		ip->proto = IPPROTO_TCP;
		blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
		blob_end(b, BLOB_DROP);
	}
	blob_begin(b)->proto = IPPROTO_TCP;
	blob_end(b, BLOB_DROP);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	empty_forward_and_output(b);
	blob_finish(b);
}

TEST_F(shapes, twenty_thousand_rules)
{
	static const struct {
		enum bf_attach attach;
		enum bf_form form;
	} v[] = {{BF_ATTACH_LINK, BF_FORM_RECORDS},
		 {BF_ATTACH_LINK, BF_FORM_AUTO},
		 {BF_ATTACH_MODULE, BF_FORM_AUTO}};
	struct packet p;
	unsigned int i;

	large_table(&self->r.b, 20000);
	for (i = self->r.module_only ? 2 : 0; i < ARRAY_SIZE(v); i++) {
		struct xt_counters *counters = calloc(20005, sizeof(*counters));
		struct bf_loaded *l;
		struct bf_why why = {};
		int err = run_load(&self->r.s, &self->r.b, v[i].attach, v[i].form, &l, &why);

		ASSERT_EQ(0, err) TH_LOG("%s", why.text);
		printf("# 20,000 rules, %s, form %s: %llu ms, %u instructions, %llu bytes of maps\n",
		       bf_attach_name(l->attach), bf_form_name(l->form),
		       (unsigned long long)l->replace_us / 1000, l->nr_insns,
		       (unsigned long long)l->map_bytes);
		EXPECT_TRUE(l->form == BF_FORM_RECORDS);
		make_packet(&p, IPPROTO_TCP, 20);
		EXPECT_EQ(NF_DROP, run_packet(&self->r, l, &p));
		make_packet(&p, IPPROTO_UDP, 20);
		EXPECT_EQ(NF_ACCEPT, run_packet(&self->r, l, &p));
		bf_loaded_counters(l, counters);
		ASSERT_EQ(20005U, l->table->num_entries);
		EXPECT_EQ(1U, counters[20000].pcnt);
		EXPECT_EQ(40U, counters[20000].bcnt);
		EXPECT_EQ(1U, counters[20001].pcnt);
		free(counters);
		bf_loaded_free(l);
	}
}

/* Compile @b for a kernel of which it is said that an array's element may have @max_value bytes. */
static int compile_within(struct run *r, uint32_t max_value, struct bf_kernel *kernel,
			  struct bf_table **table, struct bf_program **program, struct bf_why *why)
{
	bf_env_kernel(r->s.env, kernel);
	kernel->max_value = max_value;
	*table = blob_table(&r->b);
	return bf_compile(*table, kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, bf_env_jiffies(r->s.env),
			  program, why);
}

/* Where elements of arrays are limited, the trees take what is left of that, down to nothing. */
TEST_F(shapes, a_kernel_with_small_elements)
{
	static const uint32_t rules = 2000, entry = 32;
	const uint32_t least = (rules + 5 + BF_RECORD_PADDING) * entry;
	const uint32_t limits[] = {0, 4 << 20, 2 * least + least / 4, least + least / 4, least};
	uint32_t words[ARRAY_SIZE(limits)], i, j;
	struct bf_program *program;
	struct bf_kernel kernel;
	struct bf_why why = {};
	struct bf_table *table;

	large_table(&self->r.b, rules);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		struct bf_loaded **l = &self->r.loaded[RUN_MODULE_RECORDS];
		struct packet p;

		ASSERT_EQ(0, compile_within(&self->r, limits[i], &kernel, &table, &program, &why))
		TH_LOG("%u: %s", limits[i], why.text);
		words[i] = program->maps[BF_MAP_WORDS].data_size / 8;
		printf("# limit %u: %u words\n", limits[i], words[i]);
		for (j = 0; j < BF_NR_MAPS && limits[i]; j++)
			EXPECT_GE(limits[i], program->maps[j].value_size);
		ASSERT_EQ(0, bf_load(table, program, NULL, kernel.cpus, 0, l, &why))
		TH_LOG("%u: %s", limits[i], why.text);
		bf_program_free(program);
		for (j = 0; j < rules + 2; j += 37) {
			make_packet(&p, j % 5 ? IPPROTO_TCP : IPPROTO_UDP, 20);
			p.data[14] = j >> 8;
			p.data[15] = j & 0xff;
			p.data[22] = j % 400 >> 8;
			p.data[23] = j % 400 & 0xff;
			EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("%u: %u", limits[i], j);
		}
		bf_loaded_free(*l);
		*l = NULL;
	}
	EXPECT_EQ(words[0], words[1]);
	EXPECT_GT(words[1], words[2]);
	EXPECT_GT(words[2], words[3]);
	EXPECT_EQ(words[3], words[4]);

	EXPECT_EQ(-E2BIG, compile_within(&self->r, least - 1, &kernel, &table, &program, &why));
	bf_table_free(table);
	EXPECT_NE(NULL, strstr(why.text, "an element of an array"));
}

/* Counters that are added go to one CPU's, and come back in the sum. */
TEST_F(shapes, counters_that_are_added)
{
	struct xt_counters added[4] = {{1, 100}, {2, 200}, {3, 300}, {1ULL << 40, 1ULL << 60}},
			   sum[4];
	struct packet p;
	unsigned int form;

	blob_empty(&self->r.b, BLOB_ACCEPT);
	ASSERT_TRUE(run_load_forms(&self->r));
	make_packet(&p, IPPROTO_TCP, 20);
	run_for_each(&self->r, form)
	{
		run_packet(&self->r, self->r.loaded[form], &p);
		bf_loaded_add_counters(self->r.loaded[form], added);
		run_packet(&self->r, self->r.loaded[form], &p);
		bf_loaded_counters(self->r.loaded[form], sum);
		EXPECT_EQ(3U, sum[0].pcnt);
		EXPECT_EQ(180U, sum[0].bcnt);
		EXPECT_EQ(0, memcmp(&sum[1], &added[1], 3 * sizeof(*sum)));
	}
}

TEST_HARNESS_MAIN
