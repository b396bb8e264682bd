// SPDX-License-Identifier: GPL-2.0
/* bpfilter umh: from its start to its end. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "caps.h"
#include "client.h"
#include "cmd.h"
#include "device.h"
#include "env.h"
#include "server.h"
#include "worker.h"

static const char usage[] =
	"Usage: bpfilter umh [--foreground [--replace] [--idle=SECONDS] | --device]\n"
	"\n"
	"The helper, which answers iptables for all network namespaces. The other commands start\n"
	"it when they need it. Without --foreground it returns when the helper is ready.\n"
	"When it ends, what it has put into force stays in force.\n"
	"\n"
	"  --foreground    stay; the log goes to stderr\n"
	"  --replace       with --foreground: take the place of a helper that there is, which ends\n"
	"  --idle=SECONDS  with --foreground: how long to keep a namespace in mind in which there is\n"
	"                  nothing to do; 30 if not given\n"
	"  --device        make sure that a helper serves the kernel module, starting one if there is\n"
	"                  none: how the module calls it\n"
	"  --help          this text\n";

#define IDLE_MS		 30000
#define MANY_FILES	 65536
/* The module does not start another before this one has ended. */
#define DEVICE_TIMEOUT_S 120
/* For the one whose place is taken to end: ten seconds. */
#define REPLACE_TRIES	 200
#define REPLACE_TRY_US	 50000

/**
 * struct helper - what it opens when it starts, in this order
 * @report: where to say how that went, or -1
 * @idle_ms: as for bf_workers_new()
 * @replace: one that there is has to go
 * @lock: held as long as it lives: there is one helper for a run directory
 * @device: the module's; NULL if there is none, or once the server has it
 */
struct helper {
	int report;
	int idle_ms;
	bool replace;
	int lock;
	struct bf_device *device;
	struct bf_env *env;
	struct bf_workers *workers;
	struct bf_server *server;
	int sk;
	int signals;
};

/* To whoever started us; on the terminal if nobody did. */
static void report(struct helper *h, int exit_code, int err, const struct bf_why *why)
{
	struct bf_start_report r = {.exit_code = exit_code, .busy = err == -EBUSY, .why = *why};

	if (exit_code)
		bf_log(BF_LOG_ERR, "%s", why->text);
	if (h->report < 0)
		return;
	/* Who has stopped waiting does not want to know. */
	if (write(h->report, &r, sizeof(r)) < 0 && errno != EPIPE)
		bf_log(BF_LOG_ERR, "cannot report: %s", strerror(errno));
	close(h->report);
	h->report = -1;
}

static void enter(const char *path, int type)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Not permitted in a container, and not needed there. */
	if (setns(fd, type) && errno != EPERM)
		bf_log(BF_LOG_DEBUG, "%s: %s", path, strerror(errno));
	close(fd);
}

/*
 * We may have been started from a namespace that goes away, or that must be able to: "ip netns
 * exec" gives a mount namespace of its own, where a bpffs would vanish with what is pinned in it,
 * and a network namespace that our main thread would keep. Directories given by the user are meant
 * as seen from where he is.
 */
static void leave_namespaces(void)
{
	if (strcmp(bf_run_dir(), BF_DEFAULT_RUN_DIR) == 0 &&
	    strcmp(bf_pin_dir(), BF_DEFAULT_PIN_DIR) == 0)
		enter("/proc/1/ns/mnt", CLONE_NEWNS);
	enter("/proc/1/ns/net", CLONE_NEWNET);
	if (chdir("/"))
		bf_log(BF_LOG_DEBUG, "chdir: %s", strerror(errno));
}

/* What it has put into force stays so. */
static void end_other_helper(void)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int sk = bf_client_connect();

	if (sk < 0)
		return;
	if (!getsockopt(sk, SOL_SOCKET, SO_PEERCRED, &peer, &len) && peer.pid > 0)
		kill(peer.pid, SIGTERM);
	close(sk);
}

/* 0 or -errno. The module may start another one while we wait: that has to go, too. */
static int lock_or_replace(const struct helper *h)
{
	int tries;

	for (tries = 0; flock(h->lock, LOCK_EX | LOCK_NB); tries++) {
		if (errno != EWOULDBLOCK || !h->replace || tries == REPLACE_TRIES)
			return -errno;
		end_other_helper();
		usleep(REPLACE_TRY_US);
	}
	return 0;
}

