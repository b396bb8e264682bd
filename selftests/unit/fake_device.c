// SPDX-License-Identifier: GPL-2.0
#include "fake_device.h"
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum state { PENDING, SENT, DONE };

struct request {
	struct request *next;
	struct bpfilter_request head;
	void *payload;
	enum state state;
	struct bpfilter_reply reply;
	void *data;
};

struct fake_device fake;

/* @event is the device: it is readable as long as there are requests that may be read. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t replied;
	struct request *list;
	uint64_t id;
	unsigned int strays;
	int event;
	struct fake_seen seen;
} dev = {.lock = PTHREAD_MUTEX_INITIALIZER, .replied = PTHREAD_COND_INITIALIZER, .event = -1};

/* The linker makes __real_NAME where the program is linked with --wrap=NAME. */
int __real_access(const char *path, int mode) __attribute__((weak));
int __real_open(const char *path, int flags, ...) __attribute__((weak));
int __real_close(int fd) __attribute__((weak));
ssize_t __real_readv(int fd, const struct iovec *iov, int n) __attribute__((weak));
ssize_t __real_writev(int fd, const struct iovec *iov, int n) __attribute__((weak));
int __real_ioctl(int fd, unsigned long cmd, void *arg) __attribute__((weak));

/* What the test lets fail is not to fail here. Zeroed. */
static void *get_memory(size_t n)
{
	void *p = aligned_alloc(16, (n + 16) & ~15UL);

	if (!p)
		abort();
	return memset(p, 0, n);
}

void fake_reset(void)
{
	struct request *r;

	while ((r = dev.list)) {
		dev.list = r->next;
		free(r->payload);
		free(r->data);
		free(r);
	}
	memset(&fake, 0, sizeof(fake));
	memset(&dev.seen, 0, sizeof(dev.seen));
	dev.strays = 0;
	dev.event = -1;
}

void fake_look(struct fake_seen *seen)
{
	pthread_mutex_lock(&dev.lock);
	*seen = dev.seen;
	pthread_mutex_unlock(&dev.lock);
}

static struct request *first_pending(void)
{
	struct request *r;

	for (r = dev.list; r && r->state != PENDING; r = r->next)
		;
	return r;
}

/* With the lock held: is there something to read? */
static void update_event(void)
{
	uint64_t n = 1;
	ssize_t ret;

	if (dev.event < 0)
		return;
	if (dev.seen.ready && first_pending())
		ret = write(dev.event, &n, sizeof(n));
	else
		ret = read(dev.event, &n, sizeof(n));
	(void)ret;
}

uint64_t fake_call(uint32_t op, int optlen, const void *payload, size_t len)
{
	struct request *r = get_memory(sizeof(*r)), **p;
	uint64_t id;

	r->payload = get_memory(len);
	memcpy(r->payload, payload, len);
	pthread_mutex_lock(&dev.lock);
	id = ++dev.id;
	r->head = (struct bpfilter_request){
		.version = BPFILTER_VERSION, .op = op, .id = id, .len = len, .optlen = optlen};
	for (p = &dev.list; *p; p = &(*p)->next)
		;
	*p = r;
	update_event();
	pthread_mutex_unlock(&dev.lock);
	return id;
}

static struct request *find(uint64_t id)
{
	struct request *r;

	for (r = dev.list; r && r->head.id != id; r = r->next)
		;
	return r;
}

int fake_wait(uint64_t id, int ms, void **data, size_t *len)
{
	struct timespec until;
	struct request *r;
	int ret = 1;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000L;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&dev.lock);
	r = find(id);
	while (r->state != DONE && !pthread_cond_timedwait(&dev.replied, &dev.lock, &until))
		;
	if (r->state == DONE) {
		ret = r->reply.error;
		if (data) {
			*data = r->data;
			*len = r->reply.len;
			r->data = NULL;
		}
	}
	pthread_mutex_unlock(&dev.lock);
	return ret;
}

