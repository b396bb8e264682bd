// SPDX-License-Identifier: GPL-2.0
/*
 * Replay and the live path: conversations between two hosts pass a router where the kernel's own ip_tables has random
 * rules; the same packets are run through our program, with the state of connections told from them. Every counter of
 * every rule must be the same.
 */
#include "dice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "env.h"
#include "flows.h"
#include "kernel_table.h"
#include "kselftest_harness.h"
#include "testnet.h"
#include "testrun.h"

#define ROUNDS	24
#define TALKS	60
#define PACKETS 600

/* Two hosts' addresses, in the order of struct testnet_line. */
static const uint32_t hosts[2] = {0x0a4d0102, 0x0a4d0202};

/**
 * struct talk - a conversation, of which so many packets have been sent
 * @first: the host that begins it
 */
struct talk {
	uint32_t protocol, sport, dport, said, first;
};

/* A packet and the host that it comes from. */
struct sent {
	uint8_t data[64];
	uint32_t len, from;
};

FIXTURE(live)
{
	struct testnet_line net;
	struct bf_kernel kernel;
	struct dice dice;
	int raw[2]; /* sockets of the hosts */
	struct talk talks[TALKS];
	struct sent packets[PACKETS];
	struct bf_ruleset rules;
	struct bf_testrun *run;
	char file[40];
};

__attribute__((constructor)) static void needs_namespaces(void)
{
	testnet_or_skip();
}

static int raw_socket(int ns)
{
	return testnet_enter(ns) ? -1 : socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
}

FIXTURE_SETUP(live)
{
	struct bf_why why = {};
	int old = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	strcpy(self->file, "/tmp/bf-replay-live.XXXXXX");
	close(mkstemp(self->file));
	setenv("XTABLES_LOCKFILE", self->file, 1);
	ASSERT_EQ(0, bf_env_look(&self->kernel, &why));
	ASSERT_EQ(0, testnet_line_make(&self->net));
	/* Neighbours are found before rules count what is sent for that; then nobody answers. */
	ASSERT_EQ(0, testnet_sh(self->net.a, "ping -q -c 1 -W 2 10.77.2.2 >/dev/null"));
	ASSERT_EQ(0, testnet_sh(self->net.a, "iptables-legacy -t raw -A PREROUTING -j DROP"));
	ASSERT_EQ(0, testnet_sh(self->net.b, "iptables-legacy -t raw -A PREROUTING -j DROP"));
	self->raw[0] = raw_socket(self->net.a);
	self->raw[1] = raw_socket(self->net.b);
	ASSERT_LE(0, self->raw[0]);
	ASSERT_LE(0, self->raw[1]);
	ASSERT_EQ(0, testnet_enter(old));
	close(old);
}

FIXTURE_TEARDOWN(live)
{
	bf_testrun_close(self->run);
	bf_ruleset_free(&self->rules);
	unlink(self->file);
}

/* --- rules --------------------------------------------------------------------------------- */

static const char *pick(struct dice *d, const char *const *list, uint32_t n)
{
	return list[roll(d, n)];
}

static void put_rule(struct dice *d, FILE *f, const char *chain)
{
	static const char *const from[] = {
		"", "", "-s 10.77.1.0/24 ", "-s 10.77.2.2 ", "! -s 10.77.1.2 ", "-d 10.77.2.0/25 "};
	static const char *const links[] = {"", "", "", "-i ra ", "-i r+ ", "! -i rb ", "-o rb "};
	static const char *const what[] = {"",
					   "-p tcp ",
					   "-p udp ",
					   "-p icmp ",
					   "-p tcp --dport 80:82 ",
					   "-p udp ! --sport 53 ",
					   "-p tcp --syn ",
					   "-p tcp --tcp-flags SYN,ACK SYN,ACK ",
					   "-p icmp --icmp-type 8 ",
					   "-p tcp -m multiport --ports 80,1000:1002 ",
					   "-p udp -m multiport ! --dports 53,81 "};
	static const char *const states[] = {"",
					     "",
					     "-m conntrack --ctstate NEW ",
					     "-m conntrack --ctstate RELATED,ESTABLISHED ",
					     "-m conntrack ! --ctstate INVALID ",
					     "-m conntrack --ctstate INVALID ",
					     "-m conntrack --ctstate ESTABLISHED --ctdir REPLY "};
	static const char *const targets[] = {"", "-j ACCEPT", "-j DROP", "-j RETURN"};

	fprintf(f, "-A %s %s%s%s%s", chain, pick(d, from, ARRAY_SIZE(from)),
		pick(d, links, ARRAY_SIZE(links)), pick(d, what, ARRAY_SIZE(what)),
		pick(d, states, ARRAY_SIZE(states)));
	if (!strcmp(chain, "FORWARD") && roll(d, 4) == 0)
		fprintf(f, "-%c user\n", roll(d, 4) ? 'j' : 'g');
	else
		fprintf(f, "%s\n", pick(d, targets, ARRAY_SIZE(targets)));
}

