// SPDX-License-Identifier: GPL-2.0
/*
 * Packet-time conditions in the running kernel: the same rules and the same packets in a namespace
 * where ip_tables runs them and in one where our program does (live.h).
 */
#include "live.h"

#include <linux/netfilter/xt_limit.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"

TEST_F(live, tcp_option)
{
	char *p = self->rules;
	unsigned int i, j;

	if (!self->ready)
		return;
	for (i = 1; i < 256; i += i < 6 ? 1 : 83)
		p += sprintf(p,
			     "-A OUTPUT -p tcp --tcp-option %u\n"
			     "-A INPUT -p tcp ! --tcp-option %u --dport 2\n",
			     i, i);
	srandom(1);
	for (i = 0; i < 2000; i++) {
		unsigned int doff = random() % 16, len = random() % 3 ? 60 : random() % 61;
		uint8_t tcp[60] = {0, 1, 0, 2};

		for (j = 20; j < sizeof(tcp); j++)
			tcp[j] = random() % 3 ? random() % 7 : random();
		tcp[12] = doff << 4;
		add_packet(self, INADDR_LOOPBACK, IPPROTO_TCP, tcp, len);
	}
	ASSERT_EQ(0, same_namespaces(self, variant));
	EXPECT_SAME(10000, "random options");
}

static const char *const types[] = {"UNSPEC",	 "UNICAST",   "LOCAL",	     "BROADCAST", "ANYCAST",
				    "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT",  "THROW"};

/* An address as a source, and its neighbours. */
static void add_sources(FIXTURE_DATA(live) * self, uint32_t addr)
{
	uint32_t i;

	for (i = 0; i < 3; i++)
		add_packet(self, addr + i - 1, IPPROTO_UDP, udp, sizeof(udp));
	for (i = 0; i < 32; i += 5)
		add_packet(self, addr ^ 1U << i, IPPROTO_UDP, udp, sizeof(udp));
}

static void write_addrtype_rules(char *p)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		p += sprintf(
			p,
			"-A OUTPUT -m addrtype --src-type %s\n"
			"-A OUTPUT -m addrtype ! --src-type %s --dst-type LOCAL\n"
			"-A OUTPUT -m addrtype --src-type %s --limit-iface-out\n"
			"-A INPUT -m addrtype --src-type %s --dst-type LOCAL --limit-iface-in\n",
			types[i], types[i], types[i], types[i]);
}

