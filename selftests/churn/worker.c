// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "churn.h"

static void begin(struct worker *w, enum call call)
{
	w->last_call = call;
	w->since = now_ns();
}

/* Count how the call has ended; @err is 0 or -errno. */
static int end(struct worker *w, int err)
{
	uint64_t took = now_ns() - w->since;

	w->since = 0;
	if (took > w->longest)
		w->longest = took;
	w->errors[w->last_call][-err < MAX_ERRNO ? -err : MAX_ERRNO - 1]++;
	if (w->pause)
		usleep(w->pause);
	return err;
}

static void print_rules(const char *what, const struct rules *r)
{
	uint32_t i;

	printf("#   %s: %u rules:", what, r->nr);
	for (i = 0; i < r->nr; i++)
		printf(" %x[%llu:%llu]", r->rule[i].saddr, (unsigned long long)r->rule[i].packets,
		       (unsigned long long)r->rule[i].bytes);
	printf("\n");
}

/* Nothing but what is in @now, or in one of @next, which then is what is in there. */
static bool settle(struct worker *w, const struct rules *seen)
{
	unsigned int i;

	if (!w->known) {
		w->now = *seen;
		w->known = true;
	}
	for (i = 0; i < w->nr_next; i++) {
		if (rules_equal(seen, &w->next[i])) {
			w->now = *seen;
			w->nr_next = 0;
		}
	}
	if (rules_equal(seen, &w->now)) {
		w->nr_next = 0;
		return true;
	}
	if (w->wrong++ < 3) {
		printf("# not what should be there:\n");
		print_rules("seen", seen);
		print_rules("should be", &w->now);
		for (i = 0; i < w->nr_next; i++)
			print_rules("or", &w->next[i]);
		fflush(stdout);
	}
	w->now = *seen;
	w->nr_next = 0;
	return false;
}

static int look(struct worker *w, int sk)
{
	struct rules seen;
	int err;

	begin(w, CALL_LIST);
	err = end(w, rules_read(sk, &seen));
	if (err == -EBADMSG) {
		printf("# a table of another form\n");
		w->wrong++;
	}
	if (!err)
		settle(w, &seen);
	return err;
}

/* What may be in the table from now on, besides what is. */
static void expect_next(struct worker *w, const struct rules *next)
{
	w->next[0] = *next;
	w->nr_next = 1;
}

static void happened(struct worker *w)
{
	w->now = w->next[0];
	w->nr_next = 0;
}

static struct rules without_counters(const struct rules *r)
{
	struct rules zero = *r;
	uint32_t i;

	for (i = 0; i < zero.nr; i++)
		zero.rule[i].packets = zero.rule[i].bytes = 0;
	return zero;
}

/* The old counters that a replace gave back. */
static void check_counters(struct worker *w, const struct xt_counters *old)
{
	uint32_t i;

	for (i = 0; i < w->now.nr; i++) {
		if (old[i].pcnt == w->now.rule[i].packets && old[i].bcnt == w->now.rule[i].bytes)
			continue;
		if (w->wrong++ >= 3)
			return;
		printf("# old counter %u is [%llu:%llu]\n", i, (unsigned long long)old[i].pcnt,
		       (unsigned long long)old[i].bcnt);
		print_rules("should be", &w->now);
		return;
	}
}

/* As iptables does it: replace, then add the counters to those that begin with 0. */
static int change(struct worker *w, int sk, const struct rules *want)
{
	struct rules zero = without_counters(want);
	struct xt_counters old[MAX_ENTRIES];
	int err;

	memset(old, 0xaa, sizeof(old));
	expect_next(w, &zero);
	begin(w, CALL_REPLACE);
	err = end(w, rules_replace(sk, &zero, w->now.nr, old));
	if (err)
		return err;
	check_counters(w, old);
	happened(w);
	expect_next(w, want);
	begin(w, CALL_COUNTERS);
	err = end(w, rules_add_counters(sk, want));
	if (!err)
		happened(w);
	return err;
}

static struct rule new_rule(struct worker *w, bool counted)
{
	struct rule r = {.saddr = ++w->address};

	if (counted) {
		r.packets = draw(&w->random, 1 << 20);
		r.bytes = r.packets * 84;
	}
	return r;
}

static int append(struct worker *w, int sk)
{
	struct rules want = w->now;

	want.rule[want.nr++] = new_rule(w, false);
	return change(w, sk, &want);
}

static int delete (struct worker *w, int sk)
{
	struct rules want = w->now;
	uint32_t i;

	for (i = draw(&w->random, want.nr--); i < want.nr; i++)
		want.rule[i] = want.rule[i + 1];
	return change(w, sk, &want);
}

static int restore(struct worker *w, int sk)
{
	struct rules want = {.nr = 10};
	uint32_t i;

	for (i = 0; i < want.nr; i++)
		want.rule[i] = new_rule(w, true);
	return change(w, sk, &want);
}

