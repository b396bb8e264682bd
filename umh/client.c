// SPDX-License-Identifier: GPL-2.0
/* The way to the helper. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "env.h"
#include "mounts.h"
#include "wire.h"

/* Starting takes well under a second; a machine that is short of everything gets this long. */
#define START_TIMEOUT_MS 60000
#define LOG_MAX_BYTES	 (1024 * 1024)
/* For one that is to end. */
#define GONE_S		 10
/* For one that somebody else starts, or that is about to end: ten seconds, too. */
#define GONE_TRIES	 200
#define TRY_US		 50000
/* Where the daemon finds the pipe for its report. */
#define REPORT_FD	 3

static bool same_mount_namespace(void)
{
	struct stat ours, inits;

	return stat("/proc/self/ns/mnt", &ours) || stat("/proc/1/ns/mnt", &inits) ||
	       (ours.st_dev == inits.st_dev && ours.st_ino == inits.st_ino);
}

int bf_client_path(char path[BF_PATH_MAX], const char *name)
{
	const char *dir = bf_run_dir();
	const char *root = "";

	if (strcmp(dir, BF_DEFAULT_RUN_DIR) == 0 && !same_mount_namespace())
		root = "/proc/1/root";
	if (snprintf(path, BF_PATH_MAX, "%s%s/%s", root, dir, name) >= BF_PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

int bf_client_connect(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char path[BF_PATH_MAX];
	int sk, err;

	err = bf_client_path(path, BF_SOCKET_NAME);
	if (err)
		return err;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	sk = bf_wire_socket();
	if (sk < 0)
		return sk;
	do {
		err = connect(sk, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	} while (err == -EINTR);
	if (err) {
		close(sk);
		return err;
	}
	return sk;
}

bool bf_client_inside(void)
{
	return getsockopt(-1, IPPROTO_IP, IPT_SO_GET_INFO, (void *)BF_INSIDE_PROBE, NULL) < 0 &&
	       errno == EALREADY;
}

bool bf_client_helper_lives(void)
{
	char path[BF_PATH_MAX];
	bool held;
	int fd;

	if (bf_client_path(path, BF_UMH_LOCK))
		return false;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

/* Asked once a second. */
static int count_down(void *ctx)
{
	unsigned int *left = ctx;

	return (*left)-- ? 0 : -ETIMEDOUT;
}

/* The connections are the last that it closes. */
int bf_client_wait_gone(int sk)
{
	unsigned int left = GONE_S;
	char byte;
	int err = bf_wire_read(sk, &byte, sizeof(byte), count_down, &left);

	return err == -ETIMEDOUT ? err : 0;
}

/* The log of the daemon; a large one makes room, keeping one older. */
static int open_log(void)
{
	char path[BF_PATH_MAX], old[BF_PATH_MAX];
	struct stat st;
	int fd;

	if (bf_client_path(path, BF_LOG_NAME) || bf_client_path(old, BF_LOG_NAME ".1"))
		return -1;
	if (stat(path, &st) == 0 && st.st_size > LOG_MAX_BYTES)
		rename(path, old);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd;
}

/* Only what is allowed after a fork() in a process with threads. Does not return. */
static void become_daemon(int report, int null, int log, int mounts)
{
	static char *const argv[] = {"bpfilter", "umh", "--foreground", "--report-fd=3", NULL};
	sigset_t none;
	int sig;

	if (mounts >= 0)
		setns(mounts, CLONE_NEWNS);
	setsid();
	if (fork() != 0)
		_exit(0);
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The targets below may be what the others are now. */
	report = fcntl(report, F_DUPFD, 10);
	null = fcntl(null, F_DUPFD, 10);
	log = fcntl(log, F_DUPFD, 10);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(log >= 0 ? log : null, STDERR_FILENO);
	dup2(report, REPORT_FD);
	syscall(__NR_close_range, REPORT_FD + 1, ~0U, 0);
	if (chdir("/"))
		_exit(1);
	execve("/proc/self/exe", argv, environ);
	_exit(1);
}

static int wait_report(int fd, struct bf_start_report *report)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	ssize_t n;
	int ret;

	do {
		ret = poll(&pfd, 1, START_TIMEOUT_MS);
	} while (ret < 0 && errno == EINTR);
	if (ret == 0)
		return -ETIMEDOUT;
	n = read(fd, report, sizeof(*report));
	return n == sizeof(*report) ? 0 : -ECHILD;
}

/* Start the daemon and wait for its report. */
static int spawn(struct bf_start_report *report)
{
	int pipefd[2], null, log, mounts, err;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC))
		return -errno;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	log = open_log();
	mounts = bf_mounts_outer();
	pid = fork();
	if (pid == 0)
		become_daemon(pipefd[1], null, log, mounts);
	err = pid < 0 ? -errno : 0;
	close(pipefd[1]);
	close(null);
	if (log >= 0)
		close(log);
	if (mounts >= 0)
		close(mounts);
	if (!err) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		err = wait_report(pipefd[0], report);
	}
	close(pipefd[0]);
	return err;
}

static int no_helper(int *exit_code, struct bf_why *why, int err)
{
	char path[BF_PATH_MAX];

	*exit_code = BF_EXIT_NO_HELPER;
	if (bf_client_path(path, BF_LOG_NAME))
		path[0] = '\0';
	return bf_why(why, err, "the helper could not be started (%s): look into %s",
		      err == -EAGAIN ? "it died" : strerror(-err), path);
}

