// SPDX-License-Identifier: GPL-2.0
/*
 * What is on a network card (umh/offload.c), with the n-th allocation or call of the kernel failing, with a card that
 * refuses, and with a helper that is killed. The card is made up (fake_card.h); all else is the kernel's. After each:
 * the driver's program is there, counters are exact, no pin and no descriptor is left behind; and what could not be put
 * on the card is there after the next attempt.
 */
#include <net/if.h>

#include "fake_card.h"
#include "faults.h"
#include "life.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "env.h"
#include "kselftest_harness.h"
#include "move.h"
#include "testnet.h"

/* Of the address sanitizer; absent in other builds. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* What the child that was to be killed says if it came to its end. */
#define FINISHED 7

/* Seconds. */
#define TIMEOUT 600

FIXTURE(card)
{
	struct life l;
	struct blob one, two, stateful;
	int nic;
	char messages[32];
	uint64_t sent; /* frames since the table in force was put in force */
};

FIXTURE_VARIANT(card)
{
	uint32_t max;
};

FIXTURE_VARIANT_ADD(card, with_room){
	.max = 1000,
};

/* Counters of a table are in one element, as on netdevsim. */
FIXTURE_VARIANT_ADD(card, with_two_elements){
	.max = 2,
};

FIXTURE_SETUP(card)
{
	int err = life_begin(&self->l, INTERFACES), fd;

	memset(&self->one, 0, 3 * sizeof(self->one));
	if (err == 1)
		LIFE_SKIP("%s", self->l.s.why);
	ASSERT_EQ(0, err) TH_LOG("%s %s", self->l.s.why, self->l.why.text);
	/* What the helper says, for a test to read. */
	strcpy(self->messages, "/tmp/bpfilter-card-XXXXXX");
	fd = mkstemp(self->messages);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, dup2(fd, STDERR_FILENO));
	close(fd);
	bf_log_set_level(BF_LOG_INFO);
	ASSERT_EQ(0, testnet_sh(self->l.s.netns, "sysctl -qw net.ipv4.ip_forward=0;"
						 "ip link add nic0 type veth peer name far0;"
						 "ip link add shadow0 type bridge;"
						 "ip addr add 192.0.2.1/24 dev nic0;"
						 "ip link set nic0 up; ip link set far0 up"));
	self->nic = if_nametoindex("nic0");
	card_begin(self->nic, if_nametoindex("shadow0"), variant->max);
	table_make(&self->one, PLAIN, BLOB_DROP);
	table_make(&self->two, ALIKE, BLOB_DROP);
	table_make(&self->stateful, STATEFUL, BLOB_DROP);
	bf_filter_ask(self->l.f, BF_OFFLOAD);
	ASSERT_EQ(0, life_replace(&self->l, &self->one, NULL)) TH_LOG("%s", self->l.why.text);
	self->sent = 0;
}

/* The harness says there, too, what is wrong. */
static void show_failures(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "# ", 2))
			fputs(line, stdout);
	if (f)
		fclose(f);
	fflush(stdout);
}

FIXTURE_TEARDOWN(card)
{
	show_failures(self->messages);
	life_end(&self->l);
	card_end();
	unlink(self->messages);
	blob_free(&self->one);
	blob_free(&self->two);
	blob_free(&self->stateful);
	if (__lsan_do_recoverable_leak_check)
		EXPECT_EQ(0, __lsan_do_recoverable_leak_check());
}

#define SELF FIXTURE_DATA(card) * self

static struct bf_offload_port *port(SELF)
{
	return self->l.f ? (void *)bf_offload_find(&self->l.f->offload, self->nic) : NULL;
}

static bool is_on_card(SELF)
{
	return port(self) && port(self)->link >= 0;
}

static void pin_path(SELF, const char *kind, char path[256])
{
	snprintf(path, 256, "%s/%lu/%s%d", bf_pin_dir(), (unsigned long)self->l.s.inode, kind,
		 self->nic);
}

static bool has_pin(SELF, const char *kind)
{
	char path[256];

	pin_path(self, kind, path);
	return !access(path, F_OK);
}

