// SPDX-License-Identifier: GPL-2.0
/*
 * One netfilter netlink socket does everything: it owns the nf_tables table whose rules queue
 * the packets, and it is the queue's listener. What keeps that safe and lossless:
 *
 * Begin. The queue is made first, then the table, in one transaction, so the three hooks start
 * queueing at one instant. A grace period later no packet that missed the rules is still in
 * front of, or in, the filter hooks.
 *
 * Holding. For each packet the kernel also sends a message; it would have to be read, since a
 * full socket buffer loses packets. But nobody needs to know the packets one by one: they are
 * let go by "everything up to this number". So a socket filter throws the messages away
 * before they are buffered, which the sender sees as success, and however long the hold lasts
 * nothing can overflow but the queue itself, whose length we choose. A full queue drops:
 * letting packets by would have them judged by a table that is only half moved, while a drop in
 * front of the filter is what a full network card does.
 *
 * Ending. Packets are let go, oldest first, while new ones still line up behind them. On their way to
 * a virtual device they go through the backlog of this CPU, which holds 1000 (net.core.netdev_max_backlog)
 * and loses the rest. Before Linux 6.5 it is left to ksoftirqd once there was too much to do, and not emptied
 * for as long as this thread runs: there, only so many are let go at a time as fit in. When
 * the line is nearly empty the rules, and only the rules, are removed; what was still waiting at
 * that instant can be overtaken by what arrives within the next microseconds, and by nothing else.
 * The hooks have to stay until then, because the kernel drops every queued packet of the
 * namespace when any hook is unregistered (nf_queue_nf_hook_drop()). A grace period later no
 * packet can be on its way into the queue; it is emptied once more, and the table goes. For the
 * same reason no hook may be unregistered between begin and end: attach, clear, but do not
 * detach before bf_hold_end().
 *
 * Dying. When the process is killed both roles end as the socket is closed, in an order that is
 * the kernel's choice; packets in the queue are lost, as in a device that is switched off. The
 * rules have the bypass flag: in the instant between the end of the queue and the end of the
 * table packets pass on to the filter hooks, as they do after it. That is no weaker than the
 * moment that follows, and rests on the same promise of the caller: at every instant of a
 * handover at least one of the two tables is fully in force.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "hold.h"
#include "nft.h"
#include "rcu.h"

#define HOLD_TABLE "bpfilter-hold"
#define HOLD_COMMENT                                                                               \
	"bpfilter: packets wait here for some milliseconds while the filter table moves"

/* In front of the filter hooks (0), behind conntrack, mangle and DNAT. */
#define HOLD_PRIORITY (-1)

/* Queue numbers that nobody else is likely to use or to have written into a rule. */
#define QUEUE_FIRST 0xbf00
#define QUEUE_TRIES 64

/* A quarter of a second at 1 Mpps; some 200 MB of small packets, were it ever full. */
#define QUEUE_MAXLEN 262144

/* How many to let go at once on such a kernel, and when not yet to go on: so many are in some backlog. */
#define BURST	     64
#define BACKLOG_LONG 64

/* When to stop letting go while more line up: so few are left, or it took so long. */
#define NEARLY_EMPTY 16
#define DRAIN_MS     200

/* So long may a packet be between getting its number and being counted as waiting. */
#define SETTLE_MS 100

struct bf_hold {
	int sk;
	int stats;   /* /proc/.../nfnetlink_queue, or -1 */
	int softnet; /* /proc/.../softnet_stat; -1 where packets need not be let go in bursts */
	struct bf_rcu *rcu;
	struct bf_device *device;
	uint16_t queue;
};

/* How a packet gets into a queue: whichever of the two the kernel was built with. */
enum queue_expr { NFT_QUEUE_EXPR, XT_NFQUEUE_TARGET, NR_QUEUE_EXPRS };

