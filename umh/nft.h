/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The little of nf_tables that bpfilter needs: a table with a chain and a rule or two, made
 * and removed in batches over NETLINK_NETFILTER.
 *
 * A batch is one transaction: the kernel does all of it or nothing. Its messages are written
 * one after the other; the first failure to write is remembered and reported by
 * bf_nft_commit(), so that a caller checks once.
 */
#ifndef BPFILTER_NFT_H
#define BPFILTER_NFT_H

#include <linux/netfilter/nf_tables.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/types.h>

#include "bpfilter.h"

/* Linux 6.9: the table outlives the socket that owns it, and a later socket may take it over. */
#define BF_NFT_TABLE_F_PERSIST 0x4

/**
 * bf_nfnl_open - a netfilter netlink socket of the namespace this thread is in
 *
 * Bound to a port that the kernel chose, so that it can own things. Returns the
 * descriptor (close-on-exec) or -errno; -EOPNOTSUPP where the kernel has no nfnetlink.
 */
int bf_nfnl_open(void);

/**
 * bf_nfnl_msg - a new message, to be filled with nla_put*()
 * @type: subsystem << 8 | message
 * @flags: NLM_F_REQUEST is added
 * @res_id: host byte order
 *
 * NULL if there is no memory. Free with nlmsg_free().
 */
struct nl_msg *bf_nfnl_msg(uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id);

/**
 * bf_nfnl_call - send one message and take the kernel's answer to it
 * @msg: freed; may be NULL (-ENOMEM)
 *
 * 0, or the -errno that the kernel answered.
 */
int bf_nfnl_call(int sk, struct nl_msg *msg);

/**
 * bf_nfnl_receive - hand the messages waiting on a socket to a function
 * @fn: called for each; what it returns other than 0 ends the loop
 *
 * Never blocks. Returns 0 when no more is there, what @fn returned, or -errno; -ENOBUFS means
 * that the kernel has left out messages.
 */
int bf_nfnl_receive(int sk, int (*fn)(void *arg, const struct nlmsghdr *nlh), void *arg);

/**
 * bf_nft_table_changed - has somebody else changed a table of family ip?
 * @events: a socket of bf_nfnl_open() that receives nf_tables' changes; all that waits there is taken
 * @port: whose changes do not count: our own
 *
 * 1, also if the kernel has left out messages; 0; or -errno.
 */
int bf_nft_table_changed(int events, const char *table, uint32_t port);

/*
 * Call @fn with the name of each chain of a table of family ip, or with that of each rule's. 0 or -errno: it was not called for all;
 * -EAGAIN if somebody has changed them meanwhile. Without such a table there are none.
 */
int bf_nft_each_chain(int sk, const char *table, void (*fn)(void *arg, const char *chain),
		      void *arg);
int bf_nft_each_rule(int sk, const char *table, void (*fn)(void *arg, const char *chain),
		     void *arg);

#define BF_NFT_MAX_NEST 8

struct bf_nft_batch {
	uint8_t family;
	unsigned int nr_msgs, max_msgs, depth;
	struct nl_msg **msgs;
	struct nlattr *nest[BF_NFT_MAX_NEST];
	int error;
};

/* Make @b an empty batch for a family (NFPROTO_*). */
void bf_nft_begin(struct bf_nft_batch *b, uint8_t family);

/* Start the next message: NFT_MSG_*, NLM_F_*. */
void bf_nft_msg(struct bf_nft_batch *b, uint8_t type, uint16_t flags);

/* Attributes of the message last started. Numbers are given in host byte order. */
void bf_nft_put(struct bf_nft_batch *b, int attr, const void *data, int len);
void bf_nft_put_str(struct bf_nft_batch *b, int attr, const char *s);
void bf_nft_put_u16(struct bf_nft_batch *b, int attr, uint16_t v);
void bf_nft_put_u32(struct bf_nft_batch *b, int attr, uint32_t v);
void bf_nft_nest(struct bf_nft_batch *b, int attr);
void bf_nft_unnest(struct bf_nft_batch *b);

/**
 * bf_nft_commit - send the batch, take the outcome, and free the messages
 *
 * 0 when all of it is in force; otherwise nothing was changed, and it is the -errno of the
 * first message that failed.
 */
int bf_nft_commit(int sk, struct bf_nft_batch *b);

/*
 * Wait until what transactions of this namespace have removed is freed, and holds nothing any more: the kernel does
 * that some time after they are done, but before a netlink socket is closed.
 */
void bf_nft_wait_destroyed(void);

/*
 * Whole messages. @flags: NLM_F_CREATE, NLM_F_EXCL; @comment: what "nft list ruleset" shows, at
 * most 200 bytes, may be NULL.
 */
void bf_nft_table(struct bf_nft_batch *b, const char *table, uint32_t table_flags, uint16_t flags,
		  const char *comment);
void bf_nft_del_table(struct bf_nft_batch *b, const char *table);
/* Without a hook. */
void bf_nft_chain(struct bf_nft_batch *b, const char *table, const char *chain);
/* Of type filter, with policy accept. */
void bf_nft_base_chain(struct bf_nft_batch *b, const char *table, const char *chain, uint32_t hook,
		       int32_t priority);
/* All rules of a table or, unless @chain is NULL, of a chain. */
void bf_nft_del_rules(struct bf_nft_batch *b, const char *table, const char *chain);

/* A chain without rules, that no rule leads to. */
void bf_nft_del_chain(struct bf_nft_batch *b, const char *table, const char *chain);

/* A rule: begun, then expressions, each begun, given attributes (NFTA_*) and ended; then ended. */
void bf_nft_rule_begin(struct bf_nft_batch *b, const char *table, const char *chain);
/* The same for a rule that has matches of ip_tables, which are told the protocol of their rule there. */
void bf_nft_rule_begin_compat(struct bf_nft_batch *b, const char *table, const char *chain,
			      uint16_t proto, bool invert);
void bf_nft_expr_begin(struct bf_nft_batch *b, const char *name);
void bf_nft_expr_end(struct bf_nft_batch *b);
void bf_nft_rule_end(struct bf_nft_batch *b, const char *comment);

#endif /* BPFILTER_NFT_H */
