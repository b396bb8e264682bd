// SPDX-License-Identifier: GPL-2.0
/*
 * The filter of a namespace through its life: the kernel's, ours, swapped, back, taken up by a
 * successor, interrupted, detached. With packets on the loopback, which each table must count.
 */
#include "blob.h"
#include "sandbox.h"
#include "traffic.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/netfilter/xt_pkttype.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "filter.h"
#include "kernel_table.h"
#include "kselftest_harness.h"
#include "pins.h"

/* Index of the counting rule, and of INPUT's policy, in make_table()'s tables. */
enum { RULE, POLICY };

FIXTURE(filter)
{
	struct sandbox s;
	struct bf_filter *f;
	struct traffic t;
	struct bf_why why;
	int sk;
	struct blob a, b, foreign, stateful;
};

/* One rule in INPUT for UDP, which counts or drops; with a match of some sort. */
enum kind { PLAIN, FOREIGN, STATEFUL };

static void make_table(struct blob *b, enum kind kind, int verdict)
{
	const struct xt_pkttype_info pkttype = {.pkttype = 1, .invert = 1};
	const struct xt_state_info state = {.statemask = 0xff};

	blob_hook(b, NF_INET_LOCAL_IN);
	blob_begin(b)->proto = IPPROTO_UDP;
	if (kind == FOREIGN)
		blob_match(b, "pkttype", 0, &pkttype, sizeof(pkttype));
	if (kind == STATEFUL)
		blob_match(b, "state", 0, &state, sizeof(state));
	blob_end(b, verdict);
	blob_policy(b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(b, NF_INET_FORWARD, BLOB_DROP);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_chain(b, kind == PLAIN ? "plain" : "other");
	blob_rule(b, BLOB_RETURN);
	blob_finish(b);
}

FIXTURE_SETUP(filter)
{
	int err;

	memset(self, 0, sizeof(*self));
	err = sandbox_enter(&self->s);
	if (err == 1)
		SKIP(return, "%s", self->s.why);
	ASSERT_EQ(0, err) TH_LOG("%s", self->s.why);
	bf_log_set_level(BF_LOG_ERR);
	make_table(&self->a, PLAIN, BLOB_NEXT);
	make_table(&self->b, PLAIN, BLOB_DROP);
	make_table(&self->foreign, FOREIGN, BLOB_NEXT);
	make_table(&self->stateful, STATEFUL, BLOB_NEXT);
	self->sk = bf_kernel_socket();
	ASSERT_LE(0, self->sk);
	ASSERT_EQ(0, traffic_open(&self->t));
	ASSERT_EQ(0, bf_filter_open(self->s.env, self->s.inode, "test", &self->f, &self->why));
}

FIXTURE_TEARDOWN(filter)
{
	bf_filter_close(self->f);
	traffic_close(&self->t);
	close(self->sk);
	blob_free(&self->a);
	blob_free(&self->b);
	blob_free(&self->foreign);
	blob_free(&self->stateful);
	sandbox_leave(&self->s);
}

/* Replaces the table in force, as iptables would; the old counters, or NULL. */
static struct xt_counters *replace(FIXTURE_DATA(filter) * self, struct blob *b)
{
	struct ipt_getinfo info = {};
	struct xt_counters *old = NULL;
	int err = bf_filter_info(self->f, &info);

	blob_head(b)->num_counters = info.num_entries;
	err = err ?: bf_filter_replace(self->f, b->data, b->len, &old, &self->why);
	if (err)
		printf("# replace: %d %s\n", err, self->why.text);
	return old;
}

/* What the filter gives back; info.size bytes. */
static uint8_t *entries(FIXTURE_DATA(filter) * self, uint32_t *size)
{
	struct ipt_getinfo info = {};
	uint8_t *p;

	if (bf_filter_info(self->f, &info))
		return NULL;
	*size = info.size;
	p = calloc(1, info.size);
	if (bf_filter_entries(self->f, info.size, p)) {
		free(p);
		return NULL;
	}
	return p;
}

/* Counter number @index in entries as iptables gets them. */
static struct xt_counters counter_in(const uint8_t *p, unsigned int index)
{
	while (index--)
		p += ((const struct ipt_entry *)p)->next_offset;
	return ((const struct ipt_entry *)p)->counters;
}

static uint64_t packets(FIXTURE_DATA(filter) * self, unsigned int index)
{
	uint32_t size;
	uint8_t *p = entries(self, &size);
	struct xt_counters c = p ? counter_in(p, index) : (struct xt_counters){-1, -1};

	free(p);
	return c.bcnt == c.pcnt * TRAFFIC_BYTES ? c.pcnt : UINT64_MAX;
}

static void clear_counters(uint8_t *p, uint32_t size)
{
	struct ipt_entry *e;
	uint32_t at;

	for (at = 0; at < size; at += e->next_offset) {
		e = (void *)(p + at);
		memset(&e->counters, 0, sizeof(e->counters));
	}
}

/*
 * Is this the table in force, and only there? What iptables reads is what the kernel would give for it,
 * counters aside; ip_tables has it, or has nothing.
 */
static bool in_force(FIXTURE_DATA(filter) * self, struct blob *b, bool ours)
{
	struct bf_kernel_table *kt = NULL;
	struct bf_table *t;
	struct xt_counters none[16] = {};
	bool ok = bf_filter_is_ours(self->f) == ours;
	uint32_t size = 0;
	uint8_t *p = entries(self, &size), *want;

	if (!p || bf_kernel_read(self->sk, &kt))
		return false;
	if (b == &self->foreign) {
		/* Not one that bf_table_check() knows; the kernel fills in no more than comefrom. */
		ok = ok && size == blob_head(b)->size;
	} else {
		t = blob_table(b);
		want = malloc(t->size);
		bf_table_show(t, none, want);
		clear_counters(p, size);
		ok = ok && size == t->size && !memcmp(p, want, size);
		bf_table_free(t);
		free(want);
	}
	clear_counters(kt->entries, kt->info.size);
	if (ours)
		ok = ok && bf_kernel_table_is_empty(kt);
	else
		ok = ok && kt->info.size == size && (b == &self->foreign || !memcmp(kt->entries, p, size));
	bf_kernel_table_free(kt);
	free(p);
	return ok;
}

/* Files in the namespace's pin directory; -1 if there is none. */
static int nr_pins(FIXTURE_DATA(filter) * self)
{
	struct bf_pins pins;
	DIR *dir;
	int n = 0;

	bf_pins_init(&pins, self->s.inode);
	dir = opendir(pins.dir);
	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* The helper ends and another one starts. */
static int reopen(FIXTURE_DATA(filter) * self)
{
	bf_filter_close(self->f);
	self->f = NULL;
	return bf_filter_open(self->s.env, self->s.inode, "test", &self->f, &self->why);
}

/* The switch and three links: what a namespace with a table of ours has. */
#define PINS 4

TEST_F(filter, an_untouched_namespace_is_the_kernels)
{
	struct ipt_getinfo ours = {}, kernels = {.name = "filter"};
	socklen_t len = sizeof(kernels);
	struct bf_filter_status status;
	struct bf_kernel_table *kt;
	uint32_t size;
	uint8_t *p;

	EXPECT_FALSE(bf_filter_is_ours(self->f));
	EXPECT_EQ(-1, bf_filter_fd(self->f));
	ASSERT_EQ(0, bf_filter_info(self->f, &ours));
	ASSERT_EQ(0, bf_kernel_get(self->sk, IPT_SO_GET_INFO, &kernels, &len));
	EXPECT_EQ(0, memcmp(&ours, &kernels, sizeof(ours)));
	p = entries(self, &size);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, bf_kernel_read(self->sk, &kt));
	EXPECT_EQ(0, memcmp(p, kt->entries, size));
	EXPECT_EQ(-EAGAIN, bf_filter_entries(self->f, size - 1, p));
	bf_kernel_table_free(kt);
	free(p);
	EXPECT_EQ(0, bf_filter_status(self->f, &status));
	EXPECT_FALSE(status.ours);
	EXPECT_EQ('\0', status.why_kernel.text[0]);
	EXPECT_EQ(-1, nr_pins(self));
	EXPECT_EQ(0, bf_filter_detach(self->f, &self->why));
}

TEST_F(filter, rules_that_were_there_before_stay_until_the_next_change)
{
	struct bf_filter_status status;
	struct xt_counters *old;

	ASSERT_EQ(0, bf_kernel_replace(self->sk, self->b.data, self->b.len, NULL, NULL));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(in_force(self, &self->b, false));
	EXPECT_EQ(0, traffic_send(&self->t, 3));
	ASSERT_EQ(0, bf_filter_status(self->f, &status));
	EXPECT_NE('\0', status.why_kernel.text[0]);
	old = replace(self, &self->a);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(3U, old[RULE].pcnt);
	EXPECT_EQ(3U * TRAFFIC_BYTES, old[RULE].bcnt);
	free(old);
	EXPECT_TRUE(in_force(self, &self->a, true));
	EXPECT_EQ(4, traffic_send(&self->t, 4));
	EXPECT_EQ(4U, packets(self, RULE));
	EXPECT_EQ(PINS, nr_pins(self));
}

TEST_F(filter, swapping_tables)
{
	struct bf_filter_status one, two;
	struct xt_counters *old;

	free(replace(self, &self->a));
	ASSERT_TRUE(in_force(self, &self->a, true));
	ASSERT_EQ(0, bf_filter_status(self->f, &one));
	EXPECT_EQ(5, traffic_send(&self->t, 5));
	old = replace(self, &self->b);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(5U, old[RULE].pcnt);
	EXPECT_EQ(5U * TRAFFIC_BYTES, old[POLICY].bcnt);
	free(old);
	EXPECT_TRUE(in_force(self, &self->b, true));
	EXPECT_EQ(0, traffic_send(&self->t, 2));
	EXPECT_EQ(2U, packets(self, RULE));
	EXPECT_EQ(0U, packets(self, POLICY));
	ASSERT_EQ(0, bf_filter_status(self->f, &two));
	EXPECT_TRUE(two.ours);
	EXPECT_EQ(1U, two.rules);
	EXPECT_EQ(1U, two.chains);
	EXPECT_NE(0U, two.insns);
	EXPECT_EQ(one.prog_ids[0], two.prog_ids[0]);
	EXPECT_NE(one.prog_ids[1], two.prog_ids[1]);
	EXPECT_EQ(PINS, nr_pins(self));
}

TEST_F(filter, what_is_refused_changes_nothing)
{
	struct xt_counters *old;
	struct ipt_getinfo info = {};
	uint8_t small[2000];

	free(replace(self, &self->b));
	ASSERT_EQ(0, bf_filter_info(self->f, &info));
	/* the number of counters is that of another table */
	blob_head(&self->a)->num_counters = info.num_entries + 1;
	EXPECT_EQ(-EAGAIN, bf_filter_replace(self->f, self->a.data, self->a.len, &old, &self->why));
	EXPECT_EQ(NULL, old);
	blob_head(&self->foreign)->num_counters = info.num_entries + 1;
	EXPECT_EQ(-EAGAIN, bf_filter_replace(self->f, self->foreign.data, self->foreign.len, &old,
					     &self->why));
	EXPECT_EQ(NULL, old);
	EXPECT_EQ(-EAGAIN, bf_filter_entries(self->f, info.size + 8, small));
	/* a malformed table, and one that the kernel refuses but we cannot judge */
	blob_head(&self->a)->num_counters = info.num_entries;
	blob_head(&self->a)->num_entries++;
	EXPECT_EQ(-EINVAL, bf_filter_replace(self->f, self->a.data, self->a.len, &old, &self->why));
	EXPECT_NE('\0', self->why.text[0]);
	blob_head(&self->foreign)->num_counters = info.num_entries;
	strcpy(((struct xt_entry_match *)blob_entry(&self->foreign, 0)->elems)->u.user.name, "nonsense");
	EXPECT_EQ(-ENOENT, bf_filter_replace(self->f, self->foreign.data, self->foreign.len, &old,
					     &self->why));
	EXPECT_EQ(NULL, old);
	EXPECT_TRUE(in_force(self, &self->b, true));
	EXPECT_EQ(0, traffic_send(&self->t, 2));
	EXPECT_EQ(PINS, nr_pins(self));
}

TEST_F(filter, to_the_kernel_and_back)
{
	struct bf_filter_status status;
	struct xt_counters *old;

	free(replace(self, &self->b));
	EXPECT_EQ(0, traffic_send(&self->t, 3));
	old = replace(self, &self->foreign);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(3U, old[RULE].pcnt);
	free(old);
	EXPECT_TRUE(in_force(self, &self->foreign, false));
	EXPECT_EQ(-1, nr_pins(self));
	ASSERT_EQ(0, bf_filter_status(self->f, &status));
	EXPECT_NE(NULL, strstr(status.why_kernel.text, "pkttype")) TH_LOG("%s", status.why_kernel.text);
	EXPECT_EQ(4, traffic_send(&self->t, 4));
	EXPECT_EQ(4U, packets(self, RULE));
	/* from kernel to kernel */
	old = replace(self, &self->foreign);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(4U, old[RULE].pcnt);
	free(old);
	EXPECT_EQ(2, traffic_send(&self->t, 2));
	old = replace(self, &self->a);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(2U, old[RULE].pcnt);
	free(old);
	EXPECT_TRUE(in_force(self, &self->a, true));
	ASSERT_EQ(0, bf_filter_status(self->f, &status));
	EXPECT_EQ('\0', status.why_kernel.text[0]);
	EXPECT_EQ(2, traffic_send(&self->t, 2));
	EXPECT_EQ(2U, packets(self, RULE));
	EXPECT_EQ(PINS, nr_pins(self));
}

TEST_F(filter, added_counters)
{
	struct {
		struct xt_counters_info info;
		struct xt_counters counters[16];
	} add = {.info.name = "filter", .counters[RULE] = {10, 10 * TRAFFIC_BYTES}};
	struct blob *tables[] = {&self->a, &self->foreign};
	struct ipt_getinfo info = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		free(replace(self, tables[i]));
		ASSERT_EQ(0, bf_filter_info(self->f, &info));
		EXPECT_EQ(1, traffic_send(&self->t, 1));
		add.info.num_counters = info.num_entries;
		EXPECT_EQ(0, bf_filter_add_counters(self->f, &add, sizeof(add.info) +
			  info.num_entries * sizeof(*add.counters)));
		EXPECT_EQ(11U, packets(self, RULE));
		EXPECT_EQ(1U, packets(self, POLICY));
		EXPECT_EQ(-EINVAL, bf_filter_add_counters(self->f, &add, sizeof(add.info) - 1));
		EXPECT_EQ(-EINVAL, bf_filter_add_counters(self->f, &add, sizeof(add.info) +
			  (info.num_entries - 1) * sizeof(*add.counters)));
		add.info.num_counters--;
		EXPECT_EQ(-EINVAL, bf_filter_add_counters(self->f, &add, sizeof(add.info) +
			  add.info.num_counters * sizeof(*add.counters)));
		EXPECT_EQ(11U, packets(self, RULE));
	}
}

