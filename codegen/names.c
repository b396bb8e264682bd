// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "program.h"

/* So few names are predicates. */
#define MIN_NAMES 3

/* A name is in the slot that its hash says, or in one of the next. */
#define PROBES 4

/* Tries of a seed before the table is made larger. */
#define TRIES 64

/* Slots for each name, at least. */
#define SPARE 3

static uint64_t hash(const struct bf_name *name, uint64_t seed)
{
	/* What bf_emit_name() computes. */
	return (name->word[0] + (name->word[1] ^ seed)) * (seed | 1);
}

static bool same_name(const struct bf_name *x, const struct bf_name *y)
{
	return x->word[0] == y->word[0] && x->word[1] == y->word[1];
}

static uint32_t *index_slot(const struct bf_names *n, const struct bf_name *name)
{
	uint32_t i = hash(name, 0x9e3779b97f4a7c15ULL) >> 32 & (n->nr_index - 1);

	while (n->index[i] && !same_name(&n->all[n->index[i] - 1], name))
		i = (i + 1) & (n->nr_index - 1);
	return &n->index[i];
}

static int grow(struct bf_names *n)
{
	uint32_t more = n->max ? 2 * n->max : 32, i;
	struct bf_name *all = reallocarray(n->all, more, sizeof(*all));

	if (!all)
		return -ENOMEM;
	n->all = all;
	free(n->index);
	n->index = calloc(2 * (size_t)more, sizeof(*n->index));
	if (!n->index)
		return -ENOMEM;
	n->max = more;
	n->nr_index = 2 * more;
	for (i = 0; i < n->nr; i++)
		*index_slot(n, &n->all[i]) = i + 1;
	return 0;
}

int bf_names_add(struct bf_names *n, const struct bf_name *name)
{
	int err = 0;

	if (n->nr && same_name(&n->all[n->last], name))
		return 0;
	if (n->nr == n->max)
		err = grow(n);
	if (err)
		return err;
	n->last = *index_slot(n, name) - 1;
	if (n->last != UINT32_MAX)
		return 0;
	n->last = n->nr;
	n->all[n->nr++] = *name;
	*index_slot(n, name) = n->nr;
	return 0;
}

/* The next number with as many bits set (Gosper's hack). */
static uint32_t next_code(uint32_t code)
{
	uint32_t low = code & -code, ripple = code + low;

	return ripple | ((code ^ ripple) >> 2) / low;
}

/* How many numbers of so many bits have half of them set. */
static uint32_t codes_of(unsigned int bits)
{
	uint64_t n = 1;
	unsigned int i;

	for (i = 1; i <= bits / 2; i++)
		n = n * (bits - bits / 2 + i) / i;
	return n;
}

/* Where the table has a name, or could have it; UINT32_MAX if its places are taken. */
static uint32_t find_slot(const struct bf_names *n, const uint64_t *slots,
			  const struct bf_name *name)
{
	uint32_t at = hash(name, n->seed) >> (64 - __builtin_ctz(n->slots)), i;

	for (i = 0; i < PROBES; i++, at++)
		if (!slots[3 * at + 2])
			return at;
	return UINT32_MAX;
}

static bool try_seed(const struct bf_names *n, uint64_t *slots)
{
	uint32_t i;

	memset(slots, 0, 3 * sizeof(*slots) * (n->slots + PROBES - 1));
	for (i = 0; i < n->nr; i++) {
		uint32_t at = find_slot(n, slots, &n->all[i]);

		if (at == UINT32_MAX)
			return false;
		slots[3 * at] = n->all[i].word[0];
		slots[3 * at + 1] = n->all[i].word[1];
		slots[3 * at + 2] = n->codes[i];
	}
	return true;
}

