/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables as programs in the kernel, run on one packet at a time by BPF_PROG_TEST_RUN, without
 * being attached anywhere. In a sandbox.
 */
#ifndef RUN_H
#define RUN_H

#include "walk.h"

#include "load.h"
#include "program.h"
#include "sandbox.h"
#include "teller.h"

/**
 * run_load - check, compile and load a table
 *
 * 0, -errno of bf_compile() or bf_load(), or -EINVAL if the check refuses the table.
 */
int run_load(struct sandbox *s, struct blob *b, enum bf_attach attach, enum bf_form form,
	     struct bf_loaded **loaded, struct bf_why *why);

/* The same at links, with these maps from BF_MAP_NOTES on, for a table with effects or questions. */
int run_load_staged(struct sandbox *s, struct blob *b, enum bf_form form, const int *stage,
		    struct bf_loaded **loaded, struct bf_why *why);

/*
 * Which interfaces a packet has in a hook of a test run: the kernel gives it the loopback, but
 * not in all versions where one would expect it (verify_and_copy_hook_state() of
 * net/bpf/test_run.c).
 */
int run_interfaces(struct sandbox *s, struct packet *p);

/*
 * A table's programs: both forms for netfilter links, one that takes each packet's bytes from pages,
 * and both forms for the module's hooks.
 */
enum {
	RUN_STRAIGHT,
	RUN_RECORDS,
	RUN_PAGED,
	RUN_MODULE_STRAIGHT,
	RUN_MODULE_RECORDS,
	RUN_PROGRAMS
};

/**
 * struct run - a table as programs, to be compared with the model
 * @b: the table
 * @loaded: NULL where it does not fit, or cannot be
 * @with: what interfaces a packet has in each hook
 * @not_paged: to save time, do without that program
 * @module_only: do without those for links, which this table or this kernel cannot have, or which
 *	$TEST_ATTACH=module leaves out
 */
struct run {
	struct sandbox s;
	struct teller teller;
	struct blob b;
	struct bf_loaded *loaded[RUN_PROGRAMS];
	struct packet with[NF_INET_NUMHOOKS];
	bool not_paged;
	bool module_only;
};

/* For all programs that there are. */
#define run_for_each(r, i)                                                                         \
	for ((i) = 0; (i) < RUN_PROGRAMS; (i)++)                                                   \
		if ((r)->loaded[i])

/* With TEST_ATTACH=module in the environment, what is for netfilter links is left out, to save time. */
bool run_without_links(void);

/* As sandbox_enter(). */
int run_begin(struct run *r);
void run_end(struct run *r);

/* Run a program for netfilter links on a packet. What it returned, or -errno. */
int run_program(int prog, const struct packet *p);

/* Run the program on a packet. What it returned, or -errno. */
int run_packet(const struct run *r, const struct bf_loaded *loaded, const struct packet *p);

/* @b in each form that it fits into. False if one that should take it does not. */
bool run_load_forms(struct run *r);
/* Lets go of the table and of @b. */
void run_unload(struct run *r);

/*
 * Does the packet meet with the same verdict and mark in every form as in the model, and count the same?
 * What is different is printed. The interfaces are filled in. A limit is taken for one that is
 * never reached.
 */
bool run_agrees(struct run *r, struct packet *p);

#endif /* RUN_H */
