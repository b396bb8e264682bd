// SPDX-License-Identifier: GPL-2.0
/*
 * Makes iptables' socket option calls in the ways that iptables itself does not: with bad arguments,
 * from other sockets, threads and namespaces, with 32-bit system calls, from a daemon.
 *
 * What it prints is the same with and without "bpfilter run", but where "caller compat" is
 * concerned: the tests compare the two.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BAD_ADDRESS   ((void *)8)

static const char *error_name(int ret)
{
	return ret ? strerrorname_np(errno) : "0";
}

static int get_info(int sk, const char *table, struct ipt_getinfo *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	strcpy(info->name, table);
	return getsockopt(sk, IPPROTO_IP, IPT_SO_GET_INFO, info, &len);
}

/* What GET_INFO and GET_ENTRIES say of a table: how many entries, or the error. */
static void print_table(const char *what, int sk, const char *table)
{
	struct ipt_get_entries *get;
	struct ipt_getinfo info;
	socklen_t len;
	int ret;

	ret = get_info(sk, table, &info);
	if (ret) {
		printf("%s: %s: %s\n", what, table, error_name(ret));
		return;
	}
	len = sizeof(*get) + info.size;
	get = calloc(1, len);
	strcpy(get->name, table);
	get->size = info.size;
	ret = getsockopt(sk, IPPROTO_IP, IPT_SO_GET_ENTRIES, get, &len);
	printf("%s: %s: %u entries, hooks %x, %s, %zu\n", what, table, info.num_entries,
	       info.valid_hooks, error_name(ret), len - sizeof(*get));
	free(get);
}

/* --- errors ---------------------------------------------------------------------------- */

/* One getsockopt with everything chosen: @len is what *optlen holds, @name the table. */
static void try_get(const char *what, int sk, int opt, const char *name, int len, uint32_t size)
{
	char buf[4096] = "";
	struct ipt_get_entries *get = (void *)buf;
	int ret, given = len;

	memcpy(buf, name, strlen(name));
	if (opt == IPT_SO_GET_ENTRIES)
		get->size = size;
	ret = syscall(__NR_getsockopt, sk, IPPROTO_IP, opt, buf, &len);
	printf("%s: get %d %s len %d: %s, len %d\n", what, opt, name, given, error_name(ret), len);
}

static void try_set(const char *what, int sk, int opt, const void *val, int len)
{
	int ret = syscall(__NR_setsockopt, sk, IPPROTO_IP, opt, val, len);

	printf("%s: set %d len %d: %s\n", what, opt, len, error_name(ret));
}

static void lengths(const char *what, int sk)
{
	static const int lens[] = {-1, 0, 1, 31, 32, 39, 40, 41, 83, 84, 85, 4000};
	static const char *const tables[] = {"filter", "nat", "nonesuch", "", "filterx"};
	size_t i, j;
	int opt;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		for (j = 0; j < ARRAY_SIZE(tables); j++)
			for (opt = IPT_SO_GET_INFO; opt <= IPT_SO_GET_REVISION_TARGET; opt++)
				try_get(what, sk, opt, tables[j], lens[i], 960);
	try_get(what, sk, IPT_SO_GET_ENTRIES, "filter", 40 + 960, 960);
	try_get(what, sk, IPT_SO_GET_ENTRIES, "filter", 40 + 961, 961);
	try_get(what, sk, IPT_SO_GET_ENTRIES, "filter", 40, 0);
}