static int lock_instance(struct helper *h, struct bf_why *why)
{
	const char *dir = bf_run_dir();
	char path[BF_PATH_MAX];
	int err;

	if (mkdir(dir, 0700) && errno != EEXIST) {
		err = -errno;
		return bf_why(why, err, "cannot make %s: %s", dir, strerror(-err));
	}
	/* Made by somebody else, with rights that do not keep others out of it? */
	if (chown(dir, 0, 0) || chmod(dir, 0700)) {
		err = -errno;
		return bf_why(why, err, "cannot take %s for ourselves: %s", dir, strerror(-err));
	}
	snprintf(path, sizeof(path), "%s/" BF_UMH_LOCK, dir);
	h->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (h->lock < 0) {
		err = -errno;
		return bf_why(why, err, "cannot open %s: %s", path, strerror(-err));
	}
	err = lock_or_replace(h);
	if (err)
		return bf_why(why, err,
			      err == -EWOULDBLOCK ? "a helper is already running (%s is locked)"
						  : "cannot lock %s",
			      path);
	return 0;
}

/* It appears under its name only when it listens, and when all else is ready. */
static int listen_socket(struct helper *h, struct bf_why *why)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char path[BF_PATH_MAX];
	int err = 0;

	snprintf(path, sizeof(path), "%s/" BF_SOCKET_NAME, bf_run_dir());
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.new", path) >=
	    (int)sizeof(addr.sun_path))
		return bf_why(why, -ENAMETOOLONG, "the name of the socket is too long: %s", path);
	h->sk = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(addr.sun_path);
	if (h->sk < 0 || bind(h->sk, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(h->sk, SOMAXCONN) || rename(addr.sun_path, path))
		err = -errno;
	return err ? bf_why(why, err, "cannot listen on %s: %s", path, strerror(-err)) : 0;
}

/* The kernel starts programs with room for few. Each namespace needs about ten. */
static void allow_descriptors(void)
{
	const struct rlimit many = {MANY_FILES, MANY_FILES};
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= MANY_FILES ||
	    !setrlimit(RLIMIT_NOFILE, &many))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * One heap for all workers: of any other, malloc_trim() gives back holes alone, and not what lies behind the last
 * block that is in use, which is as much as the largest table took on its way. And no huge pages, of which the kernel, where
 * it may always have them, would make the holes whole again. That either is refused does no harm.
 */
static void use_one_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static int open_signals(struct helper *h)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	/* A terminal that is closed ends what runs in its foreground, and nothing else of ours. */
	sigaddset(&set, SIGHUP);
	/* Before there are threads, so that all of them have it. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return h->signals < 0 ? -errno : 0;
}

/* Before anything else: what we ask of ip_tables would come back to us as a request. */
static int open_device(struct helper *h, struct bf_why *why)
{
	return bf_device_exists() ? bf_device_open(&h->device, why) : -ENOENT;
}

/*
 * Without the device we serve the socket alone, if the kernel has hooks for programs itself. @err, @why: the
 * reason for not having it.
 */
static int do_without_device(struct helper *h, int err, const struct bf_why *why)
{
	/* Started for a call that has been answered since: nobody wants us any more. */
	if (!bf_env_without_module(h->env) || err == -ESHUTDOWN)
		return err;
	if (err != -ENOENT)
		bf_log(BF_LOG_WARN, "iptables is served below \"bpfilter run\" only: %s",
		       why->text);
	return 0;
}

static int open_all(struct helper *h, int *exit_code, struct bf_why *why)
{
	struct bf_why no_device = {};
	const char *missing;
	int err, device_err;

	*exit_code = BF_EXIT_NOT_ROOT;
	if (!bf_caps_have(&missing))
		return bf_why(why, -EPERM, "the helper needs %s: start it as root", missing);
	*exit_code = BF_EXIT_NESTED;
	if (bf_client_inside())
		return bf_why(why, -EINVAL,
			      "the helper cannot live below a \"bpfilter run\": start it "
			      "outside");
	leave_namespaces();
	*exit_code = BF_EXIT_NO_HELPER;
	err = lock_instance(h, why);
	if (err)
		return err;
	err = open_signals(h);
	if (err)
		return bf_why(why, err, "signalfd: %s", strerror(-err));
	*exit_code = BF_EXIT_FAILED;
	device_err = open_device(h, &no_device);
	err = bf_env_open(&h->env, exit_code, why);
	if (err)
		return err;
	*exit_code = BF_EXIT_NO_HELPER;
	if (device_err && do_without_device(h, device_err, &no_device))
		return bf_why(why, device_err, "%s", no_device.text);
	h->workers = bf_workers_new(h->env, h->idle_ms);
	if (!h->workers)
		return bf_why(why, -ENOMEM, "no memory");
	err = bf_server_new(h->workers, h->env, &h->server);
	if (err)
		return bf_why(why, err, "cannot make an epoll: %s", strerror(-err));
	bf_server_begin(h->server, h->device);
	h->device = NULL;
	return listen_socket(h, why);
}