TEST_F(filter, a_successor_takes_up_where_the_helper_ended)
{
	struct xt_counters *old;
	struct bf_filter_status before, after;

	free(replace(self, &self->a));
	EXPECT_EQ(3, traffic_send(&self->t, 3));
	ASSERT_EQ(0, bf_filter_status(self->f, &before));
	bf_filter_close(self->f);
	self->f = NULL;
	/* nobody is there, and the table works */
	EXPECT_EQ(4, traffic_send(&self->t, 4));
	ASSERT_EQ(0, bf_filter_open(self->s.env, self->s.inode, "test", &self->f, &self->why));
	EXPECT_TRUE(in_force(self, &self->a, true));
	EXPECT_EQ(7U, packets(self, RULE));
	ASSERT_EQ(0, bf_filter_status(self->f, &after));
	before.replaced_at = after.replaced_at;
	before.replace_us = after.replace_us;
	EXPECT_EQ(before.prog_ids[0], after.prog_ids[0]);
	EXPECT_EQ(before.prog_ids[1], after.prog_ids[1]);
	EXPECT_EQ(before.map_bytes, after.map_bytes);
	EXPECT_EQ(0, strcmp(before.form, after.form));
	old = replace(self, &self->b);
	ASSERT_NE(NULL, old);
	EXPECT_EQ(7U, old[RULE].pcnt);
	free(old);
	EXPECT_EQ(0, traffic_send(&self->t, 1));
	EXPECT_TRUE(in_force(self, &self->b, true));
}

