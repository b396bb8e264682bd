// SPDX-License-Identifier: GPL-2.0
/*
 * -m socket, as xt_socket.c has it: the kernel looks for the socket that a packet is for. Revision 0 has not been used since
 * Linux 2.6.38.
 */
#include <linux/netfilter/xt_socket.h>

#include "match.h"

#define SOCKET_HOOKS (1U << NF_INET_LOCAL_IN | 1U << NF_INET_PRE_ROUTING)

/* The mark that rules behind it see would be that of the socket. */
static int socket_check_3(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			  struct bf_why *why)
{
	const struct xt_socket_mtinfo3 *info = data;

	if (info->flags & XT_SOCKET_RESTORESKMARK)
		return bf_why(why, BF_NOT_TRANSLATABLE, "socket: --restore-skmark");
	return 0;
}

BF_ONLY_AT_HOOKS(socket, "the kernel looks for the socket, behind its hooks")

#define SOCKET(n)                                                                                  \
	.name = "socket", .revision = n, .size = sizeof(struct xt_socket_mtinfo##n),               \
	.hooks = SOCKET_HOOKS, .asks = true, .place = socket_place, .compile = bf_ask_compile

const struct bf_match bf_match_socket_1 = {SOCKET(1)};
const struct bf_match bf_match_socket_2 = {SOCKET(2)};
const struct bf_match bf_match_socket_3 = {
	SOCKET(3),
	.options = "--transparent, --nowildcard; not --restore-skmark",
	.check = socket_check_3,
};
