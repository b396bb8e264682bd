// SPDX-License-Identifier: GPL-2.0
/*
 * Holding packets: nothing is lost, doubled or let by, in every hook, with traffic running.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conntrack.h"
#include "hold.h"
#include "kernel_table.h"
#include "nft.h"
#include "testnet.h"
#include "kselftest_harness.h"

/* Not SKIP() in the fixture: not every version of the harness then leaves out the test. */
__attribute__((constructor)) static void needs(void)
{
	testnet_or_skip();
}

/* What all entries of the kernel's filter table have counted: policies, for it has no rules. */
static uint64_t filter_packets(int sk)
{
	struct bf_kernel_table *t;
	const struct ipt_entry *e;
	uint64_t packets = 0;
	uint32_t off;

	if (bf_kernel_read(sk, &t))
		return UINT64_MAX;
	for (off = 0; off < t->info.size; off += e->next_offset) {
		e = (const void *)(t->entries + off);
		packets += e->counters.pcnt;
	}
	bf_kernel_table_free(t);
	return packets;
}

FIXTURE(hold)
{
	struct testnet_line net;
	int sk;
};

FIXTURE_SETUP(hold)
{
	ASSERT_EQ(0, testnet_line_make(&self->net));
	ASSERT_EQ(0, testnet_enter(self->net.r));
	self->sk = bf_kernel_socket();
	ASSERT_LE(0, self->sk);
	ASSERT_EQ(0, bf_kernel_touch_filter(self->sk));
}

FIXTURE_TEARDOWN(hold)
{
	close(self->sk);
}

#define MAX_CYCLES 200

struct cycles {
	unsigned int n, passed, failed;
	uint64_t held;
	double begin[MAX_CYCLES], end[MAX_CYCLES];
};

/* Hold and let go @n times. @passed counts packets that the filter saw while all were held. */
static void cycle(int sk, struct cycles *c, unsigned int n)
{
	uint64_t before, after;
	struct bf_why why;
	struct bf_hold *h;
	double t;
	long held;

	memset(c, 0, sizeof(*c));
	for (c->n = 0; c->n < n; c->n++) {
		t = now_us();
		if (bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, &why)) {
			printf("# begin: %s\n", why.text);
			c->failed++;
			continue;
		}
		c->begin[c->n] = now_us() - t;
		before = filter_packets(sk);
		usleep(5000);
		after = filter_packets(sk);
		c->passed += after - before;
		t = now_us();
		held = bf_hold_end(h);
		c->end[c->n] = now_us() - t;
		if (held < 0)
			c->failed++;
		else
			c->held += held;
		usleep(5000);
	}
}

static void report(const char *name, struct cycles *c, struct stream_result *r)
{
	printf("# %s: %.0f kpps for %.1f s, %llu of %llu packets held, %llu lost, %llu doubled, "
	       "%llu overtaken (by %llu at most)\n",
	       name, r->sent / r->seconds / 1000, r->seconds, (unsigned long long)c->held,
	       (unsigned long long)r->sent, (unsigned long long)r->lost,
	       (unsigned long long)r->doubled, (unsigned long long)r->overtaken,
	       (unsigned long long)r->furthest);
	print_percentiles("begin", c->begin, c->n);
	print_percentiles("end", c->end, c->n);
}

FIXTURE_VARIANT(hold)
{
	const char *name, *address;
	char from, to;
	unsigned int hooks; /* that each packet passes in R */
	unsigned int cycles;
};

FIXTURE_VARIANT_ADD(hold, forward){
	.name = "forward",
	.address = "10.77.2.2",
	.from = 'a',
	.to = 'b',
	.hooks = 1,
	.cycles = 200,
};

FIXTURE_VARIANT_ADD(hold, input){
	.name = "input",
	.address = "10.77.1.1",
	.from = 'a',
	.to = 'r',
	.hooks = 1,
	.cycles = 50,
};

FIXTURE_VARIANT_ADD(hold, output){
	.name = "output",
	.address = "10.77.2.2",
	.from = 'r',
	.to = 'b',
	.hooks = 1,
	.cycles = 50,
};

