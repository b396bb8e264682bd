// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tc.h"

/* Linux 6.6; the headers of Debian 12 do not have them. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define F_BEFORE	   (1U << 3)
#define LINK_TYPE_TCX	   11

/* By which our filters are known, beside their name. */
#define FILTER_HANDLE 0xbf
#define FILTER_NAME   "bpfilter"
#define MAX_PREF      16

int bf_tc_link(int ifindex, enum bf_tc_dir dir, int prog)
{
	/* union bpf_attr of Linux 6.6 for BPF_LINK_CREATE */
	struct {
		uint32_t prog_fd, target_ifindex, attach_type, flags;
		struct {
			uint32_t relative_fd, pad;
			uint64_t expected_revision;
		} tcx;
		uint8_t rest[32];
	} attr = {
		.prog_fd = prog,
		.target_ifindex = ifindex,
		.attach_type = dir == BF_TC_IN ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS,
		.flags = F_BEFORE,
	};
	int fd = syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	if (fd >= 0)
		return fd;
	/* Before 6.6 the attach type is unknown, or the flag, or the size. */
	return errno == EINVAL || errno == E2BIG ? -EOPNOTSUPP : -errno;
}

int bf_xdp_link(int ifindex, int prog, uint32_t mode)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
	int fd = bpf_link_create(prog, ifindex, BPF_XDP, &opts);

	return fd < 0 ? -errno : fd;
}

int bf_link_ifindex(int link)
{
	/* struct bpf_link_info has as much in common for both kinds: xdp and tcx begin with it. */
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(link, &info, &len))
		return -errno;
	return info.type == BPF_LINK_TYPE_XDP || info.type == LINK_TYPE_TCX ? info.xdp.ifindex : 0;
}

/* --- the qdisc and its filters --------------------------------------------------------------- */

static uint32_t parent_of(enum bf_tc_dir dir)
{
	return TC_H_MAKE(TC_H_CLSACT, dir == BF_TC_IN ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

static struct nl_msg *new_msg(int type, int flags, int ifindex, uint32_t parent, uint32_t handle,
			      uint32_t info)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);
	struct tcmsg tcm = {
		.tcm_ifindex = ifindex,
		.tcm_handle = handle,
		.tcm_parent = parent,
		.tcm_info = info,
	};

	if (msg && nlmsg_append(msg, &tcm, sizeof(tcm), NLMSG_ALIGNTO)) {
		nlmsg_free(msg);
		msg = NULL;
	}
	return msg;
}

/* Hand all messages of the answer to @fn, until it returns other than 0, which is the result. */
static int receive(int sk, int (*fn)(struct nlmsghdr *nlh, void *arg), void *arg)
{
	char buf[32 * 1024] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct nlmsghdr *nlh;
	int len, ret;

	for (;;) {
		len = recv(sk, buf, sizeof(buf), 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		for (nlh = (void *)buf; nlmsg_ok(nlh, len); nlh = nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_type == NLMSG_DONE)
				return 0;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)nlmsg_data(nlh))->error;
			ret = fn ? fn(nlh, arg) : 0;
			if (ret)
				return ret;
		}
	}
}

/* Frees @msg. */
static int call(struct nl_msg *msg, int (*fn)(struct nlmsghdr *nlh, void *arg), void *arg)
{
	int sk, err = 0;

	if (!msg)
		return -ENOMEM;
	sk = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (sk < 0 || send(sk, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len, 0) < 0)
		err = -errno;
	err = err ?: receive(sk, fn, arg);
	if (sk >= 0)
		close(sk);
	nlmsg_free(msg);
	return err;
}

/* Is the one at the place of clsact one? @arg: an int, the interface; becomes 0 if so. */
static int look_at_qdisc(struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[TCA_MAX + 1] = {};
	struct tcmsg *tcm = nlmsg_data(nlh);
	int *ifindex = arg;

	if (nlh->nlmsg_type == RTM_NEWQDISC && tcm->tcm_ifindex == *ifindex &&
	    tcm->tcm_parent == TC_H_CLSACT && !nlmsg_parse(nlh, sizeof(*tcm), tb, TCA_MAX, NULL) &&
	    tb[TCA_KIND] && !strcmp(nla_data(tb[TCA_KIND]), "clsact"))
		*ifindex = 0;
	return 0;
}

/* The older "ingress" has the same place, and no egress: 0, -EBUSY or -errno. */
static int check_qdisc(int ifindex)
{
	int wanted = ifindex;
	int err = call(new_msg(RTM_GETQDISC, NLM_F_DUMP, ifindex, 0, 0, 0), look_at_qdisc, &wanted);

	return err ?: wanted ? -EBUSY : 0;
}

