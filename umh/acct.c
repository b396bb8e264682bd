// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "acct.h"
#include "effect.h"
#include "nft.h"

/* The kernel's answer: the object, or an error. */
static int take_answer(void *arg, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = nlmsg_data(nlh);
	int *quota = arg;

	if (nlh->nlmsg_type == NLMSG_ERROR)
		return nlmsg_datalen(nlh) < (int)sizeof(e->error) ? -EIO : e->error;
	if (nlh->nlmsg_type == (NFNL_SUBSYS_ACCT << 8 | NFNL_MSG_ACCT_NEW))
		*quota = nlmsg_find_attr((void *)nlh, sizeof(struct nfgenmsg), NFACCT_QUOTA) !=
			 NULL;
	return 0;
}

/* The kernel works within send(): its answer is there when that returns. */
int bf_acct_has_quota(int sk, const char *name)
{
	struct nl_msg *msg =
		bf_nfnl_msg(NFNL_SUBSYS_ACCT << 8 | NFNL_MSG_ACCT_GET, 0, AF_UNSPEC, 0);
	int err = msg && !nla_put_string(msg, NFACCT_NAME, name) ? 0 : -ENOMEM, quota = -EIO;

	if (!err && send(sk, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len, 0) < 0)
		err = -errno;
	nlmsg_free(msg);
	return err ?: bf_nfnl_receive(sk, take_answer, &quota) ?: quota;
}

int bf_acct_check(int sk, const struct bf_effects *effects, struct bf_why *why)
{
	uint32_t i;

	for (i = 0; i < effects->nr; i++) {
		const struct bf_effect *e = &effects->list[i];
		int quota = e->kind == BF_EFFECT_ACCOUNT ? bf_acct_has_quota(sk, e->text) : 0;

		if (quota < 0)
			return bf_why(why, quota, "nfacct: cannot look at accounting object %s: %s",
				      e->text, strerror(-quota));
		if (quota)
			return bf_why(why, -EOPNOTSUPP, "nfacct: accounting object %s has a quota",
				      e->text);
	}
	return 0;
}

int bf_acct_check_here(const struct bf_effects *effects, struct bf_why *why)
{
	uint32_t i = 0;
	int sk, err;

	while (i < effects->nr && effects->list[i].kind != BF_EFFECT_ACCOUNT)
		i++;
	if (i == effects->nr)
		return 0;
	sk = bf_nfnl_open();
	if (sk < 0)
		return bf_why(why, sk, "nfacct: cannot ask for accounting objects: %s",
			      strerror(-sk));
	err = bf_acct_check(sk, effects, why);
	close(sk);
	return err;
}
