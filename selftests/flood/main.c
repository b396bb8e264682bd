// SPDX-License-Identifier: GPL-2.0
/*
 * The filter table is replaced again and again while packets pour through all three hooks. No
 * packet may pass that both tables drop, none may be dropped that both accept, and what the tables
 * counted must add up to what came.
 *
 * The kernel's own ip_tables has to pass this as well, and does.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "lab.h"

/**
 * struct flood - one run
 * @before, @after: the tables in front of and behind filter, at the end
 * @counted: by the filter tables, all of them together
 * @added: what was put in by IPT_SO_SET_ADD_COUNTERS
 * @in_force: the entries of the table in force
 */
struct flood {
	struct host host;
	atomic_bool stop;
	unsigned int test, failures;
	struct seen before, after;
	struct tally counted, added;
	struct ipt_replace *in_force;
};

static void result(struct flood *f, int ok, const char *text, const char *which)
{
	printf("%s %u - %s: %s\n", ok ? "ok" : "not ok", ++f->test, which, text);
	fflush(stdout);
	f->failures += !ok;
}

static void *flood_in(void *arg)
{
	static const int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD};
	unsigned char packets[2 * CLASSES][PACKET_LEN];
	struct flood *f = arg;
	unsigned int i;

	for (i = 0; i < 2 * CLASSES; i++)
		host_packet(packets[i], i / 2, hooks[i % 2]);
	for (i = 0; !atomic_load(&f->stop); i = (i + 1) % (2 * CLASSES))
		if (write(f->host.tun, packets[i], PACKET_LEN) < 0)
			return NULL;
	return NULL;
}

static void *flood_out(void *arg)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(HOST_REMOTE)};
	int sk = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	unsigned char packets[CLASSES][PACKET_LEN];
	struct flood *f = arg;
	unsigned int i;

	for (i = 0; i < CLASSES; i++)
		host_packet(packets[i], i, NF_INET_LOCAL_OUT);
	/* EPERM is what the sender of a dropped packet is told. */
	for (i = 0; !atomic_load(&f->stop); i = (i + 1) % CLASSES)
		sendto(sk, packets[i], PACKET_LEN, 0, (struct sockaddr *)&to, sizeof(to));
	close(sk);
	return NULL;
}

/* The counters that the kernel gives back are the last of the table that goes. */
static int replace(struct flood *f, enum flood_table which)
{
	struct ipt_replace *r = table_build(which);
	int err = 0;

	r->num_counters = f->in_force->num_entries;
	r->counters = calloc(r->num_counters, sizeof(*r->counters));
	if (setsockopt(f->host.control, IPPROTO_IP, IPT_SO_SET_REPLACE, r, sizeof(*r) + r->size)) {
		err = -errno;
		free(r->counters);
		free(r);
		return err;
	}
	table_tally(&f->counted, f->in_force->entries, f->in_force->size, r->counters);
	free(r->counters);
	r->counters = NULL;
	free(f->in_force);
	f->in_force = r;
	return 0;
}

/* As iptables does after a replace, for the rules that it kept. */
static int add_counters(struct flood *f)
{
	uint32_t n = f->in_force->num_entries, i;
	size_t len = sizeof(struct xt_counters_info) + n * sizeof(struct xt_counters);
	struct xt_counters_info *info = calloc(1, len);
	int err = 0;

	strcpy(info->name, "filter");
	info->num_counters = n;
	for (i = 0; i < n; i++)
		info->counters[i] = (struct xt_counters){i + 1, 1000 * i};
	if (setsockopt(f->host.control, IPPROTO_IP, IPT_SO_SET_ADD_COUNTERS, info, len))
		err = -errno;
	else
		table_tally(&f->added, f->in_force->entries, f->in_force->size, info->counters);
	free(info);
	return err;
}

static struct ipt_replace *first_table(struct flood *f)
{
	struct ipt_getinfo info = {.name = "filter"};
	socklen_t len = sizeof(info);
	struct ipt_replace *r = table_build(TABLE_FLAT);

	/* Of the table before the first only the number of entries is of interest. */
	r->size = 0;
	if (getsockopt(f->host.control, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len))
		info.num_entries = 0;
	r->num_entries = info.num_entries;
	return r;
}

static void pause_ms(unsigned int ms)
{
	struct timespec ts = {0, ms * 1000000L};

	nanosleep(&ts, NULL);
}

static int run(struct flood *f, enum flood_table second, unsigned long count)
{
	unsigned long i;
	int err = 0;

	for (i = 0; i < count && !err; i++) {
		err = replace(f, i % 2 ? second : TABLE_FLAT);
		if (!err && i % 5 == 0)
			err = add_counters(f);
		/* Each table sees some packets, however fast replaces are. */
		pause_ms(1);
		if (i % 100 == 99)
			printf("# %lu replaces\n", i + 1);
	}
	if (err)
		printf("# replace %lu: %s\n", i, strerror(-err));
	return err;
}

static int flood(struct flood *f, enum flood_table second, unsigned long count)
{
	pthread_t in, out;
	int err = replace(f, TABLE_FLAT);

	if (err || pthread_create(&in, NULL, flood_in, f))
		return err ? err : -EAGAIN;
	if (pthread_create(&out, NULL, flood_out, f)) {
		atomic_store(&f->stop, true);
		pthread_join(in, NULL);
		return -EAGAIN;
	}
	err = run(f, second, count);
	atomic_store(&f->stop, true);
	pthread_join(in, NULL);
	pthread_join(out, NULL);
	/* What waits somewhere for its verdict gets it now. */
	pause_ms(300);
	if (!err)
		err = replace(f, TABLE_FLAT);
	if (!err)
		err = host_seen(&f->host, "mangle", &f->before);
	if (!err)
		err = host_seen(&f->host, "security", &f->after);
	return err;
}

