/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet-time condition as the match makes it, its code in the interpreter.
 */
#ifndef COND_H
#define COND_H

#include "bpf_vm.h"
#include "entry.h"

struct cond {
	struct bf_cond cond;
	struct bf_asm a;
	struct bpf_vm vm;
	uint8_t frame[BF_FRAME_SIZE] __attribute__((aligned(8)));
};

/* The first condition of a rule with this match; false if there is none or it has no code. */
static inline bool cond_make(struct cond *c, const struct bf_kernel *kernel, const char *name,
			     uint8_t revision, const void *data, size_t size)
{
	struct bf_rule r = {};
	struct entry t;
	bool made = false;

	memset(c, 0, sizeof(*c));
	bf_asm_init(&c->a, kernel);
	c->vm.a = &c->a;
	entry_init(&t);
	entry_add(&t, name, revision, data, size);
	bf_compile_rule(&r, &t.e);
	if (!r.error && r.nr_conds) {
		c->cond = r.conds[0];
		c->cond.type->emit(&c->a);
		made = !bf_asm_finish(&c->a);
	}
	bf_rule_free(&r);
	return made;
}

static inline void cond_free(struct cond *c)
{
	bf_asm_free(&c->a);
}

static inline uint64_t cond_run(struct cond *c)
{
	return bpf_vm_call(&c->vm, 0, (uintptr_t)c->cond.state, (uintptr_t)c->frame);
}

static inline void frame_set(struct cond *c, unsigned int off, uint32_t value)
{
	memcpy(c->frame + off, &value, sizeof(value));
}

#endif /* COND_H */
