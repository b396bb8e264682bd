/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel module does for its programs, where there is no module: a struct bpfilter_packet in the
 * kernel's memory, and its address in the context of a test run.
 */
#ifndef TELLER_H
#define TELLER_H

#include "walk.h"

#include "load.h"

/**
 * struct teller - the packet that is told of
 * @packet: the kernel's memory, mapped into ours
 * @address: the same, seen from the kernel
 * @known, @yes: what the packet is told to know of questions
 */
struct teller {
	struct bpfilter_packet *packet;
	uint64_t address;
	uint32_t *notes; /* if not NULL, receives cb[2] to cb[4], which are 0 to begin with */
	uint32_t known[BPFILTER_QUESTIONS_MAX / 32], yes[BPFILTER_QUESTIONS_MAX / 32];
};

/* 0 or -errno. */
int teller_open(struct teller *t);
void teller_close(struct teller *t);

/**
 * teller_run - run a program for the module's hooks
 * @want: what the program wants to be told; everything else is filled with nonsense
 * @mark: receives the packet's mark afterwards
 * @repeat: how often
 * @ns: receives how long one run took on average; may be NULL
 *
 * What it returned, or -errno.
 */
int teller_run(const struct teller *t, int prog, uint32_t want, const struct packet *p,
	       uint32_t *mark, unsigned int repeat, uint32_t *ns);

#endif /* TELLER_H */
