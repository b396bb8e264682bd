// SPDX-License-Identifier: GPL-2.0
/*
 * Rates of rules: who is the same after a change, what is the busiest, and the pictures of that.
 */
#include "blob.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meter.h"
#include "tally.h"
#include "watch.h"
#include "kselftest_harness.h"

#define S 1000000000ULL

/* A rule "-s 10.0.0.HOST -j DROP", and what it has counted: packets of @size bytes, or 100. */
struct rule {
	uint8_t host;
	uint64_t packets, size;
};

/* Zeroed rules end a list. */
struct table {
	uint64_t inode;
	const char *name;
	uint64_t policy; /* of INPUT */
	struct rule input[8], web[8];
};

/* Replies to BF_CMD_TABLES. */
struct reply {
	uint8_t data[16384] __attribute__((aligned(8)));
	size_t len;
};

static void count(struct blob *b, uint32_t offset, uint64_t packets, uint64_t size)
{
	blob_entry(b, offset)->counters = (struct xt_counters){packets, packets * (size ?: 100)};
}

static void put_rules(struct blob *b, const struct rule *r)
{
	for (; r->host; r++) {
		struct ipt_ip *ip = blob_begin(b);

		ip->src.s_addr = htonl(0x0a000000 + r->host);
		ip->smsk.s_addr = UINT32_MAX;
		count(b, blob_end(b, BLOB_DROP), r->packets, r->size);
	}
}

static void put_table(struct reply *reply, const struct table *t, uint64_t ns)
{
	struct bf_table_record *r = (void *)(reply->data + reply->len);
	struct blob b = {};
	const struct ipt_replace *head;

	blob_hook(&b, NF_INET_LOCAL_IN);
	put_rules(&b, t->input);
	count(&b, blob_policy(&b, NF_INET_LOCAL_IN, BLOB_DROP), t->policy, 0);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	if (t->web[0].host) {
		blob_chain(&b, "web");
		put_rules(&b, t->web);
		count(&b, blob_rule(&b, BLOB_RETURN), 77777, 0);
	}
	blob_finish(&b);
	head = blob_head(&b);
	memset(r, 0, sizeof(*r));
	r->inode = t->inode;
	r->taken_ns = ns;
	strcpy(r->name, t->name);
	r->info = (struct ipt_getinfo){.valid_hooks = head->valid_hooks,
				       .num_entries = head->num_entries,
				       .size = head->size};
	memcpy(r->info.hook_entry, head->hook_entry, sizeof(head->hook_entry));
	memcpy(r->info.underflow, head->underflow, sizeof(head->underflow));
	memcpy(r->entries, head->entries, head->size);
	r->skip = sizeof(*r) + (head->size + 7) / 8 * 8;
	reply->len += r->skip;
	blob_free(&b);
}

FIXTURE(meter)
{
	struct bf_meter m;
	struct bf_rate top[16];
	size_t n;
};

FIXTURE_SETUP(meter)
{
}

FIXTURE_TEARDOWN(meter)
{
	bf_meter_free(&self->m);
}

/* Samples of @t, and of @other if there is one, whose counters were read at these times. */
static int take_at(FIXTURE_DATA(meter) * self, const struct table *t, uint64_t ns,
		   const struct table *other, uint64_t other_ns)
{
	struct reply reply = {};
	int err;

	put_table(&reply, t, ns);
	if (other)
		put_table(&reply, other, other_ns);
	err = bf_meter_take(&self->m, reply.data, reply.len);
	self->n = bf_meter_top(&self->m, true, self->top, 16);
	return err;
}

static int take(FIXTURE_DATA(meter) * self, const struct table *t, const struct table *other,
		uint64_t ns)
{
	return take_at(self, t, ns, other, ns);
}

/* The rate of the rule of that name, in packets a second: -1 if it is not known, -2 if there is none. */
static double rate(FIXTURE_DATA(meter) * self, const char *name)
{
	size_t i;

	for (i = 0; i < self->n; i++)
		if (!strcmp(bf_rate_name(&self->top[i]).text, name))
			return self->top[i].known ? self->top[i].packets : -1;
	return -2;
}

