/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An interpreter for what codegen/ emits, so that a test decides what time it is, what other
 * CPUs do, and what lies in the kernel's memory.
 */
#ifndef BPF_VM_H
#define BPF_VM_H

/* Before the kernel's headers, which then leave out what these have. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "asm.h"
#include "program.h"

/**
 * struct bpf_vm - a program and its world
 * @packet: from the IP header; what bpf_dynptr_read(), bpf_dynptr_slice() and
 *	bpf_skb_load_bytes() see
 * @map_values: the elements of maps that have but one, by the map's number
 * @probed: bytes that bpf_probe_read_kernel() was asked for last
 * @jiffies: called for each bpf_jiffies64()
 * @random: called for each bpf_get_prandom_u32()
 * @before_cmpxchg: another CPU gets in; may be NULL
 * @steps: instructions run so far; running ends with BPF_VM_STUCK beyond some millions
 */
struct bpf_vm {
	const struct bf_asm *a;
	const uint8_t *packet;
	uint32_t packet_len;
	const void *map_values[BF_NR_MAPS];
	uint32_t probed;
	uint64_t (*jiffies)(void *arg);
	uint32_t (*random)(void *arg);
	void (*before_cmpxchg)(void *arg, const void *where);
	void *arg;
	uint64_t steps;
};

/* What no program returns: it did not end, or did what the interpreter does not know. */
#define BPF_VM_STUCK 0xbad0bad0bad0bad0ULL

/* The CPU that it runs on. */
#define BPF_VM_CPU 3

/* Run the function at instruction @pc; the value of r0 when it exits. */
uint64_t bpf_vm_call(struct bpf_vm *vm, uint32_t pc, uint64_t r1, uint64_t r2);

/* Ids of the kernel functions, for bf_kernel: any numbers do. */
#define BPF_VM_RDONLY_CAST  1001
#define BPF_VM_DYNPTR_SLICE 1002

#endif /* BPF_VM_H */
