// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/xt_bpf.h>
#include <linux/netfilter/xt_nfacct.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ext.h"
#include "load.h"
#include "nft.h"
#include "stage_chain.h"

#define TABLE "bpfilter-effects"
#define COMMENT                                                                                    \
	"bpfilter: asks the kernel's matches, and runs what targets REJECT, LOG, NFLOG, MARK and CONNMARK and match nfacct do"

/* "-m bpf" by a program's descriptor, which the kernel takes while it makes the rule. */
static void add_match(struct bf_nft_batch *b, int prog)
{
	struct {
		struct xt_bpf_info_v1 info __attribute__((aligned(8)));
	} data;

	memset(&data, 0, sizeof(data));
	data.info.mode = XT_BPF_MODE_FD_ELF;
	data.info.fd = prog;
	bf_nft_expr_begin(b, "match");
	bf_nft_put_str(b, NFTA_MATCH_NAME, "bpf");
	bf_nft_put_u32(b, NFTA_MATCH_REV, 1);
	bf_nft_put(b, NFTA_MATCH_INFO, &data, XT_ALIGN(sizeof(data.info)));
	bf_nft_expr_end(b);
}

/* match bpf PROG jump TO */
static void add_jump(struct bf_nft_batch *b, const char *chain, int prog, const char *to)
{
	bf_nft_rule_begin(b, TABLE, chain);
	add_match(b, prog);
	bf_nft_expr_begin(b, "immediate");
	bf_nft_put_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	bf_nft_nest(b, NFTA_IMMEDIATE_DATA);
	bf_nft_nest(b, NFTA_DATA_VERDICT);
	bf_nft_put_u32(b, NFTA_VERDICT_CODE, (uint32_t)NFT_JUMP);
	bf_nft_put_str(b, NFTA_VERDICT_CHAIN, to);
	bf_nft_unnest(b);
	bf_nft_unnest(b);
	bf_nft_expr_end(b);
	bf_nft_rule_end(b, NULL);
}

static void add_reject(struct bf_nft_batch *b, const struct bf_effect *e)
{
	bool icmp = e->kind == BF_EFFECT_UNREACHABLE;

	bf_nft_expr_begin(b, "reject");
	bf_nft_put_u32(b, NFTA_REJECT_TYPE, icmp ? NFT_REJECT_ICMP_UNREACH : NFT_REJECT_TCP_RST);
	if (icmp)
		bf_nft_put(b, NFTA_REJECT_ICMP_CODE, &e->code, sizeof(e->code));
	bf_nft_expr_end(b);
}

static void add_log(struct bf_nft_batch *b, const struct bf_effect *e)
{
	bf_nft_expr_begin(b, "log");
	if (e->text[0])
		bf_nft_put_str(b, NFTA_LOG_PREFIX, e->text);
	if (e->kind == BF_EFFECT_LOG) {
		bf_nft_put_u32(b, NFTA_LOG_LEVEL, e->level);
		bf_nft_put_u32(b, NFTA_LOG_FLAGS, e->flags);
	} else {
		bf_nft_put_u16(b, NFTA_LOG_GROUP, e->group);
		bf_nft_put_u16(b, NFTA_LOG_QTHRESHOLD, e->threshold);
		if (e->snaps)
			bf_nft_put_u32(b, NFTA_LOG_SNAPLEN, e->snaplen);
	}
	bf_nft_expr_end(b);
}

/* The rule holds the object, as one of ip_tables does. */
static void add_account(struct bf_nft_batch *b, const struct bf_effect *e)
{
	struct xt_nfacct_match_info_v1 info;

	memset(&info, 0, sizeof(info));
	memcpy(info.name, e->text, strlen(e->text));
	bf_nft_expr_begin(b, "match");
	bf_nft_put_str(b, NFTA_MATCH_NAME, "nfacct");
	bf_nft_put_u32(b, NFTA_MATCH_REV, 1);
	bf_nft_put(b, NFTA_MATCH_INFO, &info, XT_ALIGN(sizeof(info)));
	bf_nft_expr_end(b);
}

/* A number in the order in which it is in the register. */
static void put_register(struct bf_nft_batch *b, int attr, uint32_t value)
{
	bf_nft_nest(b, attr);
	bf_nft_put(b, NFTA_DATA_VALUE, &value, sizeof(value));
	bf_nft_unnest(b);
}