static bool has_texts(FIXTURE_DATA(meter) * self)
{
	return self->m.tables[0].rules.texts[0];
}

#define RULE(chain, host) "-A " chain " -s 10.0.0." host "/32 -j DROP"

TEST_F(meter, rates)
{
	struct table t = {1, "a", 5, {{1, 10, 0}, {2, 1000, 0}, {3, 0, 0}}, {{4, 7, 0}}};

	ASSERT_EQ(0, take(self, &t, NULL, 10 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	/* At first nothing but totals are known, in their order: the end of a user chain is no rule. */
	ASSERT_EQ(7, self->n);
	EXPECT_STREQ(RULE("INPUT", "2"), bf_rate_name(&self->top[0]).text);
	EXPECT_STREQ(RULE("INPUT", "1"), bf_rate_name(&self->top[1]).text);
	EXPECT_STREQ(RULE("web", "4"), bf_rate_name(&self->top[2]).text);
	EXPECT_STREQ("-P INPUT DROP", bf_rate_name(&self->top[3]).text);
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "2")));
	/* Four seconds later */
	t.input[0].packets += 40;
	t.input[1].packets += 2;
	t.policy += 400;
	ASSERT_EQ(0, take(self, &t, NULL, 14 * S));
	EXPECT_STREQ("-P INPUT DROP", bf_rate_name(&self->top[0]).text);
	EXPECT_EQ(100, self->top[0].packets);
	EXPECT_EQ(10000, self->top[0].bytes);
	EXPECT_EQ(405, self->top[0].total.pcnt);
	EXPECT_STREQ(RULE("INPUT", "1"), bf_rate_name(&self->top[1]).text);
	EXPECT_EQ(10, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(0.5, rate(self, RULE("INPUT", "2")));
	EXPECT_EQ(0, rate(self, RULE("INPUT", "3")));
	EXPECT_EQ(0, rate(self, RULE("web", "4")));
}

/*
 * iptables replaces the table by one that has counted nothing, and then gives the rules back what they had: a sample in
 * between makes no peak in the next one.
 */
TEST_F(meter, given_back)
{
	struct table t = {1, "a", 500, {{1, 1000, 0}, {2, 0, 0}}, {}};
	struct table zeroed = {1, "a", 0, {{9, 0, 0}, {1, 3, 0}, {2, 0, 0}}, {}};
	struct table back = {1, "a", 8, {{9, 4, 0}, {1, 1060, 0}, {2, 0, 0}}, {}};

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	ASSERT_EQ(0, take(self, &zeroed, NULL, 3 * S));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(0, rate(self, RULE("INPUT", "2")));
	EXPECT_EQ(-1, rate(self, "-P INPUT DROP"));
	/* Since the sample before that; but policies are not given back what they had. */
	ASSERT_EQ(0, take(self, &back, NULL, 7 * S));
	EXPECT_EQ(10, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(1, rate(self, RULE("INPUT", "9")));
	EXPECT_EQ(2, rate(self, "-P INPUT DROP"));
	back.input[1].packets += 5;
	back.policy += 6;
	ASSERT_EQ(0, take(self, &back, NULL, 8 * S));
	EXPECT_EQ(5, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(6, rate(self, "-P INPUT DROP"));
}

/* As "iptables -Z" does. What a rule has counted before is forgotten after one more sample. */
TEST_F(meter, zeroed)
{
	struct table t = {1, "a", 0, {{1, 1000, 0}}, {}};

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	t.input[0].packets = 3;
	ASSERT_EQ(0, take(self, &t, NULL, 2 * S));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "1")));
	t.input[0].packets = 10;
	ASSERT_EQ(0, take(self, &t, NULL, 3 * S));
	EXPECT_EQ(7, rate(self, RULE("INPUT", "1")));
	t.input[0].packets = 2010;
	ASSERT_EQ(0, take(self, &t, NULL, 4 * S));
	EXPECT_EQ(2000, rate(self, RULE("INPUT", "1")));
	/* The packets are more, but not the bytes. */
	t.input[0] = (struct rule){1, 2011, 1};
	ASSERT_EQ(0, take(self, &t, NULL, 5 * S));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "1")));
}

