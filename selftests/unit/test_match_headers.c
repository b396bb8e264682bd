// SPDX-License-Identifier: GPL-2.0
/*
 * Matches that compare fields of the key: what their checks refuse, and each option, inversion and
 * boundary, as the xt_*.c of the kernel have them.
 */
#include "entry.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_cpu.h>
#include <linux/netfilter/xt_dccp.h>
#include <linux/netfilter/xt_dscp.h>
#include <linux/netfilter/xt_ecn.h>
#include <linux/netfilter/xt_esp.h>
#include <linux/netfilter/xt_ipcomp.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_length.h>
#include <linux/netfilter/xt_mac.h>
#include <linux/netfilter/xt_owner.h>
#include <linux/netfilter/xt_pkttype.h>
#include <linux/netfilter/xt_sctp.h>
#include <linux/netfilter_ipv4/ipt_ah.h>
#include <linux/netfilter_ipv4/ipt_ttl.h>

#define IN  (1 << NF_INET_LOCAL_IN)
#define FWD (1 << NF_INET_FORWARD)
#define OUT (1 << NF_INET_LOCAL_OUT)

FIXTURE(headers)
{
	struct entry t;
	uint32_t key[BF_NR_FIELDS];
};

FIXTURE_SETUP(headers)
{
	memset(self, 0, sizeof(*self));
	entry_init(&self->t);
	self->key[BF_L4LEN] = 100;
}

FIXTURE_TEARDOWN(headers)
{
}

#define EVAL(name, rev, info)  match_eval(name, rev, &(info), sizeof(info), self->key)
#define CHECK(name, rev, info) entry_check(&self->t, name, rev, &(info), 0)

TEST(sizes_and_revisions)
{
	static const struct {
		const char *name;
		uint8_t revision, proto;
		uint16_t size, usersize;
	} v[] = {
		{"ah", 0, 51, 12, 0},	     {"connmark", 1, 0, 12, 0}, {"cpu", 0, 0, 8, 0},
		{"dccp", 0, 33, 16, 0},	     {"dscp", 0, 0, 2, 0},	{"ecn", 0, 0, 4, 0},
		{"esp", 0, 50, 12, 0},	     {"ipcomp", 0, 108, 12, 0}, {"iprange", 1, 0, 68, 0},
		{"length", 0, 0, 6, 0},	     {"mac", 0, 0, 12, 0},	{"owner", 1, 0, 20, 0},
		{"pkttype", 0, 0, 8, 0},     {"quota", 0, 0, 24, 16},	{"sctp", 0, 132, 292, 0},
		{"statistic", 0, 0, 24, 16}, {"tcpmss", 0, 6, 6, 0},	{"tos", 1, 0, 3, 0},
		{"ttl", 0, 0, 2, 0},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct bf_match *m = bf_match_find(v[i].name, v[i].revision);

		ASSERT_NE(NULL, m) TH_LOG("%s", v[i].name);
		EXPECT_EQ(v[i].size, m->size) TH_LOG("%s", v[i].name);
		EXPECT_EQ(v[i].usersize, m->usersize) TH_LOG("%s", v[i].name);
		EXPECT_EQ(v[i].proto, m->proto) TH_LOG("%s", v[i].name);
		EXPECT_EQ(NULL, bf_match_find(v[i].name, !v[i].revision)) TH_LOG("%s", v[i].name);
	}
}

