// SPDX-License-Identifier: GPL-2.0
/*
 * The same calls in two network namespaces: in one the kernel answers, in the other a child of
 * "bpfilter run". After every call that sets something, refused or not, both tables are read and
 * must be the same.
 *
 * Each namespace has a child that does what it is told through a pipe. The memory that it passes
 * to the kernel ends at a page that cannot be touched, so that lengths beyond it fault.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel_table.h"
#include "module.h"
#include "mutate.h"

#define MAX_COUNTERS (1 << 20)

enum pointer { POINTER_GOOD, POINTER_NULL, POINTER_BAD };

/**
 * struct order - one system call
 * @optlen: the length it names
 * @len: bytes of memory there are; they follow
 * @val, @lenp, @counters: what kind of pointers it gets
 */
struct order {
	bool get;
	int32_t opt;
	int32_t optlen;
	uint32_t len;
	enum pointer val, lenp, counters;
	uint8_t data[MAX_VALUE] __attribute__((aligned(8)));
};

/**
 * struct answer - what came of it
 * @len: bytes of memory as they are afterwards (get)
 * @nr_counters: old counters that were written (replace)
 */
struct answer {
	int32_t error;
	int32_t optlen;
	uint32_t len;
	uint32_t nr_counters;
	struct xt_counters counters[512];
	uint8_t data[MAX_VALUE] __attribute__((aligned(8)));
};

static bool read_all(int fd, void *buf, size_t len)
{
	while (len) {
		ssize_t n = read(fd, buf, len);

		if (n <= 0)
			return false;
		buf = (char *)buf + n;
		len -= n;
	}
	return true;
}

static bool write_all(int fd, const void *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n <= 0)
			return false;
		buf = (const char *)buf + n;
		len -= n;
	}
	return true;
}

static bool order_send(int fd, const struct order *o)
{
	return write_all(fd, o, offsetof(struct order, data) + o->len);
}

static bool order_receive(int fd, struct order *o)
{
	return read_all(fd, o, offsetof(struct order, data)) && o->len <= MAX_VALUE &&
	       read_all(fd, o->data, o->len);
}

static bool answer_send(int fd, const struct answer *a)
{
	return write_all(fd, a, offsetof(struct answer, data) + a->len);
}

static bool answer_receive(int fd, struct answer *a)
{
	return read_all(fd, a, offsetof(struct answer, data)) && a->len <= MAX_VALUE &&
	       read_all(fd, a->data, a->len);
}

/* --- the child --------------------------------------------------------------------------- */

struct child {
	int sk;
	uint8_t *end; /* of the memory for option values */
	struct xt_counters *counters;
};

static void *pointer_to(enum pointer kind, void *good)
{
	return kind == POINTER_GOOD ? good : kind == POINTER_NULL ? NULL : (void *)16;
}

static void child_set(struct child *c, const struct order *o, struct answer *a, uint8_t *val)
{
	const struct ipt_replace *head = (const void *)o->data;
	struct xt_counters *counters = pointer_to(o->counters, c->counters);
	uint32_t n = 0;

	if (o->opt == IPT_SO_SET_REPLACE && o->len >= sizeof(*head)) {
		memcpy(val + offsetof(struct ipt_replace, counters), &counters, sizeof(counters));
		n = head->num_counters;
	}
	if (n > ARRAY_SIZE(a->counters))
		n = ARRAY_SIZE(a->counters);
	memset(c->counters, 0xaa, n * sizeof(*counters));
	if (setsockopt(c->sk, IPPROTO_IP, o->opt, pointer_to(o->val, val), o->optlen))
		a->error = errno;
	memcpy(a->counters, c->counters, n * sizeof(*counters));
	a->nr_counters = n;
}

static void child_get(struct child *c, const struct order *o, struct answer *a, uint8_t *val)
{
	socklen_t len = o->optlen;

	if (getsockopt(c->sk, IPPROTO_IP, o->opt, pointer_to(o->val, val),
		       pointer_to(o->lenp, &len)))
		a->error = errno;
	a->optlen = len;
	a->len = o->len;
	memcpy(a->data, val, o->len);
}

