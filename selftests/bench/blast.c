// SPDX-License-Identifier: GPL-2.0
/*
 * bench blast LAB FRAMES NAME[=drop|=tc-drop|=own]... - packets through namespaces, in turns
 *
 * Frames run from namespace LAB-gen, interface to-NAME, to bench-in of LAB-NAME, and what is forwarded there
 * arrives at interface to-NAME of LAB-sink, where it ends. They are made by a program in a test run with live
 * frames, which redirects them; all of it, the receiving namespace included, happens on one CPU, whose
 * time counts: that of this thread and of the CPU's ksoftirqd, not the clock's. An XDP program that passes is
 * at bench-in, which makes a veth receive such frames; =drop: one that drops; =tc-drop: a program at tc, behind
 * it, drops; =own: whoever set up the namespace has one there.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asm.h"
#include "bench.h"
#include "cpu.h"
#include "driver.h"
#include "frames.h"
#include "median.h"
#include "tc.h"
#include "verdict.h"

/* What a veth's ring holds is 256: so many frames are made before the receiver gets its turn. */
#define BATCH 64

/* Linux 5.18; the headers of Debian 12 have it. */
#ifndef BPF_F_TEST_XDP_LIVE_FRAMES
#define BPF_F_TEST_XDP_LIVE_FRAMES (1U << 1)
#endif

/*
 * Frames in the first test run, from whose time the number for the others comes. A round is one run: to begin and
 * to end one takes the kernel some milliseconds.
 */
#define FIRST_FRAMES 1024

/**
 * struct end - an interface in a namespace
 */
struct end {
	int netns;
	const char *dev;
	int ifindex;
};

/**
 * struct subject - a namespace that packets go through
 * @prog: makes frames and redirects them to its interface
 * @frames: so many in a round
 * @rates: packets a second, of each round: that came in, and that went out
 */
struct subject {
	char name[32], dev[16];
	struct end gen, in, sink;
	int prog;
	uint32_t frames;
	double *in_rate, *out_rate;
};

struct blast {
	const struct options *o;
	const char *lab;
	struct cpu cpu;
	int frames_map, next_map;
};

static int fail(const char *what)
{
	int err = errno ? -errno : -EINVAL;

	fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
	return err;
}

static int open_end(const struct blast *b, const char *ns, const char *dev, struct end *e)
{
	char path[128];

	snprintf(path, sizeof(path), "/run/netns/%s-%s", b->lab, ns);
	e->netns = open(path, O_RDONLY | O_CLOEXEC);
	if (e->netns < 0 || setns(e->netns, CLONE_NEWNET))
		return fail(path);
	e->dev = dev;
	e->ifindex = if_nametoindex(dev);
	return e->ifindex ? 0 : fail(dev);
}

/* Packets that the interface has received. */
static int received(const struct end *e, uint32_t *packets)
{
	struct ifaddrs *all, *a;
	int err = -ENODEV;

	if (setns(e->netns, CLONE_NEWNET) || getifaddrs(&all))
		return fail("getifaddrs");
	for (a = all; a; a = a->ifa_next)
		if (a->ifa_addr && a->ifa_addr->sa_family == AF_PACKET && a->ifa_data &&
		    !strcmp(a->ifa_name, e->dev)) {
			*packets = ((struct rtnl_link_stats *)a->ifa_data)->rx_packets;
			err = 0;
		}
	freeifaddrs(all);
	return err;
}

static int attach_xdp(const struct end *e, int verdict)
{
	int err = setns(e->netns, CLONE_NEWNET) ? -errno : verdict_attach_xdp(e->ifindex, verdict);

	errno = -err;
	return err ? fail("attaching an XDP program") : 0;
}

/* As bpfilter attaches: by a link, which lasts as long as this process, where the kernel has those. */
static int attach_tc(const struct end *e, int verdict)
{
	int fd = verdict_load(BPF_PROG_TYPE_SCHED_CLS, verdict), err;
	bool made;

	if (fd < 0 || setns(e->netns, CLONE_NEWNET))
		return fail("a verdict");
	err = bf_tc_link(e->ifindex, BF_TC_IN, fd);
	if (err == -EOPNOTSUPP && bf_tc_has_filter(e->ifindex, BF_TC_IN))
		err = bf_tc_filter(e->ifindex, BF_TC_IN, fd, &made);
	close(fd);
	errno = -err;
	return err < 0 && err != -EOPNOTSUPP ? fail("attaching a program to tc") : 0;
}