/* Each table has a time of its own. Of one that was read twice at once, or before, there is no rate. */
TEST_F(meter, times)
{
	struct table a = {1, "a", 0, {{1, 0, 0}}, {}}, b = {2, "b", 0, {{2, 0, 0}}, {}};

	ASSERT_EQ(0, take_at(self, &a, 1 * S, &b, 2 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	a.input[0].packets = b.input[0].packets = 60;
	ASSERT_EQ(0, take_at(self, &a, 5 * S, &b, 5 * S));
	EXPECT_EQ(15, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(20, rate(self, RULE("INPUT", "2")));
	a.input[0].packets = b.input[0].packets = 90;
	ASSERT_EQ(0, take_at(self, &a, 5 * S, &b, 4 * S));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "2")));
	/* A rule has come, too. */
	b.input[1] = (struct rule){3, 5, 0};
	b.input[0].packets = 130;
	ASSERT_EQ(0, take_at(self, &a, 9 * S, &b, 6 * S));
	EXPECT_EQ(20, rate(self, RULE("INPUT", "2")));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "3")));
}

/* Rules come and go before, between and behind others, and chains change their order. */
TEST_F(meter, changes)
{
	struct table t = {1, "a", 5, {{1, 10, 0}, {2, 20, 0}, {3, 30, 0}}, {{4, 40, 0}}};
	struct table insert = {
		1, "a", 6, {{1, 11, 0}, {9, 5, 0}, {2, 22, 0}, {3, 33, 0}}, {{8, 1, 0}, {4, 44, 0}}};
	struct table delete = {1, "a", 7, {{2, 24, 0}, {3, 36, 0}}, {{8, 2, 0}, {4, 48, 0}}};
	struct table gone = {1, "a", 8, {{3, 40, 0}, {2, 30, 0}}, {}};

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	ASSERT_EQ(0, take(self, &insert, NULL, 2 * S));
	EXPECT_EQ(1, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(2, rate(self, RULE("INPUT", "2")));
	EXPECT_EQ(3, rate(self, RULE("INPUT", "3")));
	EXPECT_EQ(4, rate(self, RULE("web", "4")));
	EXPECT_EQ(1, rate(self, "-P INPUT DROP"));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "9")));
	EXPECT_EQ(-1, rate(self, RULE("web", "8")));
	ASSERT_EQ(0, take(self, &delete, NULL, 3 * S));
	EXPECT_EQ(2, rate(self, RULE("INPUT", "2")));
	EXPECT_EQ(3, rate(self, RULE("INPUT", "3")));
	EXPECT_EQ(1, rate(self, RULE("web", "8")));
	EXPECT_EQ(-2, rate(self, RULE("INPUT", "1")));
	ASSERT_EQ(0, take(self, &gone, NULL, 4 * S));
	EXPECT_EQ(6, rate(self, RULE("INPUT", "2")));
	EXPECT_EQ(4, rate(self, RULE("INPUT", "3")));
	EXPECT_EQ(-2, rate(self, RULE("web", "8")));
	EXPECT_EQ(1, rate(self, "-P INPUT DROP"));
	ASSERT_EQ(0, take(self, &gone, NULL, 5 * S));
	EXPECT_EQ(0, rate(self, RULE("INPUT", "2")));
}