/* What open_all() has opened, the other way round. */
static void close_all(struct helper *h)
{
	char path[BF_PATH_MAX];

	if (h->sk >= 0) {
		/* Nobody shall connect to one that does not answer. */
		snprintf(path, sizeof(path), "%s/" BF_SOCKET_NAME, bf_run_dir());
		unlink(path);
		close(h->sk);
	}
	if (h->workers)
		bf_workers_free(h->workers);
	if (h->server)
		bf_server_free(h->server);
	bf_device_close(h->device);
	if (h->env)
		bf_env_close(h->env);
	if (h->signals >= 0)
		close(h->signals);
	if (h->lock >= 0)
		close(h->lock);
}

static int foreground(int report_fd, int idle_ms, bool replace)
{
	struct helper h = {
		.report = report_fd,
		.idle_ms = idle_ms,
		.replace = replace,
		.lock = -1,
		.sk = -1,
		.signals = -1,
	};
	struct bf_why why = {};
	int exit_code, err;

	/* Executed as /proc/self/exe, it would be called "exe". */
	prctl(PR_SET_NAME, "bpfilter");
	bf_log_service();
	umask(077);
	allow_descriptors();
	use_one_heap();
	err = open_all(&h, &exit_code, &why);
	report(&h, err ? exit_code : 0, err, &why);
	if (!err) {
		err = bf_server_run(h.server, h.sk, h.signals);
		exit_code = err ? BF_EXIT_FAILED : 0;
		if (err)
			bf_log(BF_LOG_ERR, "the helper ends: %s", strerror(-err));
	}
	close_all(&h);
	return exit_code;
}

/* As the other commands do, but it is an error if there is one. */
static int background(void)
{
	struct bf_why why = {};
	const char *missing;
	int sk, exit_code;

	if (!bf_caps_have(&missing)) {
		bf_log(BF_LOG_ERR, "the helper needs %s: start it as root", missing);
		return BF_EXIT_NOT_ROOT;
	}
	sk = bf_client_connect();
	if (sk >= 0) {
		close(sk);
		bf_log(BF_LOG_ERR, "a helper is already running (in %s)", bf_run_dir());
		return BF_EXIT_NO_HELPER;
	}
	if (bf_client_inside()) {
		bf_log(BF_LOG_ERR,
		       "the helper cannot live below a \"bpfilter run\": start it outside");
		return BF_EXIT_NESTED;
	}
	sk = bf_client_start(&exit_code, &why);
	if (sk < 0) {
		bf_log(BF_LOG_ERR, "%s", why.text);
		return exit_code;
	}
	close(sk);
	return 0;
}

/* The kernel starts programs without any descriptors. What is said then goes to its log. */
static void open_standard_descriptors(void)
{
	static const char *const paths[] = {"/dev/null", "/dev/null", "/dev/kmsg"};
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open(paths[fd], O_RDWR) < 0 &&
		    open("/dev/null", O_RDWR) < 0)
			return;
}

/* For the module, which waits until this ends. */
static int serve_module(void)
{
	struct bf_why why = {};
	const char *missing;
	int exit_code;

	open_standard_descriptors();
	alarm(DEVICE_TIMEOUT_S);
	if (!bf_caps_have(&missing)) {
		bf_log(BF_LOG_ERR, "the helper needs %s: start it as root", missing);
		return BF_EXIT_NOT_ROOT;
	}
	if (!bf_device_exists()) {
		bf_log(BF_LOG_ERR, "the module is not loaded: modprobe bpfilter");
		return BF_EXIT_FAILED;
	}
	if (!bf_client_serve_module(&exit_code, &why))
		return 0;
	bf_log(BF_LOG_ERR, "no helper for the module: %s", why.text);
	return exit_code;
}

int bf_cmd_umh(int argc, char **argv)
{
	static const struct option options[] = {
		{"foreground", no_argument, NULL, 'f'},
		{"replace", no_argument, NULL, 'R'},
		{"device", no_argument, NULL, 'd'},
		{"idle", required_argument, NULL, 'i'},
		{"report-fd", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	bool stay = false, replace = false, device = false;
	int opt, report_fd = -1, idle_ms = IDLE_MS;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			stay = true;
			break;
		case 'R':
			replace = true;
			break;
		case 'd':
			device = true;
			break;
		case 'i':
			idle_ms = atoi(optarg) * 1000;
			if (idle_ms <= 0)
				return bf_usage_error(argv[0], argv[optind - 1]);
			break;
		case 'r':
			report_fd = atoi(optarg);
			fcntl(report_fd, F_SETFD, FD_CLOEXEC);
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return bf_usage_error(argv[0], argv[optind - 1]);
		}
	}
	if (optind < argc)
		return bf_usage_error(argv[0], argv[optind]);
	if (device)
		return serve_module();
	return stay ? foreground(report_fd, idle_ms, replace) : background();
}
