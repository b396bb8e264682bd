// SPDX-License-Identifier: GPL-2.0
/*
 * -m physdev against packets that a test makes up, in the interpreter: kernels that know the incoming
 * port by its index and those that point to it, ports that are gone, and what the check refuses. What
 * the running kernel says of it is in test_match_bridge.c.
 */
#include "cond.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_physdev.h>

#define IN  (1 << NF_INET_LOCAL_IN)
#define FWD (1 << NF_INET_FORWARD)
#define OUT (1 << NF_INET_LOCAL_OUT)

#define DEVICES 300

/* The parts of the kernel's structures that are read. */
struct node {
	struct node *next;
};
struct device {
	char name[16];
	uint32_t index;
	struct node by_index;
	struct netns *net;
};
struct netns {
	uint64_t pad;
	struct node **by_index;
};
struct extensions {
	uint32_t refcnt;
	uint8_t offset[3], chunks;
	struct info {
		uint64_t pad;
		union {
			uint32_t in_index;
			struct device *in;
		};
		struct device *out;
	} info;
};
struct packet {
	uint64_t pad;
	struct device *dev;
	uint8_t active;
	struct extensions *extensions;
};

#define KERNEL(in_is_index)                                                                        \
	{                                                                                          \
		.has_links = true, .kfunc_rdonly_cast = BPF_VM_RDONLY_CAST, .has_bridge = true,    \
		.has_br_netfilter = true, .bridge_in_is_index = in_is_index,                       \
		.skb_active_extensions = offsetof(struct packet, active),                          \
		.skb_extensions = offsetof(struct packet, extensions),                             \
		.ext_offset = offsetof(struct extensions, offset), .ext_bridge = 0,                \
		.bridge_in = offsetof(struct info, in), .bridge_out = offsetof(struct info, out),  \
		.skb_dev = offsetof(struct packet, dev),                                           \
		.dev_name = offsetof(struct device, name),                                         \
		.dev_ifindex = offsetof(struct device, index),                                     \
		.dev_index_hlist = offsetof(struct device, by_index),                              \
		.dev_net = offsetof(struct device, net),                                           \
		.net_dev_index_head = offsetof(struct netns, by_index),                            \
	}

static const struct bf_kernel kernels[] = {KERNEL(false), KERNEL(true)};

/* Number i of all devices is "dev<i>", with index i * 256 + 7: all of these fall together. */
FIXTURE(physdev)
{
	struct device devices[DEVICES];
	struct node *heads[256];
	struct netns net;
	struct extensions extensions;
	struct packet packet;
	struct xt_physdev_info info;
};

FIXTURE_SETUP(physdev)
{
	unsigned int i;

	memset(self, 0, sizeof(*self));
	self->net.by_index = self->heads;
	for (i = 0; i < DEVICES; i++) {
		struct device *dev = &self->devices[i];

		snprintf(dev->name, sizeof(dev->name), "dev%u", i);
		dev->index = 256 * i + 7;
		dev->net = &self->net;
		dev->by_index.next = i + 1 < DEVICES ? &dev[1].by_index : NULL;
	}
	self->heads[7] = &self->devices[0].by_index;
	self->packet.dev = &self->devices[DEVICES - 1];
	self->packet.extensions = &self->extensions;
	self->extensions.offset[0] = 1;
}

FIXTURE_TEARDOWN(physdev)
{
}

_Static_assert(offsetof(struct extensions, info) == 8, "offsets are in units of 8 bytes");

/* In by one device, out by another; NULL: there is none. @index: the way of the kernel. */
static void set_ports(FIXTURE_DATA(physdev) * self, bool index, struct device *in,
		      struct device *out)
{
	self->packet.active = 1;
	self->extensions.info.out = out;
	self->extensions.info.in = in;
	if (index)
		self->extensions.info.in_index = in ? in->index : 9 * 256 + 8;
}

struct asked {
	FIXTURE_DATA(physdev) * self;
	const struct bf_kernel *kernel;
};

static int answer(void *arg, const struct bf_cond *cond)
{
	const struct asked *asked = arg;
	struct packet *packet = &asked->self->packet;
	struct cond c = {.cond = *cond};
	uint64_t result = BPF_VM_STUCK;

	bf_asm_init(&c.a, asked->kernel);
	c.vm.a = &c.a;
	c.cond.type->emit(&c.a);
	if (!bf_asm_finish(&c.a)) {
		memcpy(c.frame + BF_FRAME_PACKET, &packet, sizeof(packet));
		result = cond_run(&c);
	}
	cond_free(&c);
	return result;
}

