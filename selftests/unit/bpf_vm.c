// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "bpf_vm.h"

#define MAX_STEPS 20000000

/* What the stack holds at first, so that nothing relies on zeroes. */
#define POISON 0xa5

struct frame {
	uint64_t r[11];
	uint8_t stack[512] __attribute__((aligned(8)));
};

static uint64_t load(const void *p, int size)
{
	uint64_t v = 0;

	/* An address that is not valid reads as 0, as in the kernel. */
	if ((uintptr_t)p < 4096)
		return 0;
	switch (size) {
	case BPF_B:
		return *(const uint8_t *)p;
	case BPF_H:
		memcpy(&v, p, 2);
		return v;
	case BPF_W:
		memcpy(&v, p, 4);
		return v;
	default:
		memcpy(&v, p, 8);
		return v;
	}
}

static void store(void *p, int size, uint64_t v)
{
	memcpy(p, &v, size == BPF_B ? 1 : size == BPF_H ? 2 : size == BPF_W ? 4 : 8);
}

static bool alu(uint64_t *dst, int op, uint64_t src, bool is64)
{
	uint64_t d = is64 ? *dst : (uint32_t)*dst, s = is64 ? src : (uint32_t)src;
	unsigned int shift = s & (is64 ? 63 : 31);

	switch (op) {
	case BPF_ADD:
		d += s;
		break;
	case BPF_SUB:
		d -= s;
		break;
	case BPF_MUL:
		d *= s;
		break;
	case BPF_DIV:
		d = s ? d / s : 0;
		break;
	case BPF_MOD:
		d = s ? d % s : d;
		break;
	case BPF_OR:
		d |= s;
		break;
	case BPF_AND:
		d &= s;
		break;
	case BPF_XOR:
		d ^= s;
		break;
	case BPF_LSH:
		d <<= shift;
		break;
	case BPF_RSH:
		d >>= shift;
		break;
	case BPF_ARSH:
		d = is64 ? (uint64_t)((int64_t)d >> shift) : (uint32_t)((int32_t)d >> shift);
		break;
	case BPF_MOV:
		d = s;
		break;
	default:
		return false;
	}
	*dst = is64 ? d : (uint32_t)d;
	return true;
}

/* 1, 0, or -1 for what is not known */
static int compare(int op, uint64_t d, uint64_t s, bool is64)
{
	int64_t sd = is64 ? (int64_t)d : (int32_t)d, ss = is64 ? (int64_t)s : (int32_t)s;

	if (!is64) {
		d = (uint32_t)d;
		s = (uint32_t)s;
	}
	switch (op) {
	case BPF_JA:
		return 1;
	case BPF_JEQ:
		return d == s;
	case BPF_JNE:
		return d != s;
	case BPF_JGT:
		return d > s;
	case BPF_JGE:
		return d >= s;
	case BPF_JLT:
		return d < s;
	case BPF_JLE:
		return d <= s;
	case BPF_JSLT:
		return sd < ss;
	case BPF_JSLE:
		return sd <= ss;
	default:
		return -1;
	}
}

static bool atomic(struct bpf_vm *vm, const struct bpf_insn *i, uint64_t *r)
{
	int size = BPF_SIZE(i->code);
	void *p = (char *)(uintptr_t)r[i->dst_reg] + i->off;
	uint64_t old;

	if (i->imm == BPF_CMPXCHG && vm->before_cmpxchg)
		vm->before_cmpxchg(vm->arg, p);
	old = load(p, size);
	switch (i->imm) {
	case BPF_ADD:
		store(p, size, old + r[i->src_reg]);
		return true;
	case BPF_ADD | BPF_FETCH:
		store(p, size, old + r[i->src_reg]);
		r[i->src_reg] = old;
		return true;
	case BPF_XCHG:
		store(p, size, r[i->src_reg]);
		r[i->src_reg] = old;
		return true;
	case BPF_CMPXCHG:
		if (old == (size == BPF_W ? (uint32_t)r[0] : r[0]))
			store(p, size, r[i->src_reg]);
		r[0] = old;
		return true;
	default:
		return false;
	}
}

static bool in_packet(const struct bpf_vm *vm, uint64_t off, uint64_t len)
{
	return off <= vm->packet_len && len <= vm->packet_len - off;
}

