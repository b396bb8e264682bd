// SPDX-License-Identifier: GPL-2.0
/*
 * Events only tell that something has changed; what there is, is asked for. So it does not matter which of them were
 * lost, or in which order they are read.
 */
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netdev.h"

/* How often a list is asked for again that changed while it was written. */
#define MAX_TRIES 16

static int open_route_socket(uint32_t groups, int flags)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int sk = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE), err;

	if (sk < 0)
		return -errno;
	if (bind(sk, (struct sockaddr *)&addr, sizeof(addr))) {
		err = -errno;
		close(sk);
		return err;
	}
	return sk;
}

int bf_netdev_watch(void)
{
	const uint32_t settings = 1U << (RTNLGRP_IPV4_NETCONF - 1);

	return open_route_socket(RTMGRP_LINK | RTMGRP_TC | settings, SOCK_NONBLOCK);
}

/* Of which interface is the message, which may be cut off? 0: of none, but of a filter, a setting, ... */
static int told_of(const void *buf, ssize_t n)
{
	const struct nlmsghdr *nlh = buf;
	const struct ifinfomsg *ifi = NLMSG_DATA(nlh);

	return n >= (ssize_t)NLMSG_LENGTH(sizeof(*ifi)) && nlh->nlmsg_type == RTM_NEWLINK
		       ? ifi->ifi_index
		       : 0;
}

