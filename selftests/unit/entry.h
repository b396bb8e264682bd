/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rules as bytes, built by hand, and keys to try them on: for the tests of the matches.
 */
#ifndef ENTRY_H
#define ENTRY_H

/* Before the kernel's headers, which then leave out what these have. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "table.h"

/* A rule that grows: matches are appended, the target is not looked at. @kernel: as in struct bf_rule */
struct entry {
	union {
		struct ipt_entry e;
		uint64_t space[640]; /* some matches have kilobytes */
	};
	const struct bf_kernel *kernel;
};

static inline void entry_init(struct entry *t)
{
	memset(t, 0, sizeof(*t));
	t->e.target_offset = sizeof(t->e);
}

static inline void entry_add(struct entry *t, const char *name, uint8_t revision, const void *data,
			     size_t size)
{
	struct xt_entry_match *m = (void *)((char *)t + t->e.target_offset);

	strcpy(m->u.user.name, name);
	m->u.user.revision = revision;
	m->u.match_size = XT_ALIGN(sizeof(*m) + size);
	memcpy(m->data, data, size);
	t->e.target_offset += m->u.match_size;
}

/* What every condition answers, and how often one was asked. */
struct answer {
	int value;
	unsigned int asked;
};

static inline int entry_answer(void *arg, const struct bf_cond *cond)
{
	struct answer *answer = arg;

	answer->asked++;
	return answer->value;
}

/* The result of the rule for a key; -1 if it cannot be compiled. */
static inline int entry_eval(const struct entry *t, const uint32_t *key, struct answer *answer)
{
	struct bf_rule r = {.kernel = t->kernel};
	int result;

	bf_compile_rule(&r, &t->e);
	result = r.error ? -1 : (int)bf_rule_eval(&r, key, entry_answer, answer);
	bf_rule_free(&r);
	return result;
}

/* What the match's check says of @data; hooks is a mask. */
static inline int entry_check(const struct entry *t, const char *name, uint8_t revision,
			      const void *data, unsigned int hooks)
{
	const struct bf_match *m = bf_match_find(name, revision);
	struct bf_why why = {};
	int err = bf_match_check(m, &t->e, data, hooks, &why);

	/* What is refused is explained. */
	return err && !*why.text ? -999 : err;
}

/* The rule with one match and nothing else, for this key. */
static inline int match_eval(const char *name, uint8_t revision, const void *data, size_t size,
			     const uint32_t *key)
{
	struct answer answer = {};
	struct entry t;

	entry_init(&t);
	entry_add(&t, name, revision, data, size);
	return entry_eval(&t, key, &answer);
}

#endif /* ENTRY_H */
