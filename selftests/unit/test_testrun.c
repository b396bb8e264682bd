// SPDX-License-Identifier: GPL-2.0
/*
 * What bpfilter replay and explain say: of random tables and packets, that the rules which a test run tells are those
 * that it counts, that the explanation walks the same way and ends with the same verdict, and that two forms of a
 * program agree. The state of connections, told from packets.
 */
#include "ruleset.h"

#include <arpa/inet.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "craft.h"
#include "env.h"
#include "explain.h"
#include "flows.h"
#include "kselftest_harness.h"
#include "testrun.h"

#define TABLES	24
#define PACKETS 400

FIXTURE(replay)
{
	struct bf_kernel kernel;
	struct ruleset set;
	struct bf_ruleset rules;
	struct bf_testrun *run, *other;
	char *said;
};

FIXTURE_SETUP(replay)
{
	struct bf_why why = {};

	if (geteuid())
		SKIP(_exit(255), "only root may run programs");
	ASSERT_EQ(0, bf_env_look(&self->kernel, &why));
}

FIXTURE_TEARDOWN(replay)
{
	bf_testrun_close(self->run);
	bf_testrun_close(self->other);
	bf_ruleset_free(&self->rules);
	ruleset_free(&self->set);
	free(self->said);
}

/* Headers for the fields of a packet that was made without any. */
static void add_bytes(struct bf_packet *p, uint8_t *data)
{
	const struct bpfilter_packet *w = &p->what;
	uint32_t len = w->len < 160 ? w->len : 160;

	memset(data, 0, 160);
	data[0] = 0x45;
	data[9] = w->protocol;
	data[20 + 12] = 5 << 4;
	data[20 + 13] = w->tcp_flags;
	p->data = data;
	p->len = len < 20 ? 20 : len;
	p->what.thoff = 20;
}

/* A new table of @size rules, loaded; false if the kernel would not have it. */
static bool open_table(FIXTURE_DATA(replay) * self, struct dice *d, uint32_t size,
		       enum bf_form form)
{
	struct bf_why why = {};
	struct blob b = {};
	int err;

	bf_testrun_close(self->run);
	bf_testrun_close(self->other);
	self->run = self->other = NULL;
	bf_ruleset_free(&self->rules);
	ruleset_free(&self->set);
	ruleset_make(d, &self->set, size);
	ruleset_blob(&self->set, &b);
	err = bf_ruleset_bare(&self->rules, b.data, b.len, &why);
	blob_free(&b);
	err = err ?: bf_testrun_open(&self->run, &self->rules, &self->kernel, form, &why);
	if (err)
		fprintf(stderr, "# %s\n", why.text);
	return !err;
}

/* The explanation of a packet whose fate is known; what it says is in self->said. */
static int explain(FIXTURE_DATA(replay) * self, const struct bf_packet *p,
		   const struct bf_fate *fate, bool *disagrees)
{
	struct bf_explain e = {.fate = fate};
	size_t len;
	FILE *f;
	int verdict;

	free(self->said);
	self->said = NULL;
	f = open_memstream(&self->said, &len);
	if (!f)
		abort();
	verdict = bf_explain_packet(f, &e, &self->rules, p);
	fclose(f);
	*disagrees = e.disagrees;
	return verdict;
}

TEST_F(replay, explanation_walks_the_same_way)
{
	unsigned int t, i, explained = 0;
	struct dice d = {.state = 4711};
	struct bf_fate fate;
	struct bf_packet p;
	uint8_t data[160];
	bool disagrees;

	for (t = 0; t < TABLES; t++) {
		enum bf_form form = t % 2 ? BF_FORM_RECORDS : BF_FORM_AUTO;

		if (!open_table(self, &d, t < 12 ? 5 + 5 * t : 100 * t, form))
			continue;
		for (i = 0; i < PACKETS; i++) {
			int verdict;

			memset(&p, 0, sizeof(p));
			ruleset_packet(&d, &self->set, &p.what);
			add_bytes(&p, data);
			ASSERT_EQ(0, bf_testrun_packet(self->run, &p, &fate));
			verdict = explain(self, &p, &fate, &disagrees);
			explained++;
			EXPECT_EQ(fate.verdict, verdict);
			EXPECT_FALSE(disagrees);
			if (disagrees || fate.verdict != verdict) {
				fprintf(stderr, "# table %u, packet %u:\n%s", t, i, self->said);
				return;
			}
		}
	}
	EXPECT_LT(TABLES * PACKETS / 2, explained);
}

