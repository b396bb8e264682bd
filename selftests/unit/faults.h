/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Let the n-th call of a kind fail, or be the process's last one. Only for test programs that are
 * linked with --wrap for the functions of faults.c (FAULTS in the Makefile), and only for calls
 * out of the project's own objects.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>

enum fault_kind {
	FAULT_MEMORY = 1, /* malloc(3) and the like */
	FAULT_CALL = 2,	  /* a system call or something of libbpf */
	FAULT_CHANGE = 4, /* those of them that change something in the kernel */
};

/* From now on: the @n-th call of these kinds (a mask) fails with ENOMEM, only that one. */
void faults_arm(unsigned int kinds, unsigned int n);
/* The process ends right before that call, by _exit(0). */
void faults_arm_death(unsigned int kinds, unsigned int n);
/* For wrappers that are elsewhere: does this call, of these kinds, fail? It may also be the last one. */
bool faults_hit(unsigned int kinds, const char *name);
/* What is called meanwhile is the test's own. */
void faults_pause(bool pause);
/* Stop; the name of the function that failed, or NULL if it did not come to that. */
const char *faults_disarm(void);

#endif /* FAULTS_H */