/* The driver's root has a table behind it, whoever serves: what the card does not drop is dropped there. */
static bool drops(SELF, int n)
{
	enum card_end end = card_frames(n);

	self->sent += n;
	if (!self->l.f)
		return end != UP;
	return end == (is_on_card(self) ? CARD_DROPPED : DRIVER_DROPPED);
}

/* Is it on the card, or not on it, in all respects? And is nothing lost or counted twice? */
static bool is_whole(SELF)
{
	bool on = is_on_card(self);

	self->sent += card_hurried();
	if (card_has_program() != on || has_pin(self, "hw_") != on || has_pin(self, "hwc_") != on) {
		printf("# on the card: %d; program %d, pins %d %d\n", on, card_has_program(),
		       has_pin(self, "hw_"), has_pin(self, "hwc_"));
		return false;
	}
	if (!drops(self, 3)) {
		printf("# on the card: %d; frames end elsewhere\n", on);
		return false;
	}
	if (life_packets(&self->l, RULE) == self->sent)
		return true;
	printf("# on the card: %d; %llu packets counted of %llu\n", on,
	       (unsigned long long)life_packets(&self->l, RULE), (unsigned long long)self->sent);
	return false;
}

/* As if all the time had passed that is waited. */
static void let_time_pass(SELF)
{
	struct bf_offload *o = &self->l.f->offload;
	size_t i;

	for (i = 0; i < o->nr_ports; i++)
		if (o->ports[i].again_at != BF_OFFLOAD_NEVER)
			o->ports[i].again_at = o->ports[i].tried_at = 0;
	bf_filter_again(self->l.f);
}

/* Something is wrong: false. */
static bool wrong(const char *what, unsigned int n, const char *failed)
{
	printf("# %s: call %u of its kind, %s, failed\n", what, n, failed ?: "none");
	return false;
}

static bool summarize(const char *what, unsigned int n, unsigned int kind)
{
	printf("# %s: %u %s\n", what, n, kind == FAULT_MEMORY ? "allocations" : "calls");
	return true;
}

/* Nothing is known of any card, as after a helper has come up. */
static void forget(SELF)
{
	bf_filter_withdraw(self->l.f);
	bf_offload_close(&self->l.f->offload);
}

static bool puts_in(SELF, unsigned int kind)
{
	unsigned int n, descriptors, refusals = 0;
	const char *failed = "";

	for (n = 1; failed; n++) {
		forget(self);
		if (!is_whole(self))
			return wrong("not in", n, failed);
		descriptors = open_descriptors();
		faults_arm(kind, n);
		bf_filter_offload(self->l.f);
		failed = faults_disarm();
		if (!is_whole(self) || (!failed && !is_on_card(self)))
			return wrong("putting in", n, failed);
		if (open_descriptors() != descriptors + 2 * is_on_card(self))
			return wrong("putting in: descriptors are left", n, failed);
		if (!is_on_card(self) && bf_filter_again_ms(self->l.f) < 0)
			return wrong("putting in: it is not tried again", n, failed);
		refusals += !is_on_card(self);
		let_time_pass(self);
		if (!is_on_card(self) || !is_whole(self) || open_descriptors() != descriptors + 2)
			return wrong("putting in: it never gets there", n, failed);
	}
	return refusals > 2 && summarize("putting in", n - 2, kind);
}

TEST_F_TIMEOUT(card, putting_in, TIMEOUT)
{
	card_hurry(2);
	EXPECT_TRUE(puts_in(self, FAULT_MEMORY));
	EXPECT_TRUE(puts_in(self, FAULT_CALL));
}

static bool takes_out(SELF, unsigned int kind)
{
	const char *failed = "";
	unsigned int n;

	for (n = 1; failed; n++) {
		/* Some frames are there of which nobody has read yet. */
		if (!is_on_card(self) || !is_whole(self) || !drops(self, 2))
			return wrong("in", n, failed);
		faults_arm(kind, n);
		bf_filter_withdraw(self->l.f);
		failed = faults_disarm();
		if (is_on_card(self) || !is_whole(self))
			return wrong("taking out", n, failed);
		bf_filter_offload(self->l.f);
	}
	return summarize("taking out", n - 2, kind);
}

