// SPDX-License-Identifier: GPL-2.0
/*
 * -m addrtype: the check, and the walk through a routing trie that this test makes up, run
 * instruction by instruction. What is expected follows inet_dev_addr_type(), fib_table_lookup()
 * and fib_lookup_good_nhc() of the kernel.
 */
#include "cond.h"
#include "fib.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/ip.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/rtnetlink.h>

/* The kernel's structures, with members in places of our own. */
struct dev {
	uint64_t pad;
	struct in_dev *ip_ptr;
};
struct conf {
	uint32_t pad, data[40];
};
struct in_dev {
	uint64_t pad[2];
	struct conf cnf;
};
struct hop {
	uint32_t pad;
	uint8_t flags;
	struct dev *dev;
};
struct fib_hop {
	struct hop nhc;
	uint64_t pad[3];
};
struct nh_info {
	uint64_t pad;
	uint8_t reject;
	struct fib_hop nh;
};
struct nh_entry {
	uint32_t pad;
	struct nexthop *nh;
	uint32_t pad2;
};
struct nh_group {
	uint32_t pad;
	uint16_t num;
	struct nh_entry entries[3];
};
struct nexthop {
	uint64_t pad;
	uint8_t is_group;
	void *info;
};
struct info {
	uint64_t pad;
	uint32_t flags;
	uint8_t dead;
	int32_t nhs;
	struct nexthop *nh;
	struct fib_hop hops[3];
};
struct alias {
	uint64_t pad;
	struct alias_node {
		struct alias_node *next;
	} list;
	struct info *info;
	uint8_t dscp, type, slen;
};
struct node {
	struct node *parent;
	uint64_t pad;
	struct kv {
		uint32_t key;
		uint8_t pos, bits, slen;
		void *child[4];
	} kv;
};
struct table {
	uint64_t pad;
	struct table_node {
		struct table_node *next;
	} list;
	uint32_t id;
	void *data;
};
struct netns {
	uint64_t pad;
	struct table_node **hash;
	struct conf *all;
};
struct hook {
	uint64_t pad;
	struct dev *in, *out;
	struct netns *net;
};

static const struct bf_kernel kernel = {
	.kfunc_rdonly_cast = BPF_VM_RDONLY_CAST,
	.has_fib = true,
	.fib_multiple_tables = true,
	.state_in = offsetof(struct hook, in),
	.state_out = offsetof(struct hook, out),
	.state_net = offsetof(struct hook, net),
	.net_fib_table_hash = offsetof(struct netns, hash),
	.net_devconf_all = offsetof(struct netns, all),
	.tb_hlist = offsetof(struct table, list),
	.tb_id = offsetof(struct table, id),
	.tb_data = offsetof(struct table, data),
	.trie_kv = 8,
	.kv_parent = (int)offsetof(struct node, parent) - (int)offsetof(struct node, kv),
	.kv_key = offsetof(struct kv, key),
	.kv_pos = offsetof(struct kv, pos),
	.kv_bits = offsetof(struct kv, bits),
	.kv_slen = offsetof(struct kv, slen),
	.kv_tnode = offsetof(struct kv, child),
	.fa_list = offsetof(struct alias, list),
	.fa_info = offsetof(struct alias, info),
	.fa_dscp = offsetof(struct alias, dscp),
	.fa_type = offsetof(struct alias, type),
	.fa_slen = offsetof(struct alias, slen),
	.fib_flags = offsetof(struct info, flags),
	.fib_dead = offsetof(struct info, dead),
	.fib_nhs = offsetof(struct info, nhs),
	.fib_nexthop = offsetof(struct info, nh),
	.fib_nh = offsetof(struct info, hops),
	.fib_nh_size = sizeof(struct fib_hop),
	.nhc_dev = offsetof(struct hop, dev),
	.nhc_flags = offsetof(struct hop, flags),
	.nexthop_is_group = offsetof(struct nexthop, is_group),
	.nexthop_info = offsetof(struct nexthop, info),
	.nh_info_reject_nh = offsetof(struct nh_info, reject),
	.nh_info_nhc = offsetof(struct nh_info, nh),
	.nh_group_num_nh = offsetof(struct nh_group, num),
	.nh_group_entries = offsetof(struct nh_group, entries),
	.nh_entry_size = sizeof(struct nh_entry),
	.nh_entry_nh = offsetof(struct nh_entry, nh),
	.dev_ip_ptr = offsetof(struct dev, ip_ptr),
	.in_device_cnf = offsetof(struct in_dev, cnf),
	.devconf_data = offsetof(struct conf, data),
};