static unsigned long sum(const struct seen *s, unsigned int class)
{
	return s->of[NF_INET_LOCAL_IN][class] + s->of[NF_INET_FORWARD][class] +
	       s->of[NF_INET_LOCAL_OUT][class];
}

static int adds_up(const struct flood *f)
{
	unsigned int class;
	int ok = 1;

	for (class = 0; class < CLASSES; class ++) {
		struct xt_counters c = f->counted.of[class], a = f->added.of[class];
		unsigned long came = sum(&f->before, class);

		printf("# class %u: %lu came, %lu counted, %lu passed\n", class, came,
		       (unsigned long)(c.pcnt - a.pcnt), sum(&f->after, class));
		ok &= c.pcnt - a.pcnt == came && c.bcnt - a.bcnt == came * PACKET_LEN;
	}
	return ok;
}

static void judge(struct flood *f, const char *which)
{
	static const int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
	unsigned int i, class;
	int enough = 1, lost = 0, leaked = 0;

	for (i = 0; i < 3; i++) {
		for (class = 0; class < CLASSES; class ++)
			enough &= f->before.of[hooks[i]][class] > 100;
		lost |= f->before.of[hooks[i]][CLASS_PASS] != f->after.of[hooks[i]][CLASS_PASS];
		leaked |= f->after.of[hooks[i]][CLASS_DROP] != 0;
	}
	result(f, enough, "packets of all classes came to all hooks", which);
	result(f, adds_up(f), "what was counted is what came", which);
	result(f, !lost, "nothing was dropped that both tables accept", which);
	result(f, !leaked, "nothing passed that both tables drop", which);
	result(f,
	       sum(&f->after, CLASS_FIRST) && sum(&f->after, CLASS_SECOND) &&
		       sum(&f->after, CLASS_FIRST) < sum(&f->before, CLASS_FIRST) &&
		       sum(&f->after, CLASS_SECOND) < sum(&f->before, CLASS_SECOND),
	       "either table was in force for a while", which);
}

static void flood_with(struct flood *f, enum flood_table second, unsigned long count,
		       const char *which)
{
	struct timespec start, end;
	int err;

	*f = (struct flood){.test = f->test, .failures = f->failures};
	if (host_open(&f->host)) {
		result(f, 0, "a host", which);
		return;
	}
	f->in_force = first_table(f);
	clock_gettime(CLOCK_MONOTONIC, &start);
	err = flood(f, second, count);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("# %s: %.1f s\n", which,
	       (end.tv_sec - start.tv_sec) + (end.tv_nsec - start.tv_nsec) / 1e9);
	if (err)
		result(f, 0, strerror(-err), which);
	else
		judge(f, which);
	free(f->in_force);
	close(f->host.tun);
	close(f->host.control);
}

static void flood_all(struct flood *f, unsigned long replaces, unsigned long handovers)
{
	if (replaces)
		flood_with(f, TABLE_CHAIN, replaces, "two tables");
	if (handovers)
		flood_with(f, TABLE_FOREIGN, handovers, "a table, and one for ip_tables");
}

/* The flood itself gets the signal as well, ends, and then so do we. */
static void on_signal(int sig)
{
	(void)sig;
}

/* This program again, behind the command prefix. Its exit status. */
static int run_behind(char **argv, const char *prefix)
{
	char self[256], command[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	struct lab lab;
	int status;

	if (n < 0 || lab_begin(&lab))
		return 1;
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	self[n] = '\0';
	n = snprintf(command, sizeof(command), "%s '%s' --inside", prefix, self);
	for (argv++; *argv && n < (ssize_t)sizeof(command); argv++)
		n += snprintf(command + n, sizeof(command) - n, " '%s'", *argv);
	status = n < (ssize_t)sizeof(command) ? system(command) : -1;
	lab_end(&lab);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static const char usage[] =
	"usage: flood [OPTION...]\n"
	"  --prefix=CMD   how to run it, words before the command (\"$BPFILTER run --\");\n"
	"                 empty: test the kernel's ip_tables\n"
	"  --replaces=N   between two tables that are translated (1000)\n"
	"  --handovers=N  between one that is and one that is not (a fifth of that)\n";

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"prefix", required_argument, NULL, 'p'},
		{"inside", no_argument, NULL, 'i'},
		{"replaces", required_argument, NULL, 'r'},
		{"handovers", required_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	long replaces = 1000, handovers = -1;
	char ours[512];
	const char *prefix = ours;
	struct flood f = {.test = 0};
	bool inside = false;
	int c;

	snprintf(ours, sizeof(ours), "'%s' run --",
		 getenv("BPFILTER") ? getenv("BPFILTER") : "bpfilter");
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'p')
			prefix = optarg;
		else if (c == 'i')
			inside = true;
		else if (c == 'r')
			replaces = strtol(optarg, NULL, 0);
		else if (c == 'h')
			handovers = strtol(optarg, NULL, 0);
		else
			return fputs(usage, stderr), 2;
	}
	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 4;
	}
	if (*prefix && !inside)
		return run_behind(argv, prefix);
	printf("TAP version 13\n");
	flood_all(&f, replaces, handovers < 0 ? replaces / 5 : handovers);
	printf("1..%u\n", f.test);
	return f.failures != 0;
}