TEST_F_TIMEOUT(card, taking_out, TIMEOUT)
{
	EXPECT_TRUE(takes_out(self, FAULT_MEMORY));
	EXPECT_TRUE(takes_out(self, FAULT_CALL));
}

/* Listed counters may be those that were read before; no more is lost than that. */
static bool reads(SELF, unsigned int kind)
{
	const char *failed = "";
	uint64_t before, now;
	unsigned int n;

	for (n = 1; failed; n++) {
		before = life_packets(&self->l, RULE);
		drops(self, 2);
		faults_arm(kind, n);
		now = life_packets(&self->l, RULE);
		failed = faults_disarm();
		if ((now != UINT64_MAX && (now < before || now > self->sent)) ||
		    !is_on_card(self) || !is_whole(self))
			return wrong("reading", n, failed);
	}
	return summarize("reading", n - 2, kind);
}

TEST_F_TIMEOUT(card, reading, TIMEOUT)
{
	EXPECT_TRUE(reads(self, FAULT_MEMORY));
	EXPECT_TRUE(reads(self, FAULT_CALL));
}

/* All of a replace. What the table that was replaced had counted is the answer, without exception. */
static bool replaces(SELF, struct blob *from, struct blob *to, unsigned int kind)
{
	struct xt_counters *old;
	const char *failed = "";
	uint64_t answer;
	unsigned int n;
	int err;

	for (n = 1; failed; n++) {
		bf_filter_ask(self->l.f, BF_OFFLOAD);
		if (life_replace(&self->l, from, NULL))
			return false;
		self->sent = 0;
		let_time_pass(self);
		if (!is_on_card(self) || !is_whole(self) || !drops(self, 2))
			return wrong("replacing: cannot go back", n, failed);
		faults_arm(kind, n);
		err = life_replace(&self->l, to, &old);
		failed = faults_disarm();
		answer = err ? self->sent : old[RULE].pcnt;
		if (!err)
			free(old);
		if (err > 0 || (err && !failed) || answer != self->sent)
			return wrong("replacing: the answer", n, failed);
		if (!err)
			self->sent = 0;
		if (!life_in_force(&self->l, err ? from : to, true)) {
			/* The kernel has it: so it does with all tables that cannot be loaded. */
			if (err || !failed || !life_in_force(&self->l, to, false) ||
			    card_has_program())
				return wrong("replacing: who has it", n, failed);
		} else if (self->l.f->loaded->attach != BF_ATTACH_TC) {
			if (!failed || card_has_program())
				return wrong("replacing: where it is", n, failed);
		} else if (!is_whole(self) || (!failed && !is_on_card(self))) {
			return wrong("replacing", n, failed);
		}
	}
	return summarize("replacing", n - 2, kind);
}

TEST_F_TIMEOUT(card, replacing, TIMEOUT)
{
	if (variant->max < 1000)
		SKIP(return, "how its counters lie makes no difference");
	EXPECT_TRUE(replaces(self, &self->one, &self->two, FAULT_MEMORY));
	EXPECT_TRUE(replaces(self, &self->one, &self->two, FAULT_CALL));
}

/* What rtnetlink tells of has been told. */
static void change(SELF, const char *command)
{
	testnet_sh(self->l.s.netns, "%s", command);
	bf_filter_edge_event(self->l.f);
}

static int successor(SELF)
{
	int err = life_open(&self->l);

	if (!err)
		bf_filter_ask(self->l.f, BF_OFFLOAD);
	return err;
}

/* A successor comes up, or does not: the card's program stays, or its counters are had. */
static bool opens(SELF, unsigned int kind)
{
	unsigned int n, descriptors;
	const char *failed = "";
	int err;

	for (n = 1; failed; n++) {
		life_close(&self->l);
		if (!drops(self, 2))
			return wrong("without a helper", n, failed);
		descriptors = open_descriptors();
		faults_arm(kind, n);
		err = successor(self);
		failed = faults_disarm();
		if (err && (!failed || err > 0 || open_descriptors() != descriptors ||
			    !drops(self, 2) || successor(self)))
			return wrong("opening", n, failed);
		let_time_pass(self);
		/* Tables for tc alone have no place here: if it could not be told what this one is, it is looked at again. */
		if (failed && !is_on_card(self))
			change(self,
			       "ip link set far0 txqueuelen 1; ip link set far0 txqueuelen 2");
		if (!is_on_card(self) || !is_whole(self))
			return wrong("opened", n, failed);
	}
	return summarize("opening", n - 2, kind);
}

