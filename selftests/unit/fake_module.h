/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel module for test programs: the real one where it is loaded, and one that remembers what it
 * is told but has no hooks where it is not. For those alone that are linked with --wrap for the
 * functions of fake_module.c (MODULE in the Makefile).
 */
#ifndef FAKE_MODULE_H
#define FAKE_MODULE_H

#include <stdbool.h>
#include <stdint.h>

struct bf_env;

/* Is it one without hooks? */
bool module_is_fake(void);

/* Before the others; what the fake remembers is shared with processes that are forked. 0 or -errno. */
int module_begin(void);
void module_end(void);

/* Open and close its device for @env, as a helper does that comes and goes. 0 or -errno. */
int module_open(struct bf_env *env);
void module_close(struct bf_env *env);

/* From now on bf_env_kernel() knows of netfilter links, or not. It does to begin with, if the kernel has them. */
void module_hide_links(bool hide);

/* Does the module have these flags, and this program at its hooks? */
bool module_has(uint32_t flags, uint32_t prog_id);

/* Whoever has its device: is there a program that a module with hooks would have run? */
bool module_fakes_program(void);
/* Of a fake: would it take care that ip_tables does not answer? */
bool module_fakes_owned(void);

#endif /* FAKE_MODULE_H */
