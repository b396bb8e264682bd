/* SPDX-License-Identifier: GPL-2.0 */
/* Between btf.c and btf_path.c, which has what the early-drop stage looks at. */
#ifndef BPFILTER_BTF_PATH_H
#define BPFILTER_BTF_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel.h"

struct btf;
struct bf_why;

/**
 * struct bf_btf_wanted - an offset to be found
 * @path: the member ("dst.u3.ip") of struct @type
 * @where: in struct bf_kernel, a uint32_t
 */
struct bf_btf_wanted {
	const char *type;
	const char *path;
	size_t where;
};

#define BF_BTF_WANT(type, path, field)                                                             \
	{                                                                                          \
		type, path, offsetof(struct bf_kernel, field)                                      \
	}

/* btf.c: have @n of them in @kernel. 0, or -EOPNOTSUPP with the first that is not there in @why, which may be NULL. */
int bf_btf_find(const struct btf *btf, struct bf_kernel *kernel, const struct bf_btf_wanted *w,
		size_t n, struct bf_why *why);
/* The value of one name of an enum. */
bool bf_btf_value(const struct btf *btf, const char *type, const char *name, uint32_t *value);

/* The first bit of a member, and the size of a struct (0 or -ENOENT). */
bool bf_btf_bit(const struct btf *btf, const char *type, const char *path, uint32_t *bit);
int bf_btf_size(const struct btf *btf, const char *type, uint32_t *size);

/* btf_path.c: kernel->has_path and what it is about, but for the addresses of functions. */
void bf_btf_read_path(struct btf *btf, struct bf_kernel *kernel);

/* kernel->has_tracked, has_nat and what they are about. */
void bf_btf_read_tracked(struct btf *btf, struct bf_kernel *kernel);

/* Both, if modules with what was missing have been loaded since. Costs next to nothing if not. */
void bf_btf_read_path_again(struct bf_kernel *kernel);

/**
 * bf_symbols - what is known of the addresses of the kernel's functions, and of variables
 * @modules: a sum of what was in /proc/modules then: with other modules there are other functions
 */
struct bf_symbols {
	bool read;
	uint64_t modules;
	uint64_t link, ipt, mangle, defrag, bridge, conntrack, nat, all_addresses, udp_merging;
};

/* Have modules come or gone since it was read? */
bool bf_symbols_changed(const struct bf_symbols *symbols);

/* Have kernel->fn_*, all_addresses and udp_merging: read again if modules have come or gone. Those that are not known are 0. */
void bf_symbols_look(struct bf_symbols *symbols, struct bf_kernel *kernel);

#endif /* BPFILTER_BTF_PATH_H */