TEST_F_TIMEOUT(card, opening, TIMEOUT)
{
	if (variant->max < 1000)
		SKIP(return, "how its counters lie makes no difference");
	EXPECT_TRUE(opens(self, FAULT_MEMORY));
	EXPECT_TRUE(opens(self, FAULT_CALL));
}

/* When the card has counted 4 packets: takes it out and puts it in again, and is killed before change @n; true if it was. */
static bool killed_at(SELF, unsigned int n)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (successor(self) || card_frames(4) != CARD_DROPPED)
			_exit(1);
		faults_arm_death(FAULT_CHANGE, n);
		bf_filter_withdraw(self->l.f);
		bf_filter_offload(self->l.f);
		_exit(is_on_card(self) ? FINISHED : 1);
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) && WEXITSTATUS(status) != FINISHED))
		abort();
	return !WEXITSTATUS(status);
}

/* Between two of the steps, and there alone, all that was counted on the card is counted twice. */
TEST_F_TIMEOUT(card, killing, TIMEOUT)
{
	unsigned int n, doubled = 0;
	bool killed = true;
	uint64_t packets;

	for (n = 1; killed; n++) {
		ASSERT_TRUE(is_whole(self));
		life_close(&self->l);
		killed = killed_at(self, n);
		self->sent += 4;
		EXPECT_TRUE(drops(self, 2)) TH_LOG("killed at change %u", n);
		ASSERT_EQ(0, successor(self)) TH_LOG("killed at change %u", n);
		let_time_pass(self);
		packets = life_packets(&self->l, RULE);
		doubled += packets == self->sent + 4;
		if (packets != self->sent + 4) {
			EXPECT_EQ(self->sent, packets) TH_LOG("killed at change %u", n);
		}
		self->sent = packets;
		EXPECT_TRUE(is_on_card(self)) TH_LOG("killed at change %u", n);
		EXPECT_TRUE(is_whole(self)) TH_LOG("killed at change %u", n);
	}
	printf("# %u changes\n", n - 2);
	EXPECT_LT(6, n);
	EXPECT_EQ(1, doubled);
}

/* Lines that say this, so far. */
static int said(SELF, const char *text)
{
	FILE *f = fopen(self->messages, "r");
	char line[1024];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += !!strstr(line, text);
	if (f)
		fclose(f);
	return n;
}

static uint64_t waited(SELF)
{
	return port(self)->again_at - port(self)->tried_at;
}

/* Far from now is when it would be tried again, and long ago that it was. */
static void make_patient(SELF)
{
	port(self)->tried_at = bf_now_ms() - 5000;
	port(self)->again_at = bf_now_ms() + 3600000;
}