static enum bf_match_result run(FIXTURE_DATA(physdev) * self, bool index)
{
	const uint32_t key[BF_NR_FIELDS] = {};
	struct asked asked = {self, &kernels[index]};
	struct bf_rule r = {};
	enum bf_match_result result;
	struct entry t;

	entry_init(&t);
	entry_add(&t, "physdev", 0, &self->info, sizeof(self->info));
	bf_compile_rule(&r, &t.e);
	result = bf_rule_eval(&r, key, answer, &asked);
	bf_rule_free(&r);
	return result;
}

/* One option's part in physdev_mt() for a packet that has passed a bridge. */
static bool model(const struct xt_physdev_info *info, const struct device *in,
		  const struct device *out)
{
	bool inverted[5], has[5];
	unsigned int i;

	for (i = 0; i < 5; i++) {
		has[i] = info->bitmask & 1 << i;
		inverted[i] = info->invert & 1 << i;
	}
	/* in, out, bridged, is-in, is-out */
	if (has[2] && !!out == inverted[2])
		return false;
	if ((has[3] && !!in == inverted[3]) || (has[4] && !!out == inverted[4]))
		return false;
	if (has[0] && in && !strcmp(in->name, info->physindev) == inverted[0])
		return false;
	return !has[1] || (out && !strcmp(out->name, info->physoutdev) != inverted[1]);
}

TEST_F(physdev, options)
{
	struct device *const ports[] = {NULL, &self->devices[0], &self->devices[9]};
	unsigned int bits, invert, in, out, index, both[3] = {};

	strcpy(self->info.physindev, "dev9");
	strcpy(self->info.physoutdev, "dev0");
	memset(self->info.in_mask, 0xff, 5);
	memset(self->info.out_mask, 0xff, 5);
	for (bits = 1; bits <= XT_PHYSDEV_OP_MASK; bits++)
		for (invert = 0; invert <= XT_PHYSDEV_OP_MASK; invert++)
			for (in = 0; in < 3; in++)
				for (out = 0; out < 3; out++)
					for (index = 0; index < 2; index++) {
						self->info.bitmask = bits;
						self->info.invert = invert;
						set_ports(self, index, ports[in], ports[out]);
						ASSERT_EQ(model(&self->info, ports[in], ports[out])
								  ? BF_MATCH
								  : BF_NO_MATCH,
							  run(self, index))
						TH_LOG("%x, not %x, from %u to %u, %s", bits,
						       invert, in, out,
						       index ? "index" : "pointer");
						both[run(self, index)]++;
					}
	EXPECT_LT(1000U, both[BF_MATCH]);
	EXPECT_LT(1000U, both[BF_NO_MATCH]);
}

/* All that is asked must be inverted. */
TEST_F(physdev, no_bridge)
{
	unsigned int bits, invert;

	/* Something else hangs on it. */
	self->packet.active = 0x6;
	for (bits = 1; bits <= XT_PHYSDEV_OP_MASK; bits++)
		for (invert = 0; invert <= XT_PHYSDEV_OP_MASK; invert++) {
			self->info.bitmask = bits;
			self->info.invert = invert;
			EXPECT_EQ(bits & ~invert ? BF_NO_MATCH : BF_MATCH, run(self, true))
			TH_LOG("%x, not %x", bits, invert);
		}
}

/* Every bit of the mask counts, and no other. */
TEST_F(physdev, masks)
{
	char *sides[][2] = {{self->info.physindev, (char *)self->info.in_mask},
			    {self->info.physoutdev, (char *)self->info.out_mask}};
	unsigned int side, bit;

	for (side = 0; side < 2; side++) {
		memset(&self->info, 0, sizeof(self->info));
		self->info.bitmask = side ? XT_PHYSDEV_OP_OUT : XT_PHYSDEV_OP_IN;
		set_ports(self, true, &self->devices[0], &self->devices[0]);
		memcpy(self->devices[0].name, "0123456789abcdef", 16);
		for (bit = 0; bit < 128; bit++) {
			memcpy(sides[side][0], self->devices[0].name, 16);
			memset(sides[side][1], 0, 16);
			sides[side][0][bit / 8] ^= 1 << bit % 8;
			sides[side][1][bit / 8] = ~(1 << bit % 8);
			EXPECT_EQ(BF_MATCH, run(self, true)) TH_LOG("bit %u", bit);
			sides[side][1][bit / 8] = 1 << bit % 8;
			EXPECT_EQ(BF_NO_MATCH, run(self, true)) TH_LOG("bit %u", bit);
		}
	}
}

