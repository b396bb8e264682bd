// SPDX-License-Identifier: GPL-2.0
/*
 * device_fuzz [--count=N] [--seed=N] NETNS... - be a helper that does at random what can be done with
 * /dev/bpfilter: reads, writes and ioctls, right, nearly right and senseless, in two threads
 *
 * The namespaces are those that may get flags and programs. Other processes should make iptables calls
 * in them meanwhile, so that there are requests. What the calls return does not matter: that the
 * kernel stays sound does. In the end no namespace has anything of ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/netfilter.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_LOG.h>
#include <linux/netfilter/xt_NFLOG.h>
#include <linux/netfilter/xt_length.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "uapi/bpfilter.h"

#define THREADS	  2
#define MAX_NETNS 8
#define DEVICE_FD 500 /* a number that the kernel chooses for nothing else */
#define RECENT	  64
#define QUESTIONS 8

enum kind { READS, WRITES, IOCTLS, OTHERS, OPENS, KINDS };

static const char *const kind_names[KINDS] = {"reads", "writes", "ioctls", "other calls", "opens"};

/**
 * struct fuzz - one of the threads
 * @prog, @noting, @asking: programs for the hooks
 * @questions: descriptors of questions, some of which are closed by now; -1
 * @id: of requests that were read of late
 * @done, @succeeded: how many calls
 * @asked, @targets: how many of them made questions, and such with targets
 */
struct fuzz {
	uint64_t random, count;
	const int *netns;
	int nr_netns, prog, noting, asking;
	int questions[QUESTIONS];
	char *memory; /* the second of its two pages cannot be touched */
	uint64_t id[RECENT];
	uint64_t nr_ids;
	unsigned long done[KINDS], succeeded[KINDS], asked, targets;
};

static uint64_t draw(struct fuzz *f, uint64_t below)
{
	uint64_t z = f->random += 0x9e3779b97f4a7c15ULL; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return below ? (z ^ z >> 31) % below : z ^ z >> 31;
}

static void count(struct fuzz *f, enum kind kind, bool ok)
{
	f->done[kind]++;
	f->succeeded[kind] += ok;
}

/* Memory for @len bytes: sometimes less than that, sometimes none. */
static void *some_memory(struct fuzz *f, size_t len)
{
	static void *const bad[] = {NULL, (void *)8, (void *)-1, (void *)0xffff800000000000};

	switch (draw(f, 40)) {
	case 0:
		return bad[draw(f, 4)];
	case 1:
		return f->memory + 4096 - draw(f, len + 1);
	default:
		return f->memory;
	}
}

static void do_read(struct fuzz *f)
{
	size_t len = draw(f, 4) ? 4096 : draw(f, 300);
	struct bpfilter_request *req = some_memory(f, len);
	ssize_t n = read(DEVICE_FD, req, len);

	if (n >= (ssize_t)sizeof(*req))
		f->id[f->nr_ids++ % RECENT] = req->id;
	count(f, READS, n > 0);
	/* Leave something of the processor to those who make the requests. */
	if (n < 0 && errno == EAGAIN && !draw(f, 8))
		sched_yield();
}

static uint64_t some_id(struct fuzz *f)
{
	uint64_t back = draw(f, 3) ? 1 : 1 + draw(f, RECENT);

	if (!f->nr_ids || !draw(f, 30))
		return draw(f, 2) ? draw(f, 100000) : draw(f, 0);
	return f->id[(f->nr_ids - back) % RECENT];
}

static void do_write(struct fuzz *f)
{
	static const int errors[] = {0, 0, 0, -1, -11, -110, -4095, -4096, 1, INT32_MIN};
	struct bpfilter_reply reply = {.id = some_id(f)};
	size_t len = sizeof(reply);
	char *memory = f->memory;
	unsigned int i;

	switch (draw(f, 8)) {
	case 0:
		len = draw(f, 200);
		for (i = 0; i < len; i++)
			memory[i] = draw(f, 256);
		break;
	case 1:
		reply.error = errors[draw(f, 10)];
		reply.len = draw(f, 0);
		len = draw(f, 2) ? sizeof(reply) + draw(f, 4000) : draw(f, 40);
		break;
	case 2:
	case 3:
		reply.len = draw(f, draw(f, 2) ? 90 : 2000);
		len += reply.len;
		break;
	default:
		reply.error = errors[draw(f, 10)];
		break;
	}
	memcpy(memory, &reply, sizeof(reply));
	if (!draw(f, 40))
		memory = some_memory(f, len);
	if (draw(f, 8)) {
		count(f, WRITES, write(DEVICE_FD, memory, len) > 0);
	} else {
		size_t first = draw(f, len + 1);
		struct iovec io[2] = {{memory, first}, {memory + first, len - first}};

		count(f, WRITES, writev(DEVICE_FD, io, 2) > 0);
	}
}

