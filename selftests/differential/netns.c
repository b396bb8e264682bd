// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns.h"

#define OWN_NETNS "/proc/self/ns/net"

static int home_netns(void)
{
	return open(OWN_NETNS, O_RDONLY | O_CLOEXEC);
}

/* Not being able to come back would run everything that follows in the wrong place. */
static void go_home(int home)
{
	if (setns(home, CLONE_NEWNET)) {
		perror("setns");
		exit(1);
	}
	close(home);
}

int netns_new(void)
{
	int home = home_netns(), fd;

	if (home < 0)
		return -errno;
	if (unshare(CLONE_NEWNET)) {
		fd = -errno;
		close(home);
		return fd;
	}
	fd = home_netns();
	go_home(home);
	return fd;
}

int netns_call(int netns, int (*fn)(void *arg), void *arg)
{
	int home = home_netns(), ret;

	if (home < 0)
		return -errno;
	if (setns(netns, CLONE_NEWNET)) {
		ret = -errno;
		close(home);
		return ret;
	}
	ret = fn(arg);
	go_home(home);
	return ret;
}

pid_t netns_sitter(int netns)
{
	pid_t pid = fork();

	if (!pid) {
		if (setns(netns, CLONE_NEWNET))
			_exit(1);
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	/* Stopped means that it has arrived. */
	if (pid > 0)
		waitpid(pid, NULL, WUNTRACED);
	return pid;
}

void netns_sitter_end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int netns_run(int netns, char *const argv[], const char *input)
{
	int in = memfd_create("input", MFD_CLOEXEC), status = 0;
	pid_t pid;

	if (in < 0 || write(in, input, strlen(input)) < 0)
		return 126;
	lseek(in, 0, SEEK_SET);
	pid = fork();
	if (!pid) {
		if (setns(netns, CLONE_NEWNET) || dup2(in, 0) < 0)
			_exit(126);
		execvp(argv[0], argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(in);
	if (pid > 0)
		waitpid(pid, &status, 0);
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

static int write_setting(const char *path, const char *value)
{
	char full[256];
	int fd, err = 0;

	snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
	fd = open(full, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	if (err)
		fprintf(stderr, "%s: %s\n", full, strerror(-err));
	return err;
}

static int write_settings(void *settings)
{
	char *all = strdup(settings), *line, *save, path[128], value[64];
	int err = 0;

	for (line = strtok_r(all, "\n", &save); line && !err; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%127s %63s", path, value) == 2)
			err = write_setting(path, value);
	free(all);
	return err;
}

int netns_sysctl(int netns, const char *settings)
{
	return netns_call(netns, write_settings, (void *)settings);
}

struct socket_args {
	int domain, type, protocol;
};

static int make_socket(void *arg)
{
	const struct socket_args *a = arg;
	int fd = socket(a->domain, a->type | SOCK_CLOEXEC, a->protocol);

	return fd < 0 ? -errno : fd;
}

int netns_socket(int netns, int domain, int type, int protocol)
{
	struct socket_args a = {domain, type, protocol};

	return netns_call(netns, make_socket, &a);
}