FIXTURE_VARIANT_ADD(hold, loopback){
	.name = "loopback",
	.address = "127.0.0.1",
	.from = 'r',
	.to = 'r',
	.hooks = 2,
	.cycles = 50,
};

static int end_of(const struct testnet_line *net, char c)
{
	return c == 'a' ? net->a : c == 'b' ? net->b : net->r;
}

TEST_F_TIMEOUT(hold, nothing_lost, 120)
{
	struct stream_result r;
	struct cycles *c = calloc(1, sizeof(*c));
	uint64_t before, after;
	struct stream *s;

	before = filter_packets(self->sk);
	s = stream_start(end_of(&self->net, variant->from), end_of(&self->net, variant->to),
			 variant->address, 150000);
	ASSERT_NE(NULL, s);
	cycle(self->sk, c, variant->cycles);
	r = stream_stop(s);
	after = filter_packets(self->sk);
	report(variant->name, c, &r);

	EXPECT_EQ(0u, r.lost);
	EXPECT_EQ(0u, r.doubled);
	EXPECT_EQ(0u, c->failed);
	/* The test must not pass because nothing went on. */
	EXPECT_LT(1000 * variant->cycles / 50, c->held);
	EXPECT_EQ(0u, c->passed);
	/* Each went through the filter once for each hook, whether it was held or not. */
	EXPECT_LE(r.sent * variant->hooks, after - before);
	EXPECT_GE(r.sent * variant->hooks + 100, after - before);
	free(c);
}

FIXTURE(one)
{
	struct testnet_line net;
};

FIXTURE_SETUP(one)
{
	ASSERT_EQ(0, testnet_line_make(&self->net));
	ASSERT_EQ(0, testnet_enter(self->net.r));
}

FIXTURE_TEARDOWN(one)
{
}

TEST_F(one, null_is_ignored)
{
	EXPECT_EQ(0, bf_hold_end(NULL));
}

TEST_F(one, nothing_is_left)
{
	char out[4096];
	struct bf_hold *h;

	ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
	EXPECT_EQ(0, testnet_read(self->net.r, out, sizeof(out), "nft list ruleset 2>&1"));
	EXPECT_NE(NULL, strstr(out, "bpfilter-hold"));
	EXPECT_EQ(0, bf_hold_end(h));
	EXPECT_EQ(0, testnet_read(self->net.r, out, sizeof(out),
				  "nft list ruleset; cat /proc/net/netfilter/nfnetlink_queue"));
	EXPECT_STREQ("", out);
}