static void sets(const char *what, int sk)
{
	static const int lens[] = {-1, 0, 1, 32, 39, 40, 41, 56, 95, 96, 97, 1000};
	char buf[4096] = "filter";
	struct ipt_replace *replace = (void *)buf;
	struct xt_counters_info *counters = (void *)buf;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(buf, 0, sizeof(buf));
		strcpy(buf, "filter");
		try_set(what, sk, IPT_SO_SET_REPLACE, buf, lens[i]);
		try_set(what, sk, IPT_SO_SET_ADD_COUNTERS, buf, lens[i]);
		try_set(what, sk, 66, buf, lens[i]);
		replace->num_counters = 4;
		replace->size = 600;
		try_set(what, sk, IPT_SO_SET_REPLACE, buf, lens[i]);
		replace->num_counters = INT32_MAX / sizeof(struct xt_counters);
		try_set(what, sk, IPT_SO_SET_REPLACE, buf, lens[i]);
		memset(buf, 0, sizeof(buf));
		strcpy(buf, "filter");
		counters->num_counters = 1;
		try_set(what, sk, IPT_SO_SET_ADD_COUNTERS, buf, lens[i]);
		counters->num_counters = UINT32_MAX;
		try_set(what, sk, IPT_SO_SET_ADD_COUNTERS, buf, lens[i]);
	}
}

/* Memory that cannot be read or written, in every place. */
static void faults(const char *what, int sk)
{
	struct ipt_replace replace = {.name = "filter", .num_counters = 4, .size = 0x20000};
	long page = sysconf(_SC_PAGESIZE);
	char *two =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ipt_getinfo *info;
	socklen_t len = sizeof(*info);
	int ret;

	ret = syscall(__NR_getsockopt, sk, IPPROTO_IP, IPT_SO_GET_INFO, two, BAD_ADDRESS);
	printf("%s: bad optlen: %s\n", what, error_name(ret));
	ret = syscall(__NR_getsockopt, sk, IPPROTO_IP, IPT_SO_GET_INFO, BAD_ADDRESS, &len);
	printf("%s: bad optval: %s\n", what, error_name(ret));
	try_set(what, sk, IPT_SO_SET_REPLACE, BAD_ADDRESS, 1000);
	try_set(what, sk, IPT_SO_SET_ADD_COUNTERS, BAD_ADDRESS, 1000);

	/* Up to the end of what is mapped. */
	mprotect(two + page, page, PROT_NONE);
	memcpy(two + page - sizeof(replace), &replace, sizeof(replace));
	try_set(what, sk, IPT_SO_SET_REPLACE, two + page - sizeof(replace), 0x20000 + 96);
	strcpy(two + page - 32, "filter");
	len = sizeof(*info);
	ret = syscall(__NR_getsockopt, sk, IPPROTO_IP, IPT_SO_GET_INFO, two + page - 32, &len);
	printf("%s: half of optval: %s\n", what, error_name(ret));

	/* Can be read, but not written. */
	info = (void *)two;
	strcpy(info->name, "filter");
	mprotect(two, page, PROT_READ);
	len = sizeof(*info);
	ret = syscall(__NR_getsockopt, sk, IPPROTO_IP, IPT_SO_GET_INFO, info, &len);
	printf("%s: read-only optval: %s, %u\n", what, error_name(ret), info->num_entries);
	munmap(two, 2 * page);
}

static void all_errors(const char *what, int sk)
{
	lengths(what, sk);
	sets(what, sk);
	faults(what, sk);
}

static void errors(void)
{
	static const struct {
		const char *name;
		int domain, type, protocol;
	} sockets[] = {
		{"raw", AF_INET, SOCK_RAW, IPPROTO_RAW}, {"udp", AF_INET, SOCK_DGRAM, 0},
		{"tcp", AF_INET, SOCK_STREAM, 0},	 {"udp6", AF_INET6, SOCK_DGRAM, 0},
		{"tcp6", AF_INET6, SOCK_STREAM, 0},	 {"raw6", AF_INET6, SOCK_RAW, IPPROTO_RAW},
		{"unix", AF_UNIX, SOCK_STREAM, 0},	 {"packet", AF_PACKET, SOCK_RAW, 0},
		{"netlink", AF_NETLINK, SOCK_RAW, 0},	 {"mptcp", AF_INET, SOCK_STREAM, 262},
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sockets); i++) {
		fd = socket(sockets[i].domain, sockets[i].type, sockets[i].protocol);
		if (fd < 0)
			continue;
		all_errors(sockets[i].name, fd);
		close(fd);
	}
	all_errors("no descriptor", -1);
	all_errors("closed descriptor", 999);
	fd = open("/dev/null", O_RDWR);
	all_errors("not a socket", fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	dup2(open("/proc/self/fd/0", O_PATH), 50);
	all_errors("a path", 50);
}

