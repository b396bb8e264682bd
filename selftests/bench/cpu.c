// SPDX-License-Identifier: GPL-2.0
#include "cpu.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int open_ksoftirqd(unsigned int nr)
{
	char name[64], comm[32];
	int pid, fd;
	ssize_t n;

	snprintf(name, sizeof(name), "ksoftirqd/%u\n", nr);
	for (pid = 1; pid < 4096; pid++) {
		char file[32];

		snprintf(file, sizeof(file), "/proc/%d/comm", pid);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, comm, sizeof(comm) - 1);
		close(fd);
		comm[n < 0 ? 0 : n] = '\0';
		if (strcmp(comm, name))
			continue;
		snprintf(file, sizeof(file), "/proc/%d/schedstat", pid);
		return open(file, O_RDONLY | O_CLOEXEC);
	}
	return -1;
}

void cpu_take(struct cpu *cpu)
{
	unsigned int nr = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(nr, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	cpu->schedstat = open_ksoftirqd(nr);
}

double cpu_ns(const struct cpu *cpu)
{
	char buf[64] = "";
	struct timespec t;

	if (cpu->schedstat >= 0 && pread(cpu->schedstat, buf, sizeof(buf) - 1, 0) < 0)
		*buf = '\0';
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec + strtod(buf, NULL);
}
