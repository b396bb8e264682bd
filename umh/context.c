// SPDX-License-Identifier: GPL-2.0
#include "context.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int set_hook(struct bf_context *c, const char *value, struct bf_why *why)
{
	if (!strcasecmp(value, "INPUT"))
		c->hook = NF_INET_LOCAL_IN;
	else if (!strcasecmp(value, "FORWARD"))
		c->hook = NF_INET_FORWARD;
	else if (!strcasecmp(value, "OUTPUT"))
		c->hook = NF_INET_LOCAL_OUT;
	else
		return bf_why(why, -EINVAL, "--hook=%.50s: no such chain: INPUT, FORWARD or OUTPUT",
			      value);
	return 0;
}

static int set_name(char *name, const char *value, struct bf_why *why)
{
	if (!*value || strlen(value) > 15)
		return bf_why(why, -EINVAL, "%.50s is no name of an interface", value);
	memset(name, 0, 16);
	memcpy(name, value, strlen(value));
	return 0;
}

static int set_mark(struct bf_context *c, const char *value, struct bf_why *why)
{
	unsigned long mark;
	char *end;

	errno = 0;
	mark = strtoul(value, &end, 0);
	if (errno || end == value || *end || mark > UINT32_MAX)
		return bf_why(why, -EINVAL, "--mark=%.50s: not a number of 32 bits", value);
	c->mark = mark;
	return 0;
}

static int set_ct(struct bf_context *c, const char *value, struct bf_why *why)
{
	static const char *const names[] = {
		[BF_CT_FLOWS] = "flows",
		[BF_CT_NEW] = "NEW",
		[BF_CT_ESTABLISHED] = "ESTABLISHED",
		[BF_CT_RELATED] = "RELATED",
		[BF_CT_INVALID] = "INVALID",
		[BF_CT_UNTRACKED] = "UNTRACKED",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(value, names[i]))
			continue;
		c->ct = i;
		return 0;
	}
	return bf_why(why, -EINVAL,
		      "--ctstate=%.50s: NEW, ESTABLISHED, RELATED, INVALID, UNTRACKED, or flows",
		      value);
}

int bf_context_option(struct bf_context *c, int option, const char *value, struct bf_why *why)
{
	switch (option) {
	case BF_OPTION_HOOK:
		return set_hook(c, value, why);
	case BF_OPTION_IN:
		return set_name(c->in, value, why);
	case BF_OPTION_OUT:
		return set_name(c->out, value, why);
	case BF_OPTION_MARK:
		return set_mark(c, value, why);
	default:
		return set_ct(c, value, why);
	}
}

int bf_context_check(const struct bf_context *c, struct bf_why *why)
{
	if (c->hook == NF_INET_LOCAL_IN && *c->out)
		return bf_why(why, -EINVAL, "--out: a packet in INPUT leaves by no interface");
	if (c->hook == NF_INET_LOCAL_OUT && *c->in)
		return bf_why(why, -EINVAL, "--in: a packet in OUTPUT came in by no interface");
	return 0;
}