/* Find a size and a seed with which each name has a place. */
static int find_seed(struct bf_names *n)
{
	uint64_t *slots;
	unsigned int i;

	for (n->slots = 32; n->slots < SPARE * n->nr; n->slots *= 2)
		;
	for (;; n->slots *= 2) {
		slots = reallocarray(NULL, 3 * (n->slots + PROBES - 1), sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		n->seed = 0x9e3779b97f4a7c15ULL;
		for (i = 0; i < TRIES; i++, n->seed = n->seed * 0xd1342543de82ef95ULL + 1) {
			if (try_seed(n, slots)) {
				free(slots);
				return 0;
			}
		}
		free(slots);
	}
}

int bf_names_finish(struct bf_names *n)
{
	unsigned int bits = 4;
	uint32_t code, i;

	while (bits <= BF_NAME_BITS && codes_of(bits) < n->nr)
		bits++;
	if (n->nr < MIN_NAMES || bits > BF_NAME_BITS)
		return 0;
	n->codes = calloc(n->nr, sizeof(*n->codes));
	if (!n->codes)
		return -ENOMEM;
	code = (1U << bits / 2) - 1;
	for (i = 0; i < n->nr; i++, code = next_code(code))
		n->codes[i] = code;
	n->bits = bits;
	return find_seed(n);
}

void bf_names_free(struct bf_names *n)
{
	free(n->all);
	free(n->index);
	free(n->codes);
	memset(n, 0, sizeof(*n));
}

uint32_t bf_names_code(const struct bf_names *n, const struct bf_name *name)
{
	return n->codes[*index_slot(n, name) - 1];
}

void bf_names_fill(const struct bf_names *n, uint64_t *words)
{
	words[0] = n->seed;
	try_seed(n, words + 1);
}

/* Of a word of a name, the bytes up to and with the last one, or -1 if they are not those. */
static int bytes_of(uint32_t mask)
{
	return mask == 0xff	    ? 1
	       : mask == 0xffff	    ? 2
	       : mask == 0xffffff   ? 3
	       : mask == 0xffffffff ? 4
				    : -1;
}

/* Is one of the first @n bytes of a word of a name 0? */
static bool has_nul(uint32_t word, int n)
{
	for (; n > 0; n--, word >>= 8)
		if (!(word & 0xff))
			return true;
	return false;
}

uint32_t bf_name_of(const struct bf_op *ops, uint32_t n, struct bf_name *name)
{
	enum bf_field field = n ? ops[0].field : BF_NR_FIELDS;
	uint32_t words[4] = {}, i;
	bool ends = false;

	if (field != BF_IIF && field != BF_OIF)
		return 0;
	for (i = 0; i < n && i < 4 && !ends; i++) {
		const struct bf_op *op = &ops[i];
		int bytes = bytes_of(op->a);

		if (op->code != BF_OP_EQ || op->invert || op->to != BF_TO_NEXT ||
		    op->field != field + i || bytes < 0)
			return 0;
		words[i] = op->b;
		if (has_nul(op->b, bytes - 1))
			return 0; /* it asks for what lies behind the NUL as well */
		ends = !(op->b >> 8 * (bytes - 1)); /* it has the NUL */
		if (!ends && bytes < 4)
			return 0;
	}
	memcpy(name->word, words, sizeof(words));
	return ends ? i : 0;
}

uint32_t bf_other_name_of(const struct bf_op *ops, uint32_t first, uint32_t n, struct bf_name *name)
{
	struct bf_op plain[4];
	uint32_t nr = 0, i;

	/* Up to the inverted one, which is the last; the others lead behind it. */
	while (nr < 4 && first + nr < n && !ops[first + nr].invert)
		nr++;
	if (nr == 4 || first + nr == n)
		return 0;
	nr++;
	for (i = 0; i < nr; i++) {
		plain[i] = ops[first + i];
		if (i < nr - 1 ? plain[i].to != (int32_t)(first + nr) : plain[i].to != BF_TO_NEXT)
			return 0;
		plain[i].invert = false;
		plain[i].to = BF_TO_NEXT;
	}
	return bf_name_of(plain, nr, name) == nr ? nr : 0;
}

/*
 * r4 and r5 without what lies behind their first NUL: the kernel does not clear that where a new
 * name is shorter than the old one. The lowest bit that is left of ~w & (w - 0x01...01) & 0x80...80
 * is in the first byte that is 0.
 */
static void emit_pad(struct bf_asm *a)
{
	static const int regs[] = {BPF_REG_4, BPF_REG_5};
	int i;

	for (i = 0; i < 2; i++) {
		bf_ld_imm64(a, BPF_REG_3, 0x0101010101010101ULL);
		bf_mov(a, BPF_REG_1, regs[i]);
		bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_3);
		bf_mov(a, BPF_REG_2, regs[i]);
		bf_alui(a, BPF_XOR, BPF_REG_2, -1);
		bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
		bf_ld_imm64(a, BPF_REG_3, 0x8080808080808080ULL);
		bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_3);
		/* the bits up to there */
		bf_mov(a, BPF_REG_2, BPF_REG_1);
		bf_alui(a, BPF_SUB, BPF_REG_2, 1);
		bf_mov(a, BPF_REG_3, BPF_REG_2);
		bf_alu(a, BPF_XOR, BPF_REG_3, BPF_REG_1);
		bf_alu(a, BPF_AND, regs[i], BPF_REG_3);
		if (i)
			break;
		/* and nothing of the second word, unless there is no NUL in the first */
		bf_alui(a, BPF_XOR, BPF_REG_1, -1);
		bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
		bf_alui(a, BPF_ARSH, BPF_REG_1, 63);
		bf_alu(a, BPF_AND, BPF_REG_5, BPF_REG_1);
	}
}

/*
 *	slot = &table[(name[0] + (name[1] ^ seed)) * (seed | 1) >> shift];
 *	for (i = 0; i < PROBES; i++)
 *		if (slot[i].name == name)
 *			return slot[i].code;
 *	return 0;
 *
 * r1 is the slot, r4 and r5 the name.
 */
void bf_emit_name(struct bf_asm *a, const struct bf_names *n, enum bf_field field, uint32_t word)
{
	int found = bf_asm_label(a), at = 8, i;

	bf_ldx(a, BPF_DW, BPF_REG_4, BPF_REG_6, BF_FRAME_KEY + 4 * field);
	bf_ldx(a, BPF_DW, BPF_REG_5, BPF_REG_6, BF_FRAME_KEY + 4 * field + 8);
	emit_pad(a);
	bf_map_value(a, BPF_REG_3, BF_MAP_WORDS);
	bf_alui(a, BPF_ADD, BPF_REG_3, 8 * word);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_3, 0);
	bf_mov(a, BPF_REG_1, BPF_REG_5);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_4);
	bf_alui(a, BPF_OR, BPF_REG_2, 1);
	bf_alu(a, BPF_MUL, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_RSH, BPF_REG_1, 64 - __builtin_ctz(n->slots));
	bf_alui(a, BPF_MUL, BPF_REG_1, 24);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_3);
	for (i = 0; i < PROBES; i++, at += 24) {
		int other = bf_asm_label(a);

		bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_1, at);
		bf_jif(a, BPF_JNE, BPF_REG_2, BPF_REG_4, other);
		bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_1, at + 8);
		bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_1, at + 16);
		bf_jif(a, BPF_JEQ, BPF_REG_3, BPF_REG_5, found);
		bf_asm_here(a, other);
	}
	/* The last slot's code, shifted out, is a 0 of which the verifier knows nothing. */
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_1, at - 8);
	bf_alui(a, BPF_RSH, BPF_REG_2, 32);
	bf_asm_here(a, found);
}