/* The second one is told, and the first is not disturbed. */
TEST_F(one, second_is_refused)
{
	struct bf_hold *h, *second;
	struct bf_why why = {""};

	ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
	EXPECT_EQ(-EBUSY, bf_hold_begin(&second, BF_HOLD_ALL, NULL, NULL, &why));
	EXPECT_EQ(NULL, second);
	EXPECT_STRNE("", why.text);
	EXPECT_EQ(1, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
	EXPECT_LE(1, bf_hold_end(h));
	EXPECT_EQ(0, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
}

/* Somebody else's queues: their numbers are not taken, their sockets not disturbed. */
TEST_F(one, queue_numbers_in_use)
{
	struct nfqnl_msg_config_cmd cmd = {.command = NFQNL_CFG_CMD_BIND};
	struct nl_msg *msg;
	struct bf_hold *h;
	uint16_t i;
	int sk;

	sk = bf_nfnl_open();
	ASSERT_LE(0, sk);
	for (i = 0; i < 8; i++) {
		msg = bf_nfnl_msg(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG, 0, AF_UNSPEC,
				  0xbf00 + i);
		nla_put(msg, NFQA_CFG_CMD, sizeof(cmd), &cmd);
		ASSERT_EQ(0, bf_nfnl_call(sk, msg));
	}
	ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
	EXPECT_EQ(0, testnet_sh(self->net.r,
				"test $(wc -l </proc/net/netfilter/nfnetlink_queue) = 9"));
	EXPECT_EQ(0, bf_hold_end(h));
	close(sk);
}

/* A killed helper: packets flow again, and the next one can hold. */
TEST_F(one, killed)
{
	struct bf_hold *h;
	int status, p[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(p));
	pid = fork();
	if (!pid) {
		c = bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL) ? 'x' : '.';
		if (write(p[1], &c, 1) != 1)
			_exit(1);
		pause();
	}
	ASSERT_EQ(1, read(p[0], &c, 1));
	ASSERT_EQ('.', c);
	EXPECT_EQ(1, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
	ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
	EXPECT_EQ(0, bf_hold_end(h));
}

TEST_F(one, survives_flush_ruleset)
{
	struct bf_hold *h;

	if (testnet_sh(self->net.r, "nft list ruleset >/dev/null"))
		SKIP(return, "no nft");
	ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
	EXPECT_EQ(0, testnet_sh(self->net.r, "nft flush ruleset"));
	EXPECT_EQ(1, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
	EXPECT_LE(1, bf_hold_end(h));
}

/* The kernel drops queued packets when anyone unregisters a hook: that must not go unnoticed. */
TEST_F(one, loss_is_told)
{
	struct bf_hold *h;

	if (testnet_sh(self->net.r, "nft 'add table ip x; add chain ip x y { type filter hook "
				    "prerouting priority 0; }'"))
		SKIP(return, "no nft");
	ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
	EXPECT_EQ(1, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
	EXPECT_EQ(0, testnet_sh(self->net.r, "nft delete table ip x"));
	EXPECT_EQ(-ENOBUFS, bf_hold_end(h));
	EXPECT_EQ(0, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
}

/*
 * Conntrack's hooks go with its last user, and emptying the kernel's table can be that: a caller has to
 * see to it that conntrack stays (bf_ct_pin()) while it does so.
 */
TEST_F(one, conntrack_goes_meanwhile)
{
	struct bf_ct_pin *pin = NULL;
	struct bf_hold *h;
	long end;
	int i;

	for (i = 0; i < 2; i++) {
		if (testnet_sh(
			    self->net.r,
			    "XTABLES_LOCKFILE=/tmp/bf_test_hold.lock iptables-legacy -A FORWARD -m "
			    "conntrack --ctstate INVALID -j DROP"))
			SKIP(return, "no iptables-legacy");
		if (i)
			ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
		ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
		EXPECT_EQ(1, testnet_sh(self->net.a, "ping -q -c 1 -W 1 10.77.2.2 >/dev/null"));
		EXPECT_EQ(0, testnet_sh(self->net.r,
					"XTABLES_LOCKFILE=/tmp/bf_test_hold.lock "
					"iptables-legacy -F; rm -f /tmp/bf_test_hold.lock"));
		end = bf_hold_end(h);
		EXPECT_TRUE(i ? end >= 1 : end == -ENOBUFS);
	}
	bf_ct_unpin(pin);
}

#define TCP_BYTES (500ul << 20)

/* TCP with packets larger than the MTU arrives whole and stays large. */
TEST_F_TIMEOUT(one, tcp, 120)
{
	struct bf_hold *h;
	unsigned int i;
	long held = 0, n;
	int status;
	pid_t pid;

	ASSERT_EQ(0, testnet_sh(self->net.b, "nc -d -l 9 | wc -c >/tmp/bf_test_hold.%d & sleep 0.5",
				getpid()));
	pid = fork();
	if (!pid)
		_exit(testnet_sh(self->net.a, "head -c %lu /dev/zero | nc -N 10.77.2.2 9",
				 TCP_BYTES));
	usleep(300000);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, bf_hold_begin(&h, BF_HOLD_ALL, NULL, NULL, NULL));
		usleep(5000);
		n = bf_hold_end(h);
		EXPECT_LE(0, n);
		held += n;
		usleep(5000);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	usleep(200000);
	EXPECT_EQ(0, testnet_sh(self->net.b,
				"test $(cat /tmp/bf_test_hold.%d) = %lu; e=$?; "
				"rm /tmp/bf_test_hold.%d; exit $e",
				getpid(), TCP_BYTES, getpid()));
	printf("# tcp: %ld packets held\n", held);
	EXPECT_LT(0, held);
}

TEST_HARNESS_MAIN