/* Take answers, but none of the messages that tell of a packet. */
static int ignore_packet_messages(int sk)
{
	struct sock_filter code[] = {
		/* a halfword is loaded as big-endian, nlmsg_type is in host order */
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 htons(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog prog = {ARRAY_SIZE(code), code};

	return setsockopt(sk, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

static int bind_queue(int sk, uint16_t queue)
{
	struct nfqnl_msg_config_cmd cmd = {.command = NFQNL_CFG_CMD_BIND, .pf = htons(AF_INET)};
	struct nl_msg *msg =
		bf_nfnl_msg(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG, 0, AF_UNSPEC, queue);

	if (msg)
		nla_put(msg, NFQA_CFG_CMD, sizeof(cmd), &cmd);
	return bf_nfnl_call(sk, msg);
}

static int set_up_queue(int sk, uint16_t queue)
{
	struct nfqnl_msg_config_params params = {.copy_mode = NFQNL_COPY_META};
	struct nl_msg *msg =
		bf_nfnl_msg(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG, 0, AF_UNSPEC, queue);

	if (msg) {
		nla_put(msg, NFQA_CFG_PARAMS, sizeof(params), &params);
		nla_put_u32(msg, NFQA_CFG_QUEUE_MAXLEN, htonl(QUEUE_MAXLEN));
		/* Packets larger than the MTU must stay whole: each counts as one, like unheld ones. */
		nla_put_u32(msg, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
		nla_put_u32(msg, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO));
	}
	return bf_nfnl_call(sk, msg);
}

static int make_queue(struct bf_hold *h, struct bf_why *why)
{
	unsigned int i;
	int err = -EBUSY;

	/* A number that another socket has gives -EPERM, or -EBUSY if it was quicker. */
	for (i = 0; i < QUEUE_TRIES; i++) {
		h->queue = QUEUE_FIRST + i;
		err = bind_queue(h->sk, h->queue);
		if (err != -EPERM && err != -EBUSY && err != -EEXIST)
			break;
	}
	if (err == -EINVAL || err == -EOPNOTSUPP)
		return bf_why(why, -EOPNOTSUPP, "the kernel has no nfnetlink_queue");
	if (!err)
		err = set_up_queue(h->sk, h->queue);
	if (err)
		return bf_why(why, err, "cannot make a packet queue: %s", strerror(-err));
	return 0;
}

static void add_queue_rule(struct bf_nft_batch *b, const char *chain, enum queue_expr expr,
			   uint16_t queue)
{
	struct xt_NFQ_info_v2 info = {.queuenum = queue, .queues_total = 1, .bypass = 1};

	bf_nft_rule_begin(b, HOLD_TABLE, chain);
	if (expr == NFT_QUEUE_EXPR) {
		bf_nft_expr_begin(b, "queue");
		bf_nft_put_u16(b, NFTA_QUEUE_NUM, queue);
		bf_nft_put_u16(b, NFTA_QUEUE_TOTAL, 1);
		bf_nft_put_u16(b, NFTA_QUEUE_FLAGS, NFT_QUEUE_FLAG_BYPASS);
	} else {
		bf_nft_expr_begin(b, "target");
		bf_nft_put_str(b, NFTA_TARGET_NAME, "NFQUEUE");
		bf_nft_put_u32(b, NFTA_TARGET_REV, 2);
		bf_nft_put(b, NFTA_TARGET_INFO, &info, sizeof(info));
	}
	bf_nft_expr_end(b);
	bf_nft_rule_end(b, NULL);
}

static int make_table(int sk, uint16_t queue, uint32_t hooks, enum queue_expr expr)
{
	static const struct {
		const char *name;
		uint32_t hook;
	} chains[] = {
		{"input", NF_INET_LOCAL_IN},
		{"forward", NF_INET_FORWARD},
		{"output", NF_INET_LOCAL_OUT},
	};
	struct bf_nft_batch b;
	unsigned int i;

	bf_nft_begin(&b, NFPROTO_IPV4);
	bf_nft_table(&b, HOLD_TABLE, NFT_TABLE_F_OWNER, NLM_F_CREATE | NLM_F_EXCL, HOLD_COMMENT);
	for (i = 0; i < ARRAY_SIZE(chains); i++) {
		if (!(hooks & 1U << chains[i].hook))
			continue;
		bf_nft_base_chain(&b, HOLD_TABLE, chains[i].name, chains[i].hook, HOLD_PRIORITY);
		add_queue_rule(&b, chains[i].name, expr, queue);
	}
	return bf_nft_commit(sk, &b);
}

static int start_queueing(struct bf_hold *h, uint32_t hooks, struct bf_why *why)
{
	enum queue_expr expr;
	int err = -ENOENT;

	for (expr = 0; err == -ENOENT && expr < NR_QUEUE_EXPRS; expr++)
		err = make_table(h->sk, h->queue, hooks, expr);
	switch (err) {
	case 0:
		return 0;
	case -ENOENT:
	case -EINVAL:
	case -EOPNOTSUPP:
		return bf_why(why, -EOPNOTSUPP, "the kernel's nf_tables cannot queue packets: %s",
			      strerror(-err));
	case -EEXIST:
	case -EPERM:
		return bf_why(why, -EBUSY,
			      "another process holds packets (nft table " HOLD_TABLE ")");
	default:
		return bf_why(why, err, "cannot make nft table " HOLD_TABLE ": %s", strerror(-err));
	}
}

/* Closing the socket ends both the queue and the table. */
static void hold_free(struct bf_hold *h)
{
	if (h->sk >= 0)
		close(h->sk);
	if (h->stats >= 0)
		close(h->stats);
	if (h->softnet >= 0)
		close(h->softnet);
	free(h);
}

/* See "Ending". */
static int open_softnet(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname uts;

	if (uname(&uts) || sscanf(uts.release, "%u.%u", &major, &minor) != 2 || major > 6 ||
	    (major == 6 && minor >= 5))
		return -1;
	return open("/proc/thread-self/net/softnet_stat", O_RDONLY | O_CLOEXEC);
}

int bf_hold_begin(struct bf_hold **hold, uint32_t hooks, struct bf_rcu *rcu,
		  struct bf_device *device, struct bf_why *why)
{
	struct bf_hold *h = calloc(1, sizeof(*h));
	int err;

	*hold = NULL;
	if (!h)
		return -ENOMEM;
	h->rcu = rcu;
	h->device = device;
	/* Of this thread's namespace. Without it (no procfs) end cannot tell what was lost. */
	h->stats = open("/proc/thread-self/net/netfilter/nfnetlink_queue", O_RDONLY | O_CLOEXEC);
	h->softnet = open_softnet();
	h->sk = bf_nfnl_open();
	if (h->sk < 0)
		err = bf_why(why, h->sk, "no netfilter netlink socket: %s", strerror(-h->sk));
	else
		err = ignore_packet_messages(h->sk);
	if (!err)
		err = make_queue(h, why);
	if (!err)
		err = start_queueing(h, hooks, why);
	if (err) {
		hold_free(h);
		return err;
	}

	err = bf_rcu_wait(rcu, device);
	if (err) {
		bf_hold_end(h);
		return bf_why(why, err, "cannot wait for packets in flight: %s", strerror(-err));
	}
	*hold = h;
	return 0;
}

/**
 * struct queue_stats - what the kernel tells of queues
 * @waiting: packets in ours
 * @last: number of the last packet that was ever put into it
 * @held: packets that were ever put into ours
 * @lost: packets that found ours full, or could not be put into it
 * @others: packets waiting in the other queues of the namespace
 */
struct queue_stats {
	unsigned int waiting, last, held, lost, others;
};

static int read_stats(const struct bf_hold *h, struct queue_stats *s)
{
	unsigned int num, total, dropped, user_dropped, ids;
	char buf[8192], *line;
	ssize_t n = pread(h->stats, buf, sizeof(buf) - 1, 0);

	*s = (struct queue_stats){0};
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	for (line = buf; *line; line = *line ? line + 1 : line) {
		/* number, port, waiting, copy mode, copy range, queue full, socket full, last id */
		if (sscanf(line, "%u %*u %u %*u %*u %u %u %u", &num, &total, &dropped,
			   &user_dropped, &ids) == 5) {
			if (num != h->queue) {
				s->others += total;
			} else {
				s->waiting = total;
				s->last = ids;
				s->held = ids - user_dropped;
				s->lost = dropped + user_dropped;
			}
		}
		line += strcspn(line, "\n");
	}
	return 0;
}

/*
 * The kernel compares packet numbers, which start at 1, modulo 2^32: this is after all of those that can be
 * there at a time.
 */
#define ALL INT32_MAX

/* Let go what waits up to number @last, oldest first. 0, or -ENOENT if nothing did. */
static int let_go(const struct bf_hold *h, uint32_t last)
{
	struct nfqnl_msg_verdict_hdr verdict = {
		.verdict = htonl(NF_ACCEPT),
		.id = htonl(last),
	};
	struct nl_msg *msg = bf_nfnl_msg(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT_BATCH, 0,
					 AF_UNSPEC, h->queue);

	if (msg)
		nla_put(msg, NFQA_VERDICT_HDR, sizeof(verdict), &verdict);
	return bf_nfnl_call(h->sk, msg);
}

/* The packets that wait in the fullest backlog of all CPUs; 0 if that cannot be told. */
static unsigned int longest_backlog(const struct bf_hold *h)
{
	unsigned int longest = 0, len;
	char buf[16384], *line;
	ssize_t n = pread(h->softnet, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return 0;
	buf[n] = '\0';
	for (line = buf; *line; line = *line ? line + 1 : line) {
		/* the twelfth number, since Linux 5.10 */
		if (sscanf(line, "%*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %*x %x", &len) == 1 &&
		    len > longest)
			longest = len;
		line += strcspn(line, "\n");
	}
	return longest;
}

/* Whoever else sends may keep it long: not for ever. */
static void wait_for_backlog(const struct bf_hold *h)
{
	const struct timespec pause = {.tv_nsec = 50000};
	uint64_t deadline = bf_now_ms() + DRAIN_MS;

	while (longest_backlog(h) > BACKLOG_LONG && bf_now_ms() < deadline)
		nanosleep(&pause, NULL);
}

/* Until @enough or fewer are left, or the deadline is over. 0 or -errno. */
static int let_go_until(const struct bf_hold *h, unsigned int enough, uint64_t deadline)
{
	struct queue_stats s;
	bool bursts = h->softnet >= 0;
	uint32_t last = 0;
	int err = 0;

	while (!err && bf_now_ms() < deadline) {
		if (read_stats(h, &s) || s.waiting <= enough)
			return 0;
		/* The oldest is not older than this, if numbers are missing between those that wait. */
		if (last < s.last - s.waiting)
			last = s.last - s.waiting;
		last += BURST;
		err = let_go(h, bursts ? last : ALL);
		if (err == -ENOENT)
			err = 0;
		if (bursts)
			wait_for_backlog(h);
	}
	return err;
}

/* Nothing new comes in. */
static int let_go_until_empty(const struct bf_hold *h)
{
	int err = let_go_until(h, 0, LONG_MAX);

	while (!err)
		err = let_go(h, ALL);
	return err == -ENOENT ? 0 : err;
}

/* While new packets line up behind, until the line is short. */
static int let_go_until_short(const struct bf_hold *h)
{
	return let_go_until(h, NEARLY_EMPTY, bf_now_ms() + DRAIN_MS);
}

/*
 * Before anything is let go all packets that were put into the queue should be waiting. They get
 * their number an instant before they are counted, so a gap means a loss (a hook was
 * unregistered, or a device went down) only if it stays.
 */
static unsigned int count_flushed(const struct bf_hold *h)
{
	uint64_t deadline = bf_now_ms() + SETTLE_MS;
	int gap, least = INT32_MAX;
	struct queue_stats s;

	do {
		if (read_stats(h, &s))
			return 0;
		gap = s.held - s.waiting;
		if (gap <= 0)
			return 0;
		if (gap < least)
			least = gap;
		sched_yield();
	} while (bf_now_ms() < deadline);
	return least;
}

/*
 * Unregistering our hooks also drops the packets that other queues of the namespace hold just
 * then: wait for an instant at which they hold none, but not for ever.
 */
static void wait_for_other_queues(const struct bf_hold *h)
{
	const struct timespec pause = {.tv_nsec = 100000};
	uint64_t deadline = bf_now_ms() + DRAIN_MS;
	struct queue_stats s;

	while (!read_stats(h, &s) && s.others && bf_now_ms() < deadline)
		nanosleep(&pause, NULL);
}

static int remove_rules(const struct bf_hold *h)
{
	struct bf_nft_batch b;

	bf_nft_begin(&b, NFPROTO_IPV4);
	bf_nft_del_rules(&b, HOLD_TABLE, NULL);
	return bf_nft_commit(h->sk, &b);
}

static int remove_table(const struct bf_hold *h)
{
	struct bf_nft_batch b;

	bf_nft_begin(&b, NFPROTO_IPV4);
	bf_nft_del_table(&b, HOLD_TABLE);
	return bf_nft_commit(h->sk, &b);
}

long bf_hold_end(struct bf_hold *h)
{
	struct queue_stats s = {0};
	unsigned int flushed;
	long ret;
	int err;

	if (!h)
		return 0;
	flushed = count_flushed(h);
	err = let_go_until_short(h);
	if (!err)
		err = remove_rules(h);
	if (!err)
		err = let_go_until_empty(h);
	if (!err)
		err = bf_rcu_wait(h->rcu, h->device);
	if (!err)
		err = let_go_until_empty(h);
	if (!err) {
		read_stats(h, &s);
		wait_for_other_queues(h);
		err = remove_table(h);
	}
	ret = s.held;
	if (!err && s.lost + flushed) {
		bf_log(BF_LOG_WARN, "%u of %u packets were lost while the filter table moved",
		       s.lost + flushed, s.held + s.lost);
		err = -ENOBUFS;
	} else if (err) {
		bf_log(BF_LOG_WARN, "packets may have been lost while the filter table moved: %s",
		       strerror(-err));
	}
	hold_free(h);
	return err ? err : ret;
}