/* What programs at interfaces cannot tell is refused there, with the reason. */
TEST(placements)
{
	static const char *const everywhere[] = {"iprange", "esp", "ipcomp", "quota", "statistic"};
	static const char *const without[] = {"sctp", "dccp"};
	static const char *const hooks[] = {"ah",     "connmark", "cpu",    "dscp",  "ecn",
					    "length", "mac",	  "nfacct", "owner", "pkttype",
					    "tcpmss", "tos",	  "ttl"};
	const uint8_t info[512] = {};
	uint8_t ones[512];
	unsigned int i;

	memset(ones, 0xff, sizeof(ones));
	for (i = 0; i < ARRAY_SIZE(everywhere); i++) {
		const struct bf_match *m = bf_match_find(everywhere[i], i == 0);

		EXPECT_EQ(NULL, m->place) TH_LOG("%s", m->name);
	}
	/* Ports are known there, and what the kernel is asked for is not: all 1 asks for everything. */
	for (i = 0; i < ARRAY_SIZE(without); i++) {
		const struct bf_match *m = bf_match_find(without[i], 0);
		struct bf_why why = {};

		EXPECT_EQ(0, m->place(info, BF_ATTACH_TC, &why)) TH_LOG("%s", m->name);
		EXPECT_EQ(-EOPNOTSUPP, m->place(ones, BF_ATTACH_TC, &why)) TH_LOG("%s", m->name);
		EXPECT_NE(NULL, strstr(why.text, m->name)) TH_LOG("%s", why.text);
	}
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		const struct bf_match *m = bf_match_find(hooks[i], 0) ?: bf_match_find(hooks[i], 1);
		struct bf_why why = {};

		ASSERT_NE(NULL, m->place) TH_LOG("%s", m->name);
		EXPECT_EQ(-EOPNOTSUPP, m->place(info, BF_ATTACH_TC, &why));
		EXPECT_NE(NULL, strstr(why.text, m->name)) TH_LOG("%s", why.text);
	}
}

TEST_F(headers, iprange)
{
	static const uint32_t addrs[] = {0x0a000000, 0x0a000001, 0x0a000002, 0x8000ffff,
					 0x80010000, 0x80010001, 0,	     0xffffffff};
	struct xt_iprange_mtinfo info = {};
	unsigned int i, flags, side;

	EXPECT_EQ(BF_MATCH, EVAL("iprange", 1, info));
	info.src_min.ip = info.dst_min.ip = htonl(0x0a000001);
	info.src_max.ip = info.dst_max.ip = htonl(0x80010000);
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		for (flags = 0; flags < 4; flags++) {
			bool in = addrs[i] >= 0x0a000001 && addrs[i] <= 0x80010000;

			side = flags & 1;
			info.flags = side ? IPRANGE_DST : IPRANGE_SRC;
			if (flags & 2)
				info.flags |= side ? IPRANGE_DST_INV : IPRANGE_SRC_INV;
			self->key[BF_SADDR] = side ? 0 : addrs[i];
			self->key[BF_DADDR] = side ? addrs[i] : 0;
			EXPECT_EQ(in != !!(flags & 2), EVAL("iprange", 1, info));
		}
	}
	/* Both must hold; a range that is turned round is empty. */
	info.flags = IPRANGE_SRC | IPRANGE_DST;
	self->key[BF_SADDR] = self->key[BF_DADDR] = 0x0a000001;
	EXPECT_EQ(BF_MATCH, EVAL("iprange", 1, info));
	self->key[BF_SADDR] = 0;
	EXPECT_EQ(BF_NO_MATCH, EVAL("iprange", 1, info));
	info.flags = IPRANGE_SRC;
	info.src_min.ip = htonl(2);
	info.src_max.ip = htonl(1);
	self->key[BF_SADDR] = 1;
	EXPECT_EQ(BF_NO_MATCH, EVAL("iprange", 1, info));
	info.flags |= IPRANGE_SRC_INV;
	EXPECT_EQ(BF_MATCH, EVAL("iprange", 1, info));
}

TEST_F(headers, length)
{
	static const uint32_t lengths[] = {0, 19, 20, 99, 100, 101, 65534, 65535, 65536, 200000};
	static const uint16_t ranges[][2] = {{0, 65535}, {20, 100}, {100, 100}, {100, 20}, {0, 0}};
	unsigned int i, j, invert;

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		for (j = 0; j < ARRAY_SIZE(ranges); j++)
			for (invert = 0; invert < 3; invert++) {
				struct xt_length_info info = {ranges[j][0], ranges[j][1], invert};
				bool in = lengths[i] >= info.min && lengths[i] <= info.max;

				self->key[BF_TOTLEN] = lengths[i];
				EXPECT_EQ((in ^ invert) != 0, EVAL("length", 0, info))
				TH_LOG("%u in %u-%u", lengths[i], info.min, info.max);
			}
}

