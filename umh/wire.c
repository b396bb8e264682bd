// SPDX-License-Identifier: GPL-2.0
/* Requests and replies on a unix stream socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "wire.h"

/* More than one descriptor is never expected; the room for more is there to close them. */
#define MAX_FDS 4

union fd_control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
};

int bf_wire_socket(void)
{
	const struct timeval second = {.tv_sec = 1};
	int sk;

	sk = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sk < 0)
		return -errno;
	setsockopt(sk, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	setsockopt(sk, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	return sk;
}

static void attach_fd(struct msghdr *msg, union fd_control *control, int fd)
{
	struct cmsghdr *cmsg;

	msg->msg_control = control->buf;
	msg->msg_controllen = CMSG_SPACE(sizeof(int));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

/* What a failed transfer means: 0 to try again, or the error to return. */
static int after_error(bf_wire_idle_fn *idle, void *ctx)
{
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return idle ? idle(ctx) : 0;
	return -ECONNRESET;
}

int bf_wire_write(int sk, const void *buf, size_t len, int fd, bf_wire_idle_fn *idle, void *ctx)
{
	while (len) {
		union fd_control control = {};
		struct iovec iov = {.iov_base = (void *)buf, .iov_len = len};
		struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;
		int err;

		if (fd >= 0)
			attach_fd(&msg, &control, fd);
		n = sendmsg(sk, &msg, MSG_NOSIGNAL);
		if (n < 0) {
			err = after_error(idle, ctx);
			if (err)
				return err;
			continue;
		}
		fd = -1;
		buf = (const char *)buf + n;
		len -= n;
	}
	return 0;
}

int bf_wire_read(int sk, void *buf, size_t len, bf_wire_idle_fn *idle, void *ctx)
{
	while (len) {
		ssize_t n = recv(sk, buf, len, 0);
		int err;

		if (n == 0)
			return -ECONNRESET;
		if (n < 0) {
			err = after_error(idle, ctx);
			if (err)
				return err;
			continue;
		}
		buf = (char *)buf + n;
		len -= n;
	}
	return 0;
}

void bf_wire_reader_init(struct bf_wire_reader *r)
{
	memset(r, 0, sizeof(*r));
	r->netns = -1;
}

void bf_wire_reader_free(struct bf_wire_reader *r)
{
	if (r->netns >= 0)
		close(r->netns);
	free(r->payload);
	bf_wire_reader_init(r);
}

/* Keeps the first descriptor that comes with a request and closes all others. */
static void take_fds(struct bf_wire_reader *r, struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t n, i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (r->netns < 0)
				r->netns = fd;
			else
				close(fd);
		}
	}
}

/* Reads towards @want bytes at @dst, of which @have are there. 1 when they all are. */
static int read_some(struct bf_wire_reader *r, int sk, void *dst, size_t have, size_t want)
{
	while (have < want) {
		union fd_control control;
		struct iovec iov = {.iov_base = (char *)dst + have, .iov_len = want - have};
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.buf,
			.msg_controllen = sizeof(control.buf),
		};
		ssize_t n = recvmsg(sk, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

		if (n == 0)
			return -ECONNRESET;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -ECONNRESET;
		take_fds(r, &msg);
		have += n;
		r->got += n;
	}
	return 1;
}

int bf_wire_reader_head(struct bf_wire_reader *r, int sk)
{
	int ret;

	if (r->got >= sizeof(r->req))
		return 1;
	ret = read_some(r, sk, &r->req, r->got, sizeof(r->req));
	if (ret != 1)
		return ret;
	if (r->req.version != BPFILTER_VERSION || r->req.len > BF_WIRE_MAX_PAYLOAD)
		return -EPROTO;
	return 1;
}

int bf_wire_reader_payload(struct bf_wire_reader *r, int sk)
{
	return read_some(r, sk, r->payload, r->got - sizeof(r->req), r->req.len);
}
