// SPDX-License-Identifier: GPL-2.0
/*
 * The child makes itself root of new namespaces, in which it may install the filter of "bpfilter run",
 * sends the listener to its parent, and becomes the command. The parent answers until that has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aside.h"
#include "env.h"
#include "run.h"
#include "seccomp.h"
#include "sockopt.h"

/* Where the child has what iptables locks: a file of its own, not /run/xtables.lock. */
#define LOCK_FD 9

/* Where the child failed, for a message. */
enum stage { STAGE_NONE, STAGE_NAMESPACE, STAGE_MAP, STAGE_FILTER, STAGE_EXEC };

struct report {
	enum stage stage;
	int err;
};

/* --- the child ----------------------------------------------------------------------------- */

static void send_report(int sk, enum stage stage, int err, int fd)
{
	struct report report = {stage, err};
	struct iovec iov = {&report, sizeof(report)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(sk, &msg, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Root of new namespaces; where root may make no user namespace, a network namespace has to do. */
static void enter_namespaces(int sk)
{
	unsigned int uid = geteuid(), gid = getegid();
	char map[32];
	int err;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		err = -errno;
		if (uid || unshare(CLONE_NEWNET)) {
			send_report(sk, STAGE_NAMESPACE, err, -1);
			_exit(1);
		}
		return;
	}
	snprintf(map, sizeof(map), "0 %u 1", uid);
	err = write_file("/proc/self/setgroups", "deny") ?: write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", gid);
	err = err ?: write_file("/proc/self/gid_map", map);
	if (err) {
		send_report(sk, STAGE_MAP, err, -1);
		_exit(1);
	}
}

static void become_command(int sk, const char *path, char *const *argv, int input, int out, int err)
{
	char lock[32];
	int lock_file, listener;

	enter_namespaces(sk);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The numbers below may be in use for one of these. */
	input = fcntl(input, F_DUPFD_CLOEXEC, LOCK_FD + 1);
	out = fcntl(out, F_DUPFD_CLOEXEC, LOCK_FD + 1);
	err = fcntl(err, F_DUPFD_CLOEXEC, LOCK_FD + 1);
	sk = fcntl(sk, F_DUPFD_CLOEXEC, LOCK_FD + 1);
	lock_file = memfd_create("lock", 0);
	dup2(lock_file, LOCK_FD);
	dup2(input, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	snprintf(lock, sizeof(lock), "/proc/self/fd/%d", LOCK_FD);
	setenv("XTABLES_LOCKFILE", lock, 1);
	setenv("LC_ALL", "C", 1);
	listener = bf_seccomp_install();
	send_report(sk, listener < 0 ? STAGE_FILTER : STAGE_NONE, listener < 0 ? listener : 0,
		    listener);
	if (listener < 0)
		_exit(1);
	close(listener);
	execv(path, argv);
	send_report(sk, STAGE_EXEC, -errno, -1);
	_exit(1);
}

/* --- the parent ---------------------------------------------------------------------------- */

struct served {
	struct bf_memory *m;
	int listener;
	const struct seccomp_notif *notif;
};

static bool still_valid(const struct served *s)
{
	return !ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &s->notif->id);
}

static int read_caller(const struct served *s, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {buf, len}, remote = {(void *)(uintptr_t)addr, len};
	ssize_t n = process_vm_readv(s->notif->pid, &local, 1, &remote, 1, 0);

	return n == (ssize_t)len && still_valid(s) ? 0 : -EFAULT;
}

static int write_caller(const struct served *s, uint64_t addr, const void *buf, size_t len)
{
	struct iovec local = {(void *)buf, len}, remote = {(void *)(uintptr_t)addr, len};

	if (!len)
		return 0;
	if (!still_valid(s))
		return -EFAULT;
	return process_vm_writev(s->notif->pid, &local, 1, &remote, 1, 0) == (ssize_t)len ? 0
											  : -EFAULT;
}

static int write_reply(const struct served *s, const struct bf_sockopt_call *call,
		       const union bf_sockopt_head *head, const void *data, size_t len)
{
	int optlen = len;

	if (call->get)
		return write_caller(s, call->optval, data, len)
			       ?: write_caller(s, call->optlen, &optlen, sizeof(optlen));
	/* The kernel, too, does not fail for counters that it cannot store. */
	write_caller(s, (uintptr_t)head->replace.counters, data, len);
	return 0;
}

/* @payload receives all that the option reads, malloc'd. Its length or -errno. */
static ssize_t read_payload(const struct served *s, const struct bf_sockopt_call *call, uint32_t op,
			    union bf_sockopt_head *head, void **payload)
{
	int optlen = call->optlen;
	ssize_t len;
	int err = 0;

	if (call->get)
		err = read_caller(s, call->optlen, &optlen, sizeof(optlen));
	len = err ?: bf_sockopt_head_len(op, optlen);
	if (len >= 0)
		err = read_caller(s, call->optval, head, len);
	if (err || len < 0)
		return err ?: len;
	len = bf_sockopt_payload_len(op, head, optlen);
	if (len < 0)
		return len;
	*payload = malloc(len ?: 1);
	if (!*payload)
		return -ENOMEM;
	err = read_caller(s, call->optval, *payload, len);
	return err ?: len;
}

/* The answer to one call: 0, -errno, or 1 to let the kernel do it. */
static int answer(const struct served *s)
{
	union bf_sockopt_head head = {};
	struct bf_sockopt_call call;
	void *payload = NULL, *data = NULL;
	size_t data_len;
	ssize_t len;
	uint32_t op;
	int err;

	bf_seccomp_call(&s->notif->data, &call);
	if (call.args || call.compat)
		return -ENOPROTOOPT;
	op = call.opt | (call.get ? BPFILTER_GET : 0);
	if (!bf_sockopt_is_ours(op))
		return 1;
	len = read_payload(s, &call, op, &head, &payload);
	err = len < 0 ? len : bf_memory_handle(s->m, op, payload, len, &data, &data_len);
	if (!err && data)
		err = write_reply(s, &call, &head, data, data_len);
	free(payload);
	free(data);
	return err;
}

/*
 * Until @child has ended. That nobody is left below the filter the listener would tell, too, but before Linux 6.11 only when
 * the child has been waited for.
 */
static void serve(struct bf_memory *m, int listener, int child)
{
	union {
		struct seccomp_notif notif;
		uint8_t room[512];
	} in;
	union {
		struct seccomp_notif_resp resp;
		uint8_t room[512];
	} out;
	struct served s = {m, listener, &in.notif};

	for (;;) {
		struct pollfd pfd[] = {{.fd = listener, .events = POLLIN},
				       {.fd = child, .events = POLLIN}};
		int ret;

		if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0 && errno != EINTR)
			return;
		if (!(pfd[0].revents & POLLIN)) {
			if (pfd[0].revents | pfd[1].revents)
				return;
			continue;
		}
		memset(&in, 0, sizeof(in));
		memset(&out, 0, sizeof(out));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &in.notif))
			continue; /* the caller was killed meanwhile */
		ret = answer(&s);
		out.resp.id = in.notif.id;
		if (ret > 0)
			out.resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		else
			out.resp.error = ret;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &out.resp);
	}
}