TEST_F(headers, ttl)
{
	static const uint8_t values[] = {0, 1, 2, 63, 64, 65, 127, 128, 254, 255};
	unsigned int i, j, mode;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		for (j = 0; j < ARRAY_SIZE(values); j++)
			for (mode = 0; mode < 6; mode++) {
				struct ipt_ttl_info info = {mode, values[j]};
				const bool is[] = {values[i] == values[j], values[i] != values[j],
						   values[i]<values[j], values[i]> values[j], false,
						   false};

				self->key[BF_HEADER] = (uint32_t)values[i] << 24 | 0xab0003;
				EXPECT_EQ(is[mode], EVAL("ttl", 0, info))
				TH_LOG("ttl %u mode %u %u", values[i], mode, values[j]);
			}
}

TEST_F(headers, dscp_and_tos)
{
	unsigned int i, tos, mask, invert;

	for (i = 0; i < 256; i++) {
		struct xt_dscp_info info = {.dscp = i};

		EXPECT_EQ(i < 64 ? 0 : -EDOM, CHECK("dscp", 0, info)) TH_LOG("dscp %u", i);
	}
	for (tos = 0; tos < 256; tos += tos < 20 ? 1 : 13) {
		self->key[BF_HEADER] = 0xff000007 | tos << 16;
		for (i = 0; i < 64; i++)
			for (invert = 0; invert < 4; invert++) {
				struct xt_dscp_info info = {i, invert};

				EXPECT_EQ((tos >> 2 == i) != !!invert, EVAL("dscp", 0, info));
			}
		for (i = 0; i < 256; i += 5)
			for (mask = 0; mask < 256; mask += 15)
				for (invert = 0; invert < 3; invert++) {
					struct xt_tos_match_info info = {mask, i, invert};

					EXPECT_EQ(((tos & mask) == i) != !!invert,
						  EVAL("tos", 1, info));
				}
	}
}

/* ecn_mt4() of the kernel for a packet with these bits and so many bytes behind its IP header. */
static bool ecn_model(const struct xt_ecn_info *e, unsigned int ect, unsigned int flags,
		      unsigned int len)
{
	bool ece = flags & 0x40, cwr = flags & 0x80;

	if (e->operation & 1 && (ect == e->ip_ect) == (e->invert & 1))
		return false;
	if (!(e->operation & 0x30))
		return true;
	if (len < 20)
		return false;
	if (e->operation & 0x10 && ece == !!(e->invert & 0x10))
		return false;
	return !(e->operation & 0x20) || cwr != !!(e->invert & 0x20);
}

TEST_F(headers, ecn)
{
	const struct bf_kernel skips = {.tried[BF_TRY_ECN] = BF_FRAGMENTS_SKIPPED};
	struct answer none = {};
	bool skip;
	static const uint8_t bits[] = {0, 1, 0x10, 0x11, 0x20, 0x21, 0x30, 0x31};
	unsigned int i, j, state, ect;

	for (i = 0; i < 256; i++) {
		struct xt_ecn_info info = {.operation = i};
		bool tcp = i & 0x30;

		self->t.e.ip.proto = IPPROTO_TCP;
		EXPECT_EQ(i & 0xce ? -EINVAL : 0, CHECK("ecn", 0, info));
		self->t.e.ip.invflags = IPT_INV_PROTO;
		EXPECT_EQ(i & 0xce || tcp ? -EINVAL : 0, CHECK("ecn", 0, info));
		self->t.e.ip.invflags = 0;
		self->t.e.ip.proto = IPPROTO_UDP;
		EXPECT_EQ(i & 0xce || tcp ? -EINVAL : 0, CHECK("ecn", 0, info));
		info = (struct xt_ecn_info){.invert = i};
		EXPECT_EQ(i & 0xce ? -EINVAL : 0, CHECK("ecn", 0, info));
	}
	for (i = 0; i < ARRAY_SIZE(bits); i++)
		for (j = 0; j < ARRAY_SIZE(bits); j++)
			for (state = 0; state < 64; state++)
				for (ect = 0; ect < 6; ect++) {
					struct xt_ecn_info info = {bits[i], bits[j], ect, {}};
					unsigned int tos = state & 3, flags = (state & 12) << 4;
					unsigned int len = state & 16 ? 20 : 19;

					self->key[BF_HEADER] = (0x54 | tos) << 16;
					self->key[BF_TCP_FLAGS] = flags;
					self->key[BF_L4LEN] = len;
					/* A later fragment's data is looked at as a header is. */
					self->key[BF_FRAGOFF] = state & 32;
					EXPECT_EQ(ecn_model(&info, tos, flags, len),
						  EVAL("ecn", 0, info));
					/* Or it does not match. */
					skip = state & 32 && bits[i] & 0x30;
					entry_init(&self->t);
					self->t.kernel = &skips;
					entry_add(&self->t, "ecn", 0, &info, sizeof(info));
					EXPECT_EQ(!skip && ecn_model(&info, tos, flags, len),
						  entry_eval(&self->t, self->key, &none));
				}
}

