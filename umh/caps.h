/* SPDX-License-Identifier: GPL-2.0 */
/*
 * May a task administer a network namespace? The question that the kernel asks with
 * ns_capable(net->user_ns, CAP_NET_ADMIN), answered from outside the task.
 */
#ifndef BPFILTER_CAPS_H
#define BPFILTER_CAPS_H

#include <sys/types.h>

#include "bpfilter.h"

/**
 * bf_caps_net_admin - has the task CAP_NET_ADMIN over the network namespace?
 * @task: descriptor of the thread's /proc/TID; it stays that thread's when the number is
 *	used again
 * @netns: descriptor of the network namespace
 *
 * As cap_capable() in security/commoncap.c decides: the effective set counts in the task's own
 * user namespace and those below; who made a user namespace (by effective uid, from its
 * parent) has every capability in it.
 *
 * Returns 0; -EPERM; or another -errno if the task could not be looked at (-ESRCH, -ENOENT: it is
 * gone).
 */
int bf_caps_net_admin(int task, int netns);

/**
 * bf_caps_have - does this process have these capabilities effective?
 * @missing: receives the name of the first that it has not; may be NULL
 *
 * Those that "bpfilter run" and the helper cannot do without.
 */
bool bf_caps_have(const char **missing);

/**
 * struct bf_task_cred - what the decision depends on
 * @euid: in our user namespace
 * @cap_eff: effective set, as in /proc/PID/status
 * @tgid: process that the thread belongs to, in our pid namespace
 */
struct bf_task_cred {
	uid_t euid;
	uint64_t cap_eff;
	pid_t tgid;
};

/* Reads it from /proc/TID/status. 0 or -errno. */
int bf_task_cred(int task, struct bf_task_cred *cred);

#endif /* BPFILTER_CAPS_H */
