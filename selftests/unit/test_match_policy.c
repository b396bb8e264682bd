// SPDX-License-Identifier: GPL-2.0
/*
 * -m policy against packets with IPsec transforms that a test makes up, in the interpreter, as few
 * kernels that tests run in can encrypt anything: every option, inversion and order, and what the check
 * refuses.
 */
#include "cond.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_policy.h>

#define IN  (1 << NF_INET_LOCAL_IN)
#define FWD (1 << NF_INET_FORWARD)
#define OUT (1 << NF_INET_LOCAL_OUT)

#define MAX_DEPTH 6

/* The parts of the kernel's structures that are read, each at a place of its own. */
struct xfrm {
	uint64_t pad;
	uint32_t daddr[4];
	uint32_t spi;
	uint8_t proto;
	uint32_t reqid;
	uint8_t mode;
	uint32_t saddr[4];
};
/* The length is an int or, since Linux 7, a byte among others. */
struct path {
	int len, pad;
	struct xfrm *xvec[MAX_DEPTH];
	uint8_t before, small_len, behind[2];
};
struct route {
	uint64_t pad;
	struct xfrm *xfrm;
	struct route *child;
};
struct extensions {
	uint32_t refcnt;
	uint8_t offset[3], chunks;
	struct path path;
};
struct packet {
	uint64_t pad;
	uint64_t refdst;
	uint8_t active;
	struct extensions *extensions;
};

static struct bf_kernel kernel = {
	.has_links = true,
	.kfunc_rdonly_cast = BPF_VM_RDONLY_CAST,
	.has_xfrm = true,
	.skb_active_extensions = offsetof(struct packet, active),
	.skb_extensions = offsetof(struct packet, extensions),
	.ext_offset = offsetof(struct extensions, offset),
	.ext_sec_path = 1,
	.sp_xvec = offsetof(struct path, xvec),
	.skb_refdst = offsetof(struct packet, refdst),
	.dst_xfrm = offsetof(struct route, xfrm),
	.xdst_child = offsetof(struct route, child),
	.xs_daddr = offsetof(struct xfrm, daddr),
	.xs_spi = offsetof(struct xfrm, spi),
	.xs_proto = offsetof(struct xfrm, proto),
	.xs_reqid = offsetof(struct xfrm, reqid),
	.xs_mode = offsetof(struct xfrm, mode),
	.xs_saddr = offsetof(struct xfrm, saddr),
};

_Static_assert(offsetof(struct extensions, path) == 8, "offsets are in units of 8 bytes");

/* A packet with @n transforms behind it, of which the last is the one that was undone first, and the same before it. */
FIXTURE(policy)
{
	struct xfrm xfrm[MAX_DEPTH];
	struct route route[MAX_DEPTH + 1];
	struct extensions extensions;
	struct packet packet;
	struct xt_policy_info info;
	unsigned int n;
};

FIXTURE_VARIANT(policy)
{
	uint32_t len, size;
};

FIXTURE_VARIANT_ADD(policy, an_int){offsetof(struct path, len), 4};
FIXTURE_VARIANT_ADD(policy, a_byte){offsetof(struct path, small_len), 1};

FIXTURE_SETUP(policy)
{
	memset(self, 0, sizeof(*self));
	kernel.sp_len = variant->len;
	kernel.sp_len_size = variant->size;
	srandom(6);
}

FIXTURE_TEARDOWN(policy)
{
}

/* @path: there is a struct sec_path, even an empty one. */
static void set_depth(FIXTURE_DATA(policy) * self, unsigned int n, bool path)
{
	unsigned int i;

	self->n = n;
	/* Only one of the two is looked at, and nothing beside it. */
	self->extensions.path.len = kernel.sp_len_size == 4 ? n : 0x01010100 + (n ^ 1);
	self->extensions.path.small_len = kernel.sp_len_size == 1 ? n : n ^ 1;
	self->extensions.path.before = self->extensions.path.behind[0] = 1;
	self->extensions.offset[1] = 1;
	self->packet.extensions = path ? &self->extensions : NULL;
	self->packet.active = 0x5 | path << 1;
	for (i = 0; i < n; i++)
		self->extensions.path.xvec[n - 1 - i] = &self->xfrm[i];
	for (i = 0; i <= n; i++) {
		self->route[i].xfrm = i < n ? &self->xfrm[i] : NULL;
		self->route[i].child = i < n ? &self->route[i + 1] : NULL;
	}
	self->packet.refdst = (uintptr_t)&self->route[0] | 1;
}

/* match_xfrm_state() of the kernel */
static bool model_one(const struct xfrm *x, const struct xt_policy_elem *e)
{
	bool saddr = !((x->saddr[0] ^ e->saddr.a4.s_addr) & e->smask.a4.s_addr);
	bool daddr = !((x->daddr[0] ^ e->daddr.a4.s_addr) & e->dmask.a4.s_addr);

	return (!e->match.saddr || saddr != e->invert.saddr) &&
	       (!e->match.daddr || daddr != e->invert.daddr) &&
	       (!e->match.proto || (e->proto == x->proto) != e->invert.proto) &&
	       (!e->match.mode || (e->mode == x->mode) != e->invert.mode) &&
	       (!e->match.spi || (e->spi == x->spi) != e->invert.spi) &&
	       (!e->match.reqid || (e->reqid == x->reqid) != e->invert.reqid);
}

