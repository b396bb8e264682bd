// SPDX-License-Identifier: GPL-2.0
/*
 * churn [OPTION...] NETNS... - a process in each of these namespaces that lists, appends, deletes,
 * restores and counts, by the socket options and at times with iptables itself, until it is
 * told to stop. Every table that is read must be what the calls so far have made of it, counters
 * included; a call that failed has done all or nothing.
 *
 * At the end, two lines of TAP, and what ended how often and how.
 */
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

static const char usage[] =
	"usage: churn [OPTION...] NETNS...\n"
	"  --seconds=N       how long, at most (600); a SIGTERM ends it too\n"
	"  --limit=MS        a call that takes longer hangs (5000)\n"
	"  --allow=N,N...    how calls may end: errnos. For iptables, exit statuses, behind a colon\n"
	"  --every=N         one call in N is iptables itself (none)\n"
	"  --kill=N          kill a process at N random moments, then stop\n"
	"  --kill-helper=N   kill who has /dev/bpfilter open at N random moments, then stop\n"
	"  --pause=US        between calls (0)\n"
	"  --blind           answers mean nothing, only make calls\n"
	"  --seed=N          default: the time\n";

static const char *const call_names[CALLS] = {"info",	  "list",  "replace",
					      "counters", "other", "iptables"};

/**
 * struct churn - all of them
 * @shared: also with the processes
 * @allowed: for calls, and for iptables
 * @kills, @helper_kills: to be done
 * @victim: the helper that is to be killed next, at @killed_then
 */
struct churn {
	struct shared {
		atomic_bool stop;
		struct worker worker[MAX_WORKERS];
	} * shared;
	int nr;
	uint64_t random;
	uint64_t limit_ns;
	unsigned int seconds;
	bool allowed[2][MAX_ERRNO];
	bool blind;
	unsigned int every, pause, kills, helper_kills, killed, helpers_killed, hangs;
	pid_t victim;
	uint64_t killed_then;
};

static volatile sig_atomic_t told_to_stop;

static void on_signal(int sig)
{
	told_to_stop = sig;
}

static void start_worker(struct churn *c, struct worker *w)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid) {
		w->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	worker_run(w, &c->shared->stop);
	fflush(stdout);
	_exit(0);
}

static void show_stack(pid_t pid)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		printf("#   %s", line);
	if (f)
		fclose(f);
}

/* Whoever has not come back for too long. Said once a call. */
static void watch(struct churn *c, uint64_t *said)
{
	int i;

	for (i = 0; i < c->nr; i++) {
		struct worker *w = &c->shared->worker[i];
		uint64_t since = w->since;

		if (!since || now_ns() - since < c->limit_ns || said[i] == since)
			continue;
		said[i] = since;
		c->hangs++;
		printf("# a call (%s) takes longer than %llu ms\n", call_names[w->last_call],
		       (unsigned long long)c->limit_ns / 1000000);
		show_stack(w->pid);
		fflush(stdout);
	}
}

/* A kill that has no effect within the limit is a hang as well. */
static void reap_killed(struct churn *c, pid_t pid)
{
	uint64_t start = now_ns();

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (now_ns() - start > c->limit_ns) {
			printf("# a killed process does not end\n");
			show_stack(pid);
			c->hangs++;
			waitpid(pid, NULL, 0);
			break;
		}
		usleep(1000);
	}
}

/* The iptables that it ran becomes our child, and may still be in the middle of a call. */
static void reap(struct churn *c, struct worker *w)
{
	reap_killed(c, w->pid);
	if (w->child > 0)
		reap_killed(c, w->child);
	w->pid = w->child = 0;
	w->since = 0;
}

static void kill_worker(struct churn *c)
{
	struct worker *w = &c->shared->worker[draw(&c->random, c->nr)];

	kill(w->pid, SIGKILL);
	if (w->since)
		w->killed_at[w->last_call]++;
	reap(c, w);
	c->killed++;
	start_worker(c, w);
}