unsigned int fake_pending(void)
{
	struct request *r;
	unsigned int n = 0;

	pthread_mutex_lock(&dev.lock);
	for (r = dev.list; r; r = r->next)
		n += r->state == PENDING;
	pthread_mutex_unlock(&dev.lock);
	return n;
}

unsigned int fake_strays(void)
{
	return dev.strays;
}

/* --- the system calls ------------------------------------------------------------------------ */

int __wrap_access(const char *path, int mode)
{
	if (strcmp(path, "/sys/class/misc/bpfilter") && strcmp(path, BPFILTER_DEVICE))
		return __real_access(path, mode);
	if (fake.loaded)
		return 0;
	errno = ENOENT;
	return -1;
}

static int fail(int err)
{
	errno = err;
	return -1;
}

static bool interrupted(void)
{
	if (fake.interrupts <= 0)
		return false;
	fake.interrupts--;
	errno = EINTR;
	return true;
}

static int open_device(void)
{
	if (interrupted())
		return -1;
	if (!fake.loaded || fake.open_error)
		return fail(fake.open_error ?: ENOENT);
	pthread_mutex_lock(&dev.lock);
	dev.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dev.seen.opened++;
	dev.seen.ready = 0;
	pthread_mutex_unlock(&dev.lock);
	return dev.event;
}

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	if (!strcmp(path, BPFILTER_DEVICE))
		return open_device();
	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return __real_open(path, flags, mode);
}

/* As the module: what may have been done is not done twice, the rest is for the next one. */
int __wrap_close(int fd)
{
	struct request *r;

	if (fd < 0 || fd != dev.event)
		return __real_close(fd);
	pthread_mutex_lock(&dev.lock);
	for (r = dev.list; r; r = r->next) {
		if (r->state != SENT)
			continue;
		r->state = r->head.op & BPFILTER_GET ? PENDING : DONE;
		r->reply.error = FAKE_LOST;
	}
	dev.event = -1;
	dev.seen.closed++;
	dev.seen.ready = 0;
	pthread_mutex_unlock(&dev.lock);
	return __real_close(fd);
}

/* Another one in front of the next, by 8 bytes longer. */
static void grow(struct request *r)
{
	struct request *other = get_memory(sizeof(*other));

	*other = *r;
	r->next = other;
	r->head.id = ++dev.id;
	r->head.len += 8;
	r->payload = get_memory(r->head.len);
	fake.grow--;
}

static ssize_t read_request(const struct iovec *iov, int n)
{
	struct request *r = dev.seen.ready ? first_pending() : NULL;

	if (!r)
		return fail(EAGAIN);
	if (fake.grow > 0)
		grow(r);
	/* The head and the payload. */
	if (n != 2 || iov[0].iov_len != sizeof(r->head) || iov[1].iov_len < r->head.len)
		return fail(EMSGSIZE);
	memcpy(iov[0].iov_base, &r->head, sizeof(r->head));
	memcpy(iov[1].iov_base, r->payload, r->head.len);
	r->state = SENT;
	update_event();
	return sizeof(r->head) + r->head.len;
}

ssize_t __wrap_readv(int fd, const struct iovec *iov, int n)
{
	ssize_t ret;

	if (fd < 0 || fd != dev.event)
		return __real_readv(fd, iov, n);
	if (interrupted())
		return -1;
	pthread_mutex_lock(&dev.lock);
	ret = read_request(iov, n);
	pthread_mutex_unlock(&dev.lock);
	return ret;
}