TEST_F(headers, pkttype)
{
	static const int types[] = {-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 256, 0x10001};
	static const int inverts[] = {0, 1, 2, -1};
	static const uint32_t addrs[] = {0xdfffffff, 0xe0000000, 0xefffffff,
					 0xf0000000, 0xffffffff, 0x0a000001};
	unsigned int i, j, k, type;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		for (j = 0; j < ARRAY_SIZE(inverts); j++)
			for (k = 0; k < ARRAY_SIZE(addrs); k++)
				for (type = 0; type < 8; type++) {
					struct xt_pkttype_info info = {types[i], inverts[j]};
					int is = type != PACKET_LOOPBACK ? (int)type
						 : addrs[k] >> 28 == 0xe ? PACKET_MULTICAST
									 : PACKET_BROADCAST;

					self->key[BF_HEADER] = 0x40100000 | type;
					self->key[BF_DADDR] = addrs[k];
					EXPECT_EQ(((is == types[i]) ^ inverts[j]) != 0,
						  EVAL("pkttype", 0, info))
					TH_LOG("type %u is %d, rule %d invert %d", type, is,
					       types[i], inverts[j]);
				}
}

TEST_F(headers, mac)
{
	struct xt_mac_info info = {.srcaddr = {0x80, 2, 3, 4, 0xf5, 6}};
	unsigned int i, invert;

	EXPECT_EQ(0, entry_check(&self->t, "mac", 0, &info, 0));
	EXPECT_EQ(0, entry_check(&self->t, "mac", 0, &info, IN | FWD));
	EXPECT_EQ(-EINVAL, entry_check(&self->t, "mac", 0, &info, OUT));
	EXPECT_EQ(-EINVAL, entry_check(&self->t, "mac", 0, &info, IN | OUT));
	for (invert = 0; invert < 3; invert++) {
		info.invert = invert;
		self->key[BF_MAC] = self->key[BF_MAC + 1] = 0;
		EXPECT_EQ(BF_NO_MATCH, EVAL("mac", 0, info));
		self->key[BF_MAC] = 0x80020304;
		self->key[BF_MAC + 1] = 0xf5060000 | BF_MAC_VALID;
		EXPECT_EQ(invert != 1, EVAL("mac", 0, info));
		for (i = 0; i < 48; i++) {
			uint32_t *word = &self->key[BF_MAC + i / 32];
			uint32_t bit = i < 32 ? 1U << i : 1U << (i - 16);

			*word ^= bit;
			EXPECT_EQ(invert != 0, EVAL("mac", 0, info)) TH_LOG("bit %u", i);
			*word ^= bit;
		}
	}
	/* All zero is an address as well. */
	info = (struct xt_mac_info){};
	self->key[BF_MAC] = self->key[BF_MAC + 1] = 0;
	EXPECT_EQ(BF_NO_MATCH, EVAL("mac", 0, info));
	self->key[BF_MAC + 1] = BF_MAC_VALID;
	EXPECT_EQ(BF_MATCH, EVAL("mac", 0, info));
}