/* meta mark set mark & KEEP ^ FLIP */
static void add_mark(struct bf_nft_batch *b, const struct bf_effect *e)
{
	bf_nft_expr_begin(b, "meta");
	bf_nft_put_u32(b, NFTA_META_KEY, NFT_META_MARK);
	bf_nft_put_u32(b, NFTA_META_DREG, NFT_REG32_00);
	bf_nft_expr_end(b);
	bf_nft_expr_begin(b, "bitwise");
	bf_nft_put_u32(b, NFTA_BITWISE_SREG, NFT_REG32_00);
	bf_nft_put_u32(b, NFTA_BITWISE_DREG, NFT_REG32_00);
	bf_nft_put_u32(b, NFTA_BITWISE_LEN, sizeof(e->keep));
	put_register(b, NFTA_BITWISE_MASK, e->keep);
	put_register(b, NFTA_BITWISE_XOR, e->flip);
	bf_nft_expr_end(b);
	bf_nft_expr_begin(b, "meta");
	bf_nft_put_u32(b, NFTA_META_KEY, NFT_META_MARK);
	bf_nft_put_u32(b, NFTA_META_SREG, NFT_REG32_00);
	bf_nft_expr_end(b);
}

/* An expression that is one of ip_tables' targets. */
static void add_xt_target(struct bf_nft_batch *b, const struct bf_question *target)
{
	bf_nft_expr_begin(b, "target");
	bf_nft_put_str(b, NFTA_TARGET_NAME, target->name);
	bf_nft_put_u32(b, NFTA_TARGET_REV, target->revision);
	bf_nft_put(b, NFTA_TARGET_INFO, target->info, target->size);
	bf_nft_expr_end(b);
}

static void add_connmark(struct bf_nft_batch *b, const struct bf_effect *e)
{
	struct bf_effect_info info;
	struct bf_question target;

	bf_effect_question(e, &info, &target);
	add_xt_target(b, &target);
}

static void add_effect(struct bf_nft_batch *b, const struct bf_effect *e, int prog)
{
	bf_nft_rule_begin(b, TABLE, "effects");
	add_match(b, prog);
	if (bf_effect_drops(e))
		add_reject(b, e);
	else if (e->kind == BF_EFFECT_ACCOUNT)
		add_account(b, e);
	else if (e->kind == BF_EFFECT_MARK)
		add_mark(b, e);
	else if (e->kind == BF_EFFECT_CONNMARK)
		add_connmark(b, e);
	else
		add_log(b, e);
	bf_nft_rule_end(b, NULL);
}

/* --- questions ----------------------------------------------------------------------------- */

/* BF_ROUNDS times in all, in two levels, so that most packets come to few rules. */
#define ROUNDS BF_STAGE_ROUNDS
_Static_assert(ROUNDS *ROUNDS == BF_ROUNDS, "as many rounds as there is room for answers");

struct chain_name {
	char text[32];
};

static struct chain_name name_of(const char *what, const struct bf_asker *asker)
{
	struct chain_name name;

	snprintf(name.text, sizeof(name.text), "%s-%u", what, asker->id);
	return name;
}

/*
 * nf_tables follows all jumps from a hook, and refuses what leads to a match that is not for it: so there is a way of
 * its own from each hook, and only what is for all of them is shared.
 */
static struct chain_name name_at(const char *what, const struct bf_asker *asker, unsigned int base)
{
	struct chain_name name;

	snprintf(name.text, sizeof(name.text), "%s-%u-%s", what, asker->id,
		 bf_stage_bases[base].chain);
	return name;
}

static struct chain_name ask_at(unsigned int base)
{
	struct chain_name name;

	snprintf(name.text, sizeof(name.text), "ask-%s", bf_stage_bases[base].chain);
	return name;
}

/* An expression that is one of ip_tables' matches. */
static void add_xt_match(struct bf_nft_batch *b, const struct bf_question *q)
{
	bf_nft_expr_begin(b, "match");
	bf_nft_put_str(b, NFTA_MATCH_NAME, q->name);
	bf_nft_put_u32(b, NFTA_MATCH_REV, q->revision);
	bf_nft_put(b, NFTA_MATCH_INFO, q->info, q->size);
	bf_nft_expr_end(b);
}