static int some_fd(struct fuzz *f)
{
	switch (draw(f, 6)) {
	case 0:
		return (int)draw(f, 0);
	case 1:
		return draw(f, 2) ? DEVICE_FD : f->prog;
	case 2:
		return f->questions[draw(f, QUESTIONS)];
	default:
		return f->netns[draw(f, f->nr_netns)];
	}
}

static void some_ns(struct fuzz *f, struct bpfilter_ns *ns)
{
	ns->netns = some_fd(f);
	ns->flags = draw(f, draw(f, 8) ? 16 : 0);
	ns->prog = draw(f, 3) ? draw(f, 4) ? draw(f, 3) ? f->noting : f->prog : some_fd(f) : -1;
	ns->want = draw(f, 0);
	ns->asking = ns->questions = -1;
	if (draw(f, 2)) {
		/* Without a program that asks there may be targets. */
		ns->asking = draw(f, 8) ? draw(f, 2) ? f->asking : -1 : some_fd(f);
		ns->questions = draw(f, 8) ? f->questions[draw(f, QUESTIONS)] : some_fd(f);
	}
}

/* One that the kernel takes more often than not, a match or a target. Returns its size. */
static size_t some_question(struct fuzz *f, struct bpfilter_question *q)
{
	static const struct xt_length_info length = {.min = 20, .max = 100};
	static const struct xt_rateinfo limit = {.avg = 10000, .burst = 5};
	static const struct ipt_reject_info reject = {.with = IPT_ICMP_PORT_UNREACHABLE};
	static const struct xt_log_info log = {.level = 7, .logflags = XT_LOG_MASK};
	static const struct xt_nflog_info nflog = {.group = 1};
	struct xt_recent_mtinfo recent = {.check_set = XT_RECENT_SET, .name = "fuzz"};
	static const struct {
		const char *name;
		size_t size;
		uint32_t flags;
	} kinds[] = {{"length", sizeof(length), 0},
		     {"limit", sizeof(limit), 0},
		     {"recent", sizeof(recent), 0},
		     {"REJECT", sizeof(reject), BPFILTER_QUESTION_TARGET},
		     {"LOG", sizeof(log), BPFILTER_QUESTION_TARGET},
		     {"NFLOG", sizeof(nflog), BPFILTER_QUESTION_TARGET}};
	const void *data[] = {&length, &limit, &recent, &reject, &log, &nflog};
	unsigned int kind = draw(f, 6);

	recent.name[3] = 'a' + draw(f, 3);
	memset(q, 0, sizeof(*q));
	strcpy(q->name, kinds[kind].name);
	q->flags = kinds[kind].flags;
	q->size = XT_ALIGN(kinds[kind].size);
	memset(q + 1, 0, q->size);
	memcpy(q + 1, data[kind], kinds[kind].size);
	if (!draw(f, 16))
		((char *)q)[draw(f, sizeof(*q) + q->size)] = draw(f, 256);
	return sizeof(*q) + XT_ALIGN(kinds[kind].size);
}

/* Somewhere in the page, behind the structure. Are there targets? */
static bool some_questions(struct fuzz *f, struct bpfilter_questions *arg)
{
	char *list = (char *)(arg + 1);
	bool targets = false;
	uint32_t i;

	*arg = (struct bpfilter_questions){.netns = some_fd(f), .nr = 1 + draw(f, 8)};
	for (i = 0; i < arg->nr; i++) {
		struct bpfilter_question *q = (void *)(list + arg->size);

		arg->size += some_question(f, q);
		targets |= q->flags & BPFILTER_QUESTION_TARGET;
	}
	arg->list = (uintptr_t)list;
	if (!draw(f, 8))
		arg->list = (uintptr_t)some_memory(f, arg->size);
	if (!draw(f, 8))
		arg->size = draw(f, draw(f, 2) ? 4096 : 0);
	if (!draw(f, 8))
		arg->nr = draw(f, draw(f, 2) ? 300 : 0);
	return targets;
}

/* One more descriptor, for one less. */
static void keep_questions(struct fuzz *f, int fd)
{
	int *place = &f->questions[draw(f, QUESTIONS)];

	if (*place >= 0)
		close(*place);
	*place = fd;
}