/*
 *	frame = &frames[next++ % n];
 *	if (data + FRAME_LEN > data_end)
 *		return XDP_ABORTED;
 *	memcpy(data, frame, FRAME_LEN);
 *	return bpf_redirect(ifindex, 0);
 */
static int load_generator(const struct blast *b, int ifindex, uint32_t n)
{
	struct bf_kernel none = {};
	struct bf_asm a;
	int fd, err, off, abort_label;

	bf_asm_init(&a, &none);
	abort_label = bf_asm_label(&a);
	bf_ldx(&a, BPF_W, BPF_REG_6, BPF_REG_1, offsetof(struct xdp_md, data));
	bf_ldx(&a, BPF_W, BPF_REG_7, BPF_REG_1, offsetof(struct xdp_md, data_end));
	bf_mov(&a, BPF_REG_2, BPF_REG_6);
	bf_alui(&a, BPF_ADD, BPF_REG_2, FRAME_LEN);
	bf_jif(&a, BPF_JGT, BPF_REG_2, BPF_REG_7, abort_label);
	map_value(&a, BPF_REG_3, b->next_map, 0);
	bf_ldx(&a, BPF_DW, BPF_REG_4, BPF_REG_3, 0);
	bf_alui(&a, BPF_AND, BPF_REG_4, n - 1);
	bf_mov(&a, BPF_REG_5, BPF_REG_4);
	bf_alui(&a, BPF_ADD, BPF_REG_5, 1);
	bf_stx(&a, BPF_DW, BPF_REG_3, 0, BPF_REG_5);
	bf_alui(&a, BPF_LSH, BPF_REG_4, 6);
	map_value(&a, BPF_REG_3, b->frames_map, 0);
	bf_alu(&a, BPF_ADD, BPF_REG_3, BPF_REG_4);
	for (off = 0; off < FRAME_LEN; off += off < 56 ? 8 : 4) {
		int size = off < 56 ? BPF_DW : BPF_W;

		bf_ldx(&a, size, BPF_REG_4, BPF_REG_3, off);
		bf_stx(&a, size, BPF_REG_6, off, BPF_REG_4);
	}
	bf_movi(&a, BPF_REG_1, ifindex);
	bf_movi(&a, BPF_REG_2, 0);
	bf_helper(&a, BPF_FUNC_redirect);
	bf_exit(&a);
	bf_asm_here(&a, abort_label);
	bf_movi(&a, BPF_REG_0, XDP_ABORTED);
	bf_exit(&a);
	err = bf_asm_finish(&a);
	fd = err ?: bpf_prog_load(BPF_PROG_TYPE_XDP, "generator", "GPL", a.insns, a.nr_insns, NULL);
	bf_asm_free(&a);
	return fd < 0 ? fail("the generator") : fd;
}

static int map_of(const char *name, const void *value, size_t size)
{
	uint32_t zero = 0;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(zero), size, 1, NULL);

	if (fd < 0 || bpf_map_update_elem(fd, &zero, value, BPF_ANY))
		return fail("a map");
	return fd;
}

/* The number of frames, which is a power of two. */
static int read_frames(struct blast *b, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t zero = 0;
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st))
		return fail(path);
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return fail(path);
	b->frames_map = map_of("frames", p, st.st_size);
	b->next_map = map_of("next", &zero, sizeof(zero));
	munmap(p, st.st_size);
	return b->frames_map < 0 || b->next_map < 0 ? -ENOMEM
						    : (int)(st.st_size / sizeof(struct frame));
}

static int send_frames(const struct subject *s)
{
	uint8_t frame[FRAME_LEN] = {};
	struct xdp_md md = {.data_end = FRAME_LEN};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .ctx_in = &md, .ctx_size_in = sizeof(md), .repeat = s->frames,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	if (setns(s->gen.netns, CLONE_NEWNET))
		return fail("setns");
	return bpf_prog_test_run_opts(s->prog, &opts) ? fail("a test run with live frames") : 0;
}