/* --- where the call comes from ---------------------------------------------------------- */

/* A socket of one namespace, used in another. */
static int moved(const char *netns)
{
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	int ns = open(netns, O_RDONLY);

	if (sk < 0 || ns < 0 || setns(ns, CLONE_NEWNET)) {
		perror(netns);
		return 1;
	}
	print_table("a socket from where we came", sk, "filter");
	print_table("a socket from here", socket(AF_INET, SOCK_DGRAM, 0), "filter");
	return 0;
}

static void drop_net_admin(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(__NR_capget, &head, data);
	data[0].effective &= ~(1U << CAP_NET_ADMIN);
	syscall(__NR_capset, &head, data);
}

/* Capabilities belong to threads: this one gives one up, the others keep it. */
static void *weak_thread(void *arg)
{
	int sk = *(int *)arg;

	drop_net_admin();
	print_table("a thread without CAP_NET_ADMIN", sk, "filter");
	print_table("a thread without CAP_NET_ADMIN", sk, "nat");
	return NULL;
}

/* A thread whose descriptors are its own: number 60 is a socket here only. */
static void *unshared_thread(void *arg)
{
	unshare(CLONE_FILES);
	dup2(*(int *)arg, 60);
	print_table("a thread with descriptors of its own", 60, "filter");
	/* Here it is closed; in the leader it is the socket. */
	close(*(int *)arg);
	print_table("closed in this thread", *(int *)arg, "filter");
	return NULL;
}

static void *plain_thread(void *arg)
{
	print_table("another thread", *(int *)arg, "filter");
	return NULL;
}

static void threads(void)
{
	static void *(*const mains[])(void *) = {plain_thread, weak_thread, unshared_thread};
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mains); i++) {
		pthread_t t;

		fflush(stdout);
		pthread_create(&t, NULL, mains[i], &sk);
		pthread_join(t, NULL);
	}
	print_table("the first thread", sk, "filter");
}

/* The process's first thread has ended; another goes on. */
static void *lone_thread(void *arg)
{
	usleep(100000);
	print_table("the last thread", *(int *)arg, "filter");
	exit(0);
}

static void leaderless(void)
{
	static int sk;
	pthread_t t;

	sk = socket(AF_INET, SOCK_DGRAM, 0);
	pthread_create(&t, NULL, lone_thread, &sk);
	pthread_exit(NULL);
}

/* A process that stays behind, and calls when all others are gone. */
static int daemonize(const char *file, int seconds)
{
	if (fork())
		return 0;
	setsid();
	if (fork())
		_exit(0);
	close(0);
	close(1);
	close(2);
	sleep(seconds);
	open("/dev/null", O_RDONLY);
	if (open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600) != 1)
		_exit(1);
	print_table("a daemon", socket(AF_INET, SOCK_DGRAM, 0), "filter");
	fflush(stdout);
	_exit(0);
}

/*
 * Signals that come while a call waits are for later: it must not fail. SA_RESTART, since between the
 * call and the moment when it is picked up the kernel interrupts it, as it would a read(2).
 */
static void on_signal(int sig)
{
}

static int signals(int calls)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	struct ipt_getinfo info;
	pid_t parent = getpid(), child;
	int bad = 0;

	sigaction(SIGUSR1, &sa, NULL);
	child = fork();
	while (child == 0) {
		if (kill(parent, SIGUSR1) || getppid() != parent)
			_exit(0);
		usleep(200);
	}
	while (calls--)
		bad += get_info(sk, "filter", &info) != 0;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("failed among signals: %d\n", bad);
	return bad;
}

