/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The time of one CPU: that of this thread, which stays there, and of the kernel's thread that runs what
 * interrupts leave to be done there.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

/**
 * struct cpu - one
 * @schedstat: of its ksoftirqd; -1 where that is not to be seen, as in a container: its time is missing then
 */
struct cpu {
	int schedstat;
};

/* The calling thread goes to the last CPU. */
void cpu_take(struct cpu *cpu);

/* Nanoseconds that both have run. */
double cpu_ns(const struct cpu *cpu);

#endif /* BENCH_CPU_H */