/*
 * The local table: 10.0.0.0/8 is "wide", 10.1.1.0/24 is "near" and, in the same leaf, 10.1.1.0/25 is
 * "close"; both of the latter are of type LOCAL, the first is BROADCAST, so that the type tells which
 * one answered. All lead to "dev" but for what a test changes.
 */
FIXTURE(fib)
{
	struct in_dev in_dev[2];
	struct dev dev[2];
	struct conf all;
	struct info info[3];
	struct alias wide, near, close;
	struct node leaf[2], fork, root; /* root.kv is at offset 8 of what tb_data points to */
	struct table table, other;
	struct table_node *hash[256];
	struct netns net;
	struct hook hook;
	struct nh_info nh_info[2];
	struct nexthop nexthop[3];
	struct nh_group group;
	struct xt_addrtype_info_v1 match;
};

#define LINKDOWN (IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN - 1)

static void fill_route(struct alias *fa, struct info *fi, uint8_t type, uint8_t slen,
		       struct dev *dev)
{
	fa->info = fi;
	fa->type = type;
	fa->slen = slen;
	fi->nhs = 1;
	fi->hops[0].nhc.dev = dev;
}

FIXTURE_SETUP(fib)
{
	memset(self, 0, sizeof(*self));
	self->dev[0].ip_ptr = &self->in_dev[0];
	self->dev[1].ip_ptr = &self->in_dev[1];
	fill_route(&self->wide, &self->info[0], RTN_BROADCAST, 24, &self->dev[0]);
	fill_route(&self->near, &self->info[1], RTN_LOCAL, 8, &self->dev[0]);
	fill_route(&self->close, &self->info[2], RTN_ANYCAST, 7, &self->dev[0]);
	self->close.list.next = &self->near.list;

	self->leaf[0].kv = (struct kv){0x0a000000, 0, 0, 24, {&self->wide.list}};
	self->leaf[1].kv = (struct kv){0x0a010100, 0, 0, 8, {&self->close.list}};
	self->fork.kv = (struct kv){0x0a000000, 16, 1, 24, {&self->leaf[0].kv, &self->leaf[1].kv}};
	self->root.kv = (struct kv){0, 32, 0, 24, {&self->fork.kv}};
	self->leaf[0].parent = self->leaf[1].parent = (void *)&self->fork.kv;
	self->fork.parent = (void *)&self->root.kv;

	self->table.id = RT_TABLE_LOCAL;
	self->table.data = (char *)&self->root.kv - 8;
	self->other.id = 511;
	self->other.list.next = &self->table.list;
	self->hash[255] = &self->other.list;
	self->net.hash = self->hash;
	self->net.all = &self->all;
	self->hook.net = &self->net;

	self->nh_info[0].nh.nhc.dev = &self->dev[0];
	self->nh_info[1].nh.nhc.dev = &self->dev[1];
	self->nexthop[0].info = &self->nh_info[0];
	self->nexthop[1].info = &self->nh_info[1];
	self->nexthop[2].info = &self->group;
	self->nexthop[2].is_group = 1;
	self->group.num = 2;
	self->group.entries[0].nh = &self->nexthop[0];
	self->group.entries[1].nh = &self->nexthop[1];
}

FIXTURE_TEARDOWN(fib)
{
}

#define DROPPED 100