static int receive_report(int sk, struct report *report, int *fd)
{
	struct iovec iov = {report, sizeof(*report)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	struct cmsghdr *c;

	*fd = -1;
	if (recvmsg(sk, &msg, MSG_CMSG_CLOEXEC) != sizeof(*report))
		return -ECHILD;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return report->err;
}

static int explain(const struct report *report, const char *path, int *exit_code,
		   struct bf_why *why)
{
	const char *text = strerror(-report->err);

	*exit_code = BF_EXIT_FAILED;
	switch (report->stage) {
	case STAGE_NAMESPACE:
	case STAGE_MAP:
		*exit_code = BF_EXIT_NOT_ROOT;
		return bf_why(
			why, report->err,
			"no namespaces for iptables to read the rules in (%s): this system lets "
			"only root make them, run it as root",
			text);
	case STAGE_FILTER:
		if (report->err == -EBUSY) {
			*exit_code = BF_EXIT_NESTED;
			return bf_why(why, report->err,
				      "not possible below \"bpfilter run\": start it outside");
		}
		*exit_code = BF_EXIT_OLD_KERNEL;
		return bf_why(why, report->err, "this kernel has no seccomp user notification (%s)",
			      text);
	case STAGE_EXEC:
		return bf_why(why, report->err, "%s cannot be executed: %s", path, text);
	default:
		return bf_why(why, report->err, "%s could not be started: %s", path, text);
	}
}

static int find_program(const char *program, char *path)
{
	static const char *const folders[] = {"/usr/sbin", "/sbin", "/usr/local/sbin"};
	unsigned int i;

	if (!bf_run_find(program, path))
		return 0;
	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, PATH_MAX, "%s/%s", folders[i], program);
		if (!access(path, X_OK))
			return 0;
	}
	return -ENOENT;
}