/* Two programs for one table: both tell the same rules in the same order. Limits would have run dry in one only. */
TEST_F(replay, forms_agree)
{
	struct dice d = {.state = 815};
	struct bf_fate one, two;
	unsigned int t, i, compared = 0;
	struct bf_packet p;
	uint8_t data[160];

	for (t = 0; t < TABLES; t++) {
		if (!open_table(self, &d, 20 + 2 * t, BF_FORM_RECORDS))
			continue;
		if (bf_testrun_open(&self->other, &self->rules, &self->kernel, BF_FORM_STRAIGHT,
				    NULL))
			continue; /* too much for straight-line code */
		for (i = 0; i < PACKETS; i++) {
			memset(&p, 0, sizeof(p));
			ruleset_packet(&d, &self->set, &p.what);
			add_bytes(&p, data);
			ASSERT_EQ(0, bf_testrun_packet(self->run, &p, &one));
			ASSERT_EQ(0, bf_testrun_packet(self->other, &p, &two));
			EXPECT_EQ(one.verdict, two.verdict);
			EXPECT_EQ(one.decided, two.decided);
			EXPECT_EQ(one.mark, two.mark);
			ASSERT_EQ(one.nr, two.nr);
			EXPECT_EQ(0,
				  memcmp(one.counted, two.counted, one.nr * sizeof(*one.counted)));
			compared++;
		}
	}
	EXPECT_LT(5 * PACKETS, compared);
}

/* --- a packet out of its fields ---------------------------------------------------------------- */

static int craft(const struct bf_craft *c, struct bf_packet *p, uint8_t *data)
{
	const struct bf_context context = {
		.hook = NF_INET_FORWARD, .in = "eth0", .out = "eth1", .mark = 7, .ct = BF_CT_NEW};
	uint32_t len;

	return bf_craft_make(c, data, &len, NULL) ?: bf_packet_describe(p, data, len, &context);
}

TEST(fields)
{
	const struct bf_craft c = {.src = "192.0.2.200",
				   .dst = "198.51.100.2",
				   .sport = "4000",
				   .dport = "65535",
				   .flags = "SYN,ACK"};
	uint8_t data[BF_CRAFT_MAX];
	struct bf_packet p;

	ASSERT_EQ(0, craft(&c, &p, data));
	EXPECT_EQ(0xc00002c8, p.what.saddr);
	EXPECT_EQ(0xc6336402, p.what.daddr);
	EXPECT_EQ(IPPROTO_TCP, p.what.protocol);
	EXPECT_EQ(4000, p.what.sport);
	EXPECT_EQ(65535, p.what.dport);
	EXPECT_EQ(0x12, p.what.tcp_flags);
	EXPECT_EQ(40, p.what.len);
	EXPECT_EQ(20, p.what.l4len);
	EXPECT_EQ(40, p.what.tot_len);
	EXPECT_EQ(7, p.what.mark);
	EXPECT_STREQ("eth0", p.what.in);
	EXPECT_STREQ("eth1", p.what.out);
	EXPECT_EQ(XT_CONNTRACK_STATE_BIT(IP_CT_NEW), p.what.ct_state);
	EXPECT_STREQ("192.0.2.200:4000 > 198.51.100.2:65535 tcp SYN,ACK, 40 bytes",
		     bf_packet_text(&p).text);
}

TEST(icmp_and_length)
{
	const struct bf_craft c = {.icmp_type = "3/4", .length = "1500"};
	uint8_t data[BF_CRAFT_MAX];
	struct bf_packet p;

	ASSERT_EQ(0, craft(&c, &p, data));
	EXPECT_EQ(IPPROTO_ICMP, p.what.protocol);
	EXPECT_EQ(3 << 8 | 4, p.what.icmp);
	EXPECT_EQ(1500, p.what.len);
}