/* The type that the code finds for a source address: the one bit whose rule matches. */
static int type_with(FIXTURE_DATA(fib) * self, const struct bf_kernel *k, const char *addr)
{
	int type, found = -1;

	for (type = 0; type < 16; type++) {
		const struct xt_addrtype_info_v1 match = {1 << type, 0, self->match.flags};
		struct cond c;
		uint64_t answer = BPF_VM_STUCK;
		void *hook = &self->hook;

		if (cond_make(&c, k, "addrtype", 1, &match, sizeof(match))) {
			frame_set(&c, BF_FRAME_KEY + 4 * BF_SADDR, ntohl(inet_addr(addr)));
			frame_set(&c, BF_FRAME_KEY + 4 * BF_DADDR, 0x7f000001);
			memcpy(c.frame + BF_FRAME_STATE, &hook, sizeof(hook));
			answer = cond_run(&c);
		}
		cond_free(&c);
		if (answer == BF_HOTDROP)
			return DROPPED;
		if (answer > 1 || (answer && found >= 0))
			return -2;
		if (answer)
			found = type;
	}
	return found;
}

#define TYPE(addr) type_with(self, &kernel, addr)

/* Whose answer it is, for 10.1.1.200, which "near" and "wide" have a route for. */
#define NEAR	 RTN_LOCAL
#define WIDE	 RTN_BROADCAST
#define NONE	 RTN_UNICAST
#define ANSWER() TYPE("10.1.1.200")

TEST_F(fib, without_a_lookup)
{
	/* Only 0.0.0.0 is of the zero network since Linux 5.3. */
	EXPECT_EQ(RTN_BROADCAST, TYPE("0.0.0.0"));
	EXPECT_EQ(RTN_UNICAST, TYPE("0.0.0.1"));
	EXPECT_EQ(RTN_UNICAST, TYPE("0.255.255.255"));
	EXPECT_EQ(RTN_BROADCAST, TYPE("255.255.255.255"));
	EXPECT_EQ(RTN_UNICAST, TYPE("255.255.255.254"));
	EXPECT_EQ(RTN_UNICAST, TYPE("223.255.255.255"));
	EXPECT_EQ(RTN_MULTICAST, TYPE("224.0.0.0"));
	EXPECT_EQ(RTN_MULTICAST, TYPE("239.255.255.255"));
	EXPECT_EQ(RTN_UNICAST, TYPE("240.0.0.0"));
}

TEST_F(fib, longest_prefix)
{
	EXPECT_EQ(RTN_ANYCAST, TYPE("10.1.1.0"));
	EXPECT_EQ(RTN_ANYCAST, TYPE("10.1.1.127"));
	EXPECT_EQ(NEAR, TYPE("10.1.1.128"));
	EXPECT_EQ(NEAR, TYPE("10.1.1.255"));
	EXPECT_EQ(WIDE, TYPE("10.1.2.0"));
	EXPECT_EQ(WIDE, TYPE("10.1.0.255"));
	EXPECT_EQ(WIDE, TYPE("10.0.0.0"));
	EXPECT_EQ(WIDE, TYPE("10.0.0.1"));
	EXPECT_EQ(WIDE, TYPE("10.255.255.255"));
	EXPECT_EQ(NONE, TYPE("11.0.0.0"));
	EXPECT_EQ(NONE, TYPE("9.255.255.255"));
	EXPECT_EQ(NONE, TYPE("138.1.1.200"));
}

TEST_F(fib, missing_children)
{
	self->fork.kv.child[0] = NULL;
	EXPECT_EQ(NEAR, ANSWER());
	EXPECT_EQ(NONE, TYPE("10.0.0.1"));
	EXPECT_EQ(NONE, TYPE("10.1.2.3"));
	self->fork.kv.child[1] = NULL;
	EXPECT_EQ(NONE, ANSWER());
	self->root.kv.child[0] = NULL;
	EXPECT_EQ(NONE, ANSWER());
}

/* No prefix shorter than the node is below it: it is not searched on the way back. */
TEST_F(fib, slen_ends_the_way_back)
{
	self->fork.kv.slen = 16;
	EXPECT_EQ(NEAR, ANSWER());
	EXPECT_EQ(NONE, TYPE("10.1.2.3"));
	self->fork.kv.slen = 17;
	EXPECT_EQ(WIDE, TYPE("10.1.2.3"));
	self->leaf[0].kv.slen = 0;
	EXPECT_EQ(NONE, TYPE("10.1.2.3"));
}