/* owner_mt() of the kernel without supplementary groups. */
static bool owner_model(const struct xt_owner_match_info *o, const uint32_t *key)
{
	uint8_t missed = o->match ^ o->invert;

	if (!(key[BF_OWNER] & BF_OWNER_SOCKET))
		return missed == 0;
	if (o->match & o->invert & XT_OWNER_SOCKET)
		return false;
	if (!(key[BF_OWNER] & BF_OWNER_FILE))
		return (missed & (XT_OWNER_UID | XT_OWNER_GID)) == 0;
	if (o->match & XT_OWNER_UID && (key[BF_UID] >= o->uid_min && key[BF_UID] <= o->uid_max) ==
					       !!(o->invert & XT_OWNER_UID))
		return false;
	return !(o->match & XT_OWNER_GID) ||
	       (key[BF_GID] >= o->gid_min && key[BF_GID] <= o->gid_max) !=
		       !!(o->invert & XT_OWNER_GID);
}

TEST_F(headers, owner)
{
	static const uint32_t owners[] = {0, BF_OWNER_SOCKET, BF_OWNER_SOCKET | BF_OWNER_FILE};
	static const uint32_t ids[] = {0, 9, 10, 11, 20, 21, 0x80000000};
	unsigned int match, invert, i, j, k;

	for (match = 0; match < 8; match++)
		for (invert = 0; invert < 32; invert++)
			for (i = 0; i < 3; i++)
				for (j = 0; j < ARRAY_SIZE(ids); j++)
					for (k = 0; k < ARRAY_SIZE(ids); k++) {
						struct xt_owner_match_info info = {
							10, 20, 0, 10, match, invert};

						self->key[BF_OWNER] = owners[i];
						self->key[BF_UID] = i == 2 ? ids[j] : 0;
						self->key[BF_GID] = i == 2 ? ids[k] : 0;
						EXPECT_EQ(owner_model(&info, self->key),
							  EVAL("owner", 1, info));
					}
}

TEST_F(headers, owner_check)
{
	static const struct {
		struct xt_owner_match_info info;
		unsigned int hooks;
		int err;
	} v[] = {
		{{.match = 7}, OUT, 0},
		{{.match = 7}, 0, 0},
		{{.match = 7}, IN, -EINVAL},
		{{.match = 7}, OUT | FWD, -EINVAL},
		{{.match = 0}, IN | OUT, -EINVAL},
		{{.match = 16}, OUT, -EINVAL},
		{{.match = 8}, OUT, 0},
		{{.match = 9}, OUT, 0},
		{{.match = 10}, OUT, 0},
		{{.match = 0x80}, OUT, -EINVAL},
		{{.match = 0, .invert = 0xff}, OUT, 0},
		{{.uid_min = 2, .uid_max = 1, .match = 1}, OUT, -EINVAL},
		{{.uid_min = 2, .uid_max = 1, .match = 6}, OUT, 0},
		{{.uid_min = 2, .uid_max = UINT32_MAX, .match = 1}, OUT, -EINVAL},
		{{.uid_min = 2, .uid_max = UINT32_MAX - 1, .match = 1}, OUT, 0},
		{{.gid_min = 2, .gid_max = 1, .match = 2}, OUT, -EINVAL},
		{{.gid_min = UINT32_MAX, .gid_max = UINT32_MAX, .match = 2}, OUT, -EINVAL},
		{{.gid_min = 1, .gid_max = 1, .match = 2}, OUT, 0},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		EXPECT_EQ(v[i].err, entry_check(&self->t, "owner", 1, &v[i].info, v[i].hooks))
	TH_LOG("row %u", i);
}

/* The flags and the lengths that sctp, dccp, esp, ah and ipcomp have in common. */
TEST_F(headers, transports)
{
	static const struct {
		const char *name;
		uint32_t need;
	} v[] = {{"sctp", 12}, {"dccp", 12}, {"esp", 8}, {"ah", 12}, {"ipcomp", 4}};
	uint8_t info[292] = {};
	unsigned int i, len;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct bf_match *m = bf_match_find(v[i].name, 0);

		for (len = 0; len < 24; len++) {
			int result = len < v[i].need ? BF_HOTDROP : BF_MATCH;

			self->key[BF_L4LEN] = len;
			self->key[BF_FRAGOFF] = 0;
			EXPECT_EQ(result, match_eval(v[i].name, 0, info, m->size, self->key))
			TH_LOG("%s, %u bytes", v[i].name, len);
			self->key[BF_FRAGOFF] = 1;
			EXPECT_EQ(BF_NO_MATCH, match_eval(v[i].name, 0, info, m->size, self->key));
		}
	}
}

