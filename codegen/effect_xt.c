// SPDX-License-Identifier: GPL-2.0
/* Effects as x_tables has them, for the module. See effect.h. */
#include <linux/in.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_NFLOG.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_nfacct.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <linux/icmp.h>
#include <string.h>

#include "effect.h"
#include "question.h"
#include "table.h"

#define FITS(type)                                                                                 \
	_Static_assert(XT_ALIGN(sizeof(type)) <= sizeof(struct bf_effect_info), "room for " #type)

FITS(struct ipt_reject_info);
FITS(struct xt_log_info);
FITS(struct xt_nflog_info);
FITS(struct xt_nfacct_match_info_v1);
FITS(struct xt_mark_tginfo2);
FITS(struct xt_connmark_tginfo2);

static uint32_t reject_with(const struct bf_effect *e)
{
	if (e->kind == BF_EFFECT_RESET)
		return IPT_TCP_RESET;
	switch (e->code) {
	case ICMP_NET_UNREACH:
		return IPT_ICMP_NET_UNREACHABLE;
	case ICMP_HOST_UNREACH:
		return IPT_ICMP_HOST_UNREACHABLE;
	case ICMP_PROT_UNREACH:
		return IPT_ICMP_PROT_UNREACHABLE;
	case ICMP_NET_ANO:
		return IPT_ICMP_NET_PROHIBITED;
	case ICMP_HOST_ANO:
		return IPT_ICMP_HOST_PROHIBITED;
	case ICMP_PKT_FILTERED:
		return IPT_ICMP_ADMIN_PROHIBITED;
	default:
		return IPT_ICMP_PORT_UNREACHABLE;
	}
}

static uint32_t fill_reject(const struct bf_effect *e, struct bf_question *q)
{
	struct ipt_reject_info *info = q->info;

	strcpy(q->name, "REJECT");
	info->with = reject_with(e);
	/* Which the kernel wants to see of the rule. */
	if (e->kind == BF_EFFECT_RESET)
		q->proto = IPPROTO_TCP;
	return sizeof(*info);
}

static uint32_t fill_log(const struct bf_effect *e, struct bf_question *q)
{
	struct xt_log_info *info = q->info;

	strcpy(q->name, "LOG");
	info->level = e->level;
	info->logflags = e->flags;
	memcpy(info->prefix, e->text, sizeof(info->prefix) - 1);
	return sizeof(*info);
}

static uint32_t fill_nflog(const struct bf_effect *e, struct bf_question *q)
{
	struct xt_nflog_info *info = q->info;

	strcpy(q->name, "NFLOG");
	info->group = e->group;
	info->threshold = e->threshold;
	info->len = e->snaplen;
	info->flags = e->snaps ? XT_NFLOG_F_COPY_LEN : 0;
	memcpy(info->prefix, e->text, sizeof(info->prefix) - 1);
	return sizeof(*info);
}

static uint32_t fill_nfacct(const struct bf_effect *e, struct bf_question *q)
{
	struct xt_nfacct_match_info *info = q->info;

	strcpy(q->name, "nfacct");
	memcpy(info->name, e->text, sizeof(info->name) - 1);
	q->target = false;
	return sizeof(*info);
}

static uint32_t fill_mark(const struct bf_effect *e, struct bf_question *q)
{
	struct xt_mark_tginfo2 *info = q->info;

	strcpy(q->name, "MARK");
	q->revision = 2;
	info->mark = e->flip;
	info->mask = ~e->keep;
	return sizeof(*info);
}

static uint32_t fill_connmark(const struct bf_effect *e, struct bf_question *q)
{
	strcpy(q->name, "CONNMARK");
	q->revision = 2;
	memcpy(q->info, &e->connmark, sizeof(e->connmark));
	return sizeof(e->connmark);
}

void bf_effect_question(const struct bf_effect *effect, struct bf_effect_info *info,
			struct bf_question *question)
{
	uint32_t size = 0;

	memset(info, 0, sizeof(*info));
	*question =
		(struct bf_question){.hooks = BF_FILTER_HOOKS, .target = true, .info = info->bytes};
	switch ((enum bf_effect_kind)effect->kind) {
	case BF_EFFECT_UNREACHABLE:
	case BF_EFFECT_RESET:
		size = fill_reject(effect, question);
		break;
	case BF_EFFECT_LOG:
		size = fill_log(effect, question);
		break;
	case BF_EFFECT_NFLOG:
		size = fill_nflog(effect, question);
		break;
	case BF_EFFECT_ACCOUNT:
		size = fill_nfacct(effect, question);
		break;
	case BF_EFFECT_MARK:
		size = fill_mark(effect, question);
		break;
	case BF_EFFECT_CONNMARK:
		size = fill_connmark(effect, question);
		break;
	}
	question->size = XT_ALIGN(size);
}