/* Two levels: from 10.1.3.x up through an inner node that has nothing for it. */
TEST_F(fib, back_over_two_levels)
{
	struct node inner = {.parent = (void *)&self->fork.kv};
	struct node third = {.parent = (void *)&inner.kv};

	/* 10.1.1.0 and 10.1.3.0 below 10.1.0.0: bit 9 differs; bits 9 and 8 are the index */
	inner.kv = (struct kv){0x0a010000, 8, 2, 9, {NULL, &self->leaf[1].kv, NULL, &third.kv}};
	third.kv = (struct kv){0x0a010300, 0, 0, 1, {NULL}};
	self->fork.kv.child[1] = &inner.kv;
	EXPECT_EQ(NEAR, ANSWER());
	EXPECT_EQ(WIDE, TYPE("10.1.3.9"));
	EXPECT_EQ(WIDE, TYPE("10.1.2.9"));
	EXPECT_EQ(WIDE, TYPE("10.1.0.9"));
	EXPECT_EQ(WIDE, TYPE("10.1.4.9"));
	/* a child of the inner node that covers 10.1.2.0/23: index 3 without its last bit */
	self->near.list.next = NULL;
	self->near.slen = 9;
	self->leaf[1].kv = (struct kv){0x0a010200, 0, 0, 9, {&self->near.list}};
	inner.kv.child[1] = NULL;
	inner.kv.child[2] = &self->leaf[1].kv;
	EXPECT_EQ(NEAR, TYPE("10.1.3.9"));
	EXPECT_EQ(NEAR, TYPE("10.1.2.9"));
	EXPECT_EQ(WIDE, TYPE("10.1.1.9"));
	/* which the walk back need not try where no prefix there is that short */
	inner.kv.slen = 8;
	EXPECT_EQ(WIDE, TYPE("10.1.3.9"));
}

TEST_F(fib, tables)
{
	struct bf_kernel single = kernel;

	/* the only table of its chain */
	self->hash[255] = &self->table.list;
	EXPECT_EQ(NEAR, ANSWER());
	/* not there: the kernel says broadcast */
	self->hash[255] = NULL;
	EXPECT_EQ(RTN_BROADCAST, ANSWER());
	self->hash[255] = &self->other.list;
	self->other.list.next = NULL;
	EXPECT_EQ(RTN_BROADCAST, ANSWER());
	/* without CONFIG_IP_MULTIPLE_TABLES there are two slots */
	single.fib_multiple_tables = false;
	self->hash[1] = &self->table.list;
	EXPECT_EQ(NEAR, type_with(self, &single, "10.1.1.200"));
	/* a chain without an end drops the packet */
	self->other.list.next = &self->other.list;
	EXPECT_EQ(DROPPED, ANSWER());
}

TEST_F(fib, types)
{
	uint8_t type;

	for (type = 0; type <= RTN_MAX; type++) {
		self->near.type = type;
		/* those with an error end the lookup without a result */
		EXPECT_EQ(type < RTN_BLACKHOLE ? type : NONE, ANSWER()) TH_LOG("type %u", type);
	}
}

TEST_F(fib, routes_that_do_not_count)
{
	self->near.dscp = 4;
	EXPECT_EQ(WIDE, ANSWER());
	self->near.dscp = 0;
	self->info[1].dead = 1;
	EXPECT_EQ(WIDE, ANSWER());
	self->near.type = RTN_BLACKHOLE;
	EXPECT_EQ(WIDE, ANSWER());
	self->near.type = RTN_LOCAL;
	self->info[1].dead = 0;
	self->info[1].flags = RTNH_F_DEAD;
	EXPECT_EQ(WIDE, ANSWER());
	self->info[1].flags = ~RTNH_F_DEAD;
	EXPECT_EQ(NEAR, ANSWER());
	/* a type with an error comes before the flags */
	self->info[1].flags = RTNH_F_DEAD;
	self->near.type = RTN_UNREACHABLE;
	EXPECT_EQ(NONE, ANSWER());
	self->near.type = RTN_LOCAL;
	self->info[1].flags = 0;
	self->info[1].nhs = 0;
	EXPECT_EQ(WIDE, ANSWER());
}