TEST(hex)
{
	struct bf_craft c = {.hex = "45000018 00010000 40060000 01020304 05060708 0001 0002"};
	uint8_t data[BF_CRAFT_MAX];
	struct bf_packet p;

	ASSERT_EQ(0, craft(&c, &p, data));
	EXPECT_EQ(0x01020304, p.what.saddr);
	EXPECT_EQ(4, p.what.l4len);
	EXPECT_EQ(2, p.what.dport);
	EXPECT_EQ(0, p.what.tcp_flags);
	c.hex = "4500001";
	EXPECT_EQ(-EINVAL, craft(&c, &p, data));
	c.hex = "45000028 00010000 40060000 01020304 05060708 0001 0002";
	EXPECT_EQ(-ENODATA, craft(&c, &p, data));
	c.hex = "65000018 00010000 40060000 01020304 05060708 0001 0002";
	EXPECT_EQ(-EINVAL, craft(&c, &p, data));
}

/* What ttl, tos, pkttype, esp and others look at, and ecn and tcpmss in later fragments. */
TEST(header)
{
	struct bf_context context = {.hook = NF_INET_LOCAL_IN, .in = "eth0", .ct = BF_CT_NEW};
	uint8_t esp[] = {0x45, 0x88, 0,	  28, 0, 1, 0, 0, 77, 50, 0,	0, 192, 0,
			 2,    1,    224, 0,  0, 5, 1, 2, 3,  4,  0x80, 6, 7,	8};
	uint8_t data[BF_CRAFT_MAX];
	const struct bf_craft fragment = {.hex = "45000028 00010001 40060000 01020304 05060708"
						 "0001 0002 00000000 00000000 50ff0000 00000000"};
	struct bf_packet p;

	ASSERT_EQ(0, bf_packet_describe(&p, esp, sizeof(esp), &context));
	EXPECT_EQ(77U << 24 | 0x88 << 16 | 2, p.what.header); /* PACKET_MULTICAST */
	EXPECT_EQ(28, p.what.tot_len);
	EXPECT_EQ(0x80060708, p.what.spi);
	context.hook = NF_INET_LOCAL_OUT;
	ASSERT_EQ(0, bf_packet_describe(&p, esp, sizeof(esp), &context));
	EXPECT_EQ(77U << 24 | 0x88 << 16, p.what.header);

	ASSERT_EQ(0, craft(&fragment, &p, data));
	EXPECT_EQ(1, p.what.fragoff);
	EXPECT_EQ(2, p.what.dport);
	EXPECT_EQ(0xff, p.what.tcp_flags);
	EXPECT_EQ(0, p.what.ct_orig_dport);
	/* As much of it as was captured. */
	ASSERT_EQ(0, bf_packet_describe(&p, data, 23, &context));
	EXPECT_EQ(0, p.what.dport);
}

TEST(wrong_fields)
{
	const struct bf_craft wrong[] = {
		{.src = "192.0.2"},
		{.dport = "65536"},
		{.dport = "http"},
		{.flags = "SYN,NOFLAG"},
		{.proto = "nonsense"},
		{.proto = "256"},
		{.icmp_type = "256"},
		{.length = "19"},
		{.proto = "udp", .flags = "SYN"},
		{.icmp_type = "8/x"},
		{.dst = ""},
		{.sport = ""},
		{.proto = "tcp", .icmp_type = "8"},
		{.proto = "icmp", .dport = "22"},
		{.icmp_type = "8", .sport = "22"},
		{.proto = "icmp", .flags = "SYN"},
	};
	uint8_t data[BF_CRAFT_MAX];
	struct bf_packet p;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(-EINVAL, craft(&wrong[i], &p, data)) TH_LOG("number %u", i);
}

/* --- connections ------------------------------------------------------------------------------- */