/* All that was written to a memfd, which is closed. NULL if there is no memory. */
static char *take_output(int fd, size_t *len)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = size < 0 ? NULL : malloc(size + 1);
	ssize_t n = text ? pread(fd, text, size, 0) : -1;

	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*len = n;
	return text;
}

/* From the child's report on. */
static int attend(struct bf_memory *m, pid_t pid, int sk, const char *path, struct bf_aside *result,
		  int *exit_code, struct bf_why *why)
{
	struct report report = {};
	int listener, err = receive_report(sk, &report, &listener);
	int child = syscall(SYS_pidfd_open, pid, 0);

	if (child < 0 && !err) {
		err = -errno;
		report.stage = STAGE_NONE;
	}
	if (child < 0)
		kill(pid, SIGKILL);
	else if (listener >= 0)
		serve(m, listener, child);
	if (child >= 0)
		close(child);
	if (listener >= 0)
		close(listener);
	while (waitpid(pid, &result->status, 0) < 0 && errno == EINTR)
		;
	/* A second report is about execv(); there is none if that went well. */
	if (!err && recv(sk, &report, sizeof(report), MSG_DONTWAIT) == sizeof(report))
		err = report.err;
	report.err = err;
	return err ? explain(&report, path, exit_code, why) : 0;
}

int bf_aside_run(struct bf_memory *m, const char *program, char *const *argv, int input,
		 struct bf_aside *result, int *exit_code, struct bf_why *why)
{
	int pair[2], out, errors, err;
	char path[PATH_MAX];
	size_t len;
	pid_t pid;

	memset(result, 0, sizeof(*result));
	*exit_code = BF_EXIT_FAILED;
	if (find_program(program, path)) {
		*exit_code = BF_EXIT_NO_IPTABLES;
		return bf_why(
			why, -ENOENT,
			"%s: not found: install the package that has iptables-legacy (Debian, "
			"Ubuntu: apt install iptables)",
			program);
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return bf_why(why, -errno, "no socket: %s", strerror(errno));
	out = memfd_create("stdout", MFD_CLOEXEC);
	errors = memfd_create("stderr", MFD_CLOEXEC);
	pid = fork();
	if (!pid) {
		close(pair[0]);
		become_command(pair[1], path, argv, input, out, errors);
	}
	close(pair[1]);
	err = pid < 0 ? bf_why(why, -EAGAIN, "no process for iptables")
		      : attend(m, pid, pair[0], path, result, exit_code, why);
	close(pair[0]);
	result->out = take_output(out, &result->out_len);
	result->err = take_output(errors, &len);
	if (!err && (!result->out || !result->err))
		err = bf_why(why, -ENOMEM, "no memory");
	return err;
}

void bf_aside_free(struct bf_aside *result)
{
	free(result->out);
	free(result->err);
	memset(result, 0, sizeof(*result));
}
