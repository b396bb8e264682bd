// SPDX-License-Identifier: GPL-2.0
/*
 * Matches on headers, numbers and senders in the running kernel: the same rules and packets in a
 * namespace where ip_tables runs them and in one where our program does (live.h).
 */
#include "live.h"

#include <grp.h>
#include <sys/wait.h>

/* Random bytes behind the IP header, of a protocol that a match is for, and all fields that one tests. */
static void add_random(FIXTURE_DATA(live) * self)
{
	static const uint8_t protos[] = {6, 6, 6, 17, 33, 50, 51, 108, 132};
	uint8_t l4[100], proto = protos[random() % sizeof(protos)];
	unsigned int i, len = random() % 4 ? 24 + random() % 70 : random() % 24;
	struct iphdr *ip;

	for (i = 0; i < sizeof(l4); i++)
		l4[i] = random() % 3 ? random() % 8 : random();
	if (proto == 6)
		l4[12] = (5 + random() % 11) << 4;
	add_packet(self, INADDR_LOOPBACK + random() % 4, proto, l4, len);
	ip = (void *)self->packets[self->nr_packets - 1];
	ip->ttl = random();
	ip->tos = random();
	/* Later fragments that never become whole do not arrive; they do leave. */
	if (random() % 5 == 0)
		ip->frag_off = htons(random() % 3 + 1);
}

/* Not connmark: conntrack, which nothing makes active here in our namespace, would put fragments together. */
static const char *const header_rules[] = {
	"-m iprange %s --src-range 127.0.0.2-127.0.0.3",
	"-m iprange %s --dst-range 127.0.0.1-127.0.0.1",
	"-m length %s --length 0:60",
	"-m length %s --length 61",
	"-m ttl %s --ttl-eq 64",
	"-m tos %s --tos 0x10/0x1c",
	"-m dscp %s --dscp 9",
	"-m ecn %s --ecn-ip-ect 2",
	"-p tcp -m ecn %s --ecn-tcp-cwr",
	"-p tcp -m ecn %s --ecn-tcp-ece",
	"-m pkttype %s --pkt-type unicast",
	"-m pkttype %s --pkt-type broadcast",
	"-p tcp -m tcpmss %s --mss 0:1023",
	"-p tcp -m tcpmss %s --mss 1024:65535",
	"-p esp -m esp %s --espspi 0x2010203:0x5040000",
	"-p ah -m ah %s --ahspi 0x2010203:0x5040000",
	"-p ipcomp -m ipcomp %s --ipcompspi 257:1026",
	"-p sctp -m sctp %s --sport 257:1026",
	"-p sctp -m sctp %s --dport 0:1026",
	"-p dccp -m dccp %s --sport 257:1026",
	"-p dccp -m dccp %s --dport 0:1026",
	"-m statistic --mode nth %s --every 7 --packet 3",
	"-m statistic --mode nth %s --every 1 --packet 0",
	"-m quota %s --quota 20000",
};

TEST_F(live, headers)
{
	static const char *const chains[] = {"INPUT", "OUTPUT"};
	unsigned int i, j;
	char *p = self->rules;

	if (!self->ready)
		return;
	for (i = 0; i < ARRAY_SIZE(header_rules); i++)
		for (j = 0; j < 4; j++) {
			p += sprintf(p, "-A %s ", chains[j & 1]);
			p += sprintf(p, header_rules[i], j & 2 ? "!" : "");
			*p++ = '\n';
		}
	p += sprintf(p, "-A OUTPUT -m ttl --ttl-lt 60\n-A OUTPUT -m ttl --ttl-gt 200\n");
	*p = '\0';
	srandom(2);
	for (i = 0; i < 3000; i++)
		add_random(self);
	ASSERT_EQ(0, same_namespaces(self, variant));
	EXPECT_SAME(50000, "random packets");
}

#define DRAWS 6000

/* Every packet that is picked leaves by its own rule: the share must be the asked-for one, within 4 sigma. */
TEST_F(live, random)
{
	static const double shares[] = {0.5, 0.25, 0.02};
	struct xt_counters counters[16];
	unsigned int i;
	char *p = self->rules;

	if (!self->ready)
		return;
	for (i = 0; i < ARRAY_SIZE(shares); i++)
		p += sprintf(p, "-A OUTPUT -m statistic --mode random --probability %g\n",
			     shares[i]);
	add_packet(self, INADDR_LOOPBACK, IPPROTO_UDP, udp, sizeof(udp));
	ASSERT_EQ(0, same_namespaces(self, variant));
	ASSERT_GE(ARRAY_SIZE(counters), self->loaded->table->num_entries);
	for (i = 0; i < DRAWS; i++)
		ASSERT_EQ(0, send_packet(self->raw[1], self->packets[0]));
	bf_loaded_counters(self->loaded, counters);
	/* INPUT's and FORWARD's policies come first. */
	for (i = 0; i < ARRAY_SIZE(shares); i++) {
		double mean = DRAWS * shares[i], variance = mean * (1 - shares[i]);
		double off = counters[2 + i].pcnt - mean;

		printf("# %.0f more than the %.0f of %u expected\n", off, mean, DRAWS);
		EXPECT_LT(off * off, 4 * 4 * variance);
	}
}