static uint64_t helper(struct bpf_vm *vm, int id, const uint64_t *r)
{
	uint64_t n, ret = 0;

	switch (id) {
	case BPF_FUNC_jiffies64:
		return vm->jiffies(vm->arg);
	case BPF_FUNC_dynptr_read: /* dst, len, dynptr, offset, flags */
		if (!in_packet(vm, r[4], r[2]))
			return -7;
		memcpy((void *)r[1], vm->packet + r[4], r[2]);
		return 0;
	case BPF_FUNC_skb_load_bytes: /* skb, offset, dst, len */
		if (!in_packet(vm, r[2], r[4]))
			return -14;
		memcpy((void *)r[3], vm->packet + r[2], r[4]);
		return 0;
	case BPF_FUNC_probe_read_kernel: /* dst, size, address */
		vm->probed = r[2];
		if (r[3] < 4096) {
			memset((void *)r[1], 0, r[2]);
			return -14;
		}
		memcpy((void *)r[1], (void *)r[3], r[2]);
		return 0;
	case BPF_FUNC_get_prandom_u32:
		return vm->random(vm->arg);
	case BPF_FUNC_get_smp_processor_id:
		return BPF_VM_CPU;
	case BPF_FUNC_loop: /* times, function, context, flags */
		for (n = 0; n < r[1] && !ret; n++)
			ret = bpf_vm_call(vm, r[2], n, r[3]);
		return ret == BPF_VM_STUCK ? ret : n;
	default:
		return BPF_VM_STUCK;
	}
}

static uint64_t kfunc(struct bpf_vm *vm, int id, const uint64_t *r)
{
	switch (id) {
	case BPF_VM_RDONLY_CAST:
		return r[1];
	case BPF_VM_DYNPTR_SLICE: /* dynptr, offset, buffer, size */
		return in_packet(vm, r[2], r[4]) ? (uintptr_t)vm->packet + r[2] : 0;
	default:
		return BPF_VM_STUCK;
	}
}

static bool call(struct bpf_vm *vm, const struct bpf_insn *i, uint32_t pc, uint64_t *r)
{
	int n;

	if (i->src_reg == BPF_PSEUDO_CALL)
		r[0] = bpf_vm_call(vm, pc + 1 + i->imm, r[1], r[2]);
	else if (i->src_reg == BPF_PSEUDO_KFUNC_CALL)
		r[0] = kfunc(vm, i->imm, r);
	else
		r[0] = helper(vm, i->imm, r);
	for (n = 1; n <= 5; n++)
		r[n] = BPF_VM_STUCK + n;
	return r[0] != BPF_VM_STUCK;
}

/* One instruction; moves *pc. False if it is not known. */
static bool step(struct bpf_vm *vm, uint32_t *pc, uint64_t *r)
{
	const struct bpf_insn *i = &vm->a->insns[*pc];
	uint64_t *dst = &r[i->dst_reg];
	uint64_t src = BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)(int64_t)i->imm;
	int class = BPF_CLASS(i->code), size = BPF_SIZE(i->code), taken;
	char *d = (char *)(uintptr_t)*dst + i->off;

	(*pc)++;
	switch (class) {
	case BPF_ALU:
	case BPF_ALU64:
		return alu(dst, BPF_OP(i->code), src, class == BPF_ALU64);
	case BPF_LDX:
		*dst = load((char *)(uintptr_t)r[i->src_reg] + i->off, size);
		return true;
	case BPF_STX:
		if (BPF_MODE(i->code) == BPF_ATOMIC)
			return atomic(vm, i, r);
		store(d, size, r[i->src_reg]);
		return true;
	case BPF_ST:
		store(d, size, (int64_t)i->imm);
		return true;
	case BPF_LD:
		if (i->src_reg == BPF_PSEUDO_MAP_VALUE)
			*dst = (uintptr_t)vm->map_values[i->imm];
		else
			*dst = i->src_reg == BPF_PSEUDO_FUNC
				       ? (uint64_t)(*pc + i->imm)
				       : (uint32_t)i->imm | (uint64_t)(uint32_t)i[1].imm << 32;
		(*pc)++;
		return true;
	default:
		if (i->code == (BPF_JMP | BPF_CALL))
			return call(vm, i, *pc - 1, r);
		taken = compare(BPF_OP(i->code), *dst, src, class == BPF_JMP);
		if (taken > 0)
			*pc += i->off;
		return taken >= 0;
	}
}

uint64_t bpf_vm_call(struct bpf_vm *vm, uint32_t pc, uint64_t r1, uint64_t r2)
{
	struct frame f = {.r = {[1] = r1, [2] = r2}};

	memset(f.stack, POISON, sizeof(f.stack));
	f.r[10] = (uintptr_t)f.stack + sizeof(f.stack);
	while (vm->a->insns[pc].code != (BPF_JMP | BPF_EXIT)) {
		if (vm->steps++ > MAX_STEPS || !step(vm, &pc, f.r))
			return BPF_VM_STUCK;
	}
	return f.r[0];
}
