// SPDX-License-Identifier: GPL-2.0
/*
 * A rule with a ct expression makes the kernel register conntrack's hooks in the namespace
 * (nf_ct_netns_get()), wherever the rule is.
 *
 * Who can take it away: nobody, where the table is owned (and "nft flush ruleset" passes over it).
 * Where it is a plain table, anybody; but the kernel lets go of a deleted rule's conntrack only
 * after a grace period, in a worker (nf_tables_trans_destroy_work()), some milliseconds
 * later. A table that is back before then leaves no gap at all. The same order makes it
 * safe to replace the rule in one batch: the new one asks before the old one lets go.
 */
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conntrack.h"
#include "nft.h"

#define PIN_TABLE   "bpfilter-conntrack"
#define PIN_CHAIN   "pin"
#define PIN_COMMENT "bpfilter: keeps connection tracking active; no packet comes here"

/**
 * struct bf_ct_pin - the table, and what tells of changes to it
 * @sk: owns the table if @flags say so
 * @port: of @sk; messages of changes that we made carry it
 * @events: receives all changes of nf_tables in the namespace
 * @flags: of the table
 */
struct bf_ct_pin {
	int sk, events;
	uint32_t port;
	uint32_t flags;
};

static void add_rule(struct bf_nft_batch *b)
{
	uint32_t established = NF_CT_STATE_BIT(IP_CT_ESTABLISHED);

	bf_nft_rule_begin(b, PIN_TABLE, PIN_CHAIN);
	bf_nft_expr_begin(b, "ct");
	bf_nft_put_u32(b, NFTA_CT_KEY, NFT_CT_STATE);
	bf_nft_put_u32(b, NFTA_CT_DREG, NFT_REG_1);
	bf_nft_expr_end(b);
	/* Not needed for the effect, but "nft list ruleset" can show a whole rule. */
	bf_nft_expr_begin(b, "cmp");
	bf_nft_put_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	bf_nft_put_u32(b, NFTA_CMP_OP, NFT_CMP_EQ);
	bf_nft_nest(b, NFTA_CMP_DATA);
	bf_nft_put(b, NFTA_DATA_VALUE, &established, sizeof(established));
	bf_nft_unnest(b);
	bf_nft_expr_end(b);
	bf_nft_rule_end(b, PIN_COMMENT);
}

/*
 * Whatever there is of the table becomes what it should be. @anew: even if it exists, in which case
 * its flags cannot be changed.
 */
static int make_table(int sk, uint32_t flags, bool anew)
{
	struct bf_nft_batch b;

	bf_nft_begin(&b, NFPROTO_IPV4);
	if (anew)
		bf_nft_del_table(&b, PIN_TABLE);
	bf_nft_table(&b, PIN_TABLE, flags, NLM_F_CREATE, PIN_COMMENT);
	bf_nft_chain(&b, PIN_TABLE, PIN_CHAIN);
	bf_nft_del_rules(&b, PIN_TABLE, PIN_CHAIN);
	add_rule(&b);
	return bf_nft_commit(sk, &b);
}

/* The best table that the kernel can make. A plain one may be in its place. */
static int choose_table(struct bf_ct_pin *pin, bool plain)
{
	int err;

	pin->flags = NFT_TABLE_F_OWNER | BF_NFT_TABLE_F_PERSIST;
	if (plain)
		goto plain;
	err = make_table(pin->sk, pin->flags, false);
	if (err != -EOPNOTSUPP && err != -EINVAL)
		return err;
	err = make_table(pin->sk, pin->flags, true);
	if (!err)
		return 0;
plain:
	pin->flags = 0;
	return make_table(pin->sk, pin->flags, false);
}

static int open_sockets(struct bf_ct_pin *pin)
{
	struct sockaddr_nl addr;
	socklen_t len = sizeof(addr);
	int group = NFNLGRP_NFTABLES;

	pin->sk = bf_nfnl_open();
	if (pin->sk < 0)
		return pin->sk;
	pin->events = bf_nfnl_open();
	if (pin->events < 0)
		return pin->events;
	if (getsockname(pin->sk, (struct sockaddr *)&addr, &len) ||
	    setsockopt(pin->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return -errno;
	pin->port = addr.nl_pid;
	return 0;
}

static int make_pin(struct bf_ct_pin **result, bool plain, struct bf_why *why)
{
	struct bf_ct_pin *pin = malloc(sizeof(*pin));
	int err;

	*result = NULL;
	if (!pin)
		return -ENOMEM;
	*pin = (struct bf_ct_pin){.sk = -1, .events = -1};
	err = open_sockets(pin);
	if (!err)
		err = choose_table(pin, plain);
	if (!err) {
		*result = pin;
		return 0;
	}
	bf_ct_pin_close(pin);
	switch (err) {
	case -EPERM:
		return bf_why(why, -EBUSY, "another process owns nft table " PIN_TABLE);
	case -ENOENT:
	case -EOPNOTSUPP:
		return bf_why(why, -EOPNOTSUPP, "the kernel's nf_tables cannot match on ct state");
	default:
		return bf_why(why, err, "cannot keep connection tracking active: %s",
			      strerror(-err));
	}
}

int bf_ct_pin(struct bf_ct_pin **pin, struct bf_why *why)
{
	return make_pin(pin, false, why);
}

int bf_ct_pin_plain(struct bf_ct_pin **pin, struct bf_why *why)
{
	return make_pin(pin, true, why);
}

bool bf_ct_pin_is_owned(const struct bf_ct_pin *pin)
{
	return pin->flags & NFT_TABLE_F_OWNER;
}

int bf_ct_pin_fd(const struct bf_ct_pin *pin)
{
	return pin->events;
}

int bf_ct_pin_check(struct bf_ct_pin *pin)
{
	int err = bf_nft_table_changed(pin->events, PIN_TABLE, pin->port);

	if (err <= 0)
		return err;
	/* An owned table is unchanged whatever was left out; this makes sure, at no cost. */
	err = make_table(pin->sk, pin->flags, false);
	if (err)
		bf_log(BF_LOG_ERR,
		       "nft table " PIN_TABLE " was changed and cannot be put back, rules on "
		       "connection state may stop matching: %s",
		       strerror(-err));
	else if (!pin->flags)
		bf_log(BF_LOG_DEBUG, "nft table " PIN_TABLE " was changed and has been put back");
	return err;
}

void bf_ct_pin_close(struct bf_ct_pin *pin)
{
	if (!pin)
		return;
	if (pin->events >= 0)
		close(pin->events);
	if (pin->sk >= 0)
		close(pin->sk);
	free(pin);
}

void bf_ct_unpin(struct bf_ct_pin *pin)
{
	struct bf_nft_batch b;
	int err;

	if (!pin)
		return;
	bf_nft_begin(&b, NFPROTO_IPV4);
	bf_nft_del_table(&b, PIN_TABLE);
	err = bf_nft_commit(pin->sk, &b);
	if (err && err != -ENOENT)
		bf_log(BF_LOG_WARN, "cannot remove nft table " PIN_TABLE ": %s", strerror(-err));
	bf_ct_pin_close(pin);
}
