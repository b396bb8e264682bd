// SPDX-License-Identifier: GPL-2.0
/*
 * The rules that are tried, in a namespace in which nothing else happens, MATCH being one of matches[]:
 *
 *	-A OUTPUT -p tcp ! -f MATCH -j ACCEPT
 *	-A OUTPUT -p tcp   -f MATCH -j ACCEPT
 *	-A OUTPUT -p tcp   -f -j ACCEPT
 *
 * A TCP header with neither options nor flags but RST matches the first one in all kernels, which shows that packets
 * get there. The same bytes in a later fragment match the second one where they are taken for a header, else the
 * third one.
 */
#include "trial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/xt_ecn.h>
#include <linux/netfilter/xt_tcpmss.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_table.h"
#include "table.h"

/* In units of 8 bytes: where the second fragment of a packet through Ethernet begins. */
#define OFFSET 185

union match_info {
	struct xt_tcpmss_match_info tcpmss;
	struct xt_ecn_info ecn;
	uint64_t aligned; /* as XT_ALIGN() has either */
};

/* -m tcpmss ! --mss 0:1459; -m ecn ! --ecn-tcp-cwr */
static const struct {
	const char *name;
	union match_info info;
} matches[BF_NR_TRIALS] = {
	[BF_TRY_TCPMSS] = {"tcpmss", {.tcpmss = {.mss_max = 1459, .invert = 1}}},
	[BF_TRY_ECN] = {"ecn",
			{.ecn = {.operation = XT_ECN_OP_MATCH_CWR, .invert = XT_ECN_OP_MATCH_CWR}}},
};

struct match_rule {
	struct ipt_entry entry;
	struct xt_entry_match match;
	union match_info info;
	struct xt_standard_target target;
};

struct accept_rule {
	struct ipt_entry entry;
	struct xt_standard_target target;
};

struct end_entry {
	struct ipt_entry entry;
	struct xt_error_target target;
};

struct entries {
	struct accept_rule input, forward;
	struct match_rule whole, fragment;
	struct accept_rule other, output;
	struct end_entry end;
};

struct value {
	struct ipt_replace head;
	struct entries entries;
};

static void accept_init(struct ipt_entry *e, struct xt_standard_target *t)
{
	e->target_offset = (char *)t - (char *)e;
	e->next_offset = e->target_offset + sizeof(*t);
	t->target.u.target_size = sizeof(*t);
	t->verdict = -NF_ACCEPT - 1;
}

static void tcp_init(struct ipt_entry *e, bool fragment)
{
	e->ip.proto = IPPROTO_TCP;
	e->ip.flags = IPT_F_FRAG;
	e->ip.invflags = fragment ? 0 : IPT_INV_FRAG;
}

static void match_init(struct match_rule *r, enum bf_trial trial, bool fragment)
{
	accept_init(&r->entry, &r->target);
	tcp_init(&r->entry, fragment);
	r->match.u.match_size = (char *)&r->target - (char *)&r->match;
	strcpy(r->match.u.user.name, matches[trial].name);
	r->info = matches[trial].info;
}

static void entries_init(struct entries *e, enum bf_trial trial)
{
	accept_init(&e->input.entry, &e->input.target);
	accept_init(&e->forward.entry, &e->forward.target);
	match_init(&e->whole, trial, false);
	match_init(&e->fragment, trial, true);
	accept_init(&e->other.entry, &e->other.target);
	tcp_init(&e->other.entry, true);
	accept_init(&e->output.entry, &e->output.target);
	e->end.entry.target_offset = offsetof(struct end_entry, target);
	e->end.entry.next_offset = sizeof(e->end);
	e->end.target.target.u.target_size = sizeof(e->end.target);
	strcpy(e->end.target.target.u.user.name, XT_ERROR_TARGET);
	strcpy(e->end.target.errorname, XT_ERROR_TARGET);
}

