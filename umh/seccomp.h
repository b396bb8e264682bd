/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seccomp filter under which COMMAND of "bpfilter run" lives: it reports the socket options
 * of iptables to a listener and lets everything else pass.
 */
#ifndef BPFILTER_SECCOMP_H
#define BPFILTER_SECCOMP_H

#include <linux/seccomp.h>

#include "bpfilter.h"

/**
 * bf_seccomp_install - put the calling thread, and all it will execute, under the filter
 *
 * no_new_privs is not set, so that setuid programs below keep working; this needs CAP_SYS_ADMIN.
 * Returns the listener (close-on-exec), or -errno: -EBUSY if there is a listener above already,
 * -EINVAL or -EOPNOTSUPP if the kernel knows no notifications.
 */
int bf_seccomp_install(void);

/* Does the kernel have all that is needed? 0 or -EOPNOTSUPP. */
int bf_seccomp_check(struct bf_why *why);

/**
 * struct bf_sockopt_call - a reported call, its arguments unpacked
 * @get: getsockopt, else setsockopt
 * @compat: made with a 32-bit system call (i386, x32, arm): the layout of what it passes is
 *	another
 * @optlen: of a get, the address of the length; of a set, the length in its lower half
 * @args: not 0 if the five arguments are an array in the caller's memory (socketcall), at this
 *	address, of words of @word bytes each; then nothing else here is filled in but @get
 */
struct bf_sockopt_call {
	bool get;
	bool compat;
	int fd;
	int level;
	int opt;
	uint64_t optval;
	uint64_t optlen;
	uint64_t args;
	unsigned int word;
};

/* Unpack what the listener reported. */
void bf_seccomp_call(const struct seccomp_data *data, struct bf_sockopt_call *call);

/* The rest of it for a socketcall, from the five words read at call->args. */
void bf_seccomp_socketcall(struct bf_sockopt_call *call, const void *words);

#endif /* BPFILTER_SECCOMP_H */
