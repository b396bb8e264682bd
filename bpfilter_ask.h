/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions: what only the kernel's own matches know of a packet, asked by the programs at the
 * module's hooks; and what only its own targets can do (uapi/bpfilter.h).
 *
 * The questions of a table are an object, which a descriptor of the helper's has a reference to,
 * and what runs at the hooks another one. Its matches belong to a network namespace, which neither
 * holds: they end with the last reference or with the namespace, whichever comes first.
 */
#ifndef BPFILTER_ASK_H
#define BPFILTER_ASK_H

#include <linux/types.h>

struct bf_questions;
struct bpfilter_packet;
struct bpfilter_questions;
struct net;
struct nf_hook_state;
struct sk_buff;

/*
 * Make them: a descriptor or -errno, of the match that refuses if arg->failed tells which. Waits
 * for modules to be loaded.
 */
int bf_questions_new(struct bpfilter_questions *arg);

/* A descriptor of questions that there are, to which the caller has a reference. */
int bf_questions_fd(struct bf_questions *q);

/* Those of a descriptor, with a reference, if they are of this namespace; ERR_PTR(). */
struct bf_questions *bf_questions_get(int fd, const struct net *net);

/* No packet asks them by this reference any more. NULL is ignored. May sleep. */
void bf_questions_put(struct bf_questions *q);

unsigned int bf_questions_nr(const struct bf_questions *q);

/*
 * Have question @k answered, as the packet's answer number @n in packet->known and packet->yes.
 * False: there is no such question, or no room for the answer. To be called with bottom halves off,
 * as ip_tables calls its matches.
 */
bool bf_questions_ask(const struct bf_questions *q, unsigned int k, unsigned int n,
		      const struct sk_buff *skb, const struct nf_hook_state *state,
		      struct bpfilter_packet *packet);

/*
 * Run target or match @k on the packet, whatever it says of it; nothing if there is no such one.
 * Likewise with bottom halves off.
 */
void bf_questions_run(const struct bf_questions *q, unsigned int k, struct sk_buff *skb,
		      const struct nf_hook_state *state, const struct bpfilter_packet *packet);

/* To be registered before whatever runs the questions of a namespace: it ends after that. */
int bf_questions_init(void);
void bf_questions_exit(void);

#endif /* BPFILTER_ASK_H */