TEST_F(headers, sctp_and_dccp)
{
	static const uint16_t ports[] = {0, 4, 5, 6, 7, 8, 65535};
	unsigned int flags, inv, i, j;

	for (flags = 0; flags < 4; flags++)
		for (inv = 0; inv < 4; inv++)
			for (i = 0; i < ARRAY_SIZE(ports); i++)
				for (j = 0; j < ARRAY_SIZE(ports); j++) {
					struct xt_sctp_info sctp = {.spts = {5, 7},
								    .dpts = {0, 5},
								    .flags = flags,
								    .invflags = inv};
					struct xt_dccp_info dccp = {.spts = {5, 7},
								    .dpts = {0, 5},
								    .flags = flags,
								    .invflags = inv};
					bool s = ports[i] >= 5 && ports[i] <= 7, d = ports[j] <= 5;
					bool is = (!(flags & 1) || s != !!(inv & 1)) &&
						  (!(flags & 2) || d != !!(inv & 2));
					int err = inv & ~flags ? -EINVAL : 0;

					EXPECT_EQ(err, CHECK("sctp", 0, sctp));
					EXPECT_EQ(err, CHECK("dccp", 0, dccp));
					if (err)
						continue;
					self->key[BF_SPORT] = ports[i];
					self->key[BF_DPORT] = ports[j];
					/* In struct xt_dccp_info as well, source is bit 0. */
					EXPECT_EQ(is, EVAL("sctp", 0, sctp));
					EXPECT_EQ(is, EVAL("dccp", 0, dccp));
				}
}

TEST_F(headers, sctp_and_dccp_check)
{
	struct xt_sctp_info sctp = {.flags = XT_SCTP_CHUNK_TYPES};
	struct xt_dccp_info dccp = {};
	unsigned int i;

	for (i = 0; i < 16; i++) {
		sctp.chunk_match_type = i;
		EXPECT_EQ(i & 7 ? 0 : -EINVAL, CHECK("sctp", 0, sctp));
	}
	for (i = 0; i < 32; i++) {
		sctp = (struct xt_sctp_info){.flag_count = 1U << i};
		EXPECT_EQ(i < 3 ? 0 : BF_NOT_TRANSLATABLE, CHECK("sctp", 0, sctp));
	}
	for (i = 3; i < 32; i++) {
		sctp = (struct xt_sctp_info){.flags = 1U << i};
		EXPECT_EQ(-EINVAL, CHECK("sctp", 0, sctp));
		sctp = (struct xt_sctp_info){.flags = 3, .invflags = 1U << i};
		EXPECT_EQ(-EINVAL, CHECK("sctp", 0, sctp));
	}
	for (i = 0; i < 16; i++) {
		dccp = (struct xt_dccp_info){.flags = 1U << i};
		EXPECT_EQ(i < 4 ? 0 : -EINVAL, CHECK("dccp", 0, dccp));
		dccp.invflags = dccp.flags;
		EXPECT_EQ(i < 3	  ? 0
			  : i < 4 ? BF_NOT_TRANSLATABLE
				  : -EINVAL,
			  CHECK("dccp", 0, dccp));
		dccp.invflags = 1U << ((i + 1) & 15);
		EXPECT_EQ(-EINVAL, CHECK("dccp", 0, dccp));
	}
}