/*
 * What the packet has done so far is done before it is asked about, which may be its end: of the note that is left then, as
 * of any that nobody needs any more, there is no room for many.
 */
static void add_effects_before(struct bf_nft_batch *b, const struct bf_stage *s, const char *chain)
{
	add_jump(b, chain, s->has, "packet");
	bf_nft_rule_begin(b, TABLE, chain);
	add_match(b, s->forget);
	bf_nft_rule_end(b, NULL);
}

static void add_question(struct bf_nft_batch *b, const struct bf_stage *s, const char *chain,
			 const struct bf_asker *asker, uint32_t number)
{
	const struct bf_question *q = &asker->questions.list[number];

	bf_nft_rule_begin_compat(b, TABLE, chain, q->proto, q->invflags & IPT_INV_PROTO);
	add_match(b, s->is_question[number]);
	if (q->target)
		add_xt_target(b, q);
	else
		add_xt_match(b, q);
	add_match(b, s->answer);
	bf_nft_rule_end(b, NULL);
}

/* What is asked in all hooks: a match that keeps something is there once. */
static void add_shared(struct bf_nft_batch *b, const struct bf_stage *s,
		       const struct bf_asker *asker)
{
	struct chain_name questions = name_of("questions", asker);
	uint32_t i;

	bf_nft_chain(b, TABLE, questions.text);
	bf_nft_del_rules(b, TABLE, questions.text);
	if (asker->effects)
		add_effects_before(b, s, questions.text);
	for (i = 0; i < asker->questions.nr; i++)
		if (bf_stage_is_shared(&asker->questions.list[i]))
			add_question(b, s, questions.text, asker, i);
}

static void make_chains(struct bf_nft_batch *b, const struct bf_asker *asker, unsigned int base)
{
	struct chain_name here = name_at("here", asker, base),
			  rounds = name_at("rounds", asker, base);

	bf_nft_chain(b, TABLE, here.text);
	bf_nft_chain(b, TABLE, rounds.text);
	bf_nft_del_rules(b, TABLE, rounds.text);
	bf_nft_del_rules(b, TABLE, here.text);
}

static void add_rounds(struct bf_nft_batch *b, const struct bf_stage *s,
		       const struct bf_asker *asker, unsigned int base)
{
	struct chain_name here = name_at("here", asker, base),
			  rounds = name_at("rounds", asker, base),
			  questions = name_of("questions", asker);
	unsigned int hook = bf_stage_bases[base].hook;
	uint32_t i, nr = bf_stage_rounds_rules(asker, hook);

	make_chains(b, asker, base);
	for (i = 0; i < asker->questions.nr; i++)
		if (bf_stage_is_here(&asker->questions.list[i], hook))
			add_question(b, s, here.text, asker, i);
	for (i = 0; i < nr; i++) {
		if (nr > ROUNDS && i % 2)
			add_jump(b, rounds.text, s->has_question, here.text);
		else
			add_jump(b, rounds.text, asker->program, questions.text);
	}
}

/* The table's own chains, whatever there was in them before. */
static void add_questions(struct bf_nft_batch *b, const struct bf_stage *s,
			  const struct bf_asker *asker)
{
	unsigned int i;

	add_shared(b, s, asker);
	for (i = 0; i < BF_STAGE_BASES; i++)
		add_rounds(b, s, asker, i);
}

static void remove_questions(struct bf_nft_batch *b, const struct bf_asker *asker)
{
	struct chain_name questions = name_of("questions", asker);
	unsigned int i;

	bf_nft_chain(b, TABLE, questions.text);
	for (i = 0; i < BF_STAGE_BASES; i++) {
		make_chains(b, asker, i);
		bf_nft_del_chain(b, TABLE, name_at("rounds", asker, i).text);
		bf_nft_del_chain(b, TABLE, name_at("here", asker, i).text);
	}
	bf_nft_del_rules(b, TABLE, questions.text);
	bf_nft_del_chain(b, TABLE, questions.text);
}