/* One round. */
static int measure(const struct blast *b, struct subject *s, double *in_rate, double *out_rate)
{
	uint32_t in[2], out[2];
	double ns;
	int err;

	err = received(&s->in, &in[0]) ?: received(&s->sink, &out[0]);
	ns = -cpu_ns(&b->cpu);
	err = err ?: send_frames(s);
	ns += cpu_ns(&b->cpu);
	err = err ?: received(&s->in, &in[1]) ?: received(&s->sink, &out[1]);
	*in_rate = (in[1] - in[0]) / ns * 1e9;
	*out_rate = (out[1] - out[0]) / ns * 1e9;
	return err;
}

static int open_subject(struct blast *b, struct subject *s, char *arg, uint32_t nr_frames)
{
	char *how = strchr(arg, '=');
	int err;

	if (how)
		*how++ = '\0';
	snprintf(s->name, sizeof(s->name), "%s", arg);
	snprintf(s->dev, sizeof(s->dev), "to-%s", arg);
	s->frames = FIRST_FRAMES;
	s->in_rate = calloc(b->o->rounds, sizeof(double));
	s->out_rate = calloc(b->o->rounds, sizeof(double));
	if (!s->in_rate || !s->out_rate)
		return -ENOMEM;
	err = open_end(b, "sink", s->dev, &s->sink) ?: open_end(b, arg, "bench-in", &s->in);
	err = err ?: open_end(b, "gen", s->dev, &s->gen);
	err = err ?: attach_xdp(&s->sink, XDP_DROP);
	if (!err && (!how || strcmp(how, "own")))
		err = attach_xdp(&s->in, how && !strcmp(how, "drop") ? XDP_DROP : XDP_PASS);
	if (!err && how && !strcmp(how, "tc-drop"))
		err = attach_tc(&s->in, TC_ACT_SHOT);
	if (err || setns(s->gen.netns, CLONE_NEWNET))
		return err ?: fail("setns");
	s->prog = load_generator(b, s->gen.ifindex, nr_frames);
	return s->prog < 0 ? s->prog : 0;
}

static int run_rounds(const struct blast *b, struct subject *subjects, unsigned int n)
{
	unsigned int round, i;
	double in, out;
	int err = 0;

	for (i = 0; i < 2 * n && !err; i++) {
		struct subject *s = &subjects[i % n];

		err = measure(b, s, &in, &out);
		s->frames = in * b->o->ms / 1e3 / (i < n ? 4 : 1);
		s->frames = (s->frames / BATCH + 1) * BATCH;
	}
	for (round = 0; round < b->o->rounds; round++)
		for (i = 0; i < n && !err; i++) {
			struct subject *s = &subjects[i];

			err = measure(b, s, &s->in_rate[round], &s->out_rate[round]);
		}
	return err;
}

/* The rounds are given too: what two subjects had in the same round can be compared. */
static void print_rates(const char *name, double *rates, unsigned int n)
{
	unsigned int i;

	printf(", \"%s_rounds\": \"", name);
	for (i = 0; i < n; i++)
		printf(i ? " %.0f" : "%.0f", rates[i]);
	printf("\", \"%s_pps\": %.0f", name, median(rates, n));
}

static void print(const struct options *o, struct subject *s)
{
	printf("{\"subject\": \"%s\"", s->name);
	print_rates("in", s->in_rate, o->rounds);
	print_rates("out", s->out_rate, o->rounds);
	puts("}");
}

int cmd_blast(const struct options *o)
{
	struct blast b = {.o = o};
	unsigned int n = 0, i;
	int nr_frames;

	while (o->args[n])
		n++;
	if (n < 3)
		return 2;
	n -= 2;
	struct subject subjects[n];
	b.lab = o->args[0];
	cpu_take(&b.cpu);
	nr_frames = read_frames(&b, o->args[1]);
	if (nr_frames <= 0)
		return 1;
	memset(subjects, 0, sizeof(subjects));
	for (i = 0; i < n; i++)
		if (open_subject(&b, &subjects[i], o->args[i + 2], nr_frames))
			return 1;
	if (run_rounds(&b, subjects, n))
		return 1;
	for (i = 0; i < n; i++)
		print(o, &subjects[i]);
	return 0;
}
