// SPDX-License-Identifier: GPL-2.0
/*
 * Both forms of a table's program against the model (walk.h): the same verdict and the same
 * counters, packet by packet. TEST_SEED repeats a run; its number is printed. TEST_TABLES says how
 * many random tables there are.
 */
#include "dice.h"
#include "run.h"

#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kselftest_harness.h"

#define TABLES	120U
#define PACKETS 100U

FIXTURE(forms)
{
	struct run r;
	struct dice dice;
};

FIXTURE_SETUP(forms)
{
	const char *seed = getenv("TEST_SEED");
	int err = run_begin(&self->r);

	if (err == 1)
		SANDBOX_SKIP(&self->r.s);
	ASSERT_EQ(0, err) TH_LOG("%s", self->r.s.why);
	self->dice.state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
}

FIXTURE_TEARDOWN(forms)
{
	run_end(&self->r);
}

/* Tables and packets from the dice. */
static void random_tables(struct __test_metadata *_metadata, FIXTURE_DATA(forms) * self)
{
	const char *wanted = getenv("TEST_TABLES");
	unsigned int tables = wanted ? strtoul(wanted, NULL, 0) : TABLES;
	unsigned int table, n, straight = 0, verdicts[2] = {};

	printf("# TEST_SEED=%llu\n", (unsigned long long)self->dice.state);
	for (table = 0; table < tables; table++) {
		uint64_t state = self->dice.state;

		random_table(&self->dice, &self->r.b);
		self->r.not_paged = table % 4;
		ASSERT_TRUE(run_load_forms(&self->r))
		TH_LOG("table of TEST_SEED=%llu", (unsigned long long)state);
		straight += !!self->r.loaded[RUN_MODULE_STRAIGHT];
		for (n = 0; n < PACKETS; n++) {
			struct packet p;

			random_packet(&self->dice, &p);
			ASSERT_TRUE(run_agrees(&self->r, &p))
			TH_LOG("table of TEST_SEED=%llu, packet %u", (unsigned long long)state, n);
			verdicts[run_packet(&self->r, self->r.loaded[RUN_MODULE_RECORDS], &p)]++;
		}
		run_unload(&self->r);
	}
	printf("# %u tables, %u of them also straight-line; %u packets dropped, %u accepted\n",
	       table, straight, verdicts[NF_DROP], verdicts[NF_ACCEPT]);
	/* A comparison of empty tables or of one verdict would say nothing. */
	EXPECT_LT(tables / 2, straight);
	EXPECT_LT(tables * PACKETS / 10, verdicts[NF_DROP]);
	EXPECT_LT(tables * PACKETS / 10, verdicts[NF_ACCEPT]);
}

TEST_F_TIMEOUT(forms, random_tables, 300)
{
	random_tables(_metadata, self);
}

/* The module's hooks know more of a packet than a test run of the others has, and can mark it. */
TEST_F_TIMEOUT(forms, random_tables_with_marks_and_connections, 300)
{
	self->dice.module = true;
	self->r.module_only = true;
	random_tables(_metadata, self);
}

/* A packet that has something in every field. */
static void full_packet(struct packet *p, uint8_t proto)
{
	static const uint8_t data[] = {
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 10, 1, 2, 200, 192, 168, 255, 129,
		/* ports 33000 and 443; 443 is also the number of no ICMP type */
		0x80, 0xe8, 0x01, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0};

	memset(p, 0, sizeof(*p));
	memcpy(p->data, data, sizeof(data));
	p->data[9] = proto;
	p->len = sizeof(data);
	p->hook = NF_INET_LOCAL_IN;
}

/* A rule that only counts is wanted: begun by blob_begin(). */
static void probe_addresses(struct blob *b)
{
	int len;

	for (len = 1; len <= 32; len++) {
		uint32_t mask = UINT32_MAX << (32 - len), bit = 1U << (32 - len), inv;

		for (inv = 0; inv < 2; inv++) {
			struct ipt_ip *ip = blob_begin(b);

			ip->smsk.s_addr = htonl(mask);
			ip->src.s_addr = htonl(0x0a0102c8 & mask);
			ip->invflags = inv ? IPT_INV_SRCIP : 0;
			blob_end(b, BLOB_NEXT);
			ip = blob_begin(b);
			ip->dmsk.s_addr = htonl(mask);
			ip->dst.s_addr = htonl((0xc0a8ff81 & mask) ^ bit);
			ip->invflags = inv ? IPT_INV_DSTIP : 0;
			blob_end(b, BLOB_NEXT);
		}
	}
}