static int make_qdisc(int ifindex, bool *made)
{
	struct nl_msg *msg = new_msg(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ifindex,
				     TC_H_CLSACT, TC_H_MAKE(TC_H_CLSACT, 0), 0);
	int err;

	if (msg)
		nla_put_string(msg, TCA_KIND, "clsact");
	err = call(msg, NULL, NULL);
	*made = !err;
	return err == -EEXIST ? check_qdisc(ifindex) : err;
}

static int add_filter(int ifindex, enum bf_tc_dir dir, int prog, uint32_t pref)
{
	struct nl_msg *msg = new_msg(RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ifindex,
				     parent_of(dir), FILTER_HANDLE,
				     TC_H_MAKE(pref << 16, htons(ETH_P_ALL)));
	struct nlattr *options;

	if (msg) {
		nla_put_string(msg, TCA_KIND, "bpf");
		options = nla_nest_start(msg, TCA_OPTIONS);
		nla_put_u32(msg, TCA_BPF_FD, prog);
		nla_put_string(msg, TCA_BPF_NAME, FILTER_NAME);
		nla_put_u32(msg, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
		nla_nest_end(msg, options);
	}
	return call(msg, NULL, NULL);
}

int bf_tc_filter(int ifindex, enum bf_tc_dir dir, int prog, bool *made_qdisc)
{
	int err = make_qdisc(ifindex, made_qdisc);
	uint32_t pref;

	if (err)
		return err;
	/* Another kind of filter may have the preference (EINVAL), or one with the same handle. */
	err = -EEXIST;
	for (pref = 1; pref < MAX_PREF && (err == -EEXIST || err == -EINVAL); pref++)
		err = add_filter(ifindex, dir, prog, pref);
	if (err && *made_qdisc)
		bf_tc_remove_qdisc(ifindex);
	return err;
}

/* What was found among an interface's filters. */
struct found {
	uint32_t pref; /* of ours */
	unsigned int others;
};

static int look_at_filter(struct nlmsghdr *nlh, void *arg)
{
	struct nlattr *tb[TCA_MAX + 1] = {}, *options[TCA_BPF_MAX + 1] = {};
	struct tcmsg *tcm = nlmsg_data(nlh);
	struct found *found = arg;

	/* Each preference is told of by itself, too, with handle 0. */
	if (nlh->nlmsg_type != RTM_NEWTFILTER || !tcm->tcm_handle ||
	    nlmsg_parse(nlh, sizeof(*tcm), tb, TCA_MAX, NULL))
		return 0;
	if (tcm->tcm_handle == FILTER_HANDLE && tb[TCA_KIND] && tb[TCA_OPTIONS] &&
	    !strcmp(nla_data(tb[TCA_KIND]), "bpf") &&
	    !nla_parse_nested(options, TCA_BPF_MAX, tb[TCA_OPTIONS], NULL) &&
	    options[TCA_BPF_NAME] && !strcmp(nla_data(options[TCA_BPF_NAME]), FILTER_NAME))
		found->pref = TC_H_MAJ(tcm->tcm_info) >> 16;
	else
		found->others++;
	return 0;
}

static int look_for_filters(int ifindex, enum bf_tc_dir dir, struct found *found)
{
	*found = (struct found){};
	return call(new_msg(RTM_GETTFILTER, NLM_F_DUMP, ifindex, parent_of(dir), 0, 0),
		    look_at_filter, found);
}

int bf_tc_has_filter(int ifindex, enum bf_tc_dir dir)
{
	struct found found;
	int err = look_for_filters(ifindex, dir, &found);

	return err ?: found.pref ? 0 : -ENOENT;
}

int bf_tc_unfilter(int ifindex, enum bf_tc_dir dir)
{
	struct found found;
	struct nl_msg *msg;
	int err = look_for_filters(ifindex, dir, &found);

	if (err || !found.pref)
		return err ?: -ENOENT;
	msg = new_msg(RTM_DELTFILTER, NLM_F_ACK, ifindex, parent_of(dir), FILTER_HANDLE,
		      TC_H_MAKE(found.pref << 16, htons(ETH_P_ALL)));
	if (msg)
		nla_put_string(msg, TCA_KIND, "bpf");
	return call(msg, NULL, NULL);
}

int bf_tc_remove_qdisc(int ifindex)
{
	struct found in, out;

	if (look_for_filters(ifindex, BF_TC_IN, &in) ||
	    look_for_filters(ifindex, BF_TC_OUT, &out) || in.pref || out.pref || in.others ||
	    out.others)
		return -EBUSY;
	return call(new_msg(RTM_DELQDISC, NLM_F_ACK, ifindex, TC_H_CLSACT,
			    TC_H_MAKE(TC_H_CLSACT, 0), 0),
		    NULL, NULL);
}
