// SPDX-License-Identifier: GPL-2.0
/* -m hashlimit, as xt_hashlimit.c has it: the tables are the kernel's, those in /proc/net/ipt_hashlimit. */
#include <limits.h>
#include <linux/in.h>
#include <linux/netfilter/xt_hashlimit.h>

#include "match.h"

BF_ONLY_AT_HOOKS(hashlimit, "the hash tables are the kernel's, and only its own match can use them")

#define PORTS (XT_HASHLIMIT_HASH_DPT | XT_HASHLIMIT_HASH_SPT)

/*
 * Where ports are hashed the kernel drops a packet that is too short to have them, later fragments not excepted; behind
 * netfilter links that would be before the rules in front have counted it.
 */
static void need_ports(struct bf_rule *r)
{
	static const struct {
		uint8_t proto, bytes;
	} needs[] = {
		{IPPROTO_TCP, 4},  {IPPROTO_UDP, 4}, {IPPROTO_UDPLITE, 4}, {IPPROTO_SCTP, 4},
		{IPPROTO_DCCP, 4}, {IPPROTO_ESP, 4}, {IPPROTO_AH, 8},
	};
	unsigned int i;

	for (i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		int other = bf_label(r);

		bf_eq(r, BF_PROTO, UINT32_MAX, needs[i].proto, false, other);
		bf_range(r, BF_L4LEN, needs[i].bytes, UINT32_MAX, false, BF_TO_DROP);
		bf_label_here(r, other);
	}
}

static void compile(struct bf_rule *r, const struct ipt_entry *e, const void *info, uint32_t mode)
{
	if (mode & PORTS)
		need_ports(r);
	bf_ask_compile(r, e, info);
}

static void hashlimit_1_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_hashlimit_mtinfo1 *i = info;

	compile(r, e, info, i->cfg.mode);
}

static void hashlimit_2_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_hashlimit_mtinfo2 *i = info;

	compile(r, e, info, i->cfg.mode);
}

static void hashlimit_3_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_hashlimit_mtinfo3 *i = info;

	compile(r, e, info, i->cfg.mode);
}

#define HASHLIMIT(n)                                                                               \
	.name = "hashlimit", .revision = n, .size = sizeof(struct xt_hashlimit_mtinfo##n),         \
	.usersize = offsetof(struct xt_hashlimit_mtinfo##n, hinfo), .asks = true,                  \
	.place = hashlimit_place, .compile = hashlimit_##n##_compile

const struct bf_match bf_match_hashlimit_1 = {HASHLIMIT(1)};
const struct bf_match bf_match_hashlimit_2 = {HASHLIMIT(2)};
const struct bf_match bf_match_hashlimit_3 = {HASHLIMIT(3), .options = "all"};