/* Become somebody else, in the namespace. */
static void become(int ns, unsigned int uid, unsigned int gid)
{
	if (testnet_enter(ns) || setgroups(0, NULL) || setresgid(gid, gid, gid) ||
	    setresuid(uid, uid, uid))
		_exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* 0 if the child that does @what as that user did it. */
static int as_user(int ns, unsigned int uid, unsigned int gid, int (*what)(int arg), int arg)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		become(ns, uid, gid);
		_exit(what(arg) != 0);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

static int send_datagrams(int n)
{
	struct sockaddr_in to = loopback(2);
	int sk = socket(AF_INET, SOCK_DGRAM, 0);

	while (sk >= 0 && n--)
		if (sendto(sk, "x", 1, 0, (void *)&to, sizeof(to)) != 1)
			return 1;
	return sk < 0;
}

/* Connect, and close when the other end has; nobody listens at port 9. */
static int connect_to(int port)
{
	struct sockaddr_in to = loopback(port);
	int sk = socket(AF_INET, SOCK_STREAM, 0);
	bool open = !connect(sk, (void *)&to, sizeof(to));
	char byte;

	if (open && read(sk, &byte, 1))
		return 1;
	close(sk);
	return open != (port != 9);
}

/* A listener of that user, who closes the first connection; returns its process. */
static pid_t listen_as(int ns, unsigned int uid, unsigned int gid, uint16_t port)
{
	int ready[2], sk;
	struct sockaddr_in at = loopback(port);
	char byte;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		become(ns, uid, gid);
		sk = socket(AF_INET, SOCK_STREAM, 0);
		if (bind(sk, (void *)&at, sizeof(at)) || listen(sk, 1))
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		close(accept(sk, NULL, NULL));
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

static int talk(int ns)
{
	int status = -1, err = 0;
	pid_t pid;

	err |= as_user(ns, 0, 0, send_datagrams, 1);
	err |= as_user(ns, 1000, 100, send_datagrams, 2);
	err |= as_user(ns, 2000, 200, send_datagrams, 4);
	err |= as_user(ns, 0x80000001, 0xfffffffe, send_datagrams, 8);
	/* Answered by the kernel's own socket. */
	err |= as_user(ns, 1000, 200, connect_to, 9);
	/* SYN and ACK come from a request, whose listener is somebody's. */
	pid = listen_as(ns, 1500, 150, 7777);
	if (pid < 0)
		return -1;
	err |= as_user(ns, 2000, 100, connect_to, 7777);
	waitpid(pid, &status, 0);
	return err | status;
}

static const char *const owner_rules[] = {
	"%s --uid-owner 0",
	"%s --uid-owner 1000",
	"%s --uid-owner 1-1500",
	"%s --uid-owner 2147483649",
	"%s --uid-owner 0-4294967294",
	"%s --gid-owner 100",
	"%s --gid-owner 150-200",
	"%s --gid-owner 4294967294",
	"%s --socket-exists",
	"--socket-exists %s --uid-owner 1500",
	"--uid-owner 2000 %s --gid-owner 200",
	"! --socket-exists %s --uid-owner 1000",
};

/* Packets whose number does not depend on timing. */
static const char *const packets_of[] = {
	"-p udp --dport 2",
	"-p tcp --tcp-flags ALL SYN",
	"-p tcp --tcp-flags ALL SYN,ACK",
	"-p tcp --tcp-flags RST RST",
	"-p tcp --tcp-flags FIN FIN",
};

/* As compare_counters(), without the policies: how many ACKs are sent does depend on timing. */
static unsigned int different_rules(FIXTURE_DATA(live) * self, uint64_t *hits)
{
	uint32_t i, off = 0, n = self->loaded->table->num_entries, different = 0;
	struct xt_counters *own = calloc(n, sizeof(*own));
	size_t len;
	struct ipt_replace *r = read_table(self->theirs, &len);

	bf_loaded_counters(self->loaded, own);
	*hits = 0;
	for (i = 0; r && i < n - 2; i++) {
		const struct ipt_entry *e = (void *)((char *)r->entries + off);

		off += e->next_offset;
		if (i < 2)
			continue;
		*hits += own[i].pcnt;
		if (own[i].pcnt != e->counters.pcnt) {
			printf("# rule %u: %llu packets in ip_tables, %llu here\n", i - 1,
			       e->counters.pcnt, own[i].pcnt);
			different++;
		}
	}
	free(own);
	free(r);
	return r ? different : n;
}

TEST_F(live, owner)
{
	unsigned int i, j, invert;
	uint64_t hits;
	char *p = self->rules;

	if (!self->ready)
		return;
	for (i = 0; i < ARRAY_SIZE(owner_rules); i++)
		for (j = 0; j < ARRAY_SIZE(packets_of); j++)
			for (invert = 0; invert < 2; invert++) {
				p += sprintf(p, "-A OUTPUT %s -m owner ", packets_of[j]);
				p += sprintf(p, owner_rules[i], invert ? "!" : "");
				*p++ = '\n';
			}
	*p = '\0';
	ASSERT_EQ(0, same_namespaces(self, variant));
	EXPECT_EQ(0, talk(self->theirs));
	EXPECT_EQ(0, talk(self->ours));
	EXPECT_EQ(0U, different_rules(self, &hits));
	EXPECT_LT(150U, hits);
}

TEST_HARNESS_MAIN