/* The next route of the same leaf is tried. */
TEST_F(fib, next_route)
{
	self->info[2].dead = 1;
	EXPECT_EQ(NEAR, TYPE("10.1.1.5"));
	self->info[1].dead = 1;
	EXPECT_EQ(WIDE, TYPE("10.1.1.5"));
	self->info[0].dead = 1;
	EXPECT_EQ(NONE, TYPE("10.1.1.5"));
	self->info[2].dead = 0;
	EXPECT_EQ(RTN_ANYCAST, TYPE("10.1.1.5"));
	self->info[2].hops[0].nhc.flags = RTNH_F_DEAD;
	self->info[1].dead = 0;
	EXPECT_EQ(NEAR, TYPE("10.1.1.5"));
}

TEST_F(fib, next_hops)
{
	struct info *fi = &self->info[1];

	fi->hops[0].nhc.flags = RTNH_F_DEAD;
	EXPECT_EQ(WIDE, ANSWER());
	fi->hops[0].nhc.flags = (uint8_t) ~(RTNH_F_DEAD | RTNH_F_LINKDOWN);
	EXPECT_EQ(NEAR, ANSWER());
	/* the third one is usable */
	fi->nhs = 3;
	fi->hops[0].nhc.flags = fi->hops[1].nhc.flags = RTNH_F_DEAD;
	EXPECT_EQ(NEAR, ANSWER());
	fi->nhs = 2;
	EXPECT_EQ(WIDE, ANSWER());
}

TEST_F(fib, links_that_are_down)
{
	struct hop *nhc = &self->info[1].hops[0].nhc;

	self->in_dev[0].cnf.data[LINKDOWN] = 1;
	EXPECT_EQ(NEAR, ANSWER());
	nhc->flags = RTNH_F_LINKDOWN;
	EXPECT_EQ(WIDE, ANSWER());
	self->in_dev[0].cnf.data[LINKDOWN] = 0;
	EXPECT_EQ(NEAR, ANSWER());
	self->in_dev[0].cnf.data[LINKDOWN + 1] = self->in_dev[0].cnf.data[LINKDOWN - 1] = 1;
	EXPECT_EQ(NEAR, ANSWER());
	self->all.data[LINKDOWN] = 1;
	EXPECT_EQ(WIDE, ANSWER());
	nhc->flags = 0;
	EXPECT_EQ(NEAR, ANSWER());
	nhc->flags = RTNH_F_LINKDOWN;
	self->all.data[LINKDOWN] = 0x10000;
	EXPECT_EQ(WIDE, ANSWER());
	/* a device without IPv4 has no settings */
	self->dev[0].ip_ptr = NULL;
	EXPECT_EQ(NEAR, ANSWER());
}

TEST_F(fib, next_hop_objects)
{
	struct info *fi = &self->info[1];

	/* the hops in the route itself are not looked at */
	fi->nhs = 0;
	fi->nh = &self->nexthop[0];
	EXPECT_EQ(NEAR, ANSWER());
	self->nh_info[0].nh.nhc.flags = RTNH_F_DEAD;
	EXPECT_EQ(WIDE, ANSWER());
	self->nh_info[0].nh.nhc.flags = 0;
	self->nh_info[0].reject = 1;
	EXPECT_EQ(NONE, ANSWER());
	/* an unusable one ends the leaf: "near" is not asked after "close" */
	self->nh_info[0].reject = 0;
	self->nh_info[0].nh.nhc.flags = RTNH_F_DEAD;
	fi->nh = NULL;
	fi->nhs = 1;
	self->info[2].nh = &self->nexthop[0];
	EXPECT_EQ(WIDE, TYPE("10.1.1.5"));
}