TEST_F_TIMEOUT(card, refusing, TIMEOUT)
{
	static const int errors[NR_CARD_CALLS] = {EOPNOTSUPP, EINVAL, EBUSY};
	static const char *const reasons[] = {"card of nic0 does not take the counters",
					      "card of nic0 refused the program",
					      "card of nic0 has another program"};
	unsigned int call, asked, i;
	uint64_t wait;

	for (call = 0; call < NR_CARD_CALLS; call++) {
		forget(self);
		card_refuse(call, errors[call]);
		bf_filter_offload(self->l.f);
		EXPECT_FALSE(is_on_card(self));
		EXPECT_NE(NULL, strstr(port(self)->why.text, reasons[call]))
		TH_LOG("%s", port(self)->why.text);
		/* Again after twice as long, up to an hour, and without a word. */
		for (wait = 1000, i = 0; i < 15; i++) {
			EXPECT_EQ(wait, waited(self)) TH_LOG("%u, %u", call, i);
			EXPECT_GE((int)wait, bf_filter_again_ms(self->l.f));
			asked = card_asked(call);
			bf_filter_offload(self->l.f);
			EXPECT_EQ(asked, card_asked(call));
			let_time_pass(self);
			EXPECT_NE(asked, card_asked(call));
			wait = wait * 2 < 3600000 ? wait * 2 : 3600000;
		}
		EXPECT_TRUE(is_whole(self));
		/* Sooner if the interface changes, but not if another does. */
		change(self, "true");
		make_patient(self);
		asked = card_asked(call);
		change(self, "ip link set lo txqueuelen 77");
		EXPECT_EQ(asked, card_asked(call));
		change(self, "ip link set nic0 txqueuelen 77");
		EXPECT_NE(asked, card_asked(call));
		/* Not without end, though it may be our attempts that change it. */
		port(self)->tried_at = bf_now_ms();
		port(self)->again_at = bf_now_ms() + 3600000;
		asked = card_asked(call);
		change(self, "ip link set nic0 txqueuelen 78");
		EXPECT_EQ(asked, card_asked(call));
		EXPECT_GE(1000, bf_filter_again_ms(self->l.f));
		/* For another table if that may be what it was about. */
		make_patient(self);
		asked = card_asked(call);
		ASSERT_EQ(0, life_replace(&self->l, call % 2 ? &self->one : &self->two, NULL));
		self->sent = 0;
		EXPECT_EQ(call == CARD_MAP, asked == card_asked(call));
		EXPECT_TRUE(is_whole(self));
		EXPECT_EQ(1, said(self, reasons[call]));
		card_refuse(call, 0);
		let_time_pass(self);
		EXPECT_TRUE(is_on_card(self));
		EXPECT_TRUE(is_whole(self));
		EXPECT_EQ((int)call + 1, said(self, "nic0 has the filter now"));
	}
}

TEST_F_TIMEOUT(card, what_no_card_can, TIMEOUT)
{
	unsigned int asked;

	ASSERT_EQ(0, life_replace(&self->l, &self->stateful, NULL));
	EXPECT_FALSE(is_on_card(self));
	EXPECT_NE(NULL, strstr(port(self)->why.text, "state"));
	EXPECT_EQ(BF_OFFLOAD_NEVER, port(self)->again_at);
	asked = card_asked(CARD_MAP);
	change(self, "true");
	port(self)->tried_at = 0;
	change(self, "ip link set nic0 txqueuelen 77");
	EXPECT_EQ(asked, card_asked(CARD_MAP));
	ASSERT_EQ(0, life_replace(&self->l, &self->two, NULL));
	EXPECT_TRUE(is_on_card(self));
	change(self, "sysctl -qw net.ipv4.conf.nic0.forwarding=1");
	EXPECT_FALSE(is_on_card(self));
	asked = card_asked(CARD_MAP);
	EXPECT_EQ(BF_OFFLOAD_NEVER, port(self)->again_at);
	ASSERT_EQ(0, life_replace(&self->l, &self->one, NULL));
	self->sent = 0;
	EXPECT_FALSE(is_on_card(self));
	EXPECT_EQ(asked, card_asked(CARD_MAP));
	EXPECT_EQ(1, said(self, "nic0 forwards packets"));
	change(self, "sysctl -qw net.ipv4.conf.nic0.forwarding=0");
	EXPECT_TRUE(is_on_card(self));
	EXPECT_TRUE(is_whole(self));
}

TEST_F_TIMEOUT(card, vanishing, TIMEOUT)
{
	ASSERT_TRUE(is_whole(self));
	ASSERT_TRUE(drops(self, 5));
	card_vanish();
	EXPECT_EQ(self->sent - 5, life_packets(&self->l, RULE));
	change(self, "ip link del nic0; ip link del shadow0");
	EXPECT_EQ(NULL, port(self));
	EXPECT_FALSE(has_pin(self, "hw_"));
	EXPECT_FALSE(has_pin(self, "hwc_"));
	EXPECT_EQ(self->sent - 5, life_packets(&self->l, RULE));
	EXPECT_EQ(0, said(self, "is lost"));
}