/* Connect to a helper that there is, or will be as soon as it is ready. -errno if there is none. */
static int connect_patiently(void)
{
	int tries, sk = bf_client_connect();

	for (tries = 0; sk < 0 && tries < GONE_TRIES && bf_client_helper_lives(); tries++) {
		usleep(TRY_US);
		sk = bf_client_connect();
	}
	return sk;
}

/* With the start lock held, which a service manager that starts one does not take. */
static int start_locked(int *exit_code, struct bf_why *why)
{
	struct bf_start_report report = {};
	int sk, err;

	sk = connect_patiently();
	if (sk >= 0)
		return sk;
	err = spawn(&report);
	if (err)
		return no_helper(exit_code, why, err == -ECHILD ? -EAGAIN : err);
	if (report.exit_code) {
		/* Because there is one now? */
		sk = connect_patiently();
		if (sk >= 0)
			return sk;
		*exit_code = report.exit_code;
		return bf_why(why, report.busy ? -EBUSY : -ECHILD, "%s", report.why.text);
	}
	sk = bf_client_connect();
	return sk < 0 ? no_helper(exit_code, why, -EAGAIN) : sk;
}

/* The start lock, in a run directory that only we may enter. */
static int lock_start(struct bf_why *why)
{
	char path[BF_PATH_MAX], *slash;
	int fd, err;

	err = bf_client_path(path, BF_START_LOCK);
	if (err)
		return bf_why(why, err, "the name of the run directory is too long: %s",
			      bf_run_dir());
	slash = strrchr(path, '/');
	*slash = '\0';
	if (mkdir(path, 0700) && errno != EEXIST) {
		err = -errno;
		return bf_why(why, err, "cannot make %s: %s", path, strerror(-err));
	}
	*slash = '/';
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		err = -errno;
		return bf_why(why, err, "cannot open %s: %s", path, strerror(-err));
	}
	while (flock(fd, LOCK_EX)) {
		if (errno == EINTR)
			continue;
		err = -errno;
		close(fd);
		return bf_why(why, err, "cannot lock %s: %s", path, strerror(-err));
	}
	return fd;
}

int bf_client_start(int *exit_code, struct bf_why *why)
{
	int sk, lock;

	sk = bf_client_connect();
	if (sk >= 0)
		return sk;
	if (bf_client_inside()) {
		sk = bf_client_connect();
		return sk < 0 ? no_helper(exit_code, why, sk) : sk;
	}
	*exit_code = BF_EXIT_NO_HELPER;
	lock = lock_start(why);
	if (lock < 0)
		return lock;
	sk = start_locked(exit_code, why);
	close(lock);
	return sk;
}

static int explain_device(int err, struct bf_why *why)
{
	switch (err) {
	case -EBUSY:
		return bf_why(why, err,
			      "another process has " BPFILTER_DEVICE
			      " open, which serves iptables");
	case -EPROTO:
		return bf_why(why, err,
			      "the helper is of another version than the module: install both from "
			      "one release, and load the module again");
	case -EINVAL:
		return bf_why(why, err,
			      "the helper that runs is of an older version, which does not know "
			      "the module: end it, and a new one is started");
	case -ECONNRESET:
		return bf_why(why, err, "the helper has died; try again");
	case -ESHUTDOWN:
		return bf_why(why, err, "bpfilter has been stopped meanwhile");
	}
	return bf_why(why, err, "the helper cannot open " BPFILTER_DEVICE ": %s", strerror(-err));
}

int bf_client_serve_module(int *exit_code, struct bf_why *why)
{
	int sk, err, tries;
	size_t len;
	void *data;

	/* One that was about to end is replaced. */
	for (tries = 0, err = -ECONNRESET; tries < 3 && err == -ECONNRESET; tries++) {
		sk = bf_client_start(exit_code, why);
		if (sk < 0)
			return sk;
		err = bf_client_call(sk, BF_CMD_DEVICE, -1, NULL, 0, &data, &len);
		close(sk);
		free(data);
	}
	*exit_code = BF_EXIT_NO_HELPER;
	return err ? explain_device(err, why) : 0;
}

int bf_client_call(int sk, uint32_t op, int netns, const void *payload, size_t len, void **data,
		   size_t *data_len)
{
	return bf_client_get(sk, op, netns, payload, len, len, data, data_len);
}

int bf_client_get(int sk, uint32_t op, int netns, const void *payload, size_t len, size_t optlen,
		  void **data, size_t *data_len)
{
	const struct bpfilter_request req = {
		.version = BPFILTER_VERSION,
		.op = op,
		.pid = getpid(),
		.len = len,
		.optlen = optlen,
	};
	struct bpfilter_reply rep;
	char *buf;
	int err;

	*data = NULL;
	*data_len = 0;
	err = bf_wire_write(sk, &req, sizeof(req), netns, NULL, NULL);
	if (!err)
		err = bf_wire_write(sk, payload, len, -1, NULL, NULL);
	if (!err)
		err = bf_wire_read(sk, &rep, sizeof(rep), NULL, NULL);
	if (err || rep.error)
		return err ? err : rep.error;
	buf = malloc((size_t)rep.len + 1);
	if (!buf)
		return -ENOMEM;
	err = bf_wire_read(sk, buf, rep.len, NULL, NULL);
	if (err) {
		free(buf);
		return err;
	}
	buf[rep.len] = '\0';
	*data = buf;
	*data_len = rep.len;
	return 0;
}
