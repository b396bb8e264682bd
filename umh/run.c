// SPDX-License-Identifier: GPL-2.0
/* Starting COMMAND under the filter, and waiting for it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "env.h"
#include "run.h"
#include "seccomp.h"

/* The broker parts within microseconds, unless it is stopped. */
#define BROKER_TIMEOUT_MS 1000

/* What goes wrong in the child, told through a pipe that exec closes. */
enum child_stage { STAGE_FILTER, STAGE_BROKER, STAGE_EXEC };

struct child_error {
	enum child_stage stage;
	int err;
};

/**
 * struct run - what ties the three processes together
 * @broker_sk: [0] the child's end: the listener goes out, a byte comes back
 * @error_pipe: from the child
 * @life: between "run" [0] and the broker [1]: shut down when COMMAND has ended
 */
struct run {
	int broker_sk[2];
	int error_pipe[2];
	int life[2];
};

static int check_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == EACCES ? -EACCES : -ENOENT;
	if (S_ISDIR(st.st_mode) || access(path, X_OK))
		return -EACCES;
	return 0;
}

int bf_run_find(const char *command, char *path)
{
	const char *dirs = getenv("PATH")
				   ?: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
				      "/sbin:/bin";
	int ret = -ENOENT;

	if (!*command)
		return -ENOENT;
	if (strchr(command, '/'))
		return snprintf(path, PATH_MAX, "%s", command) >= PATH_MAX ? -ENOENT
									   : check_executable(path);
	for (;;) {
		size_t len = strcspn(dirs, ":");
		int err;

		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)len, dirs, len ? "/" : "", command) <
		    PATH_MAX) {
			err = check_executable(path);
			if (!err)
				return 0;
			if (err == -EACCES)
				ret = err;
		}
		if (!dirs[len])
			return ret;
		dirs += len + 1;
	}
}

static int send_listener(int sk, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = {.iov_base = "", .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(sk, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* Returns the listener, or -1 if the child did not get that far. */
static int receive_listener(int sk)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sk, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

static void child_fail(struct run *r, enum child_stage stage, int err)
{
	const struct child_error error = {.stage = stage, .err = err};

	/* If "run" is gone there is nobody to tell. */
	if (write(r->error_pipe[1], &error, sizeof(error)) < 0)
		_exit(BF_EXIT_FAILED);
	_exit(BF_EXIT_FAILED);
}

/* Becomes COMMAND, once somebody listens. Does not return. */
static void child_main(struct run *r, const char *path, char **argv, const sigset_t *mask)
{
	int listener, err;
	char byte;

	close(r->broker_sk[1]);
	close(r->life[0]);
	close(r->life[1]);
	listener = bf_seccomp_install();
	if (listener < 0)
		child_fail(r, STAGE_FILTER, listener);
	err = send_listener(r->broker_sk[0], listener);
	/* Nobody but the broker may hold it, or calls would wait for ever if that dies. */
	close(listener);
	if (err || read(r->broker_sk[0], &byte, 1) != 1)
		child_fail(r, STAGE_BROKER, err);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(path, argv);
	child_fail(r, STAGE_EXEC, -errno);
}

/* Becomes the broker. Does not return. */
static void broker_child(struct run *r, uint32_t attach)
{
	enum { READY = 3, LIFE, FIRST_FREE };
	int ready = fcntl(r->broker_sk[1], F_DUPFD, FIRST_FREE);
	int life = fcntl(r->life[1], F_DUPFD, FIRST_FREE);
	int listener, err;

	setsid();
	/* Pipes that we were started with must not be kept open by one that stays behind. */
	dup3(ready, READY, O_CLOEXEC);
	dup3(life, LIFE, O_CLOEXEC);
	syscall(__NR_close_range, FIRST_FREE, ~0U, 0);
	listener = receive_listener(READY);
	if (listener < 0)
		_exit(BF_EXIT_FAILED);
	err = bf_broker_main(listener, READY, LIFE, attach);
	_exit(err ? BF_EXIT_FAILED : 0);
}

static int open_pipes(struct run *r)
{
	memset(r, -1, sizeof(*r));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->broker_sk) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r->life) ||
	    pipe2(r->error_pipe, O_CLOEXEC))
		return -errno;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_pipes(struct run *r)
{
	int i;

	for (i = 0; i < 2; i++) {
		close_fd(&r->broker_sk[i]);
		close_fd(&r->error_pipe[i]);
		close_fd(&r->life[i]);
	}
}

static int explain_filter(int err, struct bf_why *why)
{
	switch (err) {
	case -EBUSY:
		bf_why(why, 0,
		       "another program already listens to the system calls of this process "
		       "(seccomp): start bpfilter run outside of it");
		return BF_EXIT_NESTED;
	case -EINVAL:
	case -EOPNOTSUPP:
		bf_why(why, 0,
		       "this kernel cannot install the seccomp filter (%s): Linux 5.6 or "
		       "later is needed",
		       strerror(-err));
		return BF_EXIT_OLD_KERNEL;
	case -EACCES:
	case -EPERM:
		bf_why(why, 0,
		       "not allowed to install the seccomp filter: CAP_SYS_ADMIN is needed");
		return BF_EXIT_NOT_ROOT;
	}
	bf_why(why, 0, "cannot install the seccomp filter: %s", strerror(-err));
	return BF_EXIT_FAILED;
}

static int explain_exec(int err, const char *path, struct bf_why *why)
{
	bf_why(why, 0, "cannot execute %s: %s", path, strerror(-err));
	return err == -ENOENT ? BF_EXIT_NOT_FOUND : BF_EXIT_CANNOT_EXEC;
}

int bf_run_directly(const char *path, char **argv, struct bf_why *why)
{
	execv(path, argv);
	return explain_exec(-errno, path, why);
}

static int explain(const struct child_error *error, const char *path, struct bf_why *why)
{
	switch (error->stage) {
	case STAGE_FILTER:
		return explain_filter(error->err, why);
	case STAGE_BROKER:
		bf_why(why, 0, "cannot start the process that answers iptables");
		return BF_EXIT_FAILED;
	default:
		return explain_exec(error->err, path, why);
	}
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Has it ended? Fills in *@status then. */
static bool reap(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}

/*
 * Wait for COMMAND, passing on what others send us. What the terminal sends goes to the whole
 * process group, so that COMMAND has it already. *@broker becomes -1 when that has ended.
 */
static int wait_command(pid_t command, pid_t *broker, const sigset_t *signals)
{
	int status;

	for (;;) {
		siginfo_t info;
		int sig = sigwaitinfo(signals, &info);

		if (sig < 0)
			continue;
		if (sig != SIGCHLD) {
			if (info.si_code != SI_KERNEL)
				kill(command, sig);
			continue;
		}
		if (reap(command, &status))
			return exit_status(status);
		/* It may see that COMMAND ends before we do: that is no error. */
		if (*broker > 0 && reap(*broker, &status)) {
			*broker = -1;
			if (status == 0)
				continue;
			bf_log(BF_LOG_ERR, "the process that answers iptables has died: iptables "
					   "fails in this command from now on; start it again");
		}
	}
}

static void block_signals(sigset_t *signals, sigset_t *old)
{
	sigemptyset(signals);
	sigaddset(signals, SIGCHLD);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGQUIT);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGUSR1);
	sigaddset(signals, SIGUSR2);
	/* Ignored, it would take the status of COMMAND with it. */
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, signals, old);
}

