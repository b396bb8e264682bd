/* SPDX-License-Identifier: GPL-2.0 */
/* The time since some moment in the past, which nobody sets. */
#ifndef BPFILTER_CLOCK_H
#define BPFILTER_CLOCK_H

#include <stdint.h>
#include <time.h>

/* In nanoseconds. */
static inline uint64_t bf_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* In milliseconds. */
static inline uint64_t bf_now_ms(void)
{
	return bf_now_ns() / 1000000;
}

/*
 * The kernel's jiffies now, give or take a few: jiffies_64 begins with the low 32 bits of -300 seconds and goes by the same
 * clock. @hz: ticks a second (CONFIG_HZ).
 */
static inline uint64_t bf_jiffies_about(unsigned int hz)
{
	return (uint32_t)(-300 * (int)hz) + bf_now_ns() / (1000000000 / hz);
}

#endif /* BPFILTER_CLOCK_H */