static void add_askers(struct bf_nft_batch *b, const struct bf_stage *s)
{
	unsigned int base;
	uint32_t i, j;

	for (base = 0; base < BF_STAGE_BASES; base++) {
		bf_nft_chain(b, TABLE, ask_at(base).text);
		bf_nft_del_rules(b, TABLE, ask_at(base).text);
	}
	for (i = 0; i < s->nr_left; i++)
		remove_questions(b, &(struct bf_asker){.id = s->left[i]});
	for (i = 0; i < s->nr_askers; i++) {
		const struct bf_asker *asker = &s->askers[i];

		if (asker->leaving) {
			remove_questions(b, asker);
			continue;
		}
		if (!asker->shown)
			add_questions(b, s, asker);
		for (j = 0; j < ROUNDS * BF_STAGE_BASES; j++) {
			base = j % BF_STAGE_BASES;
			add_jump(b, ask_at(base).text, asker->program,
				 name_at("rounds", asker, base).text);
		}
	}
}

/* --- the whole ----------------------------------------------------------------------------- */

static void add_effects(struct bf_nft_batch *b, const struct bf_stage *s,
			const struct bf_effects *effects, const int *is)
{
	uint32_t i;

	bf_nft_chain(b, TABLE, "effects");
	bf_nft_chain(b, TABLE, "packet");
	bf_nft_del_rules(b, TABLE, "packet");
	bf_nft_del_rules(b, TABLE, "effects");
	for (i = 0; i < effects->nr; i++)
		add_effect(b, &effects->list[i], is[i]);
	for (i = 0; i < BF_MAX_EFFECTS && effects->nr; i++)
		add_jump(b, "packet", s->has, "effects");
}

/* @anew: even if the table exists, in which case its flags cannot be changed. */
static int make_table(const struct bf_stage *s, const struct bf_effects *effects, const int *is,
		      uint32_t flags, bool anew)
{
	struct bf_nft_batch b;
	uint32_t i;

	bf_nft_begin(&b, NFPROTO_IPV4);
	if (anew)
		bf_nft_del_table(&b, TABLE);
	bf_nft_table(&b, TABLE, flags, NLM_F_CREATE, COMMENT);
	for (i = 0; i < BF_STAGE_BASES; i++) {
		bf_nft_base_chain(&b, TABLE, bf_stage_bases[i].chain, bf_stage_bases[i].hook,
				  BF_STAGE_PRIORITY);
		bf_nft_del_rules(&b, TABLE, bf_stage_bases[i].chain);
	}
	add_effects(&b, s, effects, is);
	if (s->nr_askers || s->nr_left)
		add_askers(&b, s);
	for (i = 0; i < BF_STAGE_BASES; i++) {
		if (s->nr_askers)
			add_jump(&b, bf_stage_bases[i].chain, s->has_question, ask_at(i).text);
		if (effects->nr)
			add_jump(&b, bf_stage_bases[i].chain, s->has, "packet");
	}
	return bf_nft_commit(s->sk, &b);
}

/* The best table that the kernel can make. */
static int choose_table(struct bf_stage *s, const struct bf_effects *effects, const int *is)
{
	int err;

	s->flags = NFT_TABLE_F_OWNER | BF_NFT_TABLE_F_PERSIST;
	err = make_table(s, effects, is, s->flags, false);
	if (err != -EOPNOTSUPP && err != -EINVAL)
		return err;
	err = make_table(s, effects, is, s->flags, true);
	if (!err)
		return 0;
	s->flags = 0;
	return make_table(s, effects, is, s->flags, false);
}

