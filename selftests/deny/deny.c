// SPDX-License-Identifier: GPL-2.0
/*
 * deny CALL[:ARG]=ERRNO... -- COMMAND [ARG...]
 *
 * Runs COMMAND with some system calls failing, to see on a good kernel what happens on one
 * that lacks a feature. ARG is what the call's first argument must be, a number. For
 * instance, a kernel without bpf_link: deny bpf:28=EINVAL -- COMMAND
 *
 * One thing more can be denied: loading BPF programs of one type, as prog_type:TYPE=ERRNO. The type is
 * in memory, where a seccomp filter cannot look; so such calls are reported to this process.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RULES 16
#define LD(off)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off)

static const struct {
	const char *name;
	int nr;
} calls[] =
	{
		{"bpf", SYS_bpf},
		{"mount", SYS_mount},
		{"seccomp", SYS_seccomp},
		{"pidfd_getfd", SYS_pidfd_getfd},
		{"pidfd_open", SYS_pidfd_open},
		{"setns", SYS_setns},
		{"unshare", SYS_unshare},
},
  errors[] = {
	  {"EINVAL", EINVAL}, {"ENODEV", ENODEV}, {"ENOMEM", ENOMEM},
	  {"ENOSYS", ENOSYS}, {"EPERM", EPERM},
};

#define lookup(table, word, len) lookup_in(table, sizeof(table) / sizeof(table[0]), word, len)

static int lookup_in(const typeof(calls[0]) *table, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, word, len))
			return table[i].nr;
	fprintf(stderr, "deny: do not know \"%.*s\"\n", (int)len, word);
	exit(2);
}

/**
 * struct denial - what COMMAND lives under
 * @end: behind the last instruction
 * @type, @type_error: programs of this type cannot be loaded; no such rule if the error is 0
 */
struct denial {
	struct sock_filter filter[5 * MAX_RULES + 1];
	struct sock_filter *end;
	uint32_t type;
	int type_error;
};

/* Append: if it is this call (with this first argument, unless NULL), return @ret. */
static void add(struct denial *d, int nr, const char *arg, uint32_t ret)
{
	struct sock_filter *f = d->end;

	*f++ = (struct sock_filter)LD(offsetof(struct seccomp_data, nr));
	*f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, arg ? 3 : 1);
	if (arg) {
		*f++ = (struct sock_filter)LD(offsetof(struct seccomp_data, args[0]));
		*f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    strtoul(arg, NULL, 0), 0, 1);
	}
	*f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ret);
	d->end = f;
}

static void add_rule(struct denial *d, const char *rule)
{
	const char *eq = strchr(rule, '='), *colon = strchr(rule, ':');
	int err;

	if (!eq) {
		fprintf(stderr, "deny: \"%s\" is not CALL[:ARG]=ERRNO\n", rule);
		exit(2);
	}
	err = lookup(errors, eq + 1, strlen(eq + 1));
	if (!strncmp(rule, "prog_type:", strlen("prog_type:"))) {
		d->type = strtoul(colon + 1, NULL, 0);
		d->type_error = err;
		add(d, SYS_bpf, "5" /* BPF_PROG_LOAD */, SECCOMP_RET_USER_NOTIF);
		return;
	}
	add(d, lookup(calls, rule, (size_t)((colon ? colon : eq) - rule)), colon ? colon + 1 : NULL,
	    SECCOMP_RET_ERRNO | err);
}

/* Answer one report: union bpf_attr begins with the type. */
static void answer(const struct denial *d, int listener)
{
	struct seccomp_notif req = {};
	struct seccomp_notif_resp resp = {};
	uint32_t type = 0;
	struct iovec to = {&type, sizeof(type)}, from = {.iov_len = sizeof(type)};

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req))
		return;
	from.iov_base = (void *)(uintptr_t)req.data.args[1];
	resp.id = req.id;
	if (process_vm_readv((pid_t)req.pid, &to, 1, &from, 1, 0) == sizeof(type) &&
	    type == d->type)
		resp.error = -d->type_error;
	else
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* Become the one who answers; only the child returns, when there is somebody to answer it. */
static void watch(const struct denial *d, const struct sock_fprog *prog)
{
	int sk[2], listener, status;
	char byte = 0;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sk) || (child = fork()) < 0) {
		perror("deny");
		exit(2);
	}
	if (!child) {
		listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
					SECCOMP_FILTER_FLAG_NEW_LISTENER, prog);
		if (write(sk[1], &listener, sizeof(listener)) < 0 || read(sk[1], &byte, 1) != 1)
			exit(2);
		return;
	}
	if (read(sk[0], &listener, sizeof(listener)) != sizeof(listener))
		exit(2);
	listener = (int)syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, child, 0), listener, 0);
	if (listener < 0 || write(sk[0], &byte, 1) != 1) {
		perror("deny: no listener");
		exit(2);
	}
	while (waitpid(child, &status, WNOHANG) == 0) {
		struct pollfd p = {.fd = listener, .events = POLLIN};

		if (poll(&p, 1, 20) > 0 && (p.revents & POLLIN))
			answer(d, listener);
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	struct denial d = {.end = d.filter};
	struct sock_fprog prog = {.filter = d.filter};
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--"); i++) {
		if (i > MAX_RULES)
			return 2;
		add_rule(&d, argv[i]);
	}
	*d.end++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)(d.end - d.filter);
	if (i + 1 >= argc) {
		fprintf(stderr, "usage: deny CALL[:ARG]=ERRNO... -- COMMAND [ARG...]\n");
		return 2;
	}
	if (d.type_error) {
		watch(&d, &prog);
	} else if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		perror("deny: PR_SET_SECCOMP");
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}