int run_child(void)
{
	struct order *o = calloc(1, sizeof(*o));
	struct answer *a = calloc(1, sizeof(*a));
	uint8_t *memory = mmap(NULL, MAX_VALUE + 4096, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct child c = {.sk = bf_kernel_socket()};

	c.counters = calloc(MAX_COUNTERS, sizeof(*c.counters));
	if (!o || !a || memory == MAP_FAILED || !c.counters || c.sk < 0)
		return 1;
	c.end = memory + MAX_VALUE;
	if (mprotect(c.end, 4096, PROT_NONE))
		return 1;

	while (order_receive(0, o)) {
		uint8_t *val = c.end - o->len;

		memset(a, 0, offsetof(struct answer, data));
		memcpy(val, o->data, o->len);
		if (o->get)
			child_get(&c, o, a, val);
		else
			child_set(&c, o, a, val);
		if (!answer_send(1, a))
			return 1;
	}
	free(o);
	free(a);
	free(c.counters);
	munmap(memory, MAX_VALUE + 4096);
	close(c.sk);
	return 0;
}

/* --- the parent -------------------------------------------------------------------------- */

struct side {
	pid_t pid;
	int to, from;
	struct answer answer;
};

/**
 * struct live - a run against two namespaces
 * @nr_entries: of the table that is in force in both
 */
struct live {
	struct side kernel, ours;
	struct ruleset sets[MAX_RULESETS];
	int nr_sets;
	struct order order;
	uint32_t nr_entries, size;
	uint64_t calls, accepted, failed;
	struct story story;
};

/*
 * Start a child in a namespace of its own, below "$BPFILTER run" if @bpfilter is not NULL. Where that
 * is served by the module, the other one has to be excluded.
 */
static bool side_start(struct side *s, const char *self, const char *bpfilter)
{
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return false;
	s->to = to[1];
	s->from = from[0];
	s->pid = fork();
	if (s->pid)
		return s->pid > 0 && !close(to[0]) && !close(from[1]);

	if (unshare(CLONE_NEWNET) || dup2(to[0], 0) < 0 || dup2(from[1], 1) < 0)
		_exit(125);
	if (module_mode() && !bpfilter && module_exclude(open("/proc/self/ns/net", O_RDONLY)))
		_exit(124);
	if (bpfilter && !module_mode())
		execl(bpfilter, bpfilter, "run", "--", self, "--child", NULL);
	else
		execl(self, self, "--child", NULL);
	_exit(126);
}

static int side_stop(struct side *s)
{
	int status = -1;

	close(s->to);
	close(s->from);
	waitpid(s->pid, &status, 0);
	return status;
}

/* Have both do it. False if one is gone. */
static bool both(struct live *l)
{
	l->calls++;
	return order_send(l->kernel.to, &l->order) &&
	       answer_receive(l->kernel.from, &l->kernel.answer) &&
	       order_send(l->ours.to, &l->order) && answer_receive(l->ours.from, &l->ours.answer);
}

static const char *compare_answers(const struct live *l)
{
	const struct answer *k = &l->kernel.answer, *o = &l->ours.answer;

	if (k->error != o->error)
		return "another error";
	if (k->optlen != o->optlen)
		return "another length";
	/* How far the kernel got before an error, nobody promises. */
	if (!k->error && (k->len != o->len || memcmp(k->data, o->data, k->len)))
		return "other content";
	if (k->nr_counters != o->nr_counters ||
	    memcmp(k->counters, o->counters, k->nr_counters * sizeof(k->counters[0])))
		return "other old counters";
	return NULL;
}

static void order_get(struct order *o, int opt, const char *name, uint32_t len)
{
	memset(o, 0, offsetof(struct order, data) + (len < 512 ? 512 : len));
	o->get = true;
	o->opt = opt;
	o->optlen = o->len = len;
	strncpy((char *)o->data, name, XT_TABLE_MAXNAMELEN);
}

/* Read both tables: are they the same? */
static const char *compare_tables(struct live *l)
{
	const struct ipt_getinfo *info = (const void *)l->kernel.answer.data;
	struct ipt_get_entries *get = (void *)l->order.data;
	const char *fault;

	order_get(&l->order, IPT_SO_GET_INFO, "filter", sizeof(*info));
	if (!both(l))
		return "a child is gone";
	fault = compare_answers(l);
	if (fault)
		return fault;
	l->nr_entries = info->num_entries;
	l->size = info->size;
	if (sizeof(*get) + l->size > MAX_VALUE)
		return "a table that is too large for this test";
	order_get(&l->order, IPT_SO_GET_ENTRIES, "filter", sizeof(*get) + l->size);
	get->size = l->size;
	if (!both(l))
		return "a child is gone";
	return compare_answers(l);
}

/* --- what to send ------------------------------------------------------------------------ */

static void order_of_value(struct order *o, const struct value *v)
{
	memset(o, 0, offsetof(struct order, data));
	o->opt = IPT_SO_SET_REPLACE;
	o->optlen = o->len = v->len;
	memcpy(o->data, v->data, v->len);
}

static void draw_replace(struct live *l, struct value *v, struct rng *rng, bool change)
{
	const struct ruleset *base = &l->sets[rng_below(rng, l->nr_sets)];

	memcpy(v->data, base->value->data, base->value->len);
	memset(v->data + base->value->len, 0, MAX_VALUE - base->value->len);
	v->len = base->value->len;
	value_head(v)->num_counters = l->nr_entries;
	story_add(&l->story, "replace by %s; ", base->name);
	if (change)
		change_at_random(v, rng, l->sets, l->nr_sets, &l->story);
	order_of_value(&l->order, v);
}

static const char *draw_name(struct rng *rng)
{
	static const char *const names[] = {
		"filter",
		"filter",
		"filter",
		"filter",
		"filter\0x",
		"filterx",
		"filte",
		"",
		"FILTER",
		"nat",
		"raw",
		"none",
		"a-name-that-fills-its-whole-field",
		"filter-and-then-more-than-32-bytes-of-it",
	};

	return names[rng_below(rng, ARRAY_SIZE(names))];
}

static int32_t draw_length(struct rng *rng, int32_t right)
{
	static const int32_t odd[] = {0, 1, 4, 31, 32, 39, 40, 84, 96, -1, INT_MIN, INT_MAX};

	switch (rng_below(rng, 8)) {
	case 0:
		return odd[rng_below(rng, ARRAY_SIZE(odd))];
	case 1:
		return right + 1 + rng_below(rng, 8);
	case 2:
		return right - 1 - rng_below(rng, 8);
	default:
		return right;
	}
}

static void draw_counters(struct live *l, struct rng *rng)
{
	struct order *o = &l->order;
	struct xt_counters_info *info = (void *)o->data;
	uint32_t n = l->nr_entries, i;

	if (rng_below(rng, 8) == 0)
		n += rng_below(rng, 3) - 1;
	memset(o, 0, offsetof(struct order, data) + sizeof(*info));
	o->opt = IPT_SO_SET_ADD_COUNTERS;
	o->len = sizeof(*info) + n * sizeof(info->counters[0]);
	o->optlen = draw_length(rng, o->len);
	strncpy(info->name, draw_name(rng), sizeof(info->name));
	info->num_counters = rng_below(rng, 8) ? n : rng_next(rng);
	for (i = 0; i < n; i++) {
		info->counters[i].pcnt = rng_next(rng) >> rng_below(rng, 64);
		info->counters[i].bcnt = rng_next(rng) >> rng_below(rng, 64);
	}
	story_add(&l->story, "add %u counters (%u), table %.32s; ", n, info->num_counters,
		  info->name);
}

static void draw_get(struct live *l, struct rng *rng)
{
	struct order *o = &l->order;
	struct ipt_get_entries *get = (void *)o->data;
	struct xt_get_revision *rev = (void *)o->data;
	static const char *const extensions[] = {
		"tcp", "udp",  "icmp",	     "multiport", "conntrack", "limit",	  "",	 "ERROR",
		"LOG", "none", "MASQUERADE", "state",	  "addrtype",  "comment", "set",
	};
	const char *name = draw_name(rng);

	switch (rng_below(rng, 3)) {
	case 0:
		order_get(o, IPT_SO_GET_INFO, name, sizeof(struct ipt_getinfo));
		break;
	case 1:
		order_get(o, IPT_SO_GET_ENTRIES, name, sizeof(*get) + l->size);
		get->size = rng_below(rng, 4) ? l->size : l->size + rng_below(rng, 300) - 150;
		break;
	default:
		order_get(o, IPT_SO_GET_REVISION_MATCH + rng_below(rng, 2), "", sizeof(*rev));
		strcpy(rev->name, extensions[rng_below(rng, ARRAY_SIZE(extensions))]);
		rev->revision = rng_below(rng, rng_below(rng, 2) ? 5 : 256);
		break;
	}
	o->optlen = draw_length(rng, o->len);
	if (o->opt == IPT_SO_GET_ENTRIES && rng_below(rng, 2))
		get->size = o->optlen - sizeof(*get);
	story_add(&l->story, "get %d, %s; ", o->opt, o->data);
}

/* Lengths beyond the memory, and pointers to nothing. */
static void draw_faults(struct order *o, struct rng *rng, struct story *story)
{
	uint32_t cut;

	switch (rng_below(rng, 8)) {
	case 0:
		o->val = POINTER_NULL + rng_below(rng, 2);
		break;
	case 1:
		o->lenp = POINTER_NULL + rng_below(rng, 2);
		break;
	case 2:
		o->counters = POINTER_NULL + rng_below(rng, 2);
		break;
	case 3:
		o->opt += rng_below(rng, 3);
		break;
	default:
		cut = rng_below(rng, o->len + 1);
		memmove(o->data, o->data, cut);
		o->len = cut;
		break;
	}
	story_add(story, "faulty: memory %u, val %d, len %d, counters %d, opt %d; ", o->len, o->val,
		  o->lenp, o->counters, o->opt);
}

static void draw_order(struct live *l, struct value *v, struct rng *rng)
{
	unsigned int kind = rng_below(rng, 20);

	if (kind < 10)
		draw_replace(l, v, rng, true);
	else if (kind < 13)
		draw_replace(l, v, rng, false);
	else if (kind < 16)
		draw_counters(l, rng);
	else
		draw_get(l, rng);
	if (rng_below(rng, 8) == 0)
		draw_faults(&l->order, rng, &l->story);
}

static void report(const struct live *l, const char *fault, const char *repeat)
{
	printf("# %s (%s)\n# %s\n# optlen %d, memory %u\n# kernel: %s, length %d; ours: %s, length %d\n",
	       fault, repeat, l->story.text, l->order.optlen, l->order.len,
	       strerror(l->kernel.answer.error), l->kernel.answer.optlen,
	       strerror(l->ours.answer.error), l->ours.answer.optlen);
}

/*
 * One call drawn from the seed and its number. The table in force is part of what it is drawn
 * for, so that repeating one means to repeat what led to it.
 */
static bool live_one(struct live *l, struct value *v, uint64_t seed, uint64_t i)
{
	struct rng rng = {seed * 0x100000001b3ULL + i};
	bool set, ok = true;
	const char *fault;
	char repeat[64];

	memset(&l->story, 0, sizeof(l->story));
	draw_order(l, v, &rng);
	if (l->order.opt == IPT_SO_SET_REPLACE && !l->order.get && value_is_greedy(v))
		return true;
	set = !l->order.get;
	snprintf(repeat, sizeof(repeat), "--seed=%llu, call %llu", (unsigned long long)seed,
		 (unsigned long long)i);
	if (!both(l)) {
		printf("# a child is gone (%s): %s\n", repeat, l->story.text);
		exit(1);
	}
	l->accepted += !l->kernel.answer.error;
	fault = compare_answers(l);
	if (fault) {
		report(l, fault, repeat);
		ok = false;
	}
	fault = set ? compare_tables(l) : NULL;
	if (fault) {
		printf("# then, reading the tables: %s\n", fault);
		if (ok)
			report(l, fault, repeat);
		ok = false;
	}
	l->failed += !ok;
	return ok;
}

int run_live(const struct options *o, const char *self)
{
	const char *bpfilter = getenv("BPFILTER");
	struct live *l = calloc(1, sizeof(*l));
	struct value *v = calloc(1, sizeof(*v));
	struct tap tap = {0};
	char path[PATH_MAX];
	ssize_t len = readlink(self, path, sizeof(path) - 1);
	uint64_t i;

	if (!l || !v || len < 0)
		return 1;
	path[len] = '\0';
	if (!bpfilter) {
		printf("1..0 # SKIP BPFILTER is not set\n");
		return 4;
	}
	if (!side_start(&l->kernel, path, NULL) || !side_start(&l->ours, path, bpfilter) ||
	    unshare(CLONE_NEWNET)) {
		printf("1..0 # SKIP no network namespaces: %s\n", strerror(errno));
		return 4;
	}
	l->nr_sets = rulesets_load(l->sets, o->files, o->nr_files);
	if (l->nr_sets <= 0)
		return 1;
	tap_result(&tap, !compare_tables(l), "both begin with the same table");
	for (i = 0; i < o->count && l->failed < 20; i++)
		live_one(l, v, o->seed, i);
	tap_result(&tap, !l->failed, "%llu calls, seed %llu", (unsigned long long)i,
		   (unsigned long long)o->seed);
	tap_result(&tap, !side_stop(&l->kernel) && !side_stop(&l->ours), "both children end well");
	printf("1..%u\n# %llu calls, %llu accepted, %llu differ\n", tap.tests,
	       (unsigned long long)l->calls, (unsigned long long)l->accepted,
	       (unsigned long long)l->failed);
	rulesets_free(l->sets, l->nr_sets);
	free(l);
	free(v);
	return tap.failed ? 1 : 0;
}
