/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The same rules and the same packets in a namespace where ip_tables runs them and in one where our
 * program does, at netfilter links or at the module's hooks where it is loaded: a fixture for tests that
 * compare what was sent, what was refused and every counter.
 */
#ifndef LIVE_H
#define LIVE_H

#include "entry.h"

#include <errno.h>
#include <netinet/ip.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "env.h"
#include "kernel_table.h"
#include "kselftest_harness.h"
#include "load.h"
#include "module.h"
#include "program.h"
#include "run.h"
#include "trial.h"
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
	int links[3];
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

static inline int raw_socket(int ns)
{
	return testnet_enter(ns) ? -1 : socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
}

/* Takes what is sent to UDP port 2: errors would be answered now and then, and be counted. */
static inline int sink_socket(int ns)
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
static inline bool take_module(FIXTURE_DATA(live) * self)
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

	self->links[0] = self->links[1] = self->links[2] = self->hooked = -1;
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

static inline void unload(FIXTURE_DATA(live) * self)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (self->links[i] >= 0)
			close(self->links[i]);
		self->links[i] = -1;
	}
	if (self->hooked >= 0 && !testnet_enter(self->hooked))
		bf_device_ns_set(self->device, 0, NULL);
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
static inline struct ipt_replace *read_table(int ns, size_t *len)
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
static inline int attach(FIXTURE_DATA(live) * self, int ns)
{
	if (testnet_enter(ns))
		return -1;
	if (self->loaded->attach == BF_ATTACH_MODULE) {
		const struct bf_at_hooks run = {
			.prog = self->loaded->prog,
			.asking = self->loaded->asking,
			.questions = self->loaded->questions,
			.want = self->loaded->want,
		};

		self->hooked = ns;
		return bf_device_ns_set(self->device, BPFILTER_NS_HOOK, &run);
	}
	self->links[0] = bf_attach(self->loaded->prog, NF_INET_LOCAL_OUT);
	self->links[1] = bf_attach(self->loaded->prog, NF_INET_LOCAL_IN);
	self->links[2] = bf_attach(self->loaded->prog, NF_INET_FORWARD);
	return self->links[0] < 0 || self->links[1] < 0 || self->links[2] < 0;
}

/* self->rules into the kernel's table of one namespace, and as a program to the hooks of another. */
static inline int install(FIXTURE_DATA(live) * self, const FIXTURE_VARIANT(live) * variant,
			  int theirs, int ours)
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
	bf_trial_look(&self->kernel, table);
	err = err
		      ?: bf_compile(table, &self->kernel, variant->attach, variant->form,
				    bf_env_jiffies(self->env), &program, &why);
	err = err ?: bf_load(table, program, NULL, self->kernel.cpus, 0, &self->loaded, &why);
	bf_program_free(program);
	free(r);
	if (!err)
		return attach(self, ours);
	printf("# %d %s\n", err, why.text);
	return -1;
}

static inline int same_namespaces(FIXTURE_DATA(live) * self, const FIXTURE_VARIANT(live) * variant)
{
	return install(self, variant, self->theirs, self->ours);
}

/* A packet to 127.0.0.1; @len bytes behind the IP header. */
static inline void add_packet(FIXTURE_DATA(live) * self, uint32_t saddr, uint8_t proto,
			      const void *l4, unsigned int len)
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
static inline int send_packet(int sk, const uint8_t *p)
{
	const struct iphdr *ip = (const void *)p;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = ip->daddr};

	return sendto(sk, p, ntohs(ip->tot_len), 0, (void *)&to, sizeof(to)) < 0 ? errno : 0;
}

/* Send all packets in both namespaces; how many were let out in one and not in the other. */
static inline unsigned int send_all(FIXTURE_DATA(live) * self)
{
	unsigned int i, different = 0;

	for (i = 0; i < self->nr_packets; i++)
		different += send_packet(self->raw[0], self->packets[i]) !=
			     send_packet(self->raw[1], self->packets[i]);
	return different;
}

/* How many entries have counted differently, which is said if @say; @hits: how much they did at all. */
static inline unsigned int compare_once(FIXTURE_DATA(live) * self, uint64_t *hits, bool say)
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
static inline unsigned int compare_counters(FIXTURE_DATA(live) * self, uint64_t *hits)
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

/* To where it is taken. */
static const uint8_t udp[8] = {0, 1, 0, 2, 0, 8};

/* In both namespaces. */
static inline int both_sh(FIXTURE_DATA(live) * self, const char *cmd)
{
	return testnet_sh(self->theirs, "%s", cmd) ?: testnet_sh(self->ours, "%s", cmd);
}

#endif /* LIVE_H */
