/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Conntrack is idle in a namespace until something asks for it. The pin asks: an
 * nf_tables table with one rule that looks at ct, in a chain without a hook, which costs no
 * packet anything.
 */
#ifndef BPFILTER_CONNTRACK_H
#define BPFILTER_CONNTRACK_H

#include "bpfilter.h"

struct bf_ct_pin;

/**
 * bf_ct_pin - keep conntrack active in the namespace this thread is in
 * @pin: receives the pin; its file descriptor becomes readable when nf_tables changes
 *
 * Takes over the table that a former helper left. Where the kernel can (6.9), the table is
 * owned by us, so that "nft flush ruleset" spares it, and persists when we die; where it
 * cannot, it is a plain table that is watched and put back at once, which leaves no gap if it is
 * done within an RCU grace period (5 to 20 ms): call bf_ct_pin_check() without delay. 0; -EBUSY if
 * another process has the pin; -EOPNOTSUPP without nf_tables; or another -errno.
 */
int bf_ct_pin(struct bf_ct_pin **pin, struct bf_why *why);

/* The same with a plain table, whatever the kernel can: for tests of the harder case. */
int bf_ct_pin_plain(struct bf_ct_pin **pin, struct bf_why *why);

/* Is the table owned, so that nobody else can change it? */
bool bf_ct_pin_is_owned(const struct bf_ct_pin *pin);

/* The descriptor to poll for reading, and what to call, in the namespace, when it is. */
int bf_ct_pin_fd(const struct bf_ct_pin *pin);
int bf_ct_pin_check(struct bf_ct_pin *pin);

/* Forget it without letting conntrack go (the helper ends): the table stays. */
void bf_ct_pin_close(struct bf_ct_pin *pin);

/* Let conntrack go: the table is removed. */
void bf_ct_unpin(struct bf_ct_pin *pin);

#endif /* BPFILTER_CONNTRACK_H */