/* policy_mt(): the two directions differ only in which path they look at, and where it is empty. */
static bool model(FIXTURE_DATA(policy) * self, bool path)
{
	const struct xt_policy_info *info = &self->info;
	bool in = info->flags & XT_POLICY_MATCH_IN, none = info->flags & XT_POLICY_MATCH_NONE;
	bool strict = info->flags & XT_POLICY_MATCH_STRICT;
	unsigned int i;

	if (in ? !path : !self->n)
		return none;
	if (none || (strict && info->len != self->n))
		return false;
	for (i = 0; i < self->n; i++) {
		if (!info->len)
			return false;
		if (model_one(&self->xfrm[i], &info->pol[strict ? i : 0]) != strict)
			return !strict;
	}
	return strict;
}

static int answer(void *arg, const struct bf_cond *cond)
{
	FIXTURE_DATA(policy) *self = arg;
	struct packet *packet = &self->packet;
	struct cond c = {.cond = *cond};
	uint64_t result = BPF_VM_STUCK;

	bf_asm_init(&c.a, &kernel);
	c.vm.a = &c.a;
	c.cond.type->emit(&c.a);
	if (!bf_asm_finish(&c.a)) {
		memcpy(c.frame + BF_FRAME_PACKET, &packet, sizeof(packet));
		result = cond_run(&c);
	}
	cond_free(&c);
	return result > 1 ? -1 : (int)result;
}

/* What the rule says; -1 if its code does what it should not. */
static int run(FIXTURE_DATA(policy) * self)
{
	const uint32_t key[BF_NR_FIELDS] = {};
	struct bf_rule r = {};
	struct entry t;
	int result;

	entry_init(&t);
	entry_add(&t, "policy", 0, &self->info, sizeof(self->info));
	bf_compile_rule(&r, &t.e);
	result = r.error ? -1 : bf_rule_eval(&r, key, answer, self) == BF_MATCH;
	bf_rule_free(&r);
	return result;
}

static uint32_t few(void)
{
	return random() % 3 * 0x81000001U;
}

static void draw_xfrm(struct xfrm *x)
{
	*x = (struct xfrm){.daddr = {few(), random()},
			   .saddr = {few(), random()},
			   .spi = few(),
			   .reqid = few(),
			   .proto = 50 + random() % 2,
			   .mode = random() % 2};
}

/* As the transform, or not; of each option, whether it is there and whether it is inverted. */
static void draw_elem(struct xt_policy_elem *e, const struct xfrm *x, unsigned int options,
		      unsigned int inverted)
{
	struct xt_policy_spec *specs[] = {&e->match, &e->invert};
	unsigned int bits[] = {options, inverted}, i;

	memset(e, 0, sizeof(*e));
	e->saddr.a4.s_addr = random() % 4 ? x->saddr[0] : few();
	e->smask.a4.s_addr = random() % 3 ? UINT32_MAX : random();
	e->daddr.a4.s_addr = random() % 4 ? x->daddr[0] : few();
	e->dmask.a4.s_addr = random() % 3 ? UINT32_MAX : random();
	e->spi = random() % 4 ? x->spi : few();
	e->reqid = random() % 4 ? x->reqid : few();
	e->proto = random() % 4 ? x->proto : 50;
	e->mode = random() % 4 ? x->mode : 1;
	for (i = 0; i < 2; i++) {
		specs[i]->saddr = bits[i];
		specs[i]->daddr = bits[i] >> 1;
		specs[i]->proto = bits[i] >> 2;
		specs[i]->mode = bits[i] >> 3;
		specs[i]->spi = bits[i] >> 4;
		specs[i]->reqid = bits[i] >> 5;
	}
}

/* Each option alone and with each other, inverted or not, in either direction, about one transform. */
TEST_F(policy, options)
{
	unsigned int options, inverted, dir, i, both[2] = {};

	set_depth(self, 1, true);
	for (options = 0; options < 64; options++)
		for (inverted = 0; inverted < 64; inverted++)
			for (i = 0; i < 6; i++) {
				dir = i % 2 ? XT_POLICY_MATCH_IN : XT_POLICY_MATCH_OUT;
				draw_xfrm(&self->xfrm[0]);
				self->info.flags = dir | (i % 3 ? XT_POLICY_MATCH_STRICT : 0);
				self->info.len = 1;
				draw_elem(&self->info.pol[0], &self->xfrm[0], options, inverted);
				ASSERT_EQ(model(self, true), run(self))
				TH_LOG("options %x, inverted %x, flags %x", options, inverted,
				       self->info.flags);
				both[model(self, true)]++;
			}
	EXPECT_LT(1000U, both[0]);
	EXPECT_LT(1000U, both[1]);
}

