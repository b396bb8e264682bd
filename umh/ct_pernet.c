// SPDX-License-Identifier: GPL-2.0
/* See ct_pernet.h. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ct_pernet.h"
#include "kernel.h"
#include "reader.h"

/* Namespaces have a pointer for each subsystem that wants one; conntrack has about twenty sysctls in front of its timeouts. */
#define MAX_POINTERS 256
#define MAX_SYSCTLS  32

static bool has_name(const struct bf_kernel *k, const struct bf_reader *r, uint64_t entry,
		     const char *name)
{
	uint64_t at = bf_reader_at(r, entry + k->ctl_name);
	char text[24] = "";
	unsigned int i;

	for (i = 0; at && i < sizeof(text) / 8; i++) {
		uint64_t part = bf_reader_at(r, at + 8 * i);

		memcpy(text + 8 * i, &part, 8);
	}
	return !strncmp(text, name, sizeof(text));
}

/* Is it, and where are the sysctls in its table? */
static bool is_it(const struct bf_kernel *k, const struct bf_reader *r, uint64_t cnet,
		  uint32_t *max, uint32_t *count)
{
	uint64_t header = bf_reader_at(r, cnet + k->cnet_sysctl);
	uint64_t table = header ? bf_reader_at(r, header + k->header_table) : 0;
	bool has_max = false;
	unsigned int i;

	for (i = 0; table && i < MAX_SYSCTLS; i++) {
		uint32_t data = i * k->ctl_size + k->ctl_data;

		if (has_name(k, r, table + i * k->ctl_size, "nf_conntrack_max")) {
			*max = data;
			has_max = true;
		} else if (bf_reader_at(r, table + data) == cnet + k->cnet_count) {
			*count = data;
			return has_max &&
			       has_name(k, r, table + i * k->ctl_size, "nf_conntrack_count");
		}
	}
	return false;
}

void bf_ct_pernet_find(struct bf_kernel *kernel, const struct bf_reader *r)
{
	uint64_t net, gen, cnet;
	uint32_t i, n;

	if (!kernel->has_tracked)
		return;
	net = bf_reader_net(r);
	gen = net ? bf_reader_at(r, net + kernel->net_gen) : 0;
	n = gen ? bf_reader_at(r, gen + kernel->gen_len) : 0;
	for (i = 0; i < n && i < MAX_POINTERS && !kernel->has_ct_pernet; i++) {
		kernel->ct_net = kernel->gen_ptr + 8 * i;
		cnet = bf_reader_at(r, gen + kernel->ct_net);
		kernel->has_ct_pernet =
			cnet && is_it(kernel, r, cnet, &kernel->ct_at_max, &kernel->ct_at_count);
	}
}
