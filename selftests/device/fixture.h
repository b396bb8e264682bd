/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device open, in a network namespace of its own, and what a helper does with it.
 */
#ifndef DEVICE_FIXTURE_H
#define DEVICE_FIXTURE_H

#include <sys/ioctl.h>
#include <sys/stat.h>

#include "uapi/bpfilter.h"

#include "calls.h"
#include "kselftest_harness.h"
#include "module.h"

#define SECONDS 2   /* the limit of the tests that wait for it */
#define SOON	500 /* ms for what must be there, on a slow machine */
#define SLOWLY	3000

/* Nobody has memory there. */
static void *volatile nowhere = (void *)8;

/* A helper that is there, does not come to the point, and ends by itself. */
#define SLOW_HELPER "/run/slow-helper"

static int device_ready(int fd, uint32_t version)
{
	return ioctl(fd, BPFILTER_IOC_READY, &version) ? -errno : 0;
}

static int own_netns(void)
{
	return open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

static int set_flags(int fd, int netns, uint32_t flags)
{
	struct bpfilter_ns ns = {
		.netns = netns, .flags = flags, .prog = -1, .asking = -1, .questions = -1};

	return ioctl(fd, BPFILTER_IOC_NS_SET, &ns) ? -errno : 0;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN);
}

struct request {
	struct bpfilter_request head;
	char payload[4096];
};

/* The next request, which is there or comes soon. Its length or -errno. */
static inline ssize_t take(int fd, struct request *r)
{
	ssize_t n;

	if (!readable(fd, 5000))
		return -ETIME;
	n = read(fd, r, sizeof(*r));
	return n < 0 ? -errno : n;
}

/* 0 or -errno of the write. */
static inline int answer(int fd, uint64_t id, int error, const void *data, size_t len)
{
	struct {
		struct bpfilter_reply head;
		char data[4096];
	} reply = {.head = {.id = id, .error = error, .len = len}};
	ssize_t n;

	if (len)
		memcpy(reply.data, data, len);
	n = write(fd, &reply, sizeof(reply.head) + len);
	return n < 0 ? -errno : n == (ssize_t)(sizeof(reply.head) + len) ? 0 : -EIO;
}

/* Callers that are killed have let go of theirs a moment later. */
static long requests_left(void)
{
	unsigned int start = now_ms();
	long n;

	while ((n = module_get("requests")) > 0 && now_ms() - start < 2000)
		usleep(1000);
	return n;
}

static inline bool documented(int error)
{
	return error == EAGAIN || error == ENODEV || error == ETIMEDOUT;
}

/**
 * struct device - the device open, in a network namespace of its own
 * @netns: that namespace, which is given up in the end
 */
FIXTURE(device)
{
	int fd, netns;
	char helper[256], timeout[16];
};

static void read_parameter(const char *name, char *buf, size_t size)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), MODULE_PARAMETERS "%s", name);
	f = fopen(path, "re");
	if (!f || !fgets(buf, size, f))
		buf[0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	if (f)
		fclose(f);
}

static void limit(const char *seconds)
{
	module_set("timeout", seconds);
}

FIXTURE_SETUP(device)
{
	char seconds[8];

	if (geteuid() || access(BPFILTER_DEVICE, F_OK))
		SKIP(return, "needs root and the module");
	read_parameter("helper", self->helper, sizeof(self->helper));
	read_parameter("timeout", self->timeout, sizeof(self->timeout));
	ASSERT_EQ(0, module_set("helper", "/does/not/exist"));
	snprintf(seconds, sizeof(seconds), "%d", SECONDS);
	limit(seconds);
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	self->netns = own_netns();
	self->fd = open(BPFILTER_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, self->fd) TH_LOG("%s: %s", BPFILTER_DEVICE, strerror(errno));
}

FIXTURE_TEARDOWN(device)
{
	if (self->fd >= 0) {
		set_flags(self->fd, self->netns, 0);
		close(self->fd);
	}
	EXPECT_EQ(0, requests_left());
	module_set("helper", self->helper);
	limit(self->timeout);
}

/* A helper that is ready, and has the table of this namespace. */
static inline int begin(struct _test_data_device *self)
{
	int err = device_ready(self->fd, BPFILTER_VERSION);

	return err ? err : set_flags(self->fd, self->netns, BPFILTER_NS_OWNED);
}

static inline int reopen(struct _test_data_device *self)
{
	self->fd = open(BPFILTER_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return self->fd < 0 ? -errno : device_ready(self->fd, BPFILTER_VERSION);
}

#endif /* DEVICE_FIXTURE_H */