static ssize_t write_reply(const struct iovec *iov, int n)
{
	struct bpfilter_reply head;
	struct request *r;
	int err = fake.reply_error;

	fake.reply_error = 0;
	if (err)
		return fail(err);
	if (n != 2 || iov[0].iov_len != sizeof(head))
		return fail(EINVAL);
	memcpy(&head, iov[0].iov_base, sizeof(head));
	if (head.error > 0 || (head.error && head.len) || head.len != iov[1].iov_len)
		return fail(EINVAL);
	r = find(head.id);
	if (!r || r->state != SENT) {
		dev.strays++;
		return fail(ENOENT);
	}
	r->state = DONE;
	r->reply = head;
	r->data = get_memory(head.len + 1);
	if (head.len)
		memcpy(r->data, iov[1].iov_base, head.len);
	pthread_cond_broadcast(&dev.replied);
	return sizeof(head) + head.len;
}

ssize_t __wrap_writev(int fd, const struct iovec *iov, int n)
{
	ssize_t ret;

	if (fd < 0 || fd != dev.event)
		return __real_writev(fd, iov, n);
	if (interrupted())
		return -1;
	pthread_mutex_lock(&dev.lock);
	ret = write_reply(iov, n);
	pthread_mutex_unlock(&dev.lock);
	return ret;
}

static int get_ready(uint32_t version)
{
	if (version != (fake.version ?: BPFILTER_VERSION))
		return fail(EPROTO);
	dev.seen.ready = 1;
	dev.seen.flags_at_ready = dev.seen.flags;
	update_event();
	return 0;
}

static int get_netns(uint64_t id)
{
	struct request *r = find(id);

	if (fake.netns_error || !r || r->state != SENT)
		return fail(fake.netns_error ?: ENOENT);
	return fcntl(fake.netns, F_DUPFD_CLOEXEC, 0);
}

static bool is_ours(int netns)
{
	struct stat ours, theirs;

	return !fstat(fake.netns, &ours) && !fstat(netns, &theirs) && ours.st_ino == theirs.st_ino;
}

static int get_questions(struct bpfilter_questions *arg)
{
	if (!is_ours(arg->netns))
		return fail(EXDEV);
	arg->failed = fake.questions_error ? arg->nr - 1 : arg->nr;
	dev.seen.questions = *arg;
	return fake.questions_error ? fail(fake.questions_error) : dup(fake.netns);
}

static int control(unsigned long cmd, void *arg)
{
	struct bpfilter_ns *ns = arg;
	struct request *r;

	switch (cmd) {
	case BPFILTER_IOC_READY:
		return get_ready(*(uint32_t *)arg);
	case BPFILTER_IOC_NETNS:
		return get_netns(*(uint64_t *)arg);
	case BPFILTER_IOC_NS_SET:
		if (is_ours(ns->netns)) {
			dev.seen.flags = ns->flags & ~BPFILTER_NS_KEEP;
			dev.seen.ns = *ns;
		}
		return 0;
	case BPFILTER_IOC_NS_GET:
		ns->flags = is_ours(ns->netns) ? dev.seen.flags : 0;
		ns->prog = 0;
		ns->asking = 77;
		ns->want = 88;
		return 0;
	case BPFILTER_IOC_QUESTIONS:
		return get_questions(arg);
	case BPFILTER_IOC_QUESTIONS_NOW:
		return is_ours(*(int32_t *)arg) ? dup(fake.netns) : fail(ENOENT);
	case BPFILTER_IOC_SYNC:
		dev.seen.syncs++;
		return 0;
	case BPFILTER_IOC_STOP:
		dev.seen.stopped += !fake.stop_error;
		return fake.stop_error ? fail(fake.stop_error) : 0;
	case FIONREAD:
		r = dev.seen.ready ? first_pending() : NULL;
		*(int *)arg = r ? sizeof(r->head) + r->head.len : 0;
		return 0;
	}
	return fail(ENOTTY);
}

int __wrap_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret;

	if (fd < 0 || fd != dev.event)
		return faults_hit(FAULT_CALL, "ioctl") ? -1 : __real_ioctl(fd, cmd, arg);
	if (interrupted())
		return -1;
	pthread_mutex_lock(&dev.lock);
	ret = control(cmd, arg);
	pthread_mutex_unlock(&dev.lock);
	return ret;
}