TEST_F(filter, detaching_leaves_rules_and_counters_to_the_kernel)
{
	free(replace(self, &self->stateful));
	EXPECT_EQ(3, traffic_send(&self->t, 3));
	EXPECT_LE(0, bf_filter_fd(self->f));
	ASSERT_EQ(0, bf_filter_detach(self->f, &self->why)) TH_LOG("%s", self->why.text);
	EXPECT_TRUE(in_force(self, &self->stateful, false));
	EXPECT_EQ(3U, packets(self, RULE));
	EXPECT_EQ(2, traffic_send(&self->t, 2));
	EXPECT_EQ(5U, packets(self, RULE));
	EXPECT_EQ(-1, nr_pins(self));
	EXPECT_EQ(-1, bf_filter_fd(self->f));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(in_force(self, &self->stateful, false));
}

TEST_F(filter, conntrack_is_kept_for_as_long_as_a_table_looks_at_it)
{
	free(replace(self, &self->a));
	EXPECT_EQ(-1, bf_filter_fd(self->f));
	free(replace(self, &self->stateful));
	EXPECT_TRUE(in_force(self, &self->stateful, true));
	EXPECT_LE(0, bf_filter_fd(self->f));
	/* a rule for every state that a packet with a connection can have */
	EXPECT_EQ(3, traffic_send(&self->t, 3));
	EXPECT_EQ(3U, packets(self, RULE));
	ASSERT_EQ(0, reopen(self));
	EXPECT_LE(0, bf_filter_fd(self->f));
	bf_filter_event(self->f);
	free(replace(self, &self->a));
	EXPECT_EQ(-1, bf_filter_fd(self->f));
}

