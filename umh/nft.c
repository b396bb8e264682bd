// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "nft.h"

/* First byte of a comment in the user data of a table or a rule, as the nft command has it. */
#define UDATA_COMMENT 0
#define MAX_COMMENT   200

/* What a socket takes in one piece, whatever the settings. */
#define DEFAULT_ROOM 65536

int bf_nfnl_open(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	int sk = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int err, one = 1;

	if (sk < 0)
		return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
	/* Not the whole message that failed, only its header: a nicety, may fail. */
	setsockopt(sk, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	if (bind(sk, (struct sockaddr *)&addr, sizeof(addr))) {
		err = -errno;
		close(sk);
		return err;
	}
	return sk;
}

struct nl_msg *bf_nfnl_msg(uint16_t type, uint16_t flags, uint8_t family, uint16_t res_id)
{
	struct nfgenmsg nfg = {
		.nfgen_family = family,
		.version = NFNETLINK_V0,
		.res_id = htons(res_id),
	};
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

	if (msg && nlmsg_append(msg, &nfg, sizeof(nfg), NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

int bf_nfnl_receive(int sk, int (*fn)(void *arg, const struct nlmsghdr *nlh), void *arg)
{
	char buf[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh;
	ssize_t n;
	int len, err;

	for (;;) {
		n = recv(sk, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN ? 0 : -errno;
		}
		len = n;
		for (nlh = (void *)buf; nlmsg_ok(nlh, len); nlh = nlmsg_next(nlh, &len)) {
			err = fn(arg, nlh);
			if (err)
				return err;
		}
	}
}

struct outcome {
	unsigned int acks;
	int error;
};

static int take_outcome(void *arg, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = nlmsg_data(nlh);
	struct outcome *o = arg;

	if (nlh->nlmsg_type != NLMSG_ERROR || nlmsg_datalen(nlh) < (int)sizeof(e->error))
		return 0;
	o->acks++;
	if (!o->error)
		o->error = e->error;
	return 0;
}

/*
 * The kernel works within sendmsg(): when that returns, all answers are in the socket's
 * buffer, and there is at least one if any message asked for it.
 */
static int send_and_take(int sk, struct iovec *iov, size_t n)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct msghdr mh = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = iov,
		.msg_iovlen = n,
	};
	struct outcome o = {0};
	int err;

	while (sendmsg(sk, &mh, 0) < 0)
		if (errno != EINTR)
			return -errno;
	err = bf_nfnl_receive(sk, take_outcome, &o);
	if (err)
		return err;
	return o.acks ? o.error : -EIO;
}

int bf_nfnl_call(int sk, struct nl_msg *msg)
{
	struct nlmsghdr *nlh;
	struct iovec iov;
	int err;

	if (!msg)
		return -ENOMEM;
	nlh = nlmsg_hdr(msg);
	nlh->nlmsg_flags |= NLM_F_ACK;
	iov = (struct iovec){nlh, nlh->nlmsg_len};
	err = send_and_take(sk, &iov, 1);
	nlmsg_free(msg);
	return err;
}

void bf_nft_begin(struct bf_nft_batch *b, uint8_t family)
{
	memset(b, 0, sizeof(*b));
	b->family = family;
}

/* Room for one more message. */
static bool make_room(struct bf_nft_batch *b)
{
	unsigned int more = b->max_msgs ? b->max_msgs * 2 : 16;
	struct nl_msg **msgs;

	if (b->nr_msgs < b->max_msgs)
		return true;
	msgs = reallocarray(b->msgs, more, sizeof(struct nl_msg *));
	if (!msgs)
		return false;
	b->msgs = msgs;
	b->max_msgs = more;
	return true;
}

static void add_msg(struct bf_nft_batch *b, struct nl_msg *msg)
{
	if (!msg || !make_room(b)) {
		nlmsg_free(msg);
		b->error = -ENOMEM;
		return;
	}
	/* Answers carry it; the messages of a batch are told apart by it in a trace. */
	nlmsg_hdr(msg)->nlmsg_seq = b->nr_msgs;
	b->msgs[b->nr_msgs++] = msg;
}

/* A batch is framed by two messages of its own, whose res_id names the subsystem. */
static void add_frame(struct bf_nft_batch *b, uint16_t type)
{
	if (!b->error)
		add_msg(b, bf_nfnl_msg(type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

void bf_nft_msg(struct bf_nft_batch *b, uint8_t type, uint16_t flags)
{
	if (!b->nr_msgs)
		add_frame(b, NFNL_MSG_BATCH_BEGIN);
	if (!b->error)
		add_msg(b, bf_nfnl_msg(NFNL_SUBSYS_NFTABLES << 8 | type, flags, b->family, 0));
}

void bf_nft_put(struct bf_nft_batch *b, int attr, const void *data, int len)
{
	int err;

	if (b->error)
		return;
	err = nla_put(b->msgs[b->nr_msgs - 1], attr, len, data);
	if (err)
		b->error = -ENOMEM;
}

void bf_nft_put_str(struct bf_nft_batch *b, int attr, const char *s)
{
	bf_nft_put(b, attr, s, strlen(s) + 1);
}

void bf_nft_put_u16(struct bf_nft_batch *b, int attr, uint16_t v)
{
	v = htons(v);
	bf_nft_put(b, attr, &v, sizeof(v));
}

void bf_nft_put_u32(struct bf_nft_batch *b, int attr, uint32_t v)
{
	v = htonl(v);
	bf_nft_put(b, attr, &v, sizeof(v));
}

void bf_nft_nest(struct bf_nft_batch *b, int attr)
{
	struct nlattr *nest;

	if (b->error)
		return;
	nest = b->depth < BF_NFT_MAX_NEST
		       ? nla_nest_start(b->msgs[b->nr_msgs - 1], attr | NLA_F_NESTED)
		       : NULL;
	if (!nest)
		b->error = -ENOMEM;
	else
		b->nest[b->depth++] = nest;
}

void bf_nft_unnest(struct bf_nft_batch *b)
{
	/* An expression without attributes still has its (empty) data: keep it. */
	if (!b->error && nla_nest_end_keep_empty(b->msgs[b->nr_msgs - 1], b->nest[--b->depth]))
		b->error = -ENOMEM;
}

/* All messages of a batch as one piece, with the room in the socket that it takes. */
static int send_batch(int sk, const struct bf_nft_batch *b)
{
	size_t len = 0, at = 0;
	struct iovec iov;
	unsigned int i;
	int room, err;

	for (i = 0; i < b->nr_msgs; i++)
		len += NLMSG_ALIGN(nlmsg_hdr(b->msgs[i])->nlmsg_len);
	iov = (struct iovec){calloc(1, len), len};
	if (!iov.iov_base)
		return -ENOMEM;
	for (i = 0; i < b->nr_msgs; i++) {
		const struct nlmsghdr *nlh = nlmsg_hdr(b->msgs[i]);

		memcpy((char *)iov.iov_base + at, nlh, nlh->nlmsg_len);
		at += NLMSG_ALIGN(nlh->nlmsg_len);
	}
	room = len + 4096;
	if (len > DEFAULT_ROOM)
		setsockopt(sk, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	err = send_and_take(sk, &iov, 1);
	free(iov.iov_base);
	return err;
}

int bf_nft_commit(int sk, struct bf_nft_batch *b)
{
	unsigned int i;
	int err;

	if (!b->error)
		nlmsg_hdr(b->msgs[b->nr_msgs - 1])->nlmsg_flags |= NLM_F_ACK;
	add_frame(b, NFNL_MSG_BATCH_END);
	err = b->error ? b->error : send_batch(sk, b);
	for (i = 0; i < b->nr_msgs; i++)
		nlmsg_free(b->msgs[i]);
	free(b->msgs);
	b->msgs = NULL;
	b->nr_msgs = b->max_msgs = 0;
	return err;
}

void bf_nft_wait_destroyed(void)
{
	int sk = bf_nfnl_open();

	if (sk >= 0)
		close(sk);
}

static void put_comment(struct bf_nft_batch *b, int attr, const char *comment)
{
	size_t len = comment ? strnlen(comment, MAX_COMMENT) + 1 : 0;
	uint8_t udata[2 + MAX_COMMENT + 1];

	if (!len)
		return;
	udata[0] = UDATA_COMMENT;
	udata[1] = len;
	memcpy(udata + 2, comment, len - 1);
	udata[2 + len - 1] = '\0';
	bf_nft_put(b, attr, udata, 2 + len);
}

void bf_nft_table(struct bf_nft_batch *b, const char *table, uint32_t table_flags, uint16_t flags,
		  const char *comment)
{
	bf_nft_msg(b, NFT_MSG_NEWTABLE, flags);
	bf_nft_put_str(b, NFTA_TABLE_NAME, table);
	bf_nft_put_u32(b, NFTA_TABLE_FLAGS, table_flags);
	put_comment(b, NFTA_TABLE_USERDATA, comment);
}

void bf_nft_del_table(struct bf_nft_batch *b, const char *table)
{
	bf_nft_msg(b, NFT_MSG_DELTABLE, 0);
	bf_nft_put_str(b, NFTA_TABLE_NAME, table);
}

void bf_nft_chain(struct bf_nft_batch *b, const char *table, const char *chain)
{
	bf_nft_msg(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	bf_nft_put_str(b, NFTA_CHAIN_TABLE, table);
	bf_nft_put_str(b, NFTA_CHAIN_NAME, chain);
}

void bf_nft_base_chain(struct bf_nft_batch *b, const char *table, const char *chain, uint32_t hook,
		       int32_t priority)
{
	bf_nft_chain(b, table, chain);
	bf_nft_put_str(b, NFTA_CHAIN_TYPE, "filter");
	bf_nft_put_u32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	bf_nft_nest(b, NFTA_CHAIN_HOOK);
	bf_nft_put_u32(b, NFTA_HOOK_HOOKNUM, hook);
	bf_nft_put_u32(b, NFTA_HOOK_PRIORITY, priority);
	bf_nft_unnest(b);
}

void bf_nft_del_rules(struct bf_nft_batch *b, const char *table, const char *chain)
{
	bf_nft_msg(b, NFT_MSG_DELRULE, 0);
	bf_nft_put_str(b, NFTA_RULE_TABLE, table);
	if (chain)
		bf_nft_put_str(b, NFTA_RULE_CHAIN, chain);
}

void bf_nft_del_chain(struct bf_nft_batch *b, const char *table, const char *chain)
{
	bf_nft_msg(b, NFT_MSG_DELCHAIN, 0);
	bf_nft_put_str(b, NFTA_CHAIN_TABLE, table);
	bf_nft_put_str(b, NFTA_CHAIN_NAME, chain);
}

void bf_nft_rule_begin(struct bf_nft_batch *b, const char *table, const char *chain)
{
	bf_nft_msg(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	bf_nft_put_str(b, NFTA_RULE_TABLE, table);
	bf_nft_put_str(b, NFTA_RULE_CHAIN, chain);
	bf_nft_nest(b, NFTA_RULE_EXPRESSIONS);
}

void bf_nft_rule_begin_compat(struct bf_nft_batch *b, const char *table, const char *chain,
			      uint16_t proto, bool invert)
{
	bf_nft_msg(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	bf_nft_put_str(b, NFTA_RULE_TABLE, table);
	bf_nft_put_str(b, NFTA_RULE_CHAIN, chain);
	bf_nft_nest(b, NFTA_RULE_COMPAT);
	bf_nft_put_u32(b, NFTA_RULE_COMPAT_PROTO, proto);
	bf_nft_put_u32(b, NFTA_RULE_COMPAT_FLAGS, invert ? NFT_RULE_COMPAT_F_INV : 0);
	bf_nft_unnest(b);
	bf_nft_nest(b, NFTA_RULE_EXPRESSIONS);
}

void bf_nft_expr_begin(struct bf_nft_batch *b, const char *name)
{
	bf_nft_nest(b, NFTA_LIST_ELEM);
	bf_nft_put_str(b, NFTA_EXPR_NAME, name);
	bf_nft_nest(b, NFTA_EXPR_DATA);
}

void bf_nft_expr_end(struct bf_nft_batch *b)
{
	bf_nft_unnest(b);
	bf_nft_unnest(b);
}

void bf_nft_rule_end(struct bf_nft_batch *b, const char *comment)
{
	bf_nft_unnest(b);
	put_comment(b, NFTA_RULE_USERDATA, comment);
}

/* What is looked for among messages, and whether it was there */
struct table_change {
	const char *table;
	uint32_t port;
	bool changed;
};

/* The name of the table is attribute 1 of all these. */
static bool is_about(const struct table_change *c, const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *nfg = nlmsg_data(nlh);
	const struct nlattr *name;

	switch (nlh->nlmsg_type) {
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE:
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELTABLE:
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN:
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELCHAIN:
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE:
	case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELRULE:
		break;
	default:
		return false;
	}
	if (nlh->nlmsg_pid == c->port || nfg->nfgen_family != NFPROTO_IPV4)
		return false;
	name = nlmsg_find_attr((struct nlmsghdr *)nlh, sizeof(*nfg), NFTA_TABLE_NAME);
	return name && !nla_strcmp(name, c->table);
}

static int look_at_change(void *arg, const struct nlmsghdr *nlh)
{
	struct table_change *c = arg;

	if (is_about(c, nlh))
		c->changed = true;
	return 0;
}

int bf_nft_table_changed(int events, const char *table, uint32_t port)
{
	struct table_change c = {.table = table, .port = port};
	int err;

	do {
		err = bf_nfnl_receive(events, look_at_change, &c);
		/* Some were left out, that table's may be among them. */
		if (err == -ENOBUFS)
			c.changed = true;
	} while (err == -ENOBUFS);
	return err ?: c.changed;
}

/* One walk over chains or rules. */
struct walk {
	uint16_t type;
	int name_attr;
	const char *table;
	void (*fn)(void *arg, const char *chain);
	void *arg;
	bool broken;
	int error;
};

static int look_at_dumped(void *arg, const struct nlmsghdr *nlh)
{
	struct nlmsghdr *msg = (struct nlmsghdr *)nlh;
	const size_t head = sizeof(struct nfgenmsg);
	struct walk *w = arg;
	struct nlattr *table, *name;

	w->broken |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
	if (nlh->nlmsg_type == NLMSG_ERROR)
		w->error = ((struct nlmsgerr *)nlmsg_data(nlh))->error;
	if (nlh->nlmsg_type != w->type)
		return 0;
	table = nlmsg_find_attr(msg, head, NFTA_CHAIN_TABLE);
	name = nlmsg_find_attr(msg, head, w->name_attr);
	if (table && name && !nla_strcmp(table, w->table))
		w->fn(w->arg, nla_get_string(name));
	return 0;
}

_Static_assert((int)NFTA_CHAIN_TABLE == (int)NFTA_RULE_TABLE, "the same for both");

static int walk(int sk, struct walk *w, uint8_t get)
{
	struct nl_msg *msg =
		bf_nfnl_msg(NFNL_SUBSYS_NFTABLES << 8 | get, NLM_F_DUMP, NFPROTO_IPV4, 0);
	ssize_t n;
	int err;

	if (!msg)
		return -ENOMEM;
	n = send(sk, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len, 0);
	err = n < 0 ? -errno : bf_nfnl_receive(sk, look_at_dumped, w);
	nlmsg_free(msg);
	return err ?: w->error ?: w->broken ? -EAGAIN : 0;
}

int bf_nft_each_chain(int sk, const char *table, void (*fn)(void *arg, const char *chain),
		      void *arg)
{
	struct walk w = {.type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN,
			 .name_attr = NFTA_CHAIN_NAME,
			 .table = table,
			 .fn = fn,
			 .arg = arg};

	return walk(sk, &w, NFT_MSG_GETCHAIN);
}

int bf_nft_each_rule(int sk, const char *table, void (*fn)(void *arg, const char *chain), void *arg)
{
	struct walk w = {.type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE,
			 .name_attr = NFTA_RULE_CHAIN,
			 .table = table,
			 .fn = fn,
			 .arg = arg};

	return walk(sk, &w, NFT_MSG_GETRULE);
}