TEST_F(live, addrtype)
{
	static const char *const sources[] = {
		"0.0.0.1",	   "0.1.2.3",	  "255.255.255.255", "224.0.0.0",
		"239.255.255.255", "127.0.0.1",	  "127.255.255.255", "10.1.1.1",
		"10.1.1.0",	   "10.1.1.255",  "10.1.1.128",	     "10.99.0.1",
		"10.99.1.77",	   "10.98.0.1",	  "10.97.0.1",	     "10.99.2.1",
		"10.99.3.1",	   "10.99.4.1",	  "10.99.5.1",	     "10.99.6.5",
		"10.99.7.1",	   "10.99.10.1",  "10.99.11.1",	     "10.99.12.1",
		"10.99.128.0",	   "10.99.192.1", "10.99.13.1",	     "10.96.1.1",
		"10.96.2.1",	   "172.16.0.1",  "172.16.255.255",  "192.168.7.9",
		"8.8.8.8",
	};
	/* each changes what is there while the program runs */
	static const char *const steps[] = {
		"true",
		"ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up && "
		"ip addr add 10.1.1.1/24 brd + dev v0 && ip addr add 10.1.1.130/25 brd + dev v0 && "
		"ip addr add 172.16.0.1/16 brd + dev v1 && ip addr add 192.168.7.9/32 dev lo",
		"ip route add local 10.99.0.0/16 dev lo && ip route add local 10.99.1.0/24 dev v0 && "
		"ip route add broadcast 10.99.1.77 dev v0 table local && "
		"ip route add multicast 10.98.0.0/16 dev v0 table local && "
		"ip route add anycast 10.97.0.1 dev v0 table local && "
		"ip route add blackhole 10.99.2.0/24 table local && "
		"ip route add unreachable 10.99.3.0/24 table local && "
		"ip route add prohibit 10.99.4.0/24 table local && "
		"ip route add throw 10.99.5.0/24 table local && "
		"ip route add local 10.99.6.0/24 tos 0x10 dev lo && "
		"ip route add broadcast 10.99.7.0/24 dev v0 table local metric 5 && "
		"ip route add local 10.99.7.0/24 dev lo metric 1",
		"ip route add default via 10.1.1.254 && ip route add blackhole 10.99.128.0/17 && "
		"ip route add 10.99.192.0/18 via 10.1.1.252 && "
		"ip route add 10.99.13.0/24 nexthop via 10.1.1.3 nexthop via 172.16.0.4",
		"ip nexthop add id 1 via 10.1.1.250 dev v0 && ip nexthop add id 2 dev v1 && "
		"ip nexthop add id 3 blackhole && ip nexthop add id 10 group 1/2 && "
		"ip route add 10.99.10.0/24 nhid 10 && ip route add 10.99.11.0/24 nhid 3 && "
		"ip route add 10.99.12.0/24 nhid 1 && ip route add local 10.96.1.0/24 nhid 2",
		/* v0 loses its carrier, of which routes hear later, and which counts once it is told to */
		"ip link set v1 down && for i in $(seq 100); do "
		"ip route show dev v0 table all | grep -q linkdown && break; sleep 0.1; done",
		"echo 1 >/proc/sys/net/ipv4/conf/v0/ignore_routes_with_linkdown",
		"echo 0 >/proc/sys/net/ipv4/conf/v0/ignore_routes_with_linkdown; "
		"echo 1 >/proc/sys/net/ipv4/conf/all/ignore_routes_with_linkdown",
		"ip link set v1 up && for i in $(seq 100); do "
		"ip route show dev v0 table all | grep -q linkdown || break; sleep 0.1; done",
		/* the first rule of its own makes main and local two tries; 511 is in local's hash chain */
		"ip rule add from 1.2.3.4 table 77 && ip route add local 10.1.0.0/16 dev lo table 77 && "
		"ip route add local 8.8.8.0/24 dev lo table 511",
		"ip route flush table local type local; ip route flush table local",
	};
	unsigned int i;

	if (!self->ready)
		return;
	write_addrtype_rules(self->rules);
	ASSERT_EQ(0, same_namespaces(self, variant));
	for (i = 0; i < ARRAY_SIZE(sources); i++)
		add_sources(self, ntohl(inet_addr(sources[i])));
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		EXPECT_EQ(0, both_sh(self, steps[i])) TH_LOG("step %u: %s", i, steps[i]);
		EXPECT_SAME(300, steps[i]);
	}
}

/* Random prefixes of random types, which make the trie branch and skip. */
TEST_F(live, random_routes)
{
	static const char *const kinds[] = {"local",	 "broadcast", "anycast", "multicast",
					    "blackhole", "throw",     "unicast"};
	char path[128], cmd[256];
	unsigned int i, batch;
	FILE *f;

	if (!self->ready)
		return;
	write_addrtype_rules(self->rules);
	ASSERT_EQ(0, same_namespaces(self, variant));
	snprintf(path, sizeof(path), "%s/routes", self->dir);
	snprintf(cmd, sizeof(cmd), "ip -force -batch %s 2>/dev/null || true", path);
	srandom(variant->form);
	for (batch = 0; batch < 6; batch++) {
		self->nr_packets = 0;
		f = fopen(path, "w");
		for (i = 0; i < 120; i++) {
			unsigned int len = 4 + random() % 29, kind = random() % ARRAY_SIZE(kinds);
			uint32_t addr = (random() & 0x0f0f0303) | 0x0a000000;
			struct in_addr in = {htonl(addr & (len ? ~0U << (32 - len) : 0))};

			fprintf(f, "route %s %s %s/%u %s table local\n",
				random() % 4 ? "add" : "del", kinds[kind], inet_ntoa(in), len,
				kind == 4 || kind == 5 ? "" : "dev lo scope host");
			add_packet(self, addr, IPPROTO_UDP, udp, sizeof(udp));
			add_packet(self, addr ^ 1U << random() % 28, IPPROTO_UDP, udp, sizeof(udp));
		}
		fclose(f);
		EXPECT_EQ(0, both_sh(self, cmd));
		EXPECT_SAME(200, "random routes");
	}
}

