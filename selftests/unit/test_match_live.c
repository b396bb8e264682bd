// SPDX-License-Identifier: GPL-2.0
/*
 * Packet-time conditions in the running kernel: the same rules and the same packets in a namespace
 * where ip_tables runs them and in one where our program does, at netfilter links or at the module's
 * hooks where it is loaded. What was sent, what was refused and every counter must agree.
 */
#include "entry.h"

#include <errno.h>
#include <linux/netfilter/xt_limit.h>
#include <netinet/ip.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "env.h"
#include "kernel_table.h"
#include "kselftest_harness.h"
#include "load.h"
#include "module.h"
#include "program.h"
#include "run.h"
#include "testnet.h"

#define MAX_PACKETS 4096
#define MAX_RULES   65536

FIXTURE(live)
{
	char dir[64];
	struct bf_env *env;
	struct bf_kernel kernel;
	int theirs, ours; /* namespaces */
	struct bf_loaded *loaded;
	int links[2];
	struct bf_device *device;
	int hooked; /* namespace with the module's hooks, or -1 */
	bool ready; /* set up, and not to be skipped: this harness goes on after that */
	int raw[2]; /* sockets in either */
	int sink[2];
	uint8_t packets[MAX_PACKETS][128];
	unsigned int nr_packets;
	char rules[MAX_RULES];
};

FIXTURE_VARIANT(live)
{
	enum bf_attach attach;
	enum bf_form form;
};

FIXTURE_VARIANT_ADD(live, straight){
	.attach = BF_ATTACH_LINK,
	.form = BF_FORM_STRAIGHT,
};

FIXTURE_VARIANT_ADD(live, records){
	.attach = BF_ATTACH_LINK,
	.form = BF_FORM_RECORDS,
};

FIXTURE_VARIANT_ADD(live, module_straight){
	.attach = BF_ATTACH_MODULE,
	.form = BF_FORM_STRAIGHT,
};

FIXTURE_VARIANT_ADD(live, module_records){
	.attach = BF_ATTACH_MODULE,
	.form = BF_FORM_RECORDS,
};

static int raw_socket(int ns)
{
	return testnet_enter(ns) ? -1 : socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
}

/* Takes what is sent to UDP port 2: errors would be answered now and then, and be counted. */
static int sink_socket(int ns)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(2)};
	int sk = testnet_enter(ns) ? -1 : socket(AF_INET, SOCK_DGRAM, 0);

	return sk < 0 || bind(sk, (void *)&any, sizeof(any)) ? -1 : sk;
}

__attribute__((constructor)) static void needs_namespaces(void)
{
	testnet_or_skip();
}

/*
 * Be the one who has the module's device, as the helper would, and have it leave the namespace of
 * ip_tables alone.
 */
static bool take_module(FIXTURE_DATA(live) * self)
{
	char inode[24];

	snprintf(inode, sizeof(inode), "%llu", (unsigned long long)testnet_inode(self->theirs));
	return !bf_device_open(&self->device, NULL) && !module_set("exclude", inode);
}

