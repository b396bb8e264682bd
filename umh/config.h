/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The helper's configuration file, and the names of placements. bpfilter.conf(5) documents its format.
 */
#ifndef BPFILTER_CONFIG_H
#define BPFILTER_CONFIG_H

#include "bpfilter.h"
#include "filter.h"

#define BF_DEFAULT_CONFIG "/etc/bpfilter.conf"

/* Its path: $BPFILTER_CONFIG or BF_DEFAULT_CONFIG. */
const char *bf_config_path(void);

/* One of "auto" (BF_EARLY), "netfilter", "tc", "xdp", "xdp,generic", "offload"; -EINVAL. */
int bf_placement_parse(const char *name);
/* The same; BF_AUTO is "default". */
const char *bf_placement_name(enum bf_placement placement);

/* Does what comes in meet XDP there? */
static inline bool bf_placement_is_xdp(enum bf_placement placement)
{
	return placement >= BF_XDP && placement <= BF_OFFLOAD;
}

/**
 * struct bf_config - what it says
 * @attach: placement of tables for which none is asked
 * @rules: the lines on interfaces, in their order
 */
struct bf_config {
	enum bf_placement attach;
	struct bf_config_rule {
		char name[16]; /* may end in "+": any rest */
		enum bf_placement placement;
	} * rules;
	size_t nr_rules;
};

/**
 * bf_config_read - read a file
 *
 * That there is none is as if it were empty. 0, or -errno with "FILE:LINE: what is wrong".
 */
int bf_config_read(struct bf_config *config, const char *path, struct bf_why *why);
void bf_config_free(struct bf_config *config);

/* Where what comes in by an interface is filtered if a table is placed at interfaces: BF_TC, BF_XDP, ... */
enum bf_placement bf_config_interface(const struct bf_config *config, const char *name,
				      enum bf_placement placement);

/*
 * Is the early-drop stage to be at an interface, and at some, if a table with that placement is at netfilter's hooks?
 * @named: only if a line names it
 */
bool bf_config_early(const struct bf_config *config, const char *name, enum bf_placement placement,
		     bool named);
bool bf_config_wants_early(const struct bf_config *config, enum bf_placement placement);

/* Has some interface XDP, in that placement? */
bool bf_config_wants_xdp(const struct bf_config *config, enum bf_placement placement);

#endif /* BPFILTER_CONFIG_H */