static unsigned long some_command(struct fuzz *f)
{
	static const unsigned long commands[] = {BPFILTER_IOC_READY, BPFILTER_IOC_NETNS,
						 BPFILTER_IOC_NS_GET, FIONREAD};

	/* Others wait until all CPUs have been somewhere else; and the last one ends all requests. */
	if (!draw(f, 100))
		return draw(f, 4) ? BPFILTER_IOC_NS_SET : BPFILTER_IOC_SYNC;
	if (!draw(f, 40))
		return draw(f, 4) ? BPFILTER_IOC_QUESTIONS : BPFILTER_IOC_QUESTIONS_NOW;
	if (!draw(f, 10000))
		return BPFILTER_IOC_STOP;
	switch (draw(f, 10)) {
	case 0:
		return commands[draw(f, 4)] ^ 1UL << draw(f, 32);
	case 1:
		return _IOC(draw(f, 4), 'B', draw(f, 256), draw(f, 64));
	default:
		return commands[draw(f, 4)];
	}
}

static void do_ioctl(struct fuzz *f)
{
	unsigned long command = some_command(f);
	bool targets = false;
	void *arg = f->memory;
	int ret;

	switch (command) {
	case BPFILTER_IOC_READY:
		*(uint32_t *)arg = draw(f, 8) ? BPFILTER_VERSION : draw(f, 0);
		break;
	case BPFILTER_IOC_NETNS:
		*(uint64_t *)arg = some_id(f);
		break;
	case BPFILTER_IOC_QUESTIONS:
		targets = some_questions(f, arg);
		break;
	case BPFILTER_IOC_QUESTIONS_NOW:
		*(int *)arg = some_fd(f);
		break;
	default:
		some_ns(f, arg);
		break;
	}
	if (!draw(f, 30))
		arg = some_memory(f, sizeof(struct bpfilter_ns));
	ret = ioctl(DEVICE_FD, command, arg);
	if (command == BPFILTER_IOC_NETNS && ret >= 0)
		close(ret);
	if ((command == BPFILTER_IOC_QUESTIONS || command == BPFILTER_IOC_QUESTIONS_NOW) &&
	    ret >= 0) {
		f->asked++;
		f->targets += targets;
		keep_questions(f, ret);
	}
	count(f, IOCTLS, ret >= 0);
}

static void do_other(struct fuzz *f)
{
	struct pollfd p = {.fd = DEVICE_FD, .events = draw(f, 0)};
	void *map;

	switch (draw(f, 5)) {
	case 0:
		map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, DEVICE_FD, 0);
		count(f, OTHERS, map != MAP_FAILED);
		if (map != MAP_FAILED)
			munmap(map, 4096);
		break;
	case 1:
		count(f, OTHERS, lseek(DEVICE_FD, draw(f, 0), draw(f, 6)) >= 0);
		break;
	case 2:
		count(f, OTHERS, pread(DEVICE_FD, f->memory, draw(f, 4096), draw(f, 0)) >= 0);
		break;
	case 3:
		count(f, OTHERS, ftruncate(DEVICE_FD, draw(f, 0)) >= 0);
		break;
	default:
		count(f, OTHERS, poll(&p, 1, 0) > 0);
		break;
	}
}

static bool device_open(void)
{
	uint32_t version = BPFILTER_VERSION;
	int fd, tries;

	/* What the other thread is in the middle of holds the old one open. */
	for (tries = 0; tries < 1000; tries++) {
		fd = open(BPFILTER_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			break;
		usleep(1000);
	}
	if (fd < 0 || dup2(fd, DEVICE_FD) < 0)
		return false;
	close(fd);
	return !ioctl(DEVICE_FD, BPFILTER_IOC_READY, &version);
}

static void *fuzz_thread(void *arg)
{
	static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
	struct fuzz *f = arg;
	uint64_t i;

	for (i = 0; i < f->count; i++) {
		uint64_t what = draw(f, 4000);

		if (what == 0) {
			pthread_mutex_lock(&opening);
			close(DEVICE_FD);
			count(f, OPENS, device_open());
			pthread_mutex_unlock(&opening);
		} else if (what < 1400) {
			do_read(f);
		} else if (what < 2800) {
			do_write(f);
		} else if (what < 3900) {
			do_ioctl(f);
		} else {
			do_other(f);
		}
	}
	return NULL;
}

static int load_insns(const struct bpf_insn *insns, unsigned int nr)
{
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (unsigned long)insns,
		.insn_cnt = nr,
		.license = (unsigned long)"GPL",
	};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* A program for the hooks that accepts every packet. */
static int load_program(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = NF_ACCEPT},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load_insns(insns, sizeof(insns) / sizeof(insns[0]));
}

#define CB(n) offsetof(struct __sk_buff, cb[n])

/* cb[n] of the context, which is r6, becomes a random number with these bits. */
#define RANDOM_CB(n, bits)                                                                         \
	{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_prandom_u32},                             \
		{.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 0, .imm = (bits)},                \
	{                                                                                          \
		.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 6, .src_reg = 0, .off = CB(n)        \
	}

