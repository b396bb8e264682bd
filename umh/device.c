// SPDX-License-Identifier: GPL-2.0
/* /dev/bpfilter, as the helper sees it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device.h"

/* There as long as the module is, whoever has a /dev and what is in it. */
#define SYS_DEVICE   "/sys/class/misc/bpfilter"
#define SYS_REQUESTS "/sys/module/bpfilter/parameters/requests"

/**
 * struct bf_device - the device, open or given up
 * @lock: held for reading while somebody uses @fd, so that its number is not another file's by then
 * @fd: -1 when given up
 */
struct bf_device {
	pthread_rwlock_t lock;
	int fd;
};

bool bf_device_exists(void)
{
	return !access(SYS_DEVICE, F_OK) ||
	       (access("/sys/class", F_OK) && !access(BPFILTER_DEVICE, F_OK));
}

int bf_device_requests(void)
{
	char text[16] = "";
	int fd = open(SYS_REQUESTS, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) <= 0)
		err = -EIO;
	close(fd);
	return err ?: atoi(text);
}

static int explain_open(int err, struct bf_why *why)
{
	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -ENXIO:
		if (bf_device_exists())
			return bf_why(why, -ENOENT,
				      "the module is loaded, but there is no " BPFILTER_DEVICE
				      ": mount a devtmpfs at /dev");
		return bf_why(why, -ENOENT, "the module is not loaded: modprobe bpfilter");
	case -EBUSY:
		return bf_why(why, err,
			      BPFILTER_DEVICE " is open in another process: the module "
					      "serves one helper");
	}
	/* Another -ECANCELED means that a request was not begun. */
	if (err == -ECANCELED)
		return bf_why(why, -ESHUTDOWN, "bpfilter has been stopped meanwhile");
	return bf_why(why, err, "cannot open " BPFILTER_DEVICE ": %s", strerror(-err));
}

static struct bf_device *make_device(void)
{
	struct bf_device *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	pthread_rwlock_init(&d->lock, NULL);
	d->fd = -1;
	return d;
}

