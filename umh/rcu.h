/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Waiting until every packet that is now in a netfilter hook has left it: a grace period of RCU.
 */
#ifndef BPFILTER_RCU_H
#define BPFILTER_RCU_H

#include <pthread.h>

#include "bpfilter.h"

struct bf_device;

/**
 * struct bf_rcu - what a process has found out about its kernel
 * @fast: does bf_rcu_wait_mount() wait? Negative if that is not known yet
 * @tries: to find out; after some of them it is left alone
 */
struct bf_rcu {
	pthread_mutex_t lock;
	int fast;
	unsigned int tries;
};

void bf_rcu_init(struct bf_rcu *rcu);
void bf_rcu_exit(struct bf_rcu *rcu);

/**
 * bf_rcu_wait - wait until every packet that is now in a netfilter hook has left it
 * @rcu: shared by all threads; NULL to do without what has to be found out first
 * @device: the module's; or NULL
 *
 * With the module, or where closing a mount waits, some 10 microseconds; otherwise 5 ms when idle,
 * up to 100 ms under load. The first call finds out which, which takes about 2 ms. 0 or -errno.
 */
int bf_rcu_wait(struct bf_rcu *rcu, struct bf_device *device);

/* The ways to wait, for their test. 0 or -errno. */
int bf_rcu_wait_map(void);
int bf_rcu_wait_mount(void);

/**
 * bf_rcu_check - does it wait, on this kernel?
 * @wait: a way to wait, which returns 0 or -errno
 *
 * It does if a BPF program that runs meanwhile, until it is told to end, keeps it from returning:
 * asleep in the kernel, where nothing else can be what it waits for. 1; 0 if it returned too early;
 * -EAGAIN if that cannot be told, because the machine is too busy or there is one CPU for us; or
 * -errno.
 */
int bf_rcu_check(int (*wait)(void));

#endif /* BPFILTER_RCU_H */
