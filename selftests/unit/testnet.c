// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "testnet.h"

/* A test's process ends by _exit(2), which would lose what it printed. */
__attribute__((constructor)) static void line_buffered(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

static int own_netns(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

int testnet_enter(int fd)
{
	return setns(fd, CLONE_NEWNET);
}

int testnet_new(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		return -1;
	fd = own_netns();
	if (fd >= 0 && testnet_sh(fd, "ip link set lo up")) {
		close(fd);
		return -1;
	}
	return fd;
}

void testnet_or_skip(void)
{
	int old = own_netns(), fd = testnet_new();

	if (fd < 0 || setns(old, CLONE_NEWNET)) {
		printf("TAP version 13\n1..0 # SKIP cannot make network namespaces\n");
		exit(4);
	}
	close(fd);
	close(old);
}

ino_t testnet_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* The child is forked here, not by popen(3): the caller may be one of several threads. */
static int run(int fd, char *out, size_t size, const char *cmd)
{
	int pipefd[2] = {-1, -1}, status = -1;
	size_t have = 0;
	ssize_t n;
	pid_t pid;

	if (out && pipe2(pipefd, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		if (out)
			dup2(pipefd[1], STDOUT_FILENO);
		if (setns(fd, CLONE_NEWNET))
			_exit(126);
		execl("/bin/sh", "sh", "-c", cmd, NULL);
		_exit(127);
	}
	if (out) {
		close(pipefd[1]);
		while (have < size - 1 && (n = read(pipefd[0], out + have, size - 1 - have)) > 0)
			have += n;
		out[have] = '\0';
		close(pipefd[0]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int testnet_sh(int fd, const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return len < (int)sizeof(cmd) ? run(fd, NULL, 0, cmd) : -1;
}

int testnet_read(int fd, char *out, size_t size, const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return len < (int)sizeof(cmd) ? run(fd, out, size, cmd) : -1;
}

int testnet_line_make(struct testnet_line *net)
{
	int old = own_netns(), pid = getpid(), err;

	net->a = testnet_new();
	net->b = testnet_new();
	net->r = testnet_new();
	if (setns(old, CLONE_NEWNET) || net->a < 0 || net->b < 0 || net->r < 0)
		return -1;
	close(old);
	err = testnet_sh(net->r,
			 "set -e; "
			 "ip link add ra type veth peer name a0 netns /proc/%d/fd/%d; "
			 "ip link add rb type veth peer name b0 netns /proc/%d/fd/%d; "
			 "ip addr add 10.77.1.1/24 dev ra; ip addr add 10.77.2.1/24 dev rb; "
			 "ip link set ra up; ip link set rb up; "
			 "echo 1 >/proc/sys/net/ipv4/ip_forward",
			 pid, net->a, pid, net->b);
	if (!err)
		err = testnet_sh(net->a, "set -e; ip addr add 10.77.1.2/24 dev a0; "
					 "ip link set a0 up; ip route add default via 10.77.1.1");
	if (!err)
		err = testnet_sh(net->b, "set -e; ip addr add 10.77.2.2/24 dev b0; "
					 "ip link set b0 up; ip route add default via 10.77.2.1");
	return err ? -1 : 0;
}

double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void print_percentiles(const char *what, double *us, unsigned int n)
{
	if (!n)
		return;
	qsort(us, n, sizeof(*us), compare);
	printf("# %s: p50 %.0f us, p99 %.0f us, max %.0f us (%u times)\n", what, us[n / 2],
	       us[n * 99 / 100], us[n - 1], n);
}