/* As many packets as will surely be dealt with within one tick. False if they were not. */
static bool send_within_tick(FIXTURE_DATA(live) * self, unsigned int n)
{
	uint64_t begin = bf_env_jiffies(self->env), tick;

	do
		tick = bf_env_jiffies(self->env);
	while (tick == begin);
	while (n--)
		if (send_packet(self->raw[0], self->packets[0]))
			return false;
	return bf_env_jiffies(self->env) == tick;
}

/* What a limit begins with where no program can be asked. */
TEST_F(live, jiffies_without_a_program)
{
	int64_t ahead;

	if (!self->ready)
		return;
	ahead = bf_jiffies_about(self->kernel.hz) - bf_env_jiffies(self->env);
	EXPECT_LE(llabs(ahead), 2 * self->kernel.hz) TH_LOG("%lld ticks", (long long)ahead);
}

/*
 * Both in one namespace, so that they see one clock; if a tick came between the one's look at it and
 * the other's, nothing can be said, and the test begins again.
 */
TEST_F(live, limit)
{
	const struct sched_param fifo = {.sched_priority = 1};
	unsigned int i, attempt;
	bool clean = false;
	uint64_t hits = 0;

	if (!self->ready)
		return;
	strcpy(self->rules, "-A OUTPUT -m limit --limit 50/s --limit-burst 7\n"
			    "-A OUTPUT -m limit --limit 1/hour --limit-burst 3\n"
			    "-A OUTPUT -m limit --limit 1000/s --limit-burst 1\n"
			    "-A OUTPUT -m limit --limit 3/s --limit-burst 2 -j RETURN\n");
	add_packet(self, INADDR_LOOPBACK, IPPROTO_UDP, udp, sizeof(udp));
	sched_setscheduler(0, SCHED_FIFO, &fifo);
	srandom(1);
	for (attempt = 0; attempt < 8 && !clean; attempt++) {
		unload(self);
		ASSERT_EQ(0, install(self, variant, self->theirs, self->theirs));
		clean = true;
		for (i = 0; i < 100 && clean; i++) {
			usleep(random() % 8 ? 0 : random() % 80000);
			clean = send_within_tick(self, random() % 4);
		}
	}
	if (!clean)
		SKIP(return, "the machine is too busy to say what happened when");
	EXPECT_EQ(0U, compare_counters(self, &hits));
	EXPECT_LT(200U, hits);
}

struct flood {
	int sk;
	const uint8_t *packet;
	volatile bool stop;
};

static void *flood(void *arg)
{
	struct flood *f = arg;

	while (!f->stop)
		send_packet(f->sk, f->packet);
	return NULL;
}

/* Two CPUs at once neither lose nor double credits: what passes in a second is the burst and the rate. */
TEST_F(live, limit_contended)
{
	struct xt_counters counters[16];
	struct timespec begin, end;
	pthread_t threads[2];
	struct flood f;
	double seconds, expected;
	int i;

	if (!self->ready)
		return;
	strcpy(self->rules, "-A OUTPUT -m limit --limit 2000/s --limit-burst 1000 -j ACCEPT\n"
			    "-A OUTPUT -j DROP\n");
	add_packet(self, INADDR_LOOPBACK, IPPROTO_UDP, udp, sizeof(udp));
	ASSERT_EQ(0, same_namespaces(self, variant));
	ASSERT_GE(ARRAY_SIZE(counters), self->loaded->table->num_entries);
	f = (struct flood){self->raw[1], self->packets[0], false};
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, flood, &f));
	sleep(1);
	f.stop = true;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	bf_loaded_counters(self->loaded, counters);
	seconds = end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9;
	expected = 1000 + 2000 * seconds;
	/* INPUT's and FORWARD's policy, then ours. Some of the last credits may not have been taken. */
	printf("# %llu of %llu packets passed, %.0f expected\n", counters[2].pcnt,
	       counters[2].pcnt + counters[3].pcnt, expected);
	EXPECT_LE(counters[2].pcnt, (uint64_t)expected + 2 * 2000 / self->kernel.hz);
	EXPECT_GE(counters[2].pcnt, (uint64_t)(expected * 0.9));
	EXPECT_LT(counters[2].pcnt * 2, counters[3].pcnt);
}

TEST_HARNESS_MAIN
