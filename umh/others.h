/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The other tables of ip_tables: nat, mangle and raw. They change packets between the interfaces and
 * the filter table's hooks, so that a filter at the interfaces would not see what ip_tables' filter sees.
 */
#ifndef BPFILTER_OTHERS_H
#define BPFILTER_OTHERS_H

#include <linux/netfilter_ipv4/ip_tables.h>

#include "bpfilter.h"

/*
 * The name of one of them that has rules in the namespace this thread is in, or NULL. @sk: as
 * bf_kernel_socket() makes it. No table comes into being by this. What cannot be asked counts as having rules.
 */
const char *bf_others_with_rules(int sk);

/* Is this one of them, with rules? @replace: the head of an option value, its name terminated or not. */
bool bf_others_replace(const struct ipt_replace *replace);

#endif /* BPFILTER_OTHERS_H */