static bool has_device(const char *pid)
{
	char path[64], target[64];
	bool found = false;
	struct dirent *d;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (d = readdir(dir))) {
		n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		found = !strcmp(target, "/dev/bpfilter");
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Who has the device open? 0: nobody. */
static pid_t helper_pid(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	pid_t pid = 0;

	while (dir && !pid && (d = readdir(dir)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && has_device(d->d_name))
			pid = atoi(d->d_name);
	if (dir)
		closedir(dir);
	return pid;
}

/*
 * At some moment of its life, and any order of magnitude of milliseconds is as likely: when it has just opened the
 * device, in its first call, or in a later one.
 */
static void kill_helper(struct churn *c)
{
	pid_t pid = helper_pid();

	if (pid <= 0)
		return;
	if (pid != c->victim) {
		c->victim = pid;
		c->killed_then = now_ns() + draw(&c->random, 1000000ULL << draw(&c->random, 10));
	} else if (now_ns() >= c->killed_then && !kill(pid, SIGKILL)) {
		c->helpers_killed++;
	}
}

static bool all_killed(const struct churn *c)
{
	if (!c->kills && !c->helper_kills)
		return false;
	return c->killed >= c->kills && c->helpers_killed >= c->helper_kills;
}

static void pause_a_while(struct churn *c)
{
	if (!c->kills && !c->helper_kills)
		usleep(20000);
	else
		usleep(draw(&c->random, 20000));
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};

	return !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid == pid;
}

static void control(struct churn *c)
{
	uint64_t end = now_ns() + c->seconds * 1000000000ULL, said[MAX_WORKERS] = {0};

	while (!told_to_stop && now_ns() < end && !all_killed(c)) {
		pause_a_while(c);
		if (c->killed < c->kills && !draw(&c->random, 8))
			kill_worker(c);
		if (c->helpers_killed < c->helper_kills)
			kill_helper(c);
		watch(c, said);
	}
	c->shared->stop = true;
	end = now_ns() + c->limit_ns;
	while (now_ns() < end) {
		bool busy = false;
		int i;

		for (i = 0; i < c->nr; i++)
			busy |= !has_ended(c->shared->worker[i].pid);
		if (!busy)
			break;
		usleep(1000);
	}
}

/* Ends those that have not done so by themselves. */
static void end_workers(struct churn *c)
{
	int i;

	for (i = 0; i < c->nr; i++) {
		struct worker *w = &c->shared->worker[i];

		if (waitpid(w->pid, NULL, WNOHANG) == w->pid) {
			w->since = 0;
			continue;
		}
		printf("# a process does not end (%s)\n", call_names[w->last_call]);
		show_stack(w->pid);
		c->hangs++;
		kill(w->pid, SIGKILL);
		reap(c, w);
	}
}

static const char *ending(enum call call, unsigned int err)
{
	static char text[32];

	if (call != CALL_IPTABLES)
		return err ? strerrorname_np(err) : "0";
	snprintf(text, sizeof(text), "status %u", err);
	return text;
}

/* How many ended as they must not. */
static unsigned long report(const struct churn *c)
{
	unsigned long bad = 0, killed = 0, n;
	uint64_t longest = 0;
	int call, err, i;

	for (call = 0; call < CALLS; call++) {
		for (err = 0; err < MAX_ERRNO; err++) {
			for (n = 0, i = 0; i < c->nr; i++)
				n += c->shared->worker[i].errors[call][err];
			if (!n)
				continue;
			printf("#   %-8s %-12s %lu\n", call_names[call], ending(call, err), n);
			if (err && !c->allowed[call == CALL_IPTABLES][err])
				bad += n;
		}
	}
	for (i = 0; i < c->nr; i++) {
		if (c->shared->worker[i].longest > longest)
			longest = c->shared->worker[i].longest;
		for (call = 0; call < CALLS; call++)
			killed += c->shared->worker[i].killed_at[call];
	}
	printf("# the longest call took %llu ms; %u helpers killed, %u callers, %lu of them in a call\n",
	       (unsigned long long)longest / 1000000, c->helpers_killed, c->killed, killed);
	return bad;
}

static int finish(struct churn *c)
{
	unsigned long bad = report(c);
	bool right = true;
	int i;

	if (c->killed < c->kills || c->helpers_killed < c->helper_kills) {
		printf("# not all was killed that was to be\n");
		c->hangs++;
	}
	printf("%s 1 - no call has taken too long, and none ended in another way than it may\n",
	       c->hangs || (bad && !c->blind) ? "not ok" : "ok");
	for (i = 0; i < c->nr && !c->blind; i++)
		right &= worker_verify(&c->shared->worker[i]);
	printf("%s 2 - every table was always what it should be, counters included\n1..2\n",
	       right ? "ok" : "not ok");
	return c->hangs || (bad && !c->blind) || !right;
}

static void allow(struct churn *c, char *list)
{
	char *statuses = strchr(list, ':'), *one;

	if (statuses)
		*statuses++ = '\0';
	for (one = strtok(list, ","); one; one = strtok(NULL, ","))
		c->allowed[0][strtoul(one, NULL, 0) % MAX_ERRNO] = true;
	for (one = statuses ? strtok(statuses, ",") : NULL; one; one = strtok(NULL, ","))
		c->allowed[1][strtoul(one, NULL, 0) % MAX_ERRNO] = true;
}

static bool parse(int argc, char **argv, struct churn *c)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'},
		{"limit", required_argument, NULL, 'l'},
		{"allow", required_argument, NULL, 'a'},
		{"every", required_argument, NULL, 'e'},
		{"kill", required_argument, NULL, 'k'},
		{"kill-helper", required_argument, NULL, 'h'},
		{"pause", required_argument, NULL, 'p'},
		{"blind", no_argument, NULL, 'b'},
		{"seed", required_argument, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			c->seconds = strtoul(optarg, NULL, 0);
			break;
		case 'l':
			c->limit_ns = strtoul(optarg, NULL, 0) * 1000000ULL;
			break;
		case 'a':
			allow(c, optarg);
			break;
		case 'e':
			c->every = strtoul(optarg, NULL, 0);
			break;
		case 'k':
			c->kills = strtoul(optarg, NULL, 0);
			break;
		case 'h':
			c->helper_kills = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			c->pause = strtoul(optarg, NULL, 0);
			break;
		case 'b':
			c->blind = true;
			break;
		case 'r':
			c->random = strtoull(optarg, NULL, 0);
			break;
		default:
			return false;
		}
	}
	c->nr = argc - optind;
	return c->nr > 0 && c->nr <= MAX_WORKERS;
}

static void prepare(struct churn *c, int i, const char *netns)
{
	struct worker *w = &c->shared->worker[i];

	w->netns = open(netns, O_RDONLY | O_CLOEXEC);
	if (w->netns < 0) {
		perror(netns);
		exit(1);
	}
	w->blind = c->blind;
	w->every = c->every;
	w->pause = c->pause;
	w->random = draw(&c->random, UINT64_MAX);
	w->address = 0x0a000000 + (i << 20);
}

int main(int argc, char **argv)
{
	struct churn c = {.seconds = 600, .limit_ns = 5000000000ULL, .random = time(NULL)};
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!parse(argc, argv, &c)) {
		fputs(usage, stderr);
		return 2;
	}
	printf("# seed %llu\n", (unsigned long long)c.random);
	c.shared = mmap(NULL, sizeof(*c.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (c.shared == MAP_FAILED)
		return 1;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	for (i = 0; i < c.nr; i++)
		prepare(&c, i, argv[optind + i]);
	for (i = 0; i < c.nr; i++)
		start_worker(&c, &c.shared->worker[i]);
	control(&c);
	end_workers(&c);
	return finish(&c);
}
