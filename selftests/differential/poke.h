/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables that no iptables command makes, but that the socket option takes (or must refuse).
 */
#ifndef DIFFERENTIAL_POKE_H
#define DIFFERENTIAL_POKE_H

#include <stdint.h>

#include "agent.h"

/* Change a few things in a table, the same for the same @seed. */
void poke_table(struct table_image *image, uint64_t seed);

#endif /* DIFFERENTIAL_POKE_H */