FIXTURE_SETUP(live)
{
	char path[128];
	int code;

	strcpy(self->dir, "/tmp/bf-match-live.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("none", self->dir, "tmpfs", 0, NULL));
	snprintf(path, sizeof(path), "%s/bpf", self->dir);
	ASSERT_EQ(0, mkdir(path, 0700));
	strcat(path, "/pins");
	setenv("BPFILTER_PIN_DIR", path, 1);
	snprintf(path, sizeof(path), "%s/lock", self->dir);
	setenv("XTABLES_LOCKFILE", path, 1);

	self->links[0] = self->links[1] = self->hooked = -1;
	if (bf_env_open(&self->env, &code, NULL)) {
		rmdir(self->dir);
		SKIP(return, "this kernel or machine cannot load our programs");
	}
	bf_env_kernel(self->env, &self->kernel);
	self->theirs = testnet_new();
	self->ours = testnet_new();
	ASSERT_LE(0, self->theirs);
	ASSERT_LE(0, self->ours);
	if (variant->attach == BF_ATTACH_LINK && (!self->kernel.has_links || run_without_links()))
		SKIP(return, "no netfilter links");
	if (variant->attach == BF_ATTACH_MODULE && !bf_device_exists())
		SKIP(return, "the module is not loaded");
	if (bf_device_exists())
		ASSERT_TRUE(take_module(self));
	if (testnet_sh(self->ours, "command -v iptables-legacy-restore >/dev/null"))
		SKIP(return, "no iptables-legacy-restore");
	self->raw[0] = raw_socket(self->theirs);
	self->raw[1] = raw_socket(self->ours);
	ASSERT_LE(0, self->raw[0]);
	ASSERT_LE(0, self->raw[1]);
	self->sink[0] = sink_socket(self->theirs);
	self->sink[1] = sink_socket(self->ours);
	ASSERT_LE(0, self->sink[0]);
	ASSERT_LE(0, self->sink[1]);
	self->ready = true;
}

static void unload(FIXTURE_DATA(live) * self)
{
	int i;

	for (i = 0; i < 2; i++)
		if (self->links[i] >= 0)
			close(self->links[i]);
	self->links[0] = self->links[1] = -1;
	if (self->hooked >= 0 && !testnet_enter(self->hooked))
		bf_device_ns_set(self->device, 0, -1, 0);
	self->hooked = -1;
	bf_loaded_free(self->loaded);
	self->loaded = NULL;
}

FIXTURE_TEARDOWN(live)
{
	unload(self);
	if (self->device) {
		bf_device_close(self->device);
		module_set("exclude", "0");
	}
	bf_env_close(self->env);
	umount2(self->dir, MNT_DETACH);
	rmdir(self->dir);
}

/* The kernel's table in namespace @ns as an IPT_SO_SET_REPLACE value; freed by the caller. */
static struct ipt_replace *read_table(int ns, size_t *len)
{
	struct bf_kernel_table *t;
	struct ipt_replace *r = NULL;
	int sk;

	if (testnet_enter(ns))
		return NULL;
	sk = bf_kernel_socket();
	if (!bf_kernel_read(sk, &t)) {
		*len = sizeof(*r) + t->info.size;
		r = calloc(1, *len);
		strcpy(r->name, "filter");
		r->valid_hooks = t->info.valid_hooks;
		r->num_entries = r->num_counters = t->info.num_entries;
		r->size = t->info.size;
		memcpy(r->hook_entry, t->info.hook_entry, sizeof(r->hook_entry));
		memcpy(r->underflow, t->info.underflow, sizeof(r->underflow));
		memcpy(r->entries, t->entries, r->size);
		bf_kernel_table_free(t);
	}
	close(sk);
	return r;
}

/* The program to the hooks of a namespace. 0, or something else. */
static int attach(FIXTURE_DATA(live) * self, int ns)
{
	if (testnet_enter(ns))
		return -1;
	if (self->loaded->attach == BF_ATTACH_MODULE) {
		self->hooked = ns;
		return bf_device_ns_set(self->device, BPFILTER_NS_HOOK, self->loaded->prog,
					self->loaded->want);
	}
	self->links[0] = bf_attach(self->loaded->prog, NF_INET_LOCAL_OUT);
	self->links[1] = bf_attach(self->loaded->prog, NF_INET_LOCAL_IN);
	return self->links[0] < 0 || self->links[1] < 0;
}

/* self->rules into the kernel's table of one namespace, and as a program to the hooks of another. */
static int install(FIXTURE_DATA(live) * self, const FIXTURE_VARIANT(live) * variant, int theirs,
		   int ours)
{
	struct bf_program *program = NULL;
	struct bf_table *table = NULL;
	struct ipt_replace *r;
	struct bf_why why = {};
	char path[128];
	size_t len;
	FILE *f;
	int err;

	snprintf(path, sizeof(path), "%s/rules", self->dir);
	f = fopen(path, "w");
	fprintf(f, "*filter\n%sCOMMIT\n", self->rules);
	fclose(f);
	if (testnet_sh(theirs, "iptables-legacy-restore %s", path))
		return -1;
	r = read_table(theirs, &len);
	err = r ? bf_table_check(r, len, &table, &why) : -1;
	err = err
		      ?: bf_compile(table, &self->kernel, variant->attach, variant->form,
				    bf_env_jiffies(self->env), &program, &why);
	err = err ?: bf_load(table, program, self->kernel.cpus, 0, &self->loaded, &why);
	bf_program_free(program);
	free(r);
	if (!err)
		return attach(self, ours);
	printf("# %d %s\n", err, why.text);
	return -1;
}

static int same_namespaces(FIXTURE_DATA(live) * self, const FIXTURE_VARIANT(live) * variant)
{
	return install(self, variant, self->theirs, self->ours);
}

/* A packet to 127.0.0.1; @len bytes behind the IP header. */
static void add_packet(FIXTURE_DATA(live) * self, uint32_t saddr, uint8_t proto, const void *l4,
		       unsigned int len)
{
	uint8_t *p = self->packets[self->nr_packets++];
	struct iphdr *ip = (void *)p;

	memset(p, 0, sizeof(self->packets[0]));
	*ip = (struct iphdr){.version = 4,
			     .ihl = 5,
			     .ttl = 64,
			     .protocol = proto,
			     .id = htons(7),
			     .tot_len = htons(20 + len),
			     .saddr = htonl(saddr),
			     .daddr = htonl(INADDR_LOOPBACK)};
	memcpy(p + 20, l4, len);
}

/* 0, or why the packet was not let out. */
static int send_packet(int sk, const uint8_t *p)
{
	const struct iphdr *ip = (const void *)p;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = ip->daddr};

	return sendto(sk, p, ntohs(ip->tot_len), 0, (void *)&to, sizeof(to)) < 0 ? errno : 0;
}