static int add(struct worker *w, int sk)
{
	struct rules more = w->now, sum = w->now;
	uint32_t i;
	int err;

	for (i = 0; i < more.nr; i++) {
		more.rule[i].packets = draw(&w->random, 100);
		more.rule[i].bytes = draw(&w->random, 100000);
		sum.rule[i].packets += more.rule[i].packets;
		sum.rule[i].bytes += more.rule[i].bytes;
	}
	expect_next(w, &sum);
	begin(w, CALL_COUNTERS);
	err = end(w, rules_add_counters(sk, &more));
	if (!err)
		happened(w);
	return err;
}

/* Another table, and a question that concerns none. */
static int other(struct worker *w, int sk)
{
	struct xt_get_revision revision = {.name = "tcp", .revision = 0};
	socklen_t len = sizeof(revision);
	struct ipt_getinfo info;

	begin(w, CALL_OTHER);
	if (draw(&w->random, 2))
		return end(w, rules_info(sk, "nat", &info));
	return end(w, getsockopt(sk, IPPROTO_IP, IPT_SO_GET_REVISION_MATCH, &revision, &len)
			      ? -errno
			      : 0);
}

/* The exit status of iptables. What it writes goes nowhere; it does not outlive this process. */
static int run_iptables(struct worker *w, char *const argv[])
{
	pid_t parent = getpid(), pid;
	int status = 0, null;

	pid = fork();
	if (!pid) {
		w->child = getpid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		null = open("/dev/null", O_RDWR);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	w->child = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * iptables itself. It says 3 where it could not read the table, 4 where the kernel wants the call to
 * be made again, and 1 for any other error; for the statistics those are the errnos of nothing
 * else.
 */
static int iptables(struct worker *w, int sk)
{
	char *list[] = {"iptables-legacy", "-w", "-S", NULL};
	char address[32];
	char *append[] = {"iptables-legacy", "-w", "-A",   "INPUT", "-s",
			  address,	     "-j", "DROP", NULL};
	struct rules want = w->now;
	bool only_list = draw(&w->random, 2);
	int status;

	if (!only_list) {
		want.rule[want.nr++] = new_rule(w, false);
		snprintf(address, sizeof(address), "%u.%u.%u.%u", w->address >> 24,
			 w->address >> 16 & 255, w->address >> 8 & 255, w->address & 255);
		w->next[0] = want;
		w->next[1] = without_counters(&want);
		w->nr_next = 2;
	}
	begin(w, CALL_IPTABLES);
	status = end(w, -run_iptables(w, only_list ? list : append));
	if (!status && !only_list)
		happened(w);
	return status;
}

/* Calls whose answers mean nothing. */
static void blindly(struct worker *w, int sk)
{
	struct rules r = {.nr = draw(&w->random, 8)};
	struct xt_counters old[MAX_ENTRIES];
	struct ipt_getinfo info;
	struct rules seen;

	switch (draw(&w->random, 5)) {
	case 0:
		begin(w, CALL_INFO);
		end(w, rules_info(sk, "filter", &info));
		break;
	case 1:
		begin(w, CALL_LIST);
		end(w, rules_read(sk, &seen));
		break;
	case 2:
		begin(w, CALL_COUNTERS);
		end(w, rules_add_counters(sk, &r));
		break;
	case 3:
		other(w, sk);
		break;
	default:
		begin(w, CALL_REPLACE);
		end(w, rules_replace(sk, &r, draw(&w->random, 8), old));
		break;
	}
}

static int one_call(struct worker *w, int sk)
{
	if (w->every && !draw(&w->random, w->every) && w->now.nr < MAX_RULES)
		return iptables(w, sk);
	switch (draw(&w->random, 8)) {
	case 0:
		return restore(w, sk);
	case 1:
	case 2:
		return w->now.nr < MAX_RULES ? append(w, sk) : restore(w, sk);
	case 3:
	case 4:
		return w->now.nr ? delete (w, sk) : append(w, sk);
	case 5:
		return add(w, sk);
	case 6:
		return other(w, sk);
	default:
		return look(w, sk);
	}
}

static int enter(struct worker *w)
{
	int sk;

	if (setns(w->netns, CLONE_NEWNET)) {
		perror("setns");
		exit(1);
	}
	sk = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (sk < 0) {
		perror("socket");
		exit(1);
	}
	return sk;
}

void worker_run(struct worker *w, const atomic_bool *stop)
{
	int sk = enter(w);

	while (!*stop) {
		if (w->blind) {
			blindly(w, sk);
			continue;
		}
		/* After a call that failed, or one that was killed: what is there now? */
		if (w->nr_next || !w->known ? look(w, sk) : one_call(w, sk))
			usleep(2000);
	}
	close(sk);
}

bool worker_verify(struct worker *w)
{
	int status = 1, sk, tries;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		sk = enter(w);
		/* Twenty seconds, in which whatever is under way should come to its end. */
		for (tries = 0; look(w, sk); tries++) {
			if (tries == 200)
				_exit(1);
			usleep(100000);
		}
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return status == 0 && !w->wrong;
}
