/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The accounting objects of nfnetlink_acct, one set in each network namespace: what the command nfacct makes and
 * lists, and what the match nfacct counts in.
 */
#ifndef BPFILTER_ACCT_H
#define BPFILTER_ACCT_H

/**
 * bf_acct_has_quota - does the match depend on how much the object has counted?
 * @sk: of bf_nfnl_open(), in the object's namespace
 * @name: of the object
 *
 * An object keeps that for as long as it is there, and is there for as long as a rule holds it. 1, 0,
 * -ENOENT if there is none of this name, or another -errno.
 */
int bf_acct_has_quota(int sk, const char *name);

struct bf_effects;
struct bf_why;

/*
 * Do all matches nfacct of a table always match? Not so if an object has a quota: -EOPNOTSUPP with @why. 0 or another
 * -errno. To be asked while the objects are held, so that nobody can have another one take the place of one that was seen.
 */
int bf_acct_check(int sk, const struct bf_effects *effects, struct bf_why *why);

/* The same, of this namespace, with a socket of its own if there is anything to ask. */
int bf_acct_check_here(const struct bf_effects *effects, struct bf_why *why);

#endif /* BPFILTER_ACCT_H */
