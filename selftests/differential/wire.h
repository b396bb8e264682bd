/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Putting packets into a world and taking them out.
 */
#ifndef DIFFERENTIAL_WIRE_H
#define DIFFERENTIAL_WIRE_H

/* The protocol of the frames that tell when the host has caught up: one for experiments. */
#define WIRE_MARKER 0x88b5

#endif /* DIFFERENTIAL_WIRE_H */