/* The state of a packet, as the bits of conntrack; it is noted with the verdict @accepted. */
static uint32_t state_of(struct bf_flows *f, const struct bf_craft *c, bool accepted)
{
	const struct bf_context context = {.hook = NF_INET_FORWARD, .ct = BF_CT_FLOWS};
	uint8_t data[BF_CRAFT_MAX];
	struct bf_packet p;
	uint32_t len;

	if (bf_craft_make(c, data, &len, NULL) || bf_packet_describe(&p, data, len, &context))
		abort();
	bf_flows_describe(f, &p);
	if (bf_flows_note(f, &p, accepted))
		abort();
	return p.what.ct_state;
}

#define NEW	    XT_CONNTRACK_STATE_BIT(IP_CT_NEW)
#define ESTABLISHED XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)
#define INVALID	    XT_CONNTRACK_STATE_INVALID

TEST(flows)
{
	const struct bf_craft syn = {.src = "192.0.2.1",
				     .dst = "192.0.2.2",
				     .sport = "1000",
				     .dport = "80"},
			      reply = {.src = "192.0.2.2",
				       .dst = "192.0.2.1",
				       .sport = "80",
				       .dport = "1000",
				       .flags = "SYN,ACK"},
			      ack = {.src = "192.0.2.1",
				     .dst = "192.0.2.2",
				     .sport = "1000",
				     .dport = "80",
				     .flags = "ACK"},
			      fin = {.src = "192.0.2.1",
				     .dst = "192.0.2.2",
				     .sport = "1000",
				     .dport = "80",
				     .flags = "FIN,ACK"};
	struct bf_flows f = {};

	EXPECT_EQ(INVALID, state_of(&f, &reply, true));
	EXPECT_EQ(INVALID, state_of(&f, &fin, true));
	EXPECT_EQ(NEW, state_of(&f, &syn, false));
	EXPECT_EQ(INVALID, state_of(&f, &reply, true)); /* that one was dropped */
	EXPECT_EQ(NEW, state_of(&f, &syn, true));
	EXPECT_EQ(NEW, state_of(&f, &syn, true));
	EXPECT_EQ(ESTABLISHED, state_of(&f, &reply, true));
	EXPECT_EQ(ESTABLISHED, state_of(&f, &ack, true));
	EXPECT_EQ(ESTABLISHED, state_of(&f, &fin, true));
	EXPECT_EQ(NEW, state_of(&f, &syn, true));
	bf_flows_free(&f);
}

TEST(flows_of_icmp)
{
	const struct bf_craft request = {.src = "192.0.2.1", .dst = "192.0.2.2", .icmp_type = "8"},
			      reply = {.src = "192.0.2.2", .dst = "192.0.2.1", .icmp_type = "0"};
	struct bf_craft error = {
		.hex = "45000038 00000000 40010000 c0000209 c0000201 0301000000000000"
		       "4500001c 00000000 40010000 c0000201 c0000202 0800000000000000"};
	struct bf_flows f = {};

	EXPECT_EQ(INVALID, state_of(&f, &reply, true));
	EXPECT_EQ(INVALID, state_of(&f, &error, true));
	EXPECT_EQ(NEW, state_of(&f, &request, true));
	EXPECT_EQ(ESTABLISHED, state_of(&f, &reply, true));
	EXPECT_EQ(XT_CONNTRACK_STATE_BIT(IP_CT_RELATED), state_of(&f, &error, true));
	bf_flows_free(&f);
}

TEST(many_flows)
{
	char port[8];
	struct bf_craft c = {.src = "192.0.2.1",
			     .dst = "192.0.2.2",
			     .sport = port,
			     .dport = "53",
			     .proto = "udp"},
			back = {.src = "192.0.2.2",
				.dst = "192.0.2.1",
				.sport = "53",
				.dport = port,
				.proto = "udp"};
	struct bf_flows f = {};
	int i;

	for (i = 0; i < 5000; i++) {
		snprintf(port, sizeof(port), "%d", i);
		ASSERT_EQ(NEW, state_of(&f, &c, true));
	}
	for (i = 0; i < 5000; i++) {
		snprintf(port, sizeof(port), "%d", i);
		ASSERT_EQ(ESTABLISHED, state_of(&f, &back, true));
	}
	EXPECT_EQ(5000, f.nr);
	bf_flows_free(&f);
}

TEST_HARNESS_MAIN