/* Send all packets in both namespaces; how many were let out in one and not in the other. */
static unsigned int send_all(FIXTURE_DATA(live) * self)
{
	unsigned int i, different = 0;

	for (i = 0; i < self->nr_packets; i++)
		different += send_packet(self->raw[0], self->packets[i]) !=
			     send_packet(self->raw[1], self->packets[i]);
	return different;
}

/* How many entries have counted differently, which is said if @say; @hits: how much they did at all. */
static unsigned int compare_once(FIXTURE_DATA(live) * self, uint64_t *hits, bool say)
{
	uint32_t i, off = 0, n = self->loaded->table->num_entries, different = 0;
	struct xt_counters *own = calloc(n, sizeof(*own));
	size_t len;
	struct ipt_replace *r = read_table(self->theirs, &len);

	bf_loaded_counters(self->loaded, own);
	*hits = 0;
	for (i = 0; r && i < n; i++) {
		const struct ipt_entry *e = (void *)((char *)r->entries + off);

		*hits += own[i].pcnt;
		if (memcmp(&own[i], &e->counters, sizeof(own[i])) && different++ < 10 && say)
			printf("# entry %u: %llu packets %llu bytes in ip_tables, %llu and %llu here\n",
			       i, e->counters.pcnt, e->counters.bcnt, own[i].pcnt, own[i].bcnt);
		off += e->next_offset;
	}
	free(own);
	free(r);
	return r ? different : n;
}

/* The same, when the packets have arrived that may still be on their way over the loopback. */
static unsigned int compare_counters(FIXTURE_DATA(live) * self, uint64_t *hits)
{
	unsigned int i;

	for (i = 0; i < 50 && compare_once(self, hits, false); i++)
		usleep(20000);
	return compare_once(self, hits, true);
}

#define EXPECT_SAME(least, what)                                                                   \
	do {                                                                                       \
		uint64_t hits_;                                                                    \
		EXPECT_EQ(0U, send_all(self)) TH_LOG("%s", what);                                  \
		EXPECT_EQ(0U, compare_counters(self, &hits_)) TH_LOG("%s", what);                  \
		EXPECT_LT((uint64_t)(least), hits_);                                               \
	} while (0)

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

static const uint8_t udp[8] = {0, 1, 0, 2, 0, 8};

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

/* In both namespaces. */
static int both_sh(FIXTURE_DATA(live) * self, const char *cmd)
{
	return testnet_sh(self->theirs, "%s", cmd) ?: testnet_sh(self->ours, "%s", cmd);
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
