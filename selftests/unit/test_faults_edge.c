// SPDX-License-Identifier: GPL-2.0
/*
 * The same for tables at the interfaces. A program of its own, which runs beside the other: each attempt waits
 * for the kernel, several times as long as there.
 */
#define AT_INTERFACES
#include "test_faults.c"