static void probe_ports(struct blob *b)
{
	static const uint16_t ranges[][2] = {{0, 442},	     {443, 443},   {444, 65535},
					     {1, 443},	     {443, 65534}, {33000, 33000},
					     {32768, 40000}, {0, 32999},   {443, 442}};
	unsigned int i, inv;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		for (inv = 0; inv <= XT_TCP_INV_DSTPT; inv++) {
			struct xt_tcp s = {.spts = {ranges[i][0], ranges[i][1]},
					   .dpts = {0, 65535},
					   .invflags = inv};
			struct xt_tcp d = {.dpts = {ranges[i][0], ranges[i][1]},
					   .spts = {0, 65535},
					   .invflags = inv};
			struct xt_udp u = {.dpts = {ranges[i][0], ranges[i][1]},
					   .spts = {0, 65535},
					   .invflags = inv};

			blob_begin(b)->proto = IPPROTO_TCP;
			blob_match(b, "tcp", 0, &s, sizeof(s));
			blob_end(b, BLOB_NEXT);
			blob_begin(b)->proto = IPPROTO_TCP;
			blob_match(b, "tcp", 0, &d, sizeof(d));
			blob_end(b, BLOB_NEXT);
			blob_begin(b)->proto = IPPROTO_UDP;
			blob_match(b, "udp", 0, &u, sizeof(u));
			blob_end(b, BLOB_NEXT);
		}
	}
}

static void probe_flags_and_types(struct blob *b)
{
	unsigned int bit, inv, type;

	for (bit = 0; bit < 8; bit++)
		for (inv = 0; inv < 2; inv++) {
			struct xt_tcp tcp = {.spts = {0, 65535},
					     .dpts = {0, 65535},
					     .flg_mask = 1 << bit,
					     .flg_cmp = 1 << bit,
					     .invflags = inv ? XT_TCP_INV_FLAGS : 0};

			blob_begin(b)->proto = IPPROTO_TCP;
			blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
			blob_end(b, BLOB_NEXT);
		}
	for (type = 127; type < 130; type++)
		for (inv = 0; inv < 2; inv++) {
			struct ipt_icmp icmp = {
				.type = type, .code = {0xe8, 0xe9}, .invflags = inv};

			blob_begin(b)->proto = IPPROTO_ICMP;
			blob_match(b, "icmp", 0, &icmp, sizeof(icmp));
			blob_end(b, BLOB_NEXT);
		}
}

static void probe_the_rest(struct blob *b)
{
	static const char *const names[] = {"lo", "l", "lo1", "", "eth0"};
	unsigned int i, inv;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		for (inv = 0; inv < 4; inv++) {
			struct ipt_ip *ip = blob_begin(b);
			size_t len = strlen(names[i]) + (inv & 1);

			strcpy(ip->iniface, names[i]);
			memset(ip->iniface_mask, 0xff, len);
			ip->invflags = inv & 2 ? IPT_INV_VIA_IN : 0;
			blob_end(b, BLOB_NEXT);
			ip = blob_begin(b);
			strcpy(ip->outiface, names[i]);
			memset(ip->outiface_mask, 0xff, len);
			ip->invflags = inv & 2 ? IPT_INV_VIA_OUT : 0;
			blob_end(b, BLOB_NEXT);
		}
	for (inv = 0; inv < 2; inv++) {
		struct xt_mark_mtinfo1 mark = {.mask = UINT32_MAX, .invert = inv};
		struct ipt_ip *ip = blob_begin(b);

		blob_match(b, "mark", 1, &mark, sizeof(mark));
		blob_end(b, BLOB_NEXT);
		ip = blob_begin(b);
		ip->flags = IPT_F_FRAG;
		ip->invflags = inv ? IPT_INV_FRAG : 0;
		blob_end(b, BLOB_NEXT);
		ip = blob_begin(b);
		ip->proto = 129;
		ip->invflags = inv ? IPT_INV_PROTO : 0;
		blob_end(b, BLOB_NEXT);
	}
}