TEST_F(fib, next_hop_groups)
{
	struct info *fi = &self->info[1];

	fi->nhs = 0;
	fi->nh = &self->nexthop[2];
	EXPECT_EQ(NEAR, ANSWER());
	self->nh_info[0].nh.nhc.flags = RTNH_F_DEAD;
	EXPECT_EQ(NEAR, ANSWER());
	self->nh_info[1].nh.nhc.flags = RTNH_F_DEAD;
	EXPECT_EQ(WIDE, ANSWER());
	self->nh_info[1].nh.nhc.flags = 0;
	self->group.num = 1;
	EXPECT_EQ(WIDE, ANSWER());
	/* only a group of one can be a blackhole */
	self->nh_info[0].reject = 1;
	EXPECT_EQ(NONE, ANSWER());
	self->group.num = 2;
	EXPECT_EQ(NEAR, ANSWER());
	self->group.num = 1;
	self->nh_info[0].reject = 0;
	self->nh_info[0].nh.nhc.flags = 0;
	EXPECT_EQ(NEAR, ANSWER());
	/* an unusable group ends the leaf, too */
	self->nh_info[0].nh.nhc.flags = RTNH_F_DEAD;
	fi->nh = NULL;
	fi->nhs = 1;
	self->info[2].nh = &self->nexthop[2];
	EXPECT_EQ(WIDE, TYPE("10.1.1.5"));
}

/* Where the rule names an interface, the route's first next hop must lead there. */
TEST_F(fib, limited_to_an_interface)
{
	struct info *fi = &self->info[1];

	self->hook.in = &self->dev[0];
	self->hook.out = &self->dev[1];
	EXPECT_EQ(NEAR, ANSWER());
	self->match.flags = XT_ADDRTYPE_LIMIT_IFACE_IN;
	EXPECT_EQ(NEAR, ANSWER());
	self->match.flags = XT_ADDRTYPE_LIMIT_IFACE_OUT;
	EXPECT_EQ(NONE, ANSWER());
	self->hook.out = NULL;
	EXPECT_EQ(NEAR, ANSWER());
	self->match.flags = XT_ADDRTYPE_LIMIT_IFACE_IN;
	self->hook.in = NULL;
	EXPECT_EQ(NEAR, ANSWER());
	self->hook.in = &self->dev[1];
	EXPECT_EQ(NONE, ANSWER());
	/* answers without a lookup know no interface */
	EXPECT_EQ(RTN_MULTICAST, TYPE("224.0.0.1"));
	/* the first one's device, even if the second is the usable one */
	fi->nhs = 2;
	fi->hops[0].nhc.flags = RTNH_F_DEAD;
	fi->hops[1].nhc.dev = &self->dev[1];
	EXPECT_EQ(NONE, ANSWER());
	self->hook.in = &self->dev[0];
	EXPECT_EQ(NEAR, ANSWER());
	/* the same for a group, and for an object alone */
	fi->nhs = 0;
	fi->nh = &self->nexthop[2];
	self->nh_info[0].nh.nhc.flags = RTNH_F_DEAD;
	EXPECT_EQ(NEAR, ANSWER());
	self->hook.in = &self->dev[1];
	EXPECT_EQ(NONE, ANSWER());
	fi->nh = &self->nexthop[1];
	EXPECT_EQ(NEAR, ANSWER());
	self->hook.in = &self->dev[0];
	EXPECT_EQ(NONE, ANSWER());
}

static int check(const struct xt_addrtype_info_v1 *info, unsigned int hooks)
{
	struct entry t;

	entry_init(&t);
	return entry_check(&t, "addrtype", 1, info, hooks);
}