bool bf_netdev_changed(int watch, void (*told)(void *arg, int ifindex), void *arg)
{
	char buf[1024] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool changed = false;
	int ifindex;
	ssize_t n;

	/* Each message comes by itself. ENOBUFS says that some were lost. */
	while ((n = recv(watch, buf, sizeof(buf), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS ||
	       errno == EINTR) {
		changed = true;
		ifindex = told_of(buf, n);
		if (told && (ifindex || (n < 0 && errno == ENOBUFS)))
			told(arg, ifindex);
	}
	return changed;
}

/* The list so far. */
struct listing {
	struct bf_netdev *list;
	size_t n, max;
	bool torn; /* it changed meanwhile */
};

static struct bf_netdev *add(struct listing *l)
{
	size_t max = l->max ? 2 * l->max : 16;
	struct bf_netdev *list;

	if (l->n == l->max) {
		list = realloc(l->list, max * sizeof(*list));
		if (!list)
			return NULL;
		l->list = list;
		l->max = max;
	}
	memset(&l->list[l->n], 0, sizeof(*list));
	return &l->list[l->n++];
}

static bool is_one_of(const struct nlattr *attr, const char *const *names)
{
	for (; attr && *names; names++)
		if (!strcmp(nla_data(attr), *names))
			return true;
	return false;
}

/* rtnl_link_ops.kind of the interface, and of what it is a port of. */
static void read_kind(struct bf_netdev *dev, struct nlattr *info, bool has_master)
{
	static const char *const stacked[] = {"bridge",	 "bond",    "team",   "vlan",
					      "macvlan", "macvtap", "ipvlan", "ipvtap",
					      "hsr",	 "dsa",	    NULL};
	/* A VRF has its own way to get packets: behind IP's first hooks. */
	static const char *const no_port[] = {"vrf", NULL};
	static const char *const veth[] = {"veth", NULL};
	struct nlattr *tb[IFLA_INFO_MAX + 1] = {};

	if (info)
		nla_parse_nested(tb, IFLA_INFO_MAX, info, NULL);
	dev->veth = is_one_of(tb[IFLA_INFO_KIND], veth);
	dev->stacked = is_one_of(tb[IFLA_INFO_KIND], stacked);
	dev->port = has_master && !is_one_of(tb[IFLA_INFO_SLAVE_KIND], no_port);
}

/* Its settings are an array of numbers, in the order of the kernel. What is not told may be that it forwards. */
static bool read_forwarding(struct nlattr *spec)
{
	struct nlattr *families[AF_MAX] = {}, *tb[IFLA_INET_MAX + 1] = {};
	uint32_t value;

	if (!spec || nla_parse_nested(families, AF_INET, spec, NULL) || !families[AF_INET] ||
	    nla_parse_nested(tb, IFLA_INET_MAX, families[AF_INET], NULL) || !tb[IFLA_INET_CONF])
		return true;
	if (nla_len(tb[IFLA_INET_CONF]) < (int)(IPV4_DEVCONF_FORWARDING * sizeof(value)))
		return true;
	memcpy(&value, (uint32_t *)nla_data(tb[IFLA_INET_CONF]) + IPV4_DEVCONF_FORWARDING - 1,
	       sizeof(value));
	return value;
}

static int read_link(struct listing *l, struct nlmsghdr *nlh)
{
	struct ifinfomsg *ifi = nlmsg_data(nlh);
	struct nlattr *tb[IFLA_MAX + 1] = {};
	struct bf_netdev *dev;

	/* A bridge's view of its ports comes in the same messages. */
	if (nlmsg_parse(nlh, sizeof(*ifi), tb, IFLA_MAX, NULL) || !tb[IFLA_IFNAME] ||
	    ifi->ifi_family != AF_UNSPEC)
		return 0;
	dev = add(l);
	if (!dev)
		return -ENOMEM;
	dev->ifindex = ifi->ifi_index;
	nla_strlcpy(dev->name, tb[IFLA_IFNAME], sizeof(dev->name));
	dev->loopback = ifi->ifi_flags & IFF_LOOPBACK;
	if (ifi->ifi_type == ARPHRD_ETHER && tb[IFLA_ADDRESS] &&
	    nla_len(tb[IFLA_ADDRESS]) == sizeof(dev->mac))
		memcpy(dev->mac, nla_data(tb[IFLA_ADDRESS]), sizeof(dev->mac));
	dev->forwards = read_forwarding(tb[IFLA_AF_SPEC]);
	read_kind(dev, tb[IFLA_LINKINFO], tb[IFLA_MASTER]);
	return 0;
}

/* 1: there is more; 0: that was all; -errno. */
static int read_part(struct listing *l, struct nlmsghdr *nlh, int len)
{
	int err;

	for (; nlmsg_ok(nlh, len); nlh = nlmsg_next(nlh, &len)) {
		l->torn |= nlh->nlmsg_flags & NLM_F_DUMP_INTR;
		if (nlh->nlmsg_type == NLMSG_DONE)
			return 0;
		if (nlh->nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)nlmsg_data(nlh))->error ?: -EPROTO;
		err = nlh->nlmsg_type == RTM_NEWLINK ? read_link(l, nlh) : 0;
		if (err)
			return err;
	}
	return 1;
}

/* The kernel writes each part of the answer when it is asked for: this does not wait. */
static int read_all(struct listing *l, int sk)
{
	size_t size = 64 * 1024;
	char *buf = malloc(size);
	int ret = buf ? 1 : -ENOMEM;
	ssize_t n;

	while (ret > 0) {
		n = recv(sk, buf, size, 0);
		if (n < 0 && errno != EINTR)
			ret = -errno;
		else if (n >= 0)
			ret = read_part(l, (struct nlmsghdr *)buf, n);
	}
	free(buf);
	return ret;
}

static int list_once(struct listing *l)
{
	struct {
		struct nlmsghdr nlh;
		struct ifinfomsg ifi;
	} req = {
		.nlh = {.nlmsg_len = sizeof(req),
			.nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.ifi = {.ifi_family = AF_UNSPEC},
	};
	int sk = open_route_socket(0, 0), err = 0;

	if (sk < 0)
		return sk;
	l->n = 0;
	l->torn = false;
	if (send(sk, &req, sizeof(req), 0) < 0)
		err = -errno;
	err = err ?: read_all(l, sk);
	close(sk);
	return err;
}

int bf_netdev_list(struct bf_netdev **list, size_t *n)
{
	struct listing l = {.torn = true};
	int i, err = 0;

	*list = NULL;
	*n = 0;
	for (i = 0; i < MAX_TRIES && l.torn && !err; i++)
		err = list_once(&l);
	if (err) {
		free(l.list);
		return err;
	}
	*list = l.list;
	*n = l.n;
	return 0;
}

bool bf_netdev_gone(int ifindex)
{
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_ifindex = ifindex};
	bool gone = sk >= 0 && ioctl(sk, SIOCGIFNAME, &ifr) && errno == ENODEV;

	if (sk >= 0)
		close(sk);
	return gone;
}