int bf_device_open(struct bf_device **device, struct bf_why *why)
{
	struct bf_device *d = *device ?: make_device();
	int fd;

	if (!d)
		return bf_why(why, -ENOMEM, "no memory");
	do {
		fd = open(BPFILTER_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0) {
		fd = explain_open(-errno, why);
		if (d != *device)
			bf_device_close(d);
		return fd;
	}
	pthread_rwlock_wrlock(&d->lock);
	d->fd = fd;
	pthread_rwlock_unlock(&d->lock);
	*device = d;
	return 0;
}

void bf_device_hang_up(struct bf_device *d)
{
	pthread_rwlock_wrlock(&d->lock);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	pthread_rwlock_unlock(&d->lock);
}

void bf_device_close(struct bf_device *d)
{
	if (!d)
		return;
	bf_device_hang_up(d);
	pthread_rwlock_destroy(&d->lock);
	free(d);
}

int bf_device_fd(const struct bf_device *d)
{
	return d->fd;
}

/* What ioctl(2) returns, or -errno. */
static int call(struct bf_device *d, unsigned long cmd, void *arg)
{
	int ret = -ENODEV;

	pthread_rwlock_rdlock(&d->lock);
	if (d->fd >= 0) {
		do {
			ret = ioctl(d->fd, cmd, arg);
		} while (ret < 0 && errno == EINTR);
		if (ret < 0)
			ret = -errno;
	}
	pthread_rwlock_unlock(&d->lock);
	return ret;
}

int bf_device_ready(struct bf_device *d)
{
	uint32_t version = BPFILTER_VERSION;

	return call(d, BPFILTER_IOC_READY, &version);
}

/* @n buffers at once, which the kernel takes or fills as one: how many bytes, or -errno. */
static ssize_t transfer(struct bf_device *d, bool out, const struct iovec *iov, int n)
{
	ssize_t ret = -ENODEV;

	pthread_rwlock_rdlock(&d->lock);
	if (d->fd >= 0) {
		do {
			ret = out ? writev(d->fd, iov, n) : readv(d->fd, iov, n);
		} while (ret < 0 && errno == EINTR);
		if (ret < 0)
			ret = -errno;
	}
	pthread_rwlock_unlock(&d->lock);
	return ret;
}

ssize_t bf_device_pending(struct bf_device *d)
{
	int size = 0, err;

	err = call(d, FIONREAD, &size);
	if (err < 0)
		return err;
	return size < (int)sizeof(struct bpfilter_request)
		       ? -EAGAIN
		       : size - (int)sizeof(struct bpfilter_request);
}

/* One attempt: -EMSGSIZE if the next request is another than the one that was measured. */
static int read_request(struct bf_device *d, struct bpfilter_request *req, void **payload)
{
	ssize_t room = bf_device_pending(d), n;
	struct iovec iov[2] = {{req, sizeof(*req)}};

	if (room < 0)
		return room;
	*payload = malloc(room ?: 1);
	if (!*payload)
		return -ENOMEM;
	iov[1] = (struct iovec){*payload, room};
	n = transfer(d, false, iov, ARRAY_SIZE(iov));
	if (n >= (ssize_t)sizeof(*req) &&
	    (req->version != BPFILTER_VERSION || req->len != n - sizeof(*req)))
		n = -EPROTO;
	if (n < (ssize_t)sizeof(*req) || !req->len) {
		free(*payload);
		*payload = NULL;
	}
	return n >= (ssize_t)sizeof(*req) ? 0 : n < 0 ? n : -EPROTO;
}

/* A descriptor, or -EAGAIN if the request has been answered or needs no answer. */
static int open_netns(struct bf_device *d, const struct bpfilter_request *req)
{
	uint64_t id = req->id;
	int fd = call(d, BPFILTER_IOC_NETNS, &id);

	/* The caller has died. */
	if (fd == -ENOENT)
		return -EAGAIN;
	if (fd < 0) {
		bf_log(BF_LOG_ERR, "an iptables call was refused for want of a descriptor: %s",
		       strerror(-fd));
		bf_device_reply(d, req->id, fd, NULL, 0);
		return -EAGAIN;
	}
	return fd;
}

int bf_device_read(struct bf_device *d, struct bpfilter_request *req, void **payload, int *netns)
{
	int err;

	*payload = NULL;
	*netns = -1;
	do {
		err = read_request(d, req, payload);
	} while (err == -EMSGSIZE);
	if (err)
		return err;
	err = open_netns(d, req);
	if (err < 0) {
		free(*payload);
		*payload = NULL;
		return err;
	}
	*netns = err;
	return 0;
}

int bf_device_reply(struct bf_device *d, uint64_t id, int error, const void *data, size_t len)
{
	struct bpfilter_reply head = {.id = id, .error = error, .len = error ? 0 : len};
	struct iovec iov[2] = {{&head, sizeof(head)}, {(void *)data, head.len}};
	ssize_t n = transfer(d, true, iov, ARRAY_SIZE(iov));

	return n < 0 && n != -ENOENT ? n : 0;
}

static int own_netns(void)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int bf_device_ns_set(struct bf_device *d, uint32_t flags, const struct bf_at_hooks *run)
{
	struct bpfilter_ns ns = {
		.netns = own_netns(),
		.flags = flags,
		.prog = run ? run->prog : -1,
		.want = run ? run->want : 0,
		.asking = run ? run->asking : -1,
		.questions = run ? run->questions : -1,
	};
	int err;

	if (ns.netns < 0)
		return ns.netns;
	err = call(d, BPFILTER_IOC_NS_SET, &ns);
	close(ns.netns);
	return err;
}

static int ns_get(struct bf_device *d, struct bpfilter_ns *ns)
{
	int err;

	*ns = (struct bpfilter_ns){.netns = own_netns()};
	if (ns->netns < 0)
		return ns->netns;
	err = call(d, BPFILTER_IOC_NS_GET, ns);
	close(ns->netns);
	return err;
}

int bf_device_ns_get(struct bf_device *d, uint32_t *flags, uint32_t *prog_id)
{
	struct bpfilter_ns ns;
	int err = ns_get(d, &ns);

	if (err)
		return err;
	*flags = ns.flags;
	*prog_id = ns.prog;
	return 0;
}

int bf_device_ns_asks(struct bf_device *d, uint32_t *asking_id, uint32_t *want)
{
	struct bpfilter_ns ns;
	int err = ns_get(d, &ns);

	if (err)
		return err;
	*asking_id = ns.asking;
	*want = ns.want;
	return 0;
}

uint64_t bf_device_ns_lost(struct bf_device *d)
{
	struct bpfilter_ns ns;

	return ns_get(d, &ns) ? 0 : ns.lost;
}

int bf_device_questions(struct bf_device *d, const void *list, size_t size, uint32_t nr,
			uint32_t *failed)
{
	struct bpfilter_questions arg = {
		.netns = own_netns(),
		.nr = nr,
		.list = (uintptr_t)list,
		.size = size,
		.failed = nr,
	};
	int ret;

	*failed = nr;
	if (arg.netns < 0)
		return arg.netns;
	ret = call(d, BPFILTER_IOC_QUESTIONS, &arg);
	close(arg.netns);
	*failed = arg.failed;
	return ret;
}

int bf_device_questions_now(struct bf_device *d)
{
	int32_t netns = own_netns();
	int ret;

	if (netns < 0)
		return netns;
	ret = call(d, BPFILTER_IOC_QUESTIONS_NOW, &netns);
	close(netns);
	return ret;
}

int bf_device_ns_flags(struct bf_device *d, int netns, uint32_t *flags)
{
	struct bpfilter_ns ns = {.netns = netns};
	int err = call(d, BPFILTER_IOC_NS_GET, &ns);

	if (!err)
		*flags = ns.flags;
	return err;
}

int bf_device_sync(struct bf_device *d)
{
	return call(d, BPFILTER_IOC_SYNC, NULL);
}

int bf_device_stop(struct bf_device *d)
{
	return call(d, BPFILTER_IOC_STOP, NULL);
}