/* One that notes up to 31 targets and matches, of which few exist, and accepts a packet or not. */
static int load_noting(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 6, .src_reg = 1},
		RANDOM_CB(2, 0x0f0f0f0f),
		RANDOM_CB(3, 0x0f0f0f0f),
		RANDOM_CB(4, 31),
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_prandom_u32},
		{.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 0, .imm = NF_ACCEPT},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load_insns(insns, sizeof(insns) / sizeof(insns[0]));
}

/* One that asks question 0 to 7, at random and as often as that may be, and in the end nothing. */
static int load_asking(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_prandom_u32},
		{.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 0, .imm = BPFILTER_ASK | 7},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return load_insns(insns, sizeof(insns) / sizeof(insns[0]));
}

/* Every namespace is as it was: the module can be unloaded. */
static bool clean_up(const int *netns, int nr)
{
	bool ok = device_open();
	uint64_t lost = 0;
	int i;

	for (i = 0; i < nr; i++) {
		struct bpfilter_ns ns = {
			.netns = netns[i], .prog = -1, .asking = -1, .questions = -1};

		ok &= !ioctl(DEVICE_FD, BPFILTER_IOC_NS_SET, &ns);
		ok &= !ioctl(DEVICE_FD, BPFILTER_IOC_NS_GET, &ns) && !ns.flags && !ns.prog;
		lost += ns.lost;
	}
	printf("# %llu notes for which there was no room\n", (unsigned long long)lost);
	/* Or no packet has come to the program that notes. */
	ok &= lost > 0;
	ok &= !ioctl(DEVICE_FD, BPFILTER_IOC_STOP);
	close(DEVICE_FD);
	return ok;
}

static bool prepare(struct fuzz *f)
{
	f->memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return f->memory != MAP_FAILED && !mprotect(f->memory + 4096, 4096, PROT_NONE);
}

static bool report(const struct fuzz *fuzz)
{
	unsigned long asked = 0, targets = 0;
	bool ok = true;
	int kind, i;

	for (i = 0; i < THREADS; i++) {
		asked += fuzz[i].asked;
		targets += fuzz[i].targets;
	}
	printf("# %lu times questions, %lu with targets\n", asked, targets);
	ok &= targets > 0;
	for (kind = 0; kind < KINDS; kind++) {
		unsigned long done = 0, succeeded = 0;

		for (i = 0; i < THREADS; i++) {
			done += fuzz[i].done[kind];
			succeeded += fuzz[i].succeeded[kind];
		}
		printf("# %lu %s, %lu with success\n", done, kind_names[kind], succeeded);
		/* If hardly any is right, then they do not get far. */
		ok &= kind == OTHERS || succeeded > done / 1000;
	}
	return ok;
}

static int run(struct fuzz *fuzz)
{
	pthread_t threads[THREADS];
	bool deep, clean;
	int i;

	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, fuzz_thread, &fuzz[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close(DEVICE_FD);
	for (i = 0; i < THREADS * QUESTIONS; i++)
		if (fuzz[i / QUESTIONS].questions[i % QUESTIONS] >= 0)
			close(fuzz[i / QUESTIONS].questions[i % QUESTIONS]);
	deep = report(fuzz);
	clean = clean_up(fuzz[0].netns, fuzz[0].nr_netns);
	printf("%s 1 - %llu calls, and of each kind some that succeed\n", deep ? "ok" : "not ok",
	       (unsigned long long)fuzz[0].count * THREADS);
	printf("%s 2 - all namespaces can be given up afterwards\n1..2\n", clean ? "ok" : "not ok");
	return !deep || !clean;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"count", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	struct fuzz fuzz[THREADS] = {{.random = time(NULL), .count = 1000000}};
	int netns[MAX_NETNS], nr = 0, opt, i;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'n')
			fuzz[0].count = strtoull(optarg, NULL, 0);
		else if (opt == 's')
			fuzz[0].random = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	while (optind < argc && nr < MAX_NETNS)
		netns[nr++] = open(argv[optind++], O_RDONLY | O_CLOEXEC);
	printf("# seed %llu\n", (unsigned long long)fuzz[0].random);
	fuzz[0].count /= THREADS;
	fuzz[0].prog = load_program();
	fuzz[0].noting = load_noting();
	fuzz[0].asking = load_asking();
	for (i = 0; i < QUESTIONS; i++)
		fuzz[0].questions[i] = -1;
	fuzz[0].netns = netns;
	fuzz[0].nr_netns = nr;
	fuzz[1] = fuzz[0];
	fuzz[1].random = ~fuzz[0].random;
	for (i = 0; i < THREADS; i++) {
		if (!nr || !prepare(&fuzz[i])) {
			fprintf(stderr, "usage: device_fuzz [--count=N] [--seed=N] NETNS...\n");
			return 2;
		}
	}
	if (!device_open()) {
		perror(BPFILTER_DEVICE);
		return 1;
	}
	return run(fuzz);
}