/* What a helper that was killed may have left behind: what a successor makes of it. */

/* Detached from everything but the pins. */
static void die(FIXTURE_DATA(filter) * self, struct bf_pins *pins)
{
	bf_filter_close(self->f);
	self->f = NULL;
	bf_pins_init(pins, self->s.inode);
	bf_pins_open(pins);
}

TEST_F(filter, killed_in_a_move_before_the_switch)
{
	struct bf_kernel kernel;
	struct bf_pins pins;

	ASSERT_EQ(0, bf_kernel_replace(self->sk, self->b.data, self->b.len, NULL, NULL));
	die(self, &pins);
	bf_env_kernel(self->s.env, &kernel);
	ASSERT_EQ(0, bf_pins_make(&pins, &kernel, &self->why));
	ASSERT_EQ(0, bf_pins_set_moving(&pins, true));
	bf_pins_close(&pins);
	EXPECT_EQ(0, traffic_send(&self->t, 2));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(in_force(self, &self->b, false));
	EXPECT_EQ(2U, packets(self, RULE));
	EXPECT_EQ(-1, nr_pins(self));
	free(replace(self, &self->a));
	EXPECT_TRUE(in_force(self, &self->a, true));
}

TEST_F(filter, killed_in_a_move_after_the_switch)
{
	struct bf_pins pins;

	free(replace(self, &self->b));
	die(self, &pins);
	ASSERT_EQ(0, bf_pins_set_moving(&pins, true));
	EXPECT_TRUE(bf_pins_is_moving(&pins));
	bf_pins_close(&pins);
	ASSERT_EQ(0, bf_kernel_replace(self->sk, self->a.data, self->a.len, NULL, NULL));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(in_force(self, &self->b, true));
	EXPECT_EQ(PINS, nr_pins(self));
	EXPECT_EQ(0, traffic_send(&self->t, 2));
}

