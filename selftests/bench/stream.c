// SPDX-License-Identifier: GPL-2.0
/*
 * bench stream LAB NAME[=pass|=here|=pass-here]... - a TCP connection through each of some namespaces, in turns
 *
 * It goes from namespace LAB-NAME-a, whose default route leads through LAB-NAME, to STREAM_ADDRESS in LAB-NAME-b; =here: it
 * ends in LAB-NAME, at HERE_ADDRESS. =pass: an XDP program that passes is at all interfaces of LAB-NAME. All interfaces there get GRO; TSO they have, but for those of which the other end has XDP. So packets are as large
 * as TCP makes them. This thread is both ends, and all happens on its CPU, whose time counts (cpu.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "cpu.h"
#include "median.h"
#include "verdict.h"

#define STREAM_ADDRESS "10.254.1.2"
#define HERE_ADDRESS   "10.254.0.1"
#define CHUNK	       (128 * 1024)
#define BUFFER	       (1024 * 1024)
/* The clock is read so often. */
#define CHUNKS	       16

/* Milliseconds in which something has to arrive. */
#define PATIENCE 5000

/**
 * struct path - a connection
 * @rate: bytes a second, of each round
 */
struct path {
	const char *name;
	int tx, rx;
	double *rate;
};

static int fail(const char *what)
{
	int err = errno ? -errno : -EINVAL;

	fprintf(stderr, "bench: %s: %s\n", what, strerror(-err));
	return err;
}