/* In several places at once, and with the same text twice. */
TEST_F(meter, many_changes)
{
	struct table t = {
		1, "a", 0, {{1, 10, 0}, {2, 20, 0}, {3, 30, 0}, {2, 25, 0}, {4, 40, 0}}, {}};
	struct table next = {
		1,
		"a",
		0,
		{{9, 0, 0}, {2, 21, 0}, {1, 12, 0}, {2, 28, 0}, {8, 0, 0}, {4, 44, 0}, {7, 0, 0}},
		{}};

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	ASSERT_EQ(0, take(self, &next, NULL, 2 * S));
	EXPECT_EQ(2, rate(self, RULE("INPUT", "1")));
	EXPECT_EQ(4, rate(self, RULE("INPUT", "4")));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "7")));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "8")));
	EXPECT_EQ(-1, rate(self, RULE("INPUT", "9")));
	/* The second has the higher rate, and is met first. */
	EXPECT_EQ(3, rate(self, RULE("INPUT", "2")));
}

/* The busiest @max are those of all, whatever the order they are met in. */
TEST_F(meter, top)
{
	struct table a = {1, "a", 0, {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {4, 0, 0}, {5, 0, 0}}, {}};
	struct table b = {2, "b", 0, {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}}, {}};
	struct bf_rate top[3];
	uint64_t packets;
	size_t i, n;

	ASSERT_EQ(0, take(self, &b, &a, 1 * S));
	for (i = 0, packets = 30; i < 5; i++, packets = packets * 7 % 31)
		a.input[i].packets = packets;
	for (i = 0; i < 3; i++, packets = packets * 7 % 31)
		b.input[i].packets = packets;
	ASSERT_EQ(0, take(self, &b, &a, 2 * S));
	ASSERT_EQ(14, self->n);
	for (i = 1; i < self->n; i++)
		EXPECT_LE(self->top[i].packets, self->top[i - 1].packets);
	n = bf_meter_top(&self->m, true, top, 3);
	ASSERT_EQ(3, n);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(self->top[i].table, top[i].table);
		EXPECT_EQ(self->top[i].entry, top[i].entry);
	}
	EXPECT_EQ(0, bf_meter_top(&self->m, true, top, 0));
	/* Without the six policies; equal ones in the order of tables, which is that of names. */
	EXPECT_EQ(8, bf_meter_top(&self->m, false, self->top, 16));
	EXPECT_STREQ("a", self->m.tables[0].name);
	for (i = 0; i < 8; i++)
		EXPECT_FALSE(bf_rate_is_policy(&self->top[i]));
}

/* As many packets, but larger ones; and as many of the same size, but more before. */
TEST_F(meter, ties)
{
	struct table t = {1, "a", 0, {{1, 0, 0}, {2, 0, 0}, {3, 50, 0}, {4, 0, 1000}}, {}};
	static const char *const order[] = {"4", "3", "1", "2"};
	char name[64];
	size_t i;

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	for (i = 0; i < 4; i++)
		t.input[i].packets += 8;
	ASSERT_EQ(0, take(self, &t, NULL, 2 * S));
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), RULE("INPUT", "%s"), order[i]);
		EXPECT_STREQ(name, bf_rate_name(&self->top[i]).text);
	}
}

/* A table that nobody has touched, and one that comes later. */
TEST_F(meter, tables_come_and_go)
{
	struct table t = {1, "a", 0, {{1, 5, 0}}, {}}, other = {2, "b", 0, {{2, 5, 0}}, {}};
	struct bf_table_record none = {.inode = 3, .skip = sizeof(none), .name = "c"};

	ASSERT_EQ(0, bf_meter_take(&self->m, &none, sizeof(none)));
	EXPECT_EQ(1, self->m.nr);
	EXPECT_EQ(0, bf_meter_top(&self->m, true, self->top, 16));
	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	ASSERT_EQ(0, take(self, &t, &other, 2 * S));
	EXPECT_EQ(2, self->m.nr);
	EXPECT_EQ(8, self->n);
	ASSERT_EQ(0, take(self, &other, NULL, 3 * S));
	EXPECT_EQ(4, self->n);
	ASSERT_EQ(0, bf_meter_take(&self->m, NULL, 0));
	EXPECT_EQ(0, self->m.nr);
}

