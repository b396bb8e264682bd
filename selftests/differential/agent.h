/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The agent: a process in the host's namespace whose iptables calls take the path under test.
 * It is this same program, started with --agent behind the command prefix of its world, and
 * does as it is told over its standard input.
 */
#ifndef DIFFERENTIAL_AGENT_H
#define DIFFERENTIAL_AGENT_H

#include <stdint.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "text.h"

/**
 * struct agent - a running one
 * @excluded: descriptor of the namespace that the module leaves to ip_tables when it is asked for
 *	something; -1: no matter
 */
struct agent {
	pid_t pid;
	int sock;
	int excluded;
};

/* The agent's side: serve until the other end closes. The exit status. */
int agent_serve(int sock);

/**
 * agent_start - start one in the namespace @netns
 * @prefix: words of a shell command that runs another, or ""
 * @lockfile: for iptables
 *
 * 0 or -errno, having said why.
 */
int agent_start(struct agent *a, int netns, const char *prefix, const char *lockfile);
void agent_stop(struct agent *a);

/* iptables-legacy-restore with @rules as input. Its exit status, or -errno; what it printed is
 * in @output. */
int agent_restore(struct agent *a, const char *rules, struct text *output);

/* iptables-legacy-save -c -t filter. */
int agent_save(struct agent *a, struct text *output);

/**
 * struct table_image - the filter table as the socket options show it
 * @entries: @info.size bytes
 */
struct table_image {
	struct ipt_getinfo info;
	uint8_t *entries;
};

/* IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES. 0 or -errno; free with table_image_free(). */
int agent_read(struct agent *a, struct table_image *image);
/* The same in this process, in the namespace @netns: what the kernel itself has. */
int table_image_read(struct table_image *image);
void table_image_free(struct table_image *image);

/* IPT_SO_SET_REPLACE with @image as the new table. 0 or -errno of the option. */
int agent_replace(struct agent *a, const struct table_image *image);

#endif /* DIFFERENTIAL_AGENT_H */
