// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "netns.h"
#include "record.h"

#define RECEIVE_BUFFER (64 << 20)

struct request {
	struct nlmsghdr nlh;
	struct nfgenmsg nfg;
	char attrs[256];
};

static void request_init(struct request *req, unsigned int type, unsigned int family,
			 unsigned int res_id)
{
	memset(req, 0, sizeof(*req));
	req->nlh.nlmsg_len = NLMSG_LENGTH(sizeof(req->nfg));
	req->nlh.nlmsg_type = type;
	req->nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	req->nfg.nfgen_family = family;
	req->nfg.version = NFNETLINK_V0;
	req->nfg.res_id = htons(res_id);
}

static void request_attr(struct request *req, unsigned int type, const void *data, size_t len)
{
	struct nlattr *a = (void *)((char *)req + NLMSG_ALIGN(req->nlh.nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memcpy((char *)a + NLA_HDRLEN, data, len);
	req->nlh.nlmsg_len = NLMSG_ALIGN(req->nlh.nlmsg_len) + NLA_ALIGN(a->nla_len);
}

static int request_send(int fd, const struct request *req)
{
	char answer[4096];
	const struct nlmsghdr *nlh = (void *)answer;
	const struct nlmsgerr *err = NLMSG_DATA(nlh);
	ssize_t n;

	if (send(fd, req, req->nlh.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, answer, sizeof(answer), 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(*err)) || nlh->nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	return err->error;
}

static int log_config(int fd, unsigned int family, unsigned int group, unsigned int type,
		      const void *data, size_t len)
{
	struct request req;

	request_init(&req, NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, family, group);
	request_attr(&req, type, data, len);
	return request_send(fd, &req);
}

int nflog_open(int netns, unsigned int group)
{
	struct nfulnl_msg_config_mode mode = {.copy_range = htonl(0xffff),
					      .copy_mode = NFULNL_COPY_PACKET};
	struct nfulnl_msg_config_cmd bind = {.command = NFULNL_CFG_CMD_BIND};
	uint32_t one = htonl(1), block = htonl(1 << 17);
	int fd = netns_socket(netns, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	int size = RECEIVE_BUFFER, err;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	err = log_config(fd, AF_UNSPEC, group, NFULA_CFG_CMD, &bind, sizeof(bind));
	if (!err)
		err = log_config(fd, AF_UNSPEC, group, NFULA_CFG_NLBUFSIZ, &block, sizeof(block));
	if (!err)
		err = log_config(fd, AF_UNSPEC, group, NFULA_CFG_MODE, &mode, sizeof(mode));
	/* Each packet at once: the log is read as soon as the packets were sent. */
	if (!err)
		err = log_config(fd, AF_UNSPEC, group, NFULA_CFG_QTHRESH, &one, sizeof(one));
	if (!err)
		return fd;
	close(fd);
	return err;
}

static uint32_t attr_u32(const struct nlattr *a)
{
	uint32_t v;

	memcpy(&v, (const char *)a + NLA_HDRLEN, 4);
	return ntohl(v);
}

/* FNV-1a */
static uint32_t hash_of(const uint8_t *p, size_t len)
{
	uint32_t hash = 2166136261U;

	while (len--)
		hash = (hash ^ *p++) * 16777619U;
	return hash;
}

static void take_packet(const struct nlmsghdr *nlh, struct events *evs)
{
	const char *p = (const char *)NLMSG_DATA(nlh) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const char *end = (const char *)nlh + nlh->nlmsg_len;
	const void *payload = NULL;
	struct event ev = {0};

	while (p + NLA_HDRLEN <= end) {
		const struct nlattr *a = (const void *)p;
		const void *data = p + NLA_HDRLEN;

		switch (a->nla_type & NLA_TYPE_MASK) {
		case NFULA_PACKET_HDR:
			ev.where = ((const struct nfulnl_msg_packet_hdr *)data)->hook;
			break;
		case NFULA_MARK:
			ev.mark = attr_u32(a);
			break;
		case NFULA_PREFIX:
			ev.prefix = hash_of(data, a->nla_len - NLA_HDRLEN);
			ev.note = record_note_of(data, a->nla_len - NLA_HDRLEN);
			break;
		case NFULA_IFINDEX_INDEV:
			ev.in = attr_u32(a);
			break;
		case NFULA_IFINDEX_OUTDEV:
			ev.out = attr_u32(a);
			break;
		case NFULA_PAYLOAD:
			payload = data;
			ev.len = a->nla_len - NLA_HDRLEN;
			break;
		}
		p += NLA_ALIGN(a->nla_len);
	}
	events_add(evs, ev, payload ? payload : "");
}

int nflog_read(int fd, struct events *evs)
{
	static char buf[1 << 18];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		const struct nlmsghdr *nlh = (const void *)buf;

		for (; NLMSG_OK(nlh, (size_t)n); nlh = NLMSG_NEXT(nlh, n))
			if (evs && nlh->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
				take_packet(nlh, evs);
	}
	return errno == EAGAIN ? 0 : -errno;
}

int conntrack_open(int netns)
{
	return netns_socket(netns, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
}

int conntrack_flush(int fd)
{
	struct request req;

	request_init(&req, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, AF_UNSPEC, 0);
	return request_send(fd, &req);
}

static void account_request(struct request *req, unsigned int type, unsigned int which)
{
	char name[NFACCT_NAME_MAX];

	snprintf(name, sizeof(name), TOPOLOGY_ACCOUNT "%u", which);
	if (which == TOPOLOGY_ACCOUNTS - 1)
		strcpy(name, TOPOLOGY_QUOTA);
	request_init(req, NFNL_SUBSYS_ACCT << 8 | type, AF_UNSPEC, 0);
	request_attr(req, NFACCT_NAME, name, strlen(name) + 1);
}

int accounts_make(int fd)
{
	uint64_t quota = htobe64(TOPOLOGY_QUOTA_PACKETS);
	uint32_t flags = htonl(NFACCT_F_QUOTA_PKTS);
	struct request req;
	unsigned int i;
	int err = 0;

	for (i = 0; i < TOPOLOGY_ACCOUNTS && !err; i++) {
		account_request(&req, NFNL_MSG_ACCT_NEW, i);
		req.nlh.nlmsg_flags |= NLM_F_CREATE;
		if (i == TOPOLOGY_ACCOUNTS - 1) {
			request_attr(&req, NFACCT_FLAGS, &flags, sizeof(flags));
			request_attr(&req, NFACCT_QUOTA, &quota, sizeof(quota));
		}
		err = request_send(fd, &req);
	}
	return err;
}

/* The value of an attribute of 64 bits; 0 if it is not there. */
static uint64_t attr_u64(const struct nlmsghdr *nlh, unsigned int type)
{
	const char *p = (const char *)NLMSG_DATA(nlh) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const char *end = (const char *)nlh + nlh->nlmsg_len;
	const struct nlattr *a;
	uint64_t v;

	for (; p + NLA_HDRLEN <= end; p += NLA_ALIGN(a->nla_len)) {
		a = (const void *)p;
		if ((a->nla_type & NLA_TYPE_MASK) != type)
			continue;
		memcpy(&v, p + NLA_HDRLEN, sizeof(v));
		return be64toh(v);
	}
	return 0;
}

int accounts_read(int fd, struct accounts *accounts)
{
	char answer[4096];
	const struct nlmsghdr *nlh = (void *)answer;
	struct request req;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < TOPOLOGY_ACCOUNTS; i++) {
		account_request(&req, NFNL_MSG_ACCT_GET_CTRZERO, i);
		req.nlh.nlmsg_flags &= ~NLM_F_ACK;
		if (send(fd, &req, req.nlh.nlmsg_len, 0) < 0)
			return -errno;
		n = recv(fd, answer, sizeof(answer), 0);
		if (n < (ssize_t)sizeof(*nlh) ||
		    nlh->nlmsg_type != (NFNL_SUBSYS_ACCT << 8 | NFNL_MSG_ACCT_NEW))
			return -EPROTO;
		accounts->of[i].packets = attr_u64(nlh, NFACCT_PKTS);
		accounts->of[i].bytes = attr_u64(nlh, NFACCT_BYTES);
	}
	return 0;
}