/* What is no reply is refused, wherever it ends, and what was there stays. */
TEST_F(meter, broken)
{
	struct table t = {1, "a", 0, {{1, 5, 0}, {2, 6, 0}}, {{3, 3, 0}}};
	struct reply whole = {}, reply;
	struct bf_table_record *r = (void *)reply.data;
	size_t len;

	put_table(&whole, &t, 2 * S);
	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	for (len = 1; len < whole.len; len++)
		EXPECT_EQ(-EPROTO, bf_meter_take(&self->m, whole.data, len));
	reply = whole;
	r->skip = 0;
	EXPECT_EQ(-EPROTO, bf_meter_take(&self->m, reply.data, reply.len));
	reply = whole;
	r->info.size += 8;
	EXPECT_EQ(-EPROTO, bf_meter_take(&self->m, reply.data, reply.len));
	reply = whole;
	r->info.num_entries++;
	EXPECT_EQ(-EPROTO, bf_meter_take(&self->m, reply.data, reply.len));
	reply = whole;
	((struct ipt_entry *)r->entries)->next_offset = 0;
	EXPECT_EQ(-EPROTO, bf_meter_take(&self->m, reply.data, reply.len));
	EXPECT_EQ(1, self->m.nr);
	EXPECT_EQ(1 * S, self->m.tables[0].taken_ns);
}

static char *frame(const struct bf_meter *m, unsigned int rows, unsigned int columns)
{
	struct bf_watch_view view = {rows, columns, 2, "now"};
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (bf_watch_frame(f, m, &view))
		abort();
	fclose(f);
	return text;
}

TEST_F(meter, frame)
{
	struct table t = {1, "a", 0, {{1, 5, 0}, {2, 6, 0}}, {}};
	struct table other = {2, "n\x1b[2Jb\xc3\xa4\xe6\x97\xa5", 0, {}, {}};
	char *text, *line;
	size_t len;

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	text = frame(&self->m, 1, 0);
	EXPECT_STREQ("now  every 2 s  1 table, 2 rules\n"
		     " packets/s    bytes/s      packets  rule\n"
		     "         -          -            6  " RULE("INPUT", "2") "\n",
		     text);
	free(text);
	t.input[0].packets += 30000;
	t.input[1].packets += 3;
	ASSERT_EQ(0, take(self, &t, NULL, 3 * S));
	text = frame(&self->m, 2, 0);
	EXPECT_STREQ("now  every 2 s  1 table, 2 rules\n"
		     " packets/s    bytes/s      packets  rule\n"
		     "     15.0k    1500.0k        30005  " RULE(
			     "INPUT", "1") "\n"
					   "       1.5      150.0            9  " RULE("INPUT",
										       "2") "\n",
		     text);
	free(text);

	/* No more lines and columns than there are, and no escape sequences. */
	ASSERT_EQ(0, take(self, &t, &other, 4 * S));
	text = frame(&self->m, 100, 51);
	EXPECT_EQ(NULL, strchr(text, '\x1b'));
	EXPECT_NE(NULL, strstr(text, "n?[2Jb\xc3\xa4\xe6\x97\xa5: -P I\n"));
	free(text);
	text = frame(&self->m, 100, 20);
	for (line = text; *line; line += len + 1) {
		len = strcspn(line, "\n");
		EXPECT_LE(len, 20);
	}
	free(text);
}

/* How often is @line in what Prometheus gets? */
static unsigned int series(const struct bf_meter *m, const char *line)
{
	char *text = NULL, *at;
	unsigned int n = 0;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (bf_meter_prometheus(f, m, 16))
		abort();
	fclose(f);
	for (at = text; (at = strstr(at, line)); at++)
		n++;
	free(text);
	return n;
}

#define SERIES(chain, number, host, value)                                                         \
	"bpfilter_rule_packets_total{netns=\"a\",inode=\"1\",chain=\"" chain "\",number=\"" number \
	"\",rule=\"" RULE(chain, host) "\"} " value "\n"