/* Without a helper the card goes on by what was true when it got its program; the next helper puts that right. */
TEST_F_TIMEOUT(card, changing_unseen, TIMEOUT)
{
	static const char *const changes[] = {
		"sysctl -qw net.ipv4.conf.nic0.forwarding=1",
		"ip link set nic0 down; ip link set nic0 address 02:00:00:00:00:77 up",
		"ip link set nic0 down; ip link set nic0 name nic1; ip link set nic1 up",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		uint64_t packets = life_packets(&self->l, RULE);

		life_close(&self->l);
		testnet_sh(self->l.s.netns, "%s", changes[i]);
		EXPECT_TRUE(card_has_program());
		/* A frame for the address that it has now is not what the program knows. */
		EXPECT_EQ(i == 1 ? DRIVER_DROPPED : CARD_DROPPED, card_frames(2)) TH_LOG("%u", i);
		ASSERT_EQ(0, successor(self));
		EXPECT_EQ(i != 0, is_on_card(self)) TH_LOG("%u", i);
		self->sent = packets + 2;
		EXPECT_TRUE(is_whole(self)) TH_LOG("%u", i);
		testnet_sh(self->l.s.netns, "sysctl -qw net.ipv4.conf.nic0.forwarding=0");
		bf_filter_edge_event(self->l.f);
		EXPECT_TRUE(is_on_card(self)) TH_LOG("%u", i);
		EXPECT_TRUE(is_whole(self)) TH_LOG("%u", i);
	}
}

/* It went while there was no helper. */
TEST_F_TIMEOUT(card, vanished, TIMEOUT)
{
	ASSERT_TRUE(is_whole(self));
	life_close(&self->l);
	card_vanish();
	testnet_sh(self->l.s.netns, "ip link del nic0; ip link del shadow0");
	ASSERT_EQ(0, successor(self)) TH_LOG("%s", self->l.why.text);
	EXPECT_FALSE(has_pin(self, "hw_"));
	EXPECT_FALSE(has_pin(self, "hwc_"));
	EXPECT_EQ(0, life_packets(&self->l, RULE));
}

/* A card that tells nothing, not at the third time either: what it has counted is lost, and it is said. */
TEST_F_TIMEOUT(card, telling_nothing, TIMEOUT)
{
	char path[256];
	int fd;

	ASSERT_TRUE(is_whole(self));
	ASSERT_TRUE(drops(self, 5));
	/* No element has such a number. */
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 8, 8, 1, NULL);
	if (fd < 0)
		fd = bpf_map_create(BPF_MAP_TYPE_HASH, "other", 4, 8, 1, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(port(self)->counters, dup2(fd, port(self)->counters));
	close(fd);
	bf_filter_withdraw(self->l.f);
	EXPECT_EQ(1, said(self, "is lost"));
	EXPECT_EQ(self->sent - 5, life_packets(&self->l, RULE));
	pin_path(self, "hwc_", path);
	EXPECT_NE(0, access(path, F_OK));
	bf_filter_offload(self->l.f);
	EXPECT_TRUE(is_on_card(self));
}

static int pin_other(SELF, const char *kind, uint32_t size)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, size, 1, NULL), err;
	char path[256];

	pin_path(self, kind, path);
	unlink(path);
	err = fd < 0 || bpf_obj_pin(fd, path);
	close(fd);
	return err;
}

/* Pins of an interface that had the index before. */
TEST_F_TIMEOUT(card, leftovers, TIMEOUT)
{
	forget(self);
	ASSERT_EQ(0, pin_other(self, "hwc_", 64));
	ASSERT_EQ(0, pin_other(self, "hw_", 64));
	bf_filter_offload(self->l.f);
	EXPECT_TRUE(is_on_card(self));
	EXPECT_TRUE(is_whole(self));
	/* What is pinned is what is in use: a successor finds it. */
	life_close(&self->l);
	EXPECT_TRUE(drops(self, 4));
	ASSERT_EQ(0, successor(self));
	EXPECT_TRUE(is_on_card(self));
	EXPECT_TRUE(is_whole(self));
}

/* Counters of another table, many more of them than the one in force has: they are not read. */
TEST_F_TIMEOUT(card, counters_of_another, TIMEOUT)
{
	forget(self);
	life_close(&self->l);
	ASSERT_EQ(0, pin_other(self, "hwc_", 1 << 20));
	ASSERT_EQ(0, successor(self));
	EXPECT_TRUE(is_on_card(self));
	EXPECT_TRUE(is_whole(self));
}

TEST_HARNESS_MAIN