TEST_F(headers, spis)
{
	static const uint32_t spis[] = {0,	    1,		4,	    5,		6,
					0xfffe,	    0xffff,	0x10000,    0x10001,	0x1ffff,
					0x20000,    0x7fffffff, 0x80000000, 0xffff0000, 0xfffeffff,
					0xfffffffe, 0xffffffff};
	unsigned int i, j, k, inv;

	for (i = 0; i < ARRAY_SIZE(spis); i++)
		for (j = 0; j < ARRAY_SIZE(spis); j++)
			for (k = 0; k < ARRAY_SIZE(spis); k++)
				for (inv = 0; inv < 2; inv++) {
					struct xt_esp esp = {{spis[i], spis[j]}, inv};
					struct ipt_ah ah = {{spis[i], spis[j]}, inv};
					bool in = spis[k] >= spis[i] && spis[k] <= spis[j];

					self->key[BF_SPORT] = spis[k] >> 16;
					self->key[BF_DPORT] = spis[k] & 0xffff;
					self->key[BF_SPI] = ~spis[k];
					EXPECT_EQ(in != inv, EVAL("esp", 0, esp))
					TH_LOG("0x%x in 0x%x-0x%x", spis[k], spis[i], spis[j]);
					self->key[BF_SPORT] = self->key[BF_DPORT] = 0;
					self->key[BF_SPI] = spis[k];
					EXPECT_EQ(in != inv, EVAL("ah", 0, ah));
				}
	for (i = 0; i < 256; i++) {
		struct xt_esp esp = {.invflags = i};
		struct ipt_ah ah = {.invflags = i};
		struct xt_ipcomp comp = {.invflags = i};
		int err = i < 2 ? 0 : -EINVAL;

		EXPECT_EQ(err, CHECK("esp", 0, esp));
		EXPECT_EQ(err, CHECK("ah", 0, ah));
		EXPECT_EQ(err, CHECK("ipcomp", 0, comp));
	}
}

TEST_F(headers, ipcomp)
{
	static const uint32_t bounds[] = {0, 1, 7, 0xffff, 0x10000, 0xffffffff};
	unsigned int i, j, cpi, inv;

	for (i = 0; i < ARRAY_SIZE(bounds); i++)
		for (j = 0; j < ARRAY_SIZE(bounds); j++)
			for (cpi = 0; cpi < 65536; cpi += cpi < 10 ? 1 : 65525)
				for (inv = 0; inv < 2; inv++) {
					struct xt_ipcomp comp = {{bounds[i], bounds[j]}, inv, 0};
					bool in = cpi >= bounds[i] && cpi <= bounds[j];

					self->key[BF_DPORT] = cpi;
					self->key[BF_SPORT] = 3;
					EXPECT_EQ(in != inv, EVAL("ipcomp", 0, comp));
				}
}

TEST_F(headers, connmark)
{
	static const uint32_t marks[] = {0, 1, 5, 0xff, 0x80000005, 0xffffffff};
	static const uint32_t states[] = {XT_CONNTRACK_STATE_INVALID, XT_CONNTRACK_STATE_UNTRACKED,
					  2, 4, 8};
	unsigned int i, j, k, s, invert;

	for (i = 0; i < ARRAY_SIZE(marks); i++)
		for (j = 0; j < ARRAY_SIZE(marks); j++)
			for (k = 0; k < ARRAY_SIZE(marks); k++)
				for (s = 0; s < ARRAY_SIZE(states); s++)
					for (invert = 0; invert < 3; invert++) {
						struct xt_connmark_mtinfo1 info = {
							marks[i], marks[j], invert};
						bool is = (marks[k] & marks[j]) == marks[i];

						self->key[BF_CT_STATE] = states[s];
						self->key[BF_CT_MARK] = s < 2 ? 0 : marks[k];
						EXPECT_EQ(s >= 2 && (is ^ invert) != 0,
							  EVAL("connmark", 1, info));
					}
	EXPECT_TRUE(bf_match_find("connmark", 1)->conntrack);
}

TEST_F(headers, cpu)
{
	unsigned int i, invert;

	for (i = 0; i < 4; i++)
		for (invert = 0; invert < 2; invert++) {
			struct xt_cpu_info info = {2, invert};

			self->key[BF_CPU] = i;
			EXPECT_EQ((i == 2) != invert, EVAL("cpu", 0, info));
		}
	for (i = 0; i < 32; i++) {
		struct xt_cpu_info info = {0, 1U << i};

		EXPECT_EQ(i ? -EINVAL : 0, CHECK("cpu", 0, info));
	}
}

TEST_HARNESS_MAIN