/* A rule keeps its series when others come and go before it. */
TEST_F(meter, identity)
{
	struct table t = {1, "a", 0, {{2, 20, 0}, {3, 30, 0}, {2, 25, 0}}, {{2, 4, 0}}};
	struct table next = {1, "a", 0, {{9, 0, 0}, {2, 20, 0}, {8, 0, 0}, {2, 25, 0}}, {}};
	struct reply reply = {};
	struct bf_table_record *r = (void *)reply.data;

	ASSERT_EQ(0, take(self, &t, NULL, 1 * S));
	if (!has_texts(self))
		SKIP(return, "iptables-legacy cannot be had");
	EXPECT_EQ(1, series(&self->m, SERIES("INPUT", "1", "2", "20")));
	EXPECT_EQ(1, series(&self->m, SERIES("INPUT", "2", "2", "25")));
	EXPECT_EQ(1, series(&self->m, SERIES("INPUT", "1", "3", "30")));
	EXPECT_EQ(1, series(&self->m, SERIES("web", "1", "2", "4")));
	ASSERT_EQ(0, take(self, &next, NULL, 2 * S));
	EXPECT_EQ(1, series(&self->m, SERIES("INPUT", "1", "2", "20")));
	EXPECT_EQ(1, series(&self->m, SERIES("INPUT", "2", "2", "25")));
	EXPECT_EQ(1, series(&self->m, SERIES("INPUT", "1", "8", "0")));
	/* But none while it is to be given back what it has counted. */
	put_table(&reply, &next, 3 * S);
	r->due = 1;
	ASSERT_EQ(0, bf_meter_take(&self->m, reply.data, reply.len));
	EXPECT_EQ(0, series(&self->m, "bpfilter_rule_packets_total{"));
	EXPECT_EQ(1, series(&self->m, "# TYPE bpfilter_rule_packets_total counter\n"));
	r->due = 0;
	ASSERT_EQ(0, bf_meter_take(&self->m, reply.data, reply.len));
	EXPECT_EQ(4, series(&self->m, "bpfilter_rule_packets_total{"));
}

/* Sums, against those made here. */
TEST(tally)
{
	struct table t = {1, "a", 9, {{1, 5, 0}, {2, 6, 0}}, {{3, 3, 0}, {4, 4, 0}}};
	struct reply reply = {};
	struct bf_table_record *r = (void *)reply.data;
	struct bf_tally sums;
	uint32_t size;

	put_table(&reply, &t, 0);
	size = r->info.size;
	ASSERT_EQ(0, bf_tally(r->info.hook_entry, r->info.underflow, r->entries, size, &sums));
	EXPECT_TRUE(sums.known);
	EXPECT_EQ(18, sums.rules.pcnt);
	EXPECT_EQ(1800, sums.rules.bcnt);
	EXPECT_EQ(NF_DROP, sums.chains[0].policy);
	EXPECT_EQ(9, sums.chains[0].fell.pcnt);
	EXPECT_EQ(900, sums.chains[0].fell.bcnt);
	EXPECT_EQ(11, sums.chains[0].rules.pcnt);
	EXPECT_EQ(1100, sums.chains[0].rules.bcnt);
	EXPECT_EQ(NF_ACCEPT, sums.chains[1].policy);
	EXPECT_EQ(0, sums.chains[1].rules.pcnt);
	EXPECT_STREQ("INPUT", bf_tally_chain_name(0));
	EXPECT_STREQ("OUTPUT", bf_tally_chain_name(2));
	/* Cut off, or without one of the policies. */
	EXPECT_EQ(-EINVAL,
		  bf_tally(r->info.hook_entry, r->info.underflow, r->entries, size - 1, &sums));
	EXPECT_FALSE(sums.known);
	r->info.underflow[NF_INET_LOCAL_OUT] = UINT32_MAX;
	EXPECT_EQ(-EINVAL,
		  bf_tally(r->info.hook_entry, r->info.underflow, r->entries, size, &sums));
	EXPECT_FALSE(sums.known);
}

TEST_HARNESS_MAIN
