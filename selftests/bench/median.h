/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_MEDIAN_H
#define BENCH_MEDIAN_H

#include <stdlib.h>

static inline int median_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of @n values, which are sorted. */
static inline double median(double *x, unsigned int n)
{
	qsort(x, n, sizeof(*x), median_compare);
	return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

#endif /* BENCH_MEDIAN_H */