static int open_sockets(struct bf_stage *s)
{
	struct sockaddr_nl addr;
	socklen_t len = sizeof(addr);
	int group = NFNLGRP_NFTABLES;

	s->sk = bf_nfnl_open();
	if (s->sk < 0)
		return s->sk;
	s->events = bf_nfnl_open();
	if (s->events < 0)
		return s->events;
	if (getsockname(s->sk, (struct sockaddr *)&addr, &len) ||
	    setsockopt(s->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return -errno;
	s->port = addr.nl_pid;
	return 0;
}

static void note_shown(struct bf_stage *s)
{
	uint32_t i;

	for (i = 0; i < s->nr_askers; i++)
		s->askers[i].shown = true;
	s->nr_left = 0;
}

static bool is_new(const struct bf_stage *s)
{
	uint32_t i;

	for (i = 0; i < s->nr_askers; i++)
		if (!s->askers[i].shown)
			return true;
	return false;
}

static bool has_account(const struct bf_effects *effects)
{
	uint32_t i;

	for (i = 0; i < effects->nr; i++)
		if (effects->list[i].kind == BF_EFFECT_ACCOUNT)
			return true;
	return false;
}

int bf_stage_chain_make(struct bf_stage *s, const struct bf_effects *effects, const int *is,
			struct bf_why *why)
{
	bool fresh = s->sk < 0;
	int err = fresh ? open_sockets(s) ?: bf_stage_look(s, TABLE) : 0;

	if (!err)
		err = fresh ? choose_table(s, effects, is)
			    : make_table(s, effects, is, s->flags, false);
	if (!err) {
		note_shown(s);
		return 0;
	}
	if (fresh)
		bf_stage_chain_close(s);
	/* Which of them it was is the kernel's to say, of ip_tables' rule. */
	if (is_new(s) && err != -EPERM)
		return bf_why(why, err, "one of the matches and targets that ask the kernel: %s",
			      strerror(-err));
	switch (err) {
	case -EPERM:
		return bf_why(why, -EBUSY, "another process owns nft table " TABLE);
	case -ENOENT:
		if (has_account(effects))
			return bf_why(why, err, "nfacct: there is no such accounting object");
		/* fallthrough */
	case -EOPNOTSUPP:
		return bf_why(
			why, -EOPNOTSUPP,
			"targets REJECT, LOG, NFLOG, MARK and CONNMARK and match nfacct need nf_tables with "
			"\"reject\", \"log\", the match \"bpf\" and the target \"CONNMARK\" "
			"(nft_reject_ipv4, nft_log, nft_compat, xt_bpf, xt_connmark), one of which this "
			"kernel lacks");
	default:
		return bf_why(why, err, "cannot make nft table " TABLE ": %s", strerror(-err));
	}
}

void bf_stage_chain_remove(struct bf_stage *s)
{
	struct bf_nft_batch b;
	int sk = s->sk < 0 ? bf_nfnl_open() : s->sk, err;

	if (sk < 0)
		return;
	/* To take over one that a former helper has left. */
	bf_nft_begin(&b, NFPROTO_IPV4);
	if (s->sk < 0)
		bf_nft_table(&b, TABLE, NFT_TABLE_F_OWNER | BF_NFT_TABLE_F_PERSIST, NLM_F_CREATE,
			     NULL);
	bf_nft_del_table(&b, TABLE);
	err = bf_nft_commit(sk, &b);
	if (err && s->sk < 0) {
		bf_nft_begin(&b, NFPROTO_IPV4);
		bf_nft_del_table(&b, TABLE);
		err = bf_nft_commit(sk, &b);
	}
	if (err && err != -ENOENT)
		bf_log(BF_LOG_WARN, "cannot remove nft table " TABLE ": %s", strerror(-err));
	if (s->sk < 0)
		close(sk);
}

void bf_stage_chain_close(struct bf_stage *s)
{
	if (s->events >= 0)
		close(s->events);
	if (s->sk >= 0)
		close(s->sk);
	s->sk = s->events = -1;
}

void bf_stage_event(struct bf_stage *s)
{
	uint32_t i;
	int err;

	if (s->events < 0 || bf_nft_table_changed(s->events, TABLE, s->port) <= 0)
		return;
	/*
	 * Nobody else can change a table that is owned: some of the kernel's messages about our own changes were left out.
	 * To make it again would be to forget what its matches have counted.
	 */
	if (s->flags & NFT_TABLE_F_OWNER || !(s->shown.nr || s->nr_askers))
		return;
	for (i = 0; i < s->nr_askers; i++)
		s->askers[i].shown = false;
	err = make_table(s, &s->shown, s->is, s->flags, false);
	if (!err)
		note_shown(s);
	if (err)
		bf_log(BF_LOG_ERR,
		       "nft table " TABLE " was changed and cannot be put back, REJECT sends no "
		       "replies and LOG writes no lines: %s",
		       strerror(-err));
	else if (!s->flags)
		bf_log(BF_LOG_DEBUG, "nft table " TABLE " was changed and has been put back");
}