/* Many threads at once. */
static void *storm_thread(void *arg)
{
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	struct ipt_getinfo info;
	long calls = (long)arg, bad = 0;

	while (calls--)
		bad += get_info(sk, "filter", &info) != 0;
	close(sk);
	return (void *)bad;
}

static int storm(int nr, long calls)
{
	pthread_t t[nr];
	long bad = 0;
	void *ret;
	int i;

	for (i = 0; i < nr; i++)
		pthread_create(&t[i], NULL, storm_thread, (void *)calls);
	for (i = 0; i < nr; i++) {
		pthread_join(t[i], &ret);
		bad += (long)ret;
	}
	printf("failed in a storm: %ld\n", bad);
	return bad != 0;
}

/* --- 32-bit system calls ---------------------------------------------------------------- */

#ifdef __x86_64__
static int int80(int nr, long a, long b, long c, long d, long e)
{
	int ret;

	/* r8 to r11 are lost on some kernels */
	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
		     : "memory", "r8", "r9", "r10", "r11");
	errno = ret < 0 ? -ret : 0;
	return ret < 0 ? -1 : 0;
}

/* i386: 365 is getsockopt, 366 setsockopt, 102 socketcall with 14 and 15 for the two */
static int compat(void)
{
	int sk = socket(AF_INET, SOCK_DGRAM, 0);
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	static const char *const tables[] = {"filter", "nat"};
	uint32_t *len = (void *)(low + 2048), *args = len + 1;
	size_t i;

	if (low == MAP_FAILED)
		return 1;
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		strcpy(low, tables[i]);
		*len = sizeof(struct ipt_getinfo);
		printf("32-bit: get %s: %s\n", tables[i],
		       error_name(int80(365, sk, 0, IPT_SO_GET_INFO, (long)low, (long)len)));
		printf("32-bit: set %s: %s\n", tables[i],
		       error_name(int80(366, sk, 0, IPT_SO_SET_REPLACE, (long)low, 96)));
		args[0] = sk;
		args[1] = 0;
		args[2] = IPT_SO_GET_INFO;
		args[3] = (long)low;
		args[4] = (long)len;
		printf("32-bit: socketcall get %s: %s\n", tables[i],
		       error_name(int80(102, 15, (long)args, 0, 0, 0)));
		args[2] = IPT_SO_SET_REPLACE;
		args[4] = 96;
		printf("32-bit: socketcall set %s: %s\n", tables[i],
		       error_name(int80(102, 14, (long)args, 0, 0, 0)));
	}
	args[1] = SOL_SOCKET;
	args[2] = SO_TYPE;
	args[4] = (long)len;
	*len = 4;
	printf("32-bit: socketcall, another option: %s\n",
	       error_name(int80(102, 15, (long)args, 0, 0, 0)));
	return 0;
}
#else
static int compat(void)
{
	return 4;
}
#endif

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int sk = socket(AF_INET, SOCK_DGRAM, 0);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "table") && argc > 2)
		print_table("table", sk, argv[2]);
	else if (!strcmp(what, "errors"))
		errors();
	else if (!strcmp(what, "weak-errors"))
		drop_net_admin(), errors();
	else if (!strcmp(what, "moved") && argc > 2)
		return moved(argv[2]);
	else if (!strcmp(what, "threads"))
		threads();
	else if (!strcmp(what, "leaderless"))
		leaderless();
	else if (!strcmp(what, "daemon") && argc > 3)
		return daemonize(argv[2], atoi(argv[3]));
	else if (!strcmp(what, "signals") && argc > 2)
		return signals(atoi(argv[2]));
	else if (!strcmp(what, "storm") && argc > 2)
		return storm(24, atoi(argv[2]));
	else if (!strcmp(what, "compat"))
		return compat();
	else
		return 2;
	return 0;
}