static bool write_rules(struct dice *d, const char *file)
{
	uint32_t n = 3 + roll(d, roll(d, 3) ? 10 : 60), i;
	FILE *f = fopen(file, "we");

	if (!f)
		return false;
	fprintf(f, "*filter\n:FORWARD %s [0:0]\n:user - [0:0]\n", roll(d, 3) ? "ACCEPT" : "DROP");
	/* So that conntrack is at work in any case. */
	fputs("-A FORWARD -m conntrack --ctstate UNTRACKED\n", f);
	for (i = 0; i < n; i++)
		put_rule(d, f, roll(d, 3) ? "FORWARD" : "user");
	fputs("COMMIT\n", f);
	return !fclose(f);
}

/* --- packets ------------------------------------------------------------------------------- */

static void begin_talks(struct dice *d, struct talk *talks, uint32_t round)
{
	static const uint32_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	static const uint32_t ports[] = {53, 80, 81, 443, 1001};
	uint32_t i;

	for (i = 0; i < TALKS; i++)
		talks[i] = (struct talk){
			.protocol = protocols[roll(d, ARRAY_SIZE(protocols))],
			.sport = 2000 + round * TALKS + i, /* none is met a second time */
			.dport = ports[roll(d, ARRAY_SIZE(ports))],
			.first = roll(d, 2),
		};
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

/* SYN, SYN and ACK, ACK, then ACK from either. Sequence numbers fit together, more or less. */
static void put_tcp(struct talk *t, uint8_t *l4, bool back)
{
	static const uint8_t flags[] = {2, 18, 16};

	put16(l4, back ? t->dport : t->sport);
	put16(l4 + 2, back ? t->sport : t->dport);
	put32(l4 + 4, 1000 + (t->said > 1));
	put32(l4 + 8, t->said ? 1001 : 0);
	l4[12] = 5 << 4;
	l4[13] = t->said < 3 ? flags[t->said] : 16;
	put16(l4 + 14, 8000);
}

/* The next packet of a conversation. */
static void say(struct dice *d, struct talk *t, struct sent *s)
{
	bool back = t->said &&
		    (t->protocol == IPPROTO_TCP && t->said < 3 ? t->said == 1 : roll(d, 2));
	uint8_t *ip = s->data, *l4 = ip + 20;

	memset(s, 0, sizeof(*s));
	s->from = back ? !t->first : t->first;
	s->len = 20 + (t->protocol == IPPROTO_TCP ? 20 : 8);
	ip[0] = 0x45;
	put16(ip + 2, s->len);
	ip[8] = 64;
	ip[9] = t->protocol;
	put32(ip + 12, hosts[s->from]);
	put32(ip + 16, hosts[!s->from]);
	if (t->protocol == IPPROTO_TCP) {
		put_tcp(t, l4, back);
	} else if (t->protocol == IPPROTO_UDP) {
		put16(l4, back ? t->dport : t->sport);
		put16(l4 + 2, back ? t->sport : t->dport);
		put16(l4 + 4, 8);
	} else {
		l4[0] = back ? 0 : 8;
		put16(l4 + 4, t->sport);
	}
	t->said++;
}

static int send_packet(FIXTURE_DATA(live) * self, const struct sent *s)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(hosts[!s->from])};

	return sendto(self->raw[s->from], s->data, s->len, 0, (void *)&to, sizeof(to)) ==
			       (ssize_t)s->len
		       ? 0
		       : -errno;
}

/* --- counters ------------------------------------------------------------------------------ */

/* What the kernel has counted; false until it has counted all packets in the chain's first rule. */
static bool read_counters(int ns, struct xt_counters *c, uint32_t n)
{
	int old = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), sk;
	struct bf_kernel_table *table = NULL;
	uint32_t at = 0, i = 0;

	if (testnet_enter(ns))
		return false;
	sk = bf_kernel_socket();
	if (bf_kernel_read(sk, &table))
		abort();
	close(sk);
	if (testnet_enter(old))
		abort();
	close(old);
	for (; at < table->info.size && i < n; i++) {
		const struct ipt_entry *e = (const void *)(table->entries + at);

		c[i] = e->counters;
		at += e->next_offset;
	}
	bf_kernel_table_free(table);
	return i == n;
}

