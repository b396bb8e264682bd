/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An interface whose network card runs programs, where there is none: what is asked of the card by libbpf is asked of the
 * kernel instead. Its maps are ordinary ones, its program is an ordinary one for XDP, attached to another interface
 * that nothing arrives by, and frames are run through it here. So what is pinned, referred to and released is real. Only
 * for test programs that are linked with --wrap for the functions of CARD in the Makefile.
 */
#ifndef FAKE_CARD_H
#define FAKE_CARD_H

#include <stdbool.h>
#include <stdint.h>

/* What it can be asked for, and refuse. */
enum card_call { CARD_MAP, CARD_PROG, CARD_LINK, NR_CARD_CALLS };

/* Where a frame ends. */
enum card_end { CARD_DROPPED, DRIVER_DROPPED, UP };

/*
 * From now on the interface @nic has a card, which takes maps of @max elements. @shadow: the interface to use. There is one
 * at a time.
 */
void card_begin(int nic, int shadow, uint32_t max);
void card_end(void);

/* Calls of this kind fail with @err, a positive error number; 0: not any more. */
void card_refuse(enum card_call call, int err);

/* How often that has been asked for. */
unsigned int card_asked(enum card_call call);

/* It has gone, with what it had counted. */
void card_vanish(void);

bool card_has_program(void);

/* This many frames, as by card_frames(), come right after a program has got there, from now on. */
void card_hurry(int n);
/* How many have since the last time. */
int card_hurried(void);

/* @n UDP frames for the interface's address, in packets of TRAFFIC_BYTES bytes, which its card, driver and stack get. */
enum card_end card_frames(int n);

#endif /* FAKE_CARD_H */
