/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holding packets while a table moves between ip_tables and our programs.
 *
 * The two are separate hooks, so no store switches both. For the few milliseconds of a
 * handover every packet is therefore queued (nf_tables rules "queue" in base chains at
 * priority -1 of LOCAL_IN, FORWARD and LOCAL_OUT, owned by our socket, so that they vanish
 * with us), and sees only the final state when it is let go: never both tables, never
 * none, and each counts it once.
 */
#ifndef BPFILTER_HOLD_H
#define BPFILTER_HOLD_H

#include <linux/netfilter.h>

#include "bpfilter.h"

struct bf_device;
struct bf_hold;
struct bf_rcu;

/**
 * bf_hold_begin - from now on packets wait in front of the filter hooks
 * @hooks: 1 << NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT: or-ed
 * @rcu, @device: as for bf_rcu_wait()
 *
 * On return no packet is between the hold and the end of the filter hooks any more (an
 * RCU grace period has passed, see bf_rcu_wait()). Must be called in the
 * namespace. Returns 0, or -errno where the kernel lacks nf_tables or nfnetlink_queue
 * (-EOPNOTSUPP), or another process holds (-EBUSY); nothing is held then.
 *
 * While packets are held the caller may attach programs and change the kernel's table, but no hook of
 * the namespace may be unregistered, for then the kernel drops all that is queued: detach no
 * link, and keep conntrack (bf_ct_pin()) if the kernel's table might be its last user. And at
 * every instant one of the two tables must be fully in force, for if the process dies the hold
 * goes with it.
 */
int bf_hold_begin(struct bf_hold **hold, uint32_t hooks, struct bf_rcu *rcu,
		  struct bf_device *device, struct bf_why *why);

#define BF_HOLD_ALL (1U << NF_INET_LOCAL_IN | 1U << NF_INET_FORWARD | 1U << NF_INET_LOCAL_OUT)

/**
 * bf_hold_end - let them go, in order, and remove the hold; NULL is ignored
 *
 * Returns how many packets were held (one that passes two hooks, as on loopback, can be held
 * twice), or -errno if packets may have been lost, which has been logged (the hold is gone in
 * any case). Lasts a grace period longer than the holding itself.
 */
long bf_hold_end(struct bf_hold *hold);

#endif /* BPFILTER_HOLD_H */