static int put_rules(int sk, enum bf_trial trial)
{
	struct value v = {
		.head = {.name = "filter",
			 .valid_hooks = BF_FILTER_HOOKS,
			 .num_entries = 7,
			 .size = sizeof(v.entries)},
	};

	v.head.hook_entry[NF_INET_LOCAL_IN] = offsetof(struct entries, input);
	v.head.hook_entry[NF_INET_FORWARD] = offsetof(struct entries, forward);
	v.head.hook_entry[NF_INET_LOCAL_OUT] = offsetof(struct entries, whole);
	memcpy(v.head.underflow, v.head.hook_entry, sizeof(v.head.underflow));
	v.head.underflow[NF_INET_LOCAL_OUT] = offsetof(struct entries, output);
	entries_init(&v.entries, trial);
	return bf_kernel_replace(sk, &v, sizeof(v), NULL, NULL);
}

static int set_loopback_up(int sk)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	return ioctl(sk, SIOCSIFFLAGS, &lo) ? -errno : 0;
}

/* A reset, which nobody answers. It is in OUTPUT, and counted, before this returns. */
static int send_packet(int sk, unsigned int offset)
{
	const struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} packet = {
		.ip = {.version = 4,
		       .ihl = sizeof(packet.ip) / 4,
		       .ttl = IPDEFTTL,
		       .protocol = IPPROTO_TCP,
		       .frag_off = htons(offset),
		       .tot_len = htons(sizeof(packet)),
		       .saddr = htonl(INADDR_LOOPBACK),
		       .daddr = htonl(INADDR_LOOPBACK)},
		.tcp = {.doff = sizeof(packet.tcp) / 4, .rst = 1},
	};
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = packet.ip.daddr};

	return sendto(sk, &packet, sizeof(packet), 0, (const void *)&to, sizeof(to)) < 0 ? -errno
											 : 0;
}

static int read_counters(int sk, enum bf_fragments *found)
{
	struct bf_kernel_table *t;
	const struct entries *e;
	int err = bf_kernel_read(sk, &t);

	if (err)
		return err;
	e = (const void *)t->entries;
	if (t->info.size != sizeof(*e) || e->whole.entry.counters.pcnt != 1 ||
	    e->fragment.entry.counters.pcnt + e->other.entry.counters.pcnt != 1)
		err = -EPROTO;
	else
		*found = e->fragment.entry.counters.pcnt ? BF_FRAGMENTS_READ : BF_FRAGMENTS_SKIPPED;
	bf_kernel_table_free(t);
	return err;
}

static int probe(enum bf_trial trial, enum bf_fragments *found)
{
	int sk, err;

	if (unshare(CLONE_NEWNET))
		return -errno;
	sk = bf_kernel_socket();
	if (sk < 0)
		return sk;
	err = set_loopback_up(sk) ?: put_rules(sk, trial) ?: send_packet(sk, 0) ?: send_packet(sk, OFFSET);
	err = err ?: read_counters(sk, found);
	close(sk);
	return err;
}

/* A thread of its own, since it cannot come back to the namespace it was in unless it may look at /proc. */
struct thread {
	enum bf_trial trial;
	enum bf_fragments found;
	int err;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->err = probe(t->trial, &t->found);
	return NULL;
}

int bf_trial_run(enum bf_trial trial, enum bf_fragments *found)
{
	struct thread t = {.trial = trial, .found = BF_FRAGMENTS_UNKNOWN};
	pthread_t thread;
	int err = -pthread_create(&thread, NULL, thread_main, &t);

	if (!err) {
		pthread_join(thread, NULL);
		err = t.err;
	}
	*found = t.found;
	return err;
}

const char *bf_trial_match(enum bf_trial trial)
{
	return matches[trial].name;
}

void bf_trial_look(struct bf_kernel *kernel, const struct bf_table *table)
{
	unsigned int i;

	for (i = 0; table && i < BF_NR_TRIALS; i++)
		if (table->tries & 1U << i && kernel->tried[i] == BF_FRAGMENTS_UNKNOWN)
			bf_trial_run(i, &kernel->tried[i]);
}