/*
 * Tell the broker that COMMAND has ended, and let it either end as well or let go of our terminal: so
 * that nothing of us is there any more, or nobody notices, when we return.
 */
static void part_from_broker(struct run *r, pid_t broker)
{
	struct pollfd pfd = {.fd = r->life[0], .events = POLLIN};
	char byte;

	shutdown(r->life[0], SHUT_WR);
	if (poll(&pfd, 1, BROKER_TIMEOUT_MS) == 1 && read(r->life[0], &byte, 1) == 0 && broker > 0)
		waitpid(broker, NULL, 0);
}

int bf_run_exec(const char *path, char **argv, uint32_t attach, struct bf_why *why)
{
	struct child_error error;
	sigset_t signals, old;
	pid_t command, broker = -1;
	struct run r;
	int ret;

	if (open_pipes(&r)) {
		bf_why(why, 0, "cannot make a pipe: %s", strerror(errno));
		close_pipes(&r);
		return BF_EXIT_FAILED;
	}
	block_signals(&signals, &old);
	command = fork();
	if (command == 0)
		child_main(&r, path, argv, &old);
	if (command > 0)
		broker = fork();
	if (broker == 0)
		broker_child(&r, attach);
	if (broker < 0) {
		bf_why(why, 0, "cannot start a process: %s", strerror(errno));
		/* Without a broker the child, if there is one, ends by itself. */
		close_pipes(&r);
		return BF_EXIT_FAILED;
	}
	close_fd(&r.broker_sk[0]);
	close_fd(&r.broker_sk[1]);
	close_fd(&r.error_pipe[1]);
	close_fd(&r.life[1]);
	if (read(r.error_pipe[0], &error, sizeof(error)) == sizeof(error))
		ret = explain(&error, path, why);
	else
		ret = wait_command(command, &broker, &signals);
	part_from_broker(&r, broker);
	close_pipes(&r);
	return ret;
}