static uint64_t total(const struct xt_counters *c, uint32_t n)
{
	uint64_t sum = 0;

	while (n--)
		sum += c[n].pcnt;
	return sum;
}

/* The counters when no more packets are on their way. */
static bool settled_counters(int ns, struct xt_counters *c, uint32_t n)
{
	uint64_t before;
	int tries = 0;

	do {
		if (!read_counters(ns, c, n))
			return false;
		before = total(c, n);
		usleep(20000);
		if (!read_counters(ns, c, n))
			return false;
	} while (total(c, n) != before && tries++ < 100);
	return true;
}

/* --- the test ------------------------------------------------------------------------------ */

/* What replay makes of the same packets. */
static int replay(FIXTURE_DATA(live) * self, struct xt_counters *c)
{
	struct bf_context context[2] = {
		{.hook = NF_INET_FORWARD, .in = "ra", .out = "rb", .ct = BF_CT_FLOWS},
		{.hook = NF_INET_FORWARD, .in = "rb", .out = "ra", .ct = BF_CT_FLOWS}};
	struct bf_flows flows = {};
	struct bf_fate fate;
	struct bf_packet p;
	uint32_t i, j;
	int err = 0;

	for (i = 0; i < PACKETS && !err; i++) {
		const struct sent *s = &self->packets[i];

		err = bf_packet_describe(&p, s->data, s->len, &context[s->from]);
		bf_flows_describe(&flows, &p);
		err = err ?: bf_testrun_packet(self->run, &p, &fate);
		err = err ?: bf_flows_note(&flows, &p, fate.verdict == NF_ACCEPT);
		for (j = 0; j < fate.nr && !err; j++) {
			c[fate.counted[j]].pcnt++;
			c[fate.counted[j]].bcnt += s->len;
		}
	}
	bf_flows_free(&flows);
	return err;
}

static bool open_rules(FIXTURE_DATA(live) * self)
{
	struct bf_why why = {};
	int code, err;

	bf_testrun_close(self->run);
	self->run = NULL;
	bf_ruleset_free(&self->rules);
	if (!write_rules(&self->dice, self->file))
		return false;
	err = bf_ruleset_read(&self->rules, self->file, &code, &why);
	err = err ?: bf_testrun_open(&self->run, &self->rules, &self->kernel, BF_FORM_AUTO, &why);
	if (err)
		fprintf(stderr, "# %s\n", why.text);
	return !err && !testnet_sh(self->net.r,
				   "iptables-legacy-restore <%s; conntrack -F 2>/dev/null; "
				   "sysctl -qw net.netfilter.nf_conntrack_checksum=0 "
				   "net.netfilter.nf_conntrack_tcp_be_liberal=1",
				   self->file);
}

TEST_F(live, counters_are_those_of_ip_tables)
{
	uint32_t round, i, n, matched = 0;

	self->dice.state = 2026;
	for (round = 0; round < ROUNDS; round++) {
		struct xt_counters *theirs, *ours;

		ASSERT_TRUE(open_rules(self));
		n = self->rules.nr_entries;
		theirs = calloc(n, sizeof(*theirs));
		ours = calloc(n, sizeof(*ours));
		begin_talks(&self->dice, self->talks, round);
		for (i = 0; i < PACKETS; i++) {
			say(&self->dice, &self->talks[roll(&self->dice, TALKS)], &self->packets[i]);
			ASSERT_EQ(0, send_packet(self, &self->packets[i]));
		}
		ASSERT_TRUE(settled_counters(self->net.r, theirs, n));
		ASSERT_EQ(0, replay(self, ours));
		for (i = 0; i < n; i++) {
			EXPECT_EQ(theirs[i].pcnt, ours[i].pcnt)
			TH_LOG("round %u, %s: %s", round, bf_ruleset_entry(&self->rules, i).text,
			       bf_ruleset_text(&self->rules, i));
			EXPECT_EQ(theirs[i].bcnt, ours[i].bcnt);
			matched += ours[i].pcnt != 0;
		}
		free(theirs);
		free(ours);
	}
	/* Not all of it was about nothing. */
	EXPECT_LT(ROUNDS * 5, matched);
}

TEST_HARNESS_MAIN
