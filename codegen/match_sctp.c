// SPDX-License-Identifier: GPL-2.0
/* -m sctp, as xt_sctp.c has it. Its walk through the chunks is the kernel's, who is asked for them. */
#include <errno.h>
#include <linux/netfilter/xt_sctp.h>
#include <netinet/in.h>

#include "match.h"

/* struct sctphdr */
#define SCTP_HEADER 12

static int sctp_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		      struct bf_why *why)
{
	const struct xt_sctp_info *info = data;
	const uint32_t types = SCTP_CHUNK_MATCH_ANY | SCTP_CHUNK_MATCH_ALL | SCTP_CHUNK_MATCH_ONLY;

	if ((info->flags | info->invflags) & ~XT_SCTP_VALID_FLAGS)
		return bf_why(why, -EINVAL, "sctp: unknown flags 0x%x",
			      info->flags | info->invflags);
	if (info->invflags & ~info->flags)
		return bf_why(why, -EINVAL, "sctp: inverts what it does not look at");
	if (info->flags & XT_SCTP_CHUNK_TYPES && !(info->chunk_match_type & types))
		return bf_why(why, -EINVAL, "sctp: neither any, nor all, nor only chunks");
	/* Kernels before 2023 accept these and read past the list: let this one judge. */
	if ((uint32_t)info->flag_count > XT_NUM_SCTP_FLAGS)
		return bf_why(why, BF_NOT_TRANSLATABLE, "sctp: flags of %u chunks",
			      info->flag_count);
	/* The kernel counts a malformed packet in this rule, and drops it then; who is asked can do but one of it. */
	if (info->invflags & XT_SCTP_CHUNK_TYPES)
		return bf_why(why, BF_NOT_TRANSLATABLE, "sctp: ! --chunk-types");
	return 0;
}

static bool asks_for_chunks(const void *data)
{
	const struct xt_sctp_info *info = data;

	return info->flags & XT_SCTP_CHUNK_TYPES;
}

static void sctp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_sctp_info *info = data;

	bf_need_header(r, SCTP_HEADER);
	if (info->flags & XT_SCTP_SRC_PORTS)
		bf_range(r, BF_SPORT, info->spts[0], info->spts[1],
			 info->invflags & XT_SCTP_SRC_PORTS, BF_TO_NEXT);
	if (info->flags & XT_SCTP_DEST_PORTS)
		bf_range(r, BF_DPORT, info->dpts[0], info->dpts[1],
			 info->invflags & XT_SCTP_DEST_PORTS, BF_TO_NEXT);
	if (!asks_for_chunks(info))
		return;
	bf_ask_compile(r, e, info);
}

static int sctp_place(const void *info, enum bf_attach attach, struct bf_why *why)
{
	if (!asks_for_chunks(info))
		return 0;
	return bf_not_placed(why, "sctp --chunk-types", attach,
			     "the kernel walks through the chunks, behind its hooks");
}

const struct bf_match bf_match_sctp = {
	.name = "sctp",
	.size = sizeof(struct xt_sctp_info),
	.proto = IPPROTO_SCTP,
	.options = "--sport, --dport, all with !; --chunk-types without !",
	.asks_if = asks_for_chunks,
	.check = sctp_check,
	.place = sctp_place,
	.compile = sctp_compile,
};