/* Any number of transforms, any number of elements, in all ways that they can be combined. */
TEST_F(policy, depths)
{
	unsigned int n, path, len, flags, i, j, both[2] = {};

	for (n = 0; n <= MAX_DEPTH; n++)
		for (path = n > 0; path < 2; path++)
			for (len = 0; len <= XT_POLICY_MAX_ELEM; len++)
				for (flags = 1; flags < 16; flags++)
					for (i = 0; i < 60; i++) {
						if (!(flags & 3))
							continue;
						set_depth(self, n, path);
						for (j = 0; j < MAX_DEPTH; j++)
							draw_xfrm(&self->xfrm[j]);
						self->info.flags = flags;
						self->info.len = len;
						for (j = 0; j < XT_POLICY_MAX_ELEM; j++)
							draw_elem(&self->info.pol[j],
								  &self->xfrm[j], 1 << random() % 6,
								  0);
						ASSERT_EQ(model(self, path), run(self))
						TH_LOG("%u transforms, %u elements, flags %x", n,
						       len, flags);
						both[model(self, path)]++;
					}
	EXPECT_LT(2000U, both[0]);
	EXPECT_LT(2000U, both[1]);
}

/* A strict rule with as many elements as there can be asks for each of them. */
TEST_F(policy, every_element)
{
	unsigned int i;

	set_depth(self, 4, true);
	self->info.flags = XT_POLICY_MATCH_IN | XT_POLICY_MATCH_STRICT;
	self->info.len = 4;
	for (i = 0; i < 4; i++) {
		self->xfrm[i].reqid = i + 1;
		self->info.pol[i].reqid = i + 1;
		self->info.pol[i].match.reqid = 1;
	}
	EXPECT_EQ(1, run(self));
	for (i = 0; i < 4; i++) {
		self->info.pol[i].reqid = 9;
		EXPECT_EQ(0, run(self)) TH_LOG("element %u", i);
		self->info.pol[i].invert.reqid = 1;
		EXPECT_EQ(1, run(self)) TH_LOG("element %u", i);
		self->info.pol[i].invert.reqid = 0;
		self->info.pol[i].reqid = i + 1;
	}
}

TEST(check)
{
	const struct {
		uint16_t flags, len;
		unsigned int hooks;
		int err;
	} v[] = {
		{XT_POLICY_MATCH_IN, 0, IN | FWD, 0},
		{XT_POLICY_MATCH_OUT, 4, OUT | FWD, 0},
		{XT_POLICY_MATCH_IN | XT_POLICY_MATCH_OUT, 4, FWD, 0},
		{XT_POLICY_MATCH_IN | 0x8000, 4, FWD, 0},
		{XT_POLICY_MATCH_IN, 5, FWD, -EINVAL},
		{XT_POLICY_MATCH_NONE | XT_POLICY_MATCH_STRICT, 0, FWD, -EINVAL},
		{XT_POLICY_MATCH_OUT, 0, IN, -EINVAL},
		{XT_POLICY_MATCH_OUT, 0, IN | FWD, -EINVAL},
		{XT_POLICY_MATCH_IN, 0, OUT, -EINVAL},
		{XT_POLICY_MATCH_IN | XT_POLICY_MATCH_OUT, 0, OUT, -EINVAL},
		{XT_POLICY_MATCH_IN | XT_POLICY_MATCH_OUT, 0, IN, -EINVAL},
		{XT_POLICY_MATCH_OUT, 0, 0, 0},
		{XT_POLICY_MATCH_IN | XT_POLICY_MATCH_STRICT, 1, FWD, 0},
		{XT_POLICY_MATCH_IN | XT_POLICY_MATCH_STRICT, 2, FWD, BF_NOT_TRANSLATABLE},
		{XT_POLICY_MATCH_IN | XT_POLICY_MATCH_STRICT, 5, FWD, -EINVAL},
		{XT_POLICY_MATCH_OUT | XT_POLICY_MATCH_STRICT, 4, FWD, 0},
	};
	const struct bf_match *m = bf_match_find("policy", 0);
	struct bf_why why = {};
	struct entry t;
	unsigned int i;

	ASSERT_NE(NULL, m);
	EXPECT_EQ(NULL, bf_match_find("policy", 1));
	EXPECT_EQ(sizeof(struct xt_policy_info), m->size);
	EXPECT_EQ(-EOPNOTSUPP, m->place(NULL, BF_ATTACH_TC, &why));
	EXPECT_EQ(-EOPNOTSUPP, m->place(NULL, BF_ATTACH_XDP, &why));
	entry_init(&t);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct xt_policy_info info = {.flags = v[i].flags, .len = v[i].len};

		EXPECT_EQ(v[i].err, entry_check(&t, "policy", 0, &info, v[i].hooks))
		TH_LOG("%u", i);
	}
}

TEST_HARNESS_MAIN
