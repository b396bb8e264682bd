/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the compiler makes of a table: one program for all hooks, and its maps.
 *
 * Nothing here touches the kernel; loading is done elsewhere.
 */
#ifndef BPFILTER_PROGRAM_H
#define BPFILTER_PROGRAM_H

#include <linux/bpf.h>

#include "bpfilter.h"
#include "kernel.h"
#include "table.h"
#include "uapi/bpfilter.h"

/* Maps of a table's program; in its instructions they stand as these numbers. */
enum bf_program_map {
	BF_MAP_COUNTERS, /* struct xt_counters [cpus][stride], {pcnt, bcnt} */
	BF_MAP_CONDS,	 /* state of packet-time conditions, BF_COND_STATE bytes each */
	BF_MAP_RECORDS,	 /* struct bf_record, form "records" only */
	BF_MAP_STACKS,	 /* return stacks, for tables that nest deeper than the frame's */
	BF_NR_MAPS,
};

/**
 * struct bf_map_def - a map to be created
 * @max_entries: 0 if the program does not use this map
 * @data: initial content, max_entries * value_size bytes, or NULL for zeroes; owned
 */
struct bf_map_def {
	const char *name;
	uint32_t value_size;
	uint32_t max_entries;
	void *data;
};

enum bf_form {
	BF_FORM_AUTO,
	BF_FORM_STRAIGHT, /* every rule is code; user chains are inlined */
	BF_FORM_RECORDS,  /* one loop over records in a map; any size */
};

const char *bf_form_name(enum bf_form form);

const char *bf_attach_name(enum bf_attach attach);

/**
 * struct bf_program - a compiled table
 * @functions: where each BPF function but the first begins
 * @globals: bit i is set if functions[i] is a global function (asm.h says of what type)
 * @stride: counters of one CPU; at least the number of entries of the table
 * @fields: key fields that the program fills
 * @wants_conntrack: it looks at conntrack, which must be active
 * @want: BPFILTER_WANT_*: what the module must tell it of each packet; 0 for BF_ATTACH_LINK
 */
struct bf_program {
	struct bpf_insn *insns;
	uint32_t nr_insns;
	uint32_t functions[32];
	uint32_t nr_functions;
	uint32_t globals;
	struct bf_map_def maps[BF_NR_MAPS];
	enum bf_form form;
	enum bf_attach attach;
	uint32_t want;
	uint32_t stride;
	uint64_t fields;
	bool wants_conntrack;
};

/**
 * bf_compile - translate a table for the netfilter placement
 * @attach: which hooks it is for
 * @form: BF_FORM_AUTO, or which one (the tests ask for each)
 * @jiffies: the kernel's jiffies now, for state that starts with the table
 * @program: receives the result, to be freed with bf_program_free()
 * @why: says what cannot be translated
 *
 * Returns 0, -ENOMEM, -EOPNOTSUPP (something in the table has no translation for these hooks, or
 * the kernel does not have them; other hooks or the kernel have to run it), or -E2BIG if @form cannot
 * hold the table.
 */
int bf_compile(const struct bf_table *table, const struct bf_kernel *kernel, enum bf_attach attach,
	       enum bf_form form, uint64_t jiffies, struct bf_program **program,
	       struct bf_why *why);

/**
 * bf_compile_root - the program that is attached to the hooks with links
 *
 * It runs whatever program stands in slot 0 of the prog array, which is its map number 0, and
 * accepts if there is none. Free with bf_program_free().
 */
int bf_compile_root(const struct bf_kernel *kernel, struct bf_program **program);

void bf_program_free(struct bf_program *program);

#endif /* BPFILTER_PROGRAM_H */