TEST_F(filter, killed_before_a_link_was_there)
{
	struct bf_pins pins;
	char path[300];

	free(replace(self, &self->b));
	die(self, &pins);
	snprintf(path, sizeof(path), "%s/link_input", pins.dir);
	ASSERT_EQ(0, unlink(path));
	bf_pins_close(&pins);
	EXPECT_EQ(1, traffic_send(&self->t, 1));
	ASSERT_EQ(0, reopen(self));
	EXPECT_TRUE(in_force(self, &self->b, true));
	EXPECT_EQ(PINS, nr_pins(self));
	EXPECT_EQ(0, traffic_send(&self->t, 2));
}

TEST_F(filter, killed_while_the_pins_were_removed)
{
	struct bf_pins pins;
	char path[300];
	int fd, i;

	free(replace(self, &self->b));
	die(self, &pins);
	/* only "moving" is left, of a switch that is gone */
	ASSERT_EQ(0, bf_pins_set_moving(&pins, true));
	fd = dup(pins.switch_fd);
	snprintf(path, sizeof(path), "%s/switch", pins.dir);
	unlink(path);
	bf_pins_close(&pins);
	close(fd);
	strcpy(strrchr(path, '/'), "/link_input");
	unlink(path);
	strcpy(strrchr(path, '/'), "/link_forward");
	unlink(path);
	strcpy(strrchr(path, '/'), "/link_output");
	unlink(path);
	ASSERT_EQ(0, reopen(self));
	EXPECT_FALSE(bf_filter_is_ours(self->f));
	/* The kernel detaches a link that nobody has any more a little later. */
	for (i = 0; i < 200 && !traffic_send(&self->t, 1); i++)
		usleep(5000);
	EXPECT_EQ(1, traffic_send(&self->t, 1));
	free(replace(self, &self->b));
	EXPECT_TRUE(in_force(self, &self->b, true));
	EXPECT_EQ(PINS, nr_pins(self));
	EXPECT_EQ(0, traffic_send(&self->t, 1));
}

TEST_HARNESS_MAIN
