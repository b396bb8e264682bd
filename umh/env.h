/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the helper finds out once, most of it when it starts: the kernel's types and features, and where
 * things are pinned.
 */
#ifndef BPFILTER_ENV_H
#define BPFILTER_ENV_H

#include "bpfilter.h"
#include "kernel.h"

struct bf_env;
struct bf_config;
struct bf_device;
struct bf_rcu;
struct bf_table;

/* Exit codes of the commands, beyond 0 and what COMMAND of "run" returns. */
enum bf_exit {
	BF_EXIT_USAGE = 2,
	BF_EXIT_NO_IPTABLES = 118, /* COMMAND is an iptables, and there is none */
	BF_EXIT_NESTED = 119,	   /* "run" below another "run" */
	BF_EXIT_NOT_ROOT = 120,	   /* a privilege is missing */
	BF_EXIT_NO_BPFFS = 121,	   /* bpffs cannot be mounted or written */
	BF_EXIT_NO_BTF = 122,	   /* the kernel has no BTF */
	BF_EXIT_OLD_KERNEL =
		123, /* neither BPF netfilter links nor the module nor programs at tc, or
				    * no seccomp notification */
	BF_EXIT_NO_HELPER = 124,   /* the helper cannot be started or reached */
	BF_EXIT_FAILED = 125,	   /* anything else that is ours; as env(1), chroot(1) */
	BF_EXIT_CANNOT_EXEC = 126, /* COMMAND was found but cannot be executed */
	BF_EXIT_NOT_FOUND = 127,   /* COMMAND was not found */
};

#define BF_DEFAULT_RUN_DIR "/run/bpfilter"
#define BF_DEFAULT_PIN_DIR "/sys/fs/bpf/bpfilter"

/* Directory of the socket: $BPFILTER_RUN_DIR or BF_DEFAULT_RUN_DIR. */
const char *bf_run_dir(void);
/* Directory of the pins: $BPFILTER_PIN_DIR or BF_DEFAULT_PIN_DIR; must be on a bpffs. */
const char *bf_pin_dir(void);

/**
 * bf_env_open - look at the kernel, load what all namespaces share, prepare the pin directory
 * @exit_code: receives one of enum bf_exit when it fails
 *
 * A kernel without netfilter links will do if the module is loaded, whoever has its device open, or if
 * programs can be at tc. Reads the configuration file.
 * Mounts bpffs where the pin directory belongs if it is not mounted. 0 or -errno.
 */
int bf_env_open(struct bf_env **env, int *exit_code, struct bf_why *why);
void bf_env_close(struct bf_env *env);

/**
 * bf_env_look - what the compiler needs to know of the kernel, for those who only look
 *
 * All but what bf_trial_look() tries. Any user may, and nothing is loaded that stays; what only the verifier could tell is concluded from the
 * kernel's release if it may not be asked. A kernel without netfilter links is none to fail for:
 * @why then says what it lacks. 0 or -errno.
 */
int bf_env_look(struct bf_kernel *kernel, struct bf_why *why);

/**
 * bf_env_kernel - what the compiler needs to know of the kernel
 * @kernel: receives a copy; without what bf_env_try() tries
 *
 * Looks for conntrack's types again if they were not there: its module may have been loaded since.
 * Safe in any thread.
 */
void bf_env_kernel(struct bf_env *env, struct bf_kernel *kernel);

/*
 * What the table needs to know of @kernel->tried: tried by the first who asks, and again until it is known; why it
 * is not is logged. Safe in any thread.
 */
void bf_env_try(struct bf_env *env, const struct bf_table *table, struct bf_kernel *kernel);

/* Can programs be had somewhere without the module: at links, or at tc? Safe in any thread. */
bool bf_env_without_module(const struct bf_env *env);

/* The kernel's jiffies now. Safe in any thread. */
uint64_t bf_env_jiffies(struct bf_env *env);

/* The configuration file, as it was when the helper started. Safe in any thread. */
const struct bf_config *bf_env_config(const struct bf_env *env);

/* How to wait for packets: see rcu.h. Safe in any thread. */
struct bf_rcu *bf_env_rcu(struct bf_env *env);

/**
 * bf_env_device - the module's device, if this process has it open
 *
 * NULL if not. Safe in any thread; the device stays valid until the last worker has ended, but its
 * functions return -ENODEV once it has been given up.
 */
struct bf_device *bf_env_device(struct bf_env *env);

/* @device stays the caller's; NULL if there is none any more. Safe in any thread. */
void bf_env_set_device(struct bf_env *env, struct bf_device *device);

/*
 * Are all tables on their way back to ip_tables, because bpfilter is being stopped? No table becomes
 * ours then: a replace goes to ip_tables, whatever it holds. Safe in any thread.
 */
bool bf_env_leaving(struct bf_env *env);
void bf_env_set_leaving(struct bf_env *env, bool leaving);

#endif /* BPFILTER_ENV_H */