static int enter(const char *lab, const char *name, const char *end)
{
	char file[128];
	int fd, err;

	snprintf(file, sizeof(file), "/run/netns/%s-%s%s", lab, name, end);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	err = fd < 0 || setns(fd, CLONE_NEWNET) ? fail(file) : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

static int set_gro(int sk, const struct if_nameindex *dev)
{
	struct ethtool_value on = {.cmd = ETHTOOL_SGRO, .data = 1};
	struct ifreq gro = {.ifr_data = (void *)&on};

	strncpy(gro.ifr_name, dev->if_name, IFNAMSIZ - 1);
	return ioctl(sk, SIOCETHTOOL, &gro) ? fail(dev->if_name) : 0;
}

static int set_pass(const struct if_nameindex *dev)
{
	int err = verdict_attach_xdp(dev->if_index, XDP_PASS);

	errno = -err;
	return err ? fail(dev->if_name) : 0;
}

/* All interfaces in this namespace but the loopback get GRO and, with @pass, a program that passes. */
static int set_all(bool pass)
{
	struct if_nameindex *list = if_nameindex(), *i;
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (!list || sk < 0)
		err = fail("interfaces");
	for (i = list; !err && i->if_index; i++)
		if (strcmp(i->if_name, "lo"))
			err = (pass ? set_pass(i) : 0) ?: set_gro(sk, i);
	if (list)
		if_freenameindex(list);
	if (sk >= 0)
		close(sk);
	return err;
}

/* Else they grow with what each connection has happened to meet. */
static int set_buffers(int sk)
{
	const int bytes = BUFFER;

	return setsockopt(sk, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) ||
	       setsockopt(sk, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

/* To be accepted from, in this namespace; -errno. */
static int listen_at(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int sk = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sk < 0 || set_buffers(sk) || bind(sk, (struct sockaddr *)addr, sizeof(*addr)) ||
	    listen(sk, 1) || getsockname(sk, (struct sockaddr *)addr, &len))
		return fail("listening");
	return sk;
}

/* From this namespace; @sk listens. */
static int join(struct path *p, int sk, const struct sockaddr_in *addr)
{
	const struct timeval limit = {.tv_sec = PATIENCE / 1000};

	p->tx = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->tx < 0 || set_buffers(p->tx) ||
	    setsockopt(p->tx, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(p->tx, (const struct sockaddr *)addr, sizeof(*addr)))
		return fail(p->name);
	p->rx = accept4(sk, NULL, NULL, SOCK_CLOEXEC);
	return p->rx < 0 ? fail(p->name) : 0;
}

static int open_path(const char *lab, char *arg, struct path *p)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	char *how = strchr(arg, '=');
	bool here, pass;
	int sk, err;

	if (how)
		*how++ = '\0';
	here = how && strstr(how, "here");
	pass = how && strstr(how, "pass");
	p->name = arg;
	inet_pton(AF_INET, here ? HERE_ADDRESS : STREAM_ADDRESS, &addr.sin_addr);
	err = enter(lab, arg, "") ?: set_all(pass);
	if (!err && !here)
		err = enter(lab, arg, "-b") ?: set_all(false);
	sk = err ?: listen_at(&addr);
	if (sk < 0)
		return sk;
	err = enter(lab, arg, "-a") ?: set_all(false) ?: join(p, sk, &addr);
	close(sk);
	return err;
}

/* As much as goes, in either direction: the bytes that have arrived, or -errno. */
static long pump(const struct path *p, char *buf)
{
	struct pollfd ends[] = {{.fd = p->tx, .events = POLLOUT}, {.fd = p->rx, .events = POLLIN}};
	ssize_t sent, got, sum = 0;

	sent = send(p->tx, buf, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN)
		return fail(p->name);
	while ((got = recv(p->rx, buf, CHUNK, MSG_DONTWAIT)) > 0)
		sum += got;
	if (!got || errno != EAGAIN)
		return fail(p->name);
	if (sent > 0 || sum)
		return sum;
	errno = ETIMEDOUT;
	return poll(ends, 2, PATIENCE) > 0 ? 0 : fail(p->name);
}

/* So much of a round is not measured: what the one before has left in caches is another's. */
#define WARM_UP 0.1

/* For so many milliseconds of CPU time: bytes a second. */
static int run(const struct cpu *cpu, const struct path *p, double ms, double *rate)
{
	static char buf[CHUNK];
	double start = cpu_ns(cpu), ns, bytes = 0;
	unsigned int i;
	long n;

	do {
		for (i = 0; i < CHUNKS; i++) {
			n = pump(p, buf);
			if (n < 0)
				return n;
			bytes += n;
		}
		ns = cpu_ns(cpu) - start;
	} while (ns < ms * 1e6);
	*rate = bytes / ns * 1e9;
	return 0;
}

/* One round. */
static int measure(const struct cpu *cpu, const struct path *p, unsigned int ms, double *rate)
{
	return run(cpu, p, ms * WARM_UP, rate) ?: run(cpu, p, ms, rate);
}

static void print(const struct options *o, struct path *p)
{
	unsigned int i;

	printf("{\"subject\": \"%s\", \"rounds\": \"", p->name);
	for (i = 0; i < o->rounds; i++)
		printf(i ? " %.0f" : "%.0f", p->rate[i]);
	printf("\", \"bytes\": %.0f}\n", median(p->rate, o->rounds));
}

int cmd_stream(const struct options *o)
{
	unsigned int n = 0, i, round;
	double warm_up;
	struct cpu cpu;
	int err = 0;

	while (o->args[n])
		n++;
	if (n < 2)
		return 2;
	n--;
	struct path paths[n];
	cpu_take(&cpu);
	for (i = 0; i < n && !err; i++) {
		paths[i].rate = calloc(o->rounds, sizeof(double));
		err = paths[i].rate ? open_path(o->args[0], o->args[i + 1], &paths[i]) : -ENOMEM;
	}
	for (i = 0; i < n && !err; i++)
		err = measure(&cpu, &paths[i], o->ms, &warm_up);
	for (round = 0; round < o->rounds; round++)
		for (i = 0; i < n && !err; i++)
			err = measure(&cpu, &paths[i], o->ms, &paths[i].rate[round]);
	for (i = 0; i < n && !err; i++)
		print(o, &paths[i]);
	return err != 0;
}