TEST(interfaces_by_hook)
{
	static const unsigned int in = 1 << NF_INET_LOCAL_IN, out = 1 << NF_INET_LOCAL_OUT;
	static const unsigned int forward = 1 << NF_INET_FORWARD;
	struct xt_addrtype_info_v1 info = {.source = 0xffff, .dest = 0xffff, .flags = ~0xcU};

	EXPECT_EQ(12, bf_match_find("addrtype", 0)->size);
	EXPECT_EQ(8, bf_match_find("addrtype", 1)->size);
	EXPECT_EQ(NULL, bf_match_find("addrtype", 0)->check);
	EXPECT_EQ(NULL, bf_match_find("addrtype", 2));
	EXPECT_EQ(0, check(&info, in | out | forward));
	info.flags = XT_ADDRTYPE_LIMIT_IFACE_IN;
	EXPECT_EQ(0, check(&info, in | forward));
	EXPECT_EQ(-EINVAL, check(&info, out));
	EXPECT_EQ(-EINVAL, check(&info, in | out));
	EXPECT_EQ(-EINVAL, check(&info, 1 << NF_INET_POST_ROUTING));
	EXPECT_EQ(0, check(&info, 1 << NF_INET_PRE_ROUTING));
	EXPECT_EQ(0, check(&info, 0));
	info.flags = XT_ADDRTYPE_LIMIT_IFACE_OUT;
	EXPECT_EQ(0, check(&info, out | forward));
	EXPECT_EQ(-EINVAL, check(&info, in));
	EXPECT_EQ(-EINVAL, check(&info, in | out));
	EXPECT_EQ(-EINVAL, check(&info, 1 << NF_INET_PRE_ROUTING));
	EXPECT_EQ(0, check(&info, 1 << NF_INET_POST_ROUTING));
	info.flags |= XT_ADDRTYPE_LIMIT_IFACE_IN;
	EXPECT_EQ(-EINVAL, check(&info, 0));
	EXPECT_EQ(-EINVAL, check(&info, forward));
}

/* How source and destination and their inversions become conditions, in both revisions. */
TEST(conditions)
{
	static const struct {
		uint32_t flags; /* of revision 1; revision 0 has words of which bit 0 counts */
		uint32_t not_source, not_dest;
	} v[] = {
		{0, 0, 0},
		{XT_ADDRTYPE_INVERT_SOURCE, 1, 0},
		{XT_ADDRTYPE_INVERT_DEST, 2, 3},
		{XT_ADDRTYPE_INVERT_SOURCE | XT_ADDRTYPE_INVERT_DEST, 0xff, 0x10001},
	};
	uint32_t key[BF_NR_FIELDS] = {};
	unsigned int i, types, value;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		for (types = 0; types < 4; types++)
			for (value = 0; value < 2; value++) {
				struct xt_addrtype_info_v1 one = {types & 1 ? 4 : 0,
								  types & 2 ? 8 : 0, v[i].flags};
				struct xt_addrtype_info zero = {one.source, one.dest,
								v[i].not_source, v[i].not_dest};
				struct answer answer = {.value = value};
				bool s = !one.source || (value ^ (v[i].flags & 1));
				bool d = !one.dest || (value ^ (v[i].flags >> 1 & 1));
				struct entry t;

				entry_init(&t);
				entry_add(&t, "addrtype", 1, &one, sizeof(one));
				EXPECT_EQ(s && d, entry_eval(&t, key, &answer));
				EXPECT_EQ((unsigned int)(!!one.source + (s && one.dest)),
					  answer.asked);
				entry_init(&t);
				entry_add(&t, "addrtype", 0, &zero, sizeof(zero));
				EXPECT_EQ(s && d, entry_eval(&t, key, &answer))
				TH_LOG("vector %u, types %u, answer %u", i, types, value);
			}
}

/* The second condition is about the destination. */
TEST_F(fib, destination)
{
	const struct xt_addrtype_info_v1 match = {0, 1 << RTN_LOCAL, 0};
	void *hook = &self->hook;
	struct cond c;

	ASSERT_TRUE(cond_make(&c, &kernel, "addrtype", 1, &match, sizeof(match)));
	EXPECT_TRUE(c.cond.type->fib);
	EXPECT_EQ(BF_FIELD_BIT(BF_SADDR) | BF_FIELD_BIT(BF_DADDR), c.cond.type->fields);
	memcpy(c.frame + BF_FRAME_STATE, &hook, sizeof(hook));
	frame_set(&c, BF_FRAME_KEY + 4 * BF_SADDR, 0x01010101);
	frame_set(&c, BF_FRAME_KEY + 4 * BF_DADDR, 0x0a0101c8);
	EXPECT_EQ(1U, cond_run(&c));
	frame_set(&c, BF_FRAME_KEY + 4 * BF_SADDR, 0x0a0101c8);
	frame_set(&c, BF_FRAME_KEY + 4 * BF_DADDR, 0x01010101);
	EXPECT_EQ(0U, cond_run(&c));
	cond_free(&c);
}

TEST_HARNESS_MAIN