/* Those whose indexes fall together are looked through; too many of them drop the packet. */
TEST_F(physdev, many_devices)
{
	self->info.bitmask = XT_PHYSDEV_OP_IN;
	memset(self->info.in_mask, 0xff, 7);
	strcpy(self->info.physindev, "dev255");
	set_ports(self, true, &self->devices[255], NULL);
	EXPECT_EQ(BF_MATCH, run(self, true));
	set_ports(self, true, &self->devices[254], NULL);
	EXPECT_EQ(BF_NO_MATCH, run(self, true));
	set_ports(self, true, &self->devices[256], NULL);
	EXPECT_EQ(BF_HOTDROP, run(self, true));
	/* Who does not ask for it does not look. */
	self->info.bitmask = XT_PHYSDEV_OP_BRIDGED;
	set_ports(self, true, &self->devices[256], &self->devices[0]);
	EXPECT_EQ(BF_MATCH, run(self, true));
}

#define ANY (IN | FWD | OUT)

TEST(check)
{
	const struct {
		uint8_t bitmask, invert;
		unsigned int hooks;
		int err;
	} v[] = {
		{0, 0, FWD, -EINVAL},
		{0x20, 0, FWD, -EINVAL},
		{0x21, 0, FWD, -EINVAL},
		{XT_PHYSDEV_OP_IN, 0xff, ANY, 0},
		{XT_PHYSDEV_OP_ISIN | XT_PHYSDEV_OP_BRIDGED, 0, ANY, 0},
		{XT_PHYSDEV_OP_OUT, 0, IN | FWD, 0},
		{XT_PHYSDEV_OP_OUT, 0, 0, 0},
		{XT_PHYSDEV_OP_OUT, 0, OUT, -EINVAL},
		{XT_PHYSDEV_OP_ISOUT, 0, ANY, -EINVAL},
		{XT_PHYSDEV_OP_OUT | XT_PHYSDEV_OP_BRIDGED, 0, OUT, 0},
		{XT_PHYSDEV_OP_ISOUT | XT_PHYSDEV_OP_BRIDGED, 0, ANY, 0},
		{XT_PHYSDEV_OP_OUT | XT_PHYSDEV_OP_BRIDGED, XT_PHYSDEV_OP_BRIDGED, OUT, -EINVAL},
		{XT_PHYSDEV_OP_OUT | XT_PHYSDEV_OP_BRIDGED, XT_PHYSDEV_OP_OUT, OUT, 0},
	};
	/* Names that kernels before 7 accept: empty ones, and those without an end. */
	static const struct xt_physdev_info odd[] = {
		{.bitmask = XT_PHYSDEV_OP_IN, .physoutdev = "out"},
		{.bitmask = XT_PHYSDEV_OP_OUT, .physindev = "in"},
		{.bitmask = XT_PHYSDEV_OP_IN, .physindev = "sixteen letters!", .physoutdev = "out"},
		{.bitmask = XT_PHYSDEV_OP_OUT, .physoutdev = "sixteen letters!", .physindev = "in"},
	};
	const struct bf_match *m = bf_match_find("physdev", 0);
	struct bf_why why = {};
	struct entry t;
	unsigned int i;

	ASSERT_NE(NULL, m);
	EXPECT_EQ(NULL, bf_match_find("physdev", 1));
	EXPECT_EQ(sizeof(struct xt_physdev_info), m->size);
	EXPECT_EQ(-EOPNOTSUPP, m->place(NULL, BF_ATTACH_TC, &why));
	EXPECT_EQ(-EOPNOTSUPP, m->place(NULL, BF_ATTACH_XDP, &why));
	entry_init(&t);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct xt_physdev_info info = {.bitmask = v[i].bitmask,
						     .invert = v[i].invert,
						     .physindev = "in",
						     .physoutdev = "out"};

		EXPECT_EQ(v[i].err, entry_check(&t, "physdev", 0, &info, v[i].hooks))
		TH_LOG("%u", i);
	}
	for (i = 0; i < ARRAY_SIZE(odd); i++)
		EXPECT_EQ(BF_NOT_TRANSLATABLE, entry_check(&t, "physdev", 0, &odd[i], FWD));
}

TEST_HARNESS_MAIN