/* The same rules that only count in all three hooks. */
static void probe_all(struct blob *b, void (*probe)(struct blob *b))
{
	unsigned int hook;

	for (hook = NF_INET_LOCAL_IN; hook <= NF_INET_LOCAL_OUT; hook++) {
		blob_hook(b, hook);
		probe(b);
		blob_policy(b, hook, BLOB_ACCEPT);
	}
	blob_finish(b);
}

TEST_F(forms, addresses)
{
	unsigned int bit;
	struct packet p;

	probe_all(&self->r.b, probe_addresses);
	ASSERT_TRUE(run_load_forms(&self->r));
	for (bit = 0; bit <= 64; bit++) {
		full_packet(&p, IPPROTO_TCP);
		if (bit < 64)
			p.data[12 + bit / 8] ^= 0x80 >> bit % 8;
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("bit %u", bit);
		p.hook = NF_INET_FORWARD;
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("bit %u", bit);
	}
}

TEST_F(forms, ports)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 129};
	static const uint16_t near[] = {0,     1,     442,   443,   444,  32767,
					32768, 32999, 33000, 33001, 65535};
	unsigned int i, proto;
	struct packet p;

	probe_all(&self->r.b, probe_ports);
	ASSERT_TRUE(run_load_forms(&self->r));
	for (proto = 0; proto < ARRAY_SIZE(protocols); proto++)
		for (i = 0; i < 2 * ARRAY_SIZE(near); i++) {
			uint16_t port = near[i / 2];

			full_packet(&p, protocols[proto]);
			p.data[20 + i % 2 * 2] = port >> 8;
			p.data[21 + i % 2 * 2] = port;
			EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("port %u", port);
		}
}

TEST_F(forms, tcp_flags_and_icmp_types)
{
	unsigned int flags;
	struct packet p;

	probe_all(&self->r.b, probe_flags_and_types);
	ASSERT_TRUE(run_load_forms(&self->r));
	for (flags = 0; flags < 256; flags++) {
		full_packet(&p, IPPROTO_TCP);
		p.data[33] = flags;
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("flags 0x%02x", flags);
	}
	for (flags = 126; flags < 131; flags++) {
		full_packet(&p, IPPROTO_ICMP);
		p.data[20] = flags;
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("type %u", flags);
		p.data[21]++;
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("type %u, other code", flags);
		p.data[21]++;
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("type %u, code past the range", flags);
	}
}

TEST_F(forms, interfaces_mark_and_fragments)
{
	static const uint16_t fragments[] = {0, 1, 0x1fff, 0x2000, 0x4000, 0x8000, 0xe000, 0xe001};
	unsigned int i, proto;
	struct packet p;

	probe_all(&self->r.b, probe_the_rest);
	ASSERT_TRUE(run_load_forms(&self->r));
	for (proto = 128; proto <= 130; proto++)
		for (i = 0; i < ARRAY_SIZE(fragments); i++) {
			full_packet(&p, proto);
			p.data[6] = fragments[i] >> 8;
			p.data[7] = fragments[i];
			EXPECT_TRUE(run_agrees(&self->r, &p))
			TH_LOG("fragment 0x%04x", fragments[i]);
			p.hook = NF_INET_FORWARD;
			EXPECT_TRUE(run_agrees(&self->r, &p))
			TH_LOG("fragment 0x%04x", fragments[i]);
		}
	memset(&p, 0, sizeof(p));
	p.hook = NF_INET_LOCAL_OUT;
	for (p.len = 20; p.len < 50; p.len++)
		EXPECT_TRUE(run_agrees(&self->r, &p)) TH_LOG("sent, %u bytes", p.len);
}

TEST_HARNESS_MAIN
