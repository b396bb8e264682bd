// SPDX-License-Identifier: GPL-2.0
/*
 * One intercepted call.
 *
 * The caller sleeps in the kernel meanwhile, but it may be killed at any time, and its thread id
 * given to another. So whatever is opened by that number is opened through a descriptor of
 * /proc/TID, taken before the notification is seen to be valid: it stays that thread's. What is
 * read by number is used only if the notification is valid after the read.
 *
 * What is continued is decided from a copy of what the kernel will read again. Who changes it in
 * between reaches the kernel's own table with the rights that the kernel grants him anyway.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "call.h"
#include "caps.h"
#include "client.h"
#include "others.h"
#include "seccomp.h"
#include "sockopt.h"
#include "wire.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif
/* PIDFD_THREAD, Linux 6.9 */
#define PIDFD_OF_THREAD O_EXCL

/* How often a call that has not begun is sent to a new helper, should they keep dying. */
#define MAX_TRIES 5

/**
 * struct call - a call being answered
 * @task: /proc/TID, -1 until opened
 * @sk: a copy of the caller's socket
 * @netns: the namespace of that socket
 * @optlen: the length that the caller gave
 * @head: the fixed head of the option, copied once
 */
struct call {
	struct bf_call_server *s;
	uint64_t id;
	pid_t tid;
	struct bf_sockopt_call args;
	uint32_t op;
	int task;
	int sk;
	int netns;
	int optlen;
	union bf_sockopt_head head;
	bool others; /* rules for another table (others.h) */
};

/* Is the caller still waiting? 0 or -ESRCH. */
static int still_valid(void *ctx)
{
	struct call *c = ctx;

	return ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id) ? -ESRCH : 0;
}

/* Copies all of it or nothing that may be used: 0, -EFAULT, or -ESRCH. */
static int read_caller(struct call *c, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {.iov_base = buf, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};
	ssize_t n;

	n = process_vm_readv(c->tid, &local, 1, &remote, 1, 0);
	if (still_valid(c))
		return -ESRCH;
	return n == (ssize_t)len ? 0 : -EFAULT;
}

static int write_caller(struct call *c, uint64_t addr, const void *buf, size_t len)
{
	struct iovec local = {.iov_base = (void *)buf, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)addr, .iov_len = len};

	if (still_valid(c))
		return -ESRCH;
	return process_vm_writev(c->tid, &local, 1, &remote, 1, 0) == (ssize_t)len ? 0 : -EFAULT;
}

static int open_task(struct call *c)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", c->tid);
	c->task = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->task < 0)
		return -errno;
	return still_valid(c);
}

/*
 * A descriptor for pidfd_getfd(2). Before Linux 6.9 only that of the whole process, whose
 * descriptor table may be another than the thread's: check_socket() looks.
 */
static int open_pidfd(struct call *c)
{
	struct bf_task_cred cred;
	int fd, err;

	fd = syscall(__NR_pidfd_open, c->tid, PIDFD_OF_THREAD);
	if (fd < 0 && errno == EINVAL) {
		err = bf_task_cred(c->task, &cred);
		if (err)
			return err;
		fd = syscall(__NR_pidfd_open, cred.tgid, 0);
	}
	if (fd < 0)
		return -errno;
	err = still_valid(c);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/* Is what we hold the socket that the calling thread has there? */
static bool check_socket(struct call *c)
{
	struct stat ours, theirs;
	char path[32];

	snprintf(path, sizeof(path), "fd/%d", c->args.fd);
	return fstat(c->sk, &ours) == 0 && fstatat(c->task, path, &theirs, 0) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Returns 0, -EBADF if there is no such descriptor, or another -errno. */
static int get_socket(struct call *c)
{
	int pidfd, err = 0;

	pidfd = open_pidfd(c);
	if (pidfd < 0)
		return pidfd;
	c->sk = syscall(__NR_pidfd_getfd, pidfd, c->args.fd, 0);
	if (c->sk < 0)
		err = -errno;
	close(pidfd);
	if (err)
		return err == -EBADF ? still_valid(c) ?: -EBADF : err;
	if (!check_socket(c)) {
		bf_log(BF_LOG_WARN,
		       "refused an iptables call of thread %d, which does not share its descriptors "
		       "with its process: Linux 6.9 or later is needed for it",
		       c->tid);
		return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * Would the kernel's ip_tables get to see an option of this socket? It is asked with a length
 * that it refuses before it looks at anything. 1, 0, or -ENOPROTOOPT if nobody answers.
 */
static int ask_ip_tables(int sk)
{
	struct ipt_getinfo info;
	socklen_t len = 1;

	if (getsockopt(sk, IPPROTO_IP, IPT_SO_GET_INFO, &info, &len) == 0)
		return 0;
	if (errno == EINVAL || errno == EPERM)
		return 1;
	return errno == ENOPROTOOPT ? -ENOPROTOOPT : 0;
}

/* The sockets of which Linux hands IPPROTO_IP options to netfilter, for a kernel that
 * has no ip_tables to ask. */
static bool is_ip_socket(int sk)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof(int);

	getsockopt(sk, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	getsockopt(sk, SOL_SOCKET, SO_TYPE, &type, &len);
	return domain == AF_INET || (domain == AF_INET6 && type != SOCK_RAW);
}

static bool reaches_ip_tables(struct call *c)
{
	int ret = ask_ip_tables(c->sk);

	if (ret == -ENOPROTOOPT && ask_ip_tables(c->s->probe) == -ENOPROTOOPT)
		return is_ip_socket(c->sk);
	return ret == 1;
}

/*
 * A 32-bit caller passes structures of another layout. The kernel understands them only if
 * built so (CONFIG_NETFILTER_XTABLES_COMPAT, never together with our table), so table filter does
 * not exist for it; its other calls are the kernel's business.
 */
static int handle_compat(struct call *c)
{
	int err;

	if (!bf_sockopt_is_ours(c->op) || bf_sockopt_is_revision(c->op))
		return BF_CALL_CONTINUE;
	err = read_caller(c, c->args.optval, c->head.name, sizeof(c->head.name));
	if (err)
		return err;
	if (!bf_sockopt_is_filter(&c->head))
		return BF_CALL_CONTINUE;
	bf_log(BF_LOG_WARN, "refused a 32-bit iptables (thread %d): use the 64-bit one", c->tid);
	return -ENOPROTOOPT;
}

/* The five arguments of a socketcall; unpacked, it is a call like the others. */
static int read_socketcall(struct call *c)
{
	uint64_t words[5];
	int err;

	err = read_caller(c, c->args.args, words, 5 * c->args.word);
	if (!err)
		bf_seccomp_socketcall(&c->args, words);
	return err;
}

/*
 * Up to where it is certain that the call is on our table: 0 if it is, BF_CALL_CONTINUE, or the
 * error. In the order of the kernel: the descriptor, *optlen, the capability, the arguments.
 */
static int examine(struct call *c)
{
	ssize_t len;
	int err;

	if (!bf_sockopt_is_ours(c->op) || (!c->args.get && (int)c->args.optlen < 0))
		return BF_CALL_CONTINUE;
	if (bf_sockopt_is_revision(c->op) && ask_ip_tables(c->s->probe) == 1)
		return BF_CALL_CONTINUE;
	err = open_task(c) ?: get_socket(c);
	if (err)
		return err == -EBADF ? BF_CALL_CONTINUE : err;
	if (!reaches_ip_tables(c))
		return BF_CALL_CONTINUE;

	c->optlen = c->args.optlen;
	if (c->args.get)
		err = read_caller(c, c->args.optlen, &c->optlen, sizeof(c->optlen));
	if (err || c->optlen < 0)
		return err ?: -EINVAL;
	c->netns = ioctl(c->sk, SIOCGSKNS);
	if (c->netns < 0)
		return -errno;
	err = bf_caps_net_admin(c->task, c->netns);
	if (err)
		return err;
	len = bf_sockopt_head_len(c->op, c->optlen);
	if (len < 0)
		return len;
	err = read_caller(c, c->args.optval, &c->head, len);
	if (err || bf_sockopt_is_revision(c->op))
		return err;
	if (bf_sockopt_is_filter(&c->head))
		return 0;
	c->others = c->op == IPT_SO_SET_REPLACE && bf_others_replace(&c->head.replace);
	return BF_CALL_CONTINUE;
}

/* The whole request; the payload behind the head passes through our buffer piece by piece. */
static int send_request(struct call *c, size_t payload_len)
{
	const struct bpfilter_request req = {
		.version = BPFILTER_VERSION,
		.op = c->op,
		.id = c->id,
		.pid = c->tid,
		.len = payload_len,
		.optlen = c->optlen,
		.attach = c->s->attach,
	};
	size_t head_len = bf_sockopt_head_len(c->op, c->optlen);
	size_t done = payload_len < head_len ? payload_len : head_len;
	int err;

	err = bf_wire_write(c->s->helper, &req, sizeof(req), c->netns, still_valid, c);
	if (!err)
		err = bf_wire_write(c->s->helper, &c->head, done, -1, still_valid, c);
	while (!err && done < payload_len) {
		size_t n = payload_len - done;

		if (n > BF_CALL_BUF_SIZE)
			n = BF_CALL_BUF_SIZE;
		err = read_caller(c, c->args.optval + done, c->s->buf, n);
		if (!err)
			err = bf_wire_write(c->s->helper, c->s->buf, n, -1, still_valid, c);
		done += n;
	}
	return err;
}

/* Pass @len bytes of the reply on to the caller's memory at @addr. */
static int receive_to(struct call *c, uint64_t addr, size_t len)
{
	int err = 0;

	while (!err && len) {
		size_t n = len < BF_CALL_BUF_SIZE ? len : BF_CALL_BUF_SIZE;

		err = bf_wire_read(c->s->helper, c->s->buf, n, still_valid, c);
		if (!err)
			err = write_caller(c, addr, c->s->buf, n);
		addr += n;
		len -= n;
	}
	return err;
}

/*
 * What a successful reply brings. An error from here leaves the connection unusable: the rest of
 * the reply is still in it.
 */
static int receive_payload(struct call *c, size_t len)
{
	const struct ipt_replace *replace = &c->head.replace;
	int err, optlen = len;

	if (c->args.get) {
		if (len > (size_t)c->optlen)
			return -ECONNRESET;
		err = receive_to(c, c->args.optval, len);
		return err ?: write_caller(c, c->args.optlen, &optlen, sizeof(optlen));
	}
	if (c->op != IPT_SO_SET_REPLACE || len > replace->num_counters * sizeof(struct xt_counters))
		return len ? -ECONNRESET : 0;
	return receive_to(c, (uintptr_t)replace->counters, len);
}

static int drop_connection(struct call *c, int err)
{
	close(c->s->helper);
	c->s->helper = -1;
	return err;
}

/*
 * One attempt. @sent: has the helper got all of it, so that it may have been done? Returns the
 * caller's answer; -ECONNRESET if the helper is gone, -ESRCH if the caller is.
 */
static int exchange(struct call *c, size_t len, bool *sent)
{
	struct bpfilter_reply rep;
	int err;

	*sent = false;
	err = send_request(c, len);
	if (err)
		return drop_connection(c, err);
	*sent = true;
	err = bf_wire_read(c->s->helper, &rep, sizeof(rep), still_valid, c);
	if (err)
		return drop_connection(c, err);
	if (rep.id != c->id || (rep.error && rep.len) || rep.error > 0 || rep.error < -4095)
		return drop_connection(c, -ECONNRESET);
	if (rep.error)
		return rep.error;
	err = receive_payload(c, rep.len);
	if (!err)
		return 0;
	drop_connection(c, err);
	/* The table is in force: the kernel, too, does not fail for counters it cannot store. */
	if (err == -EFAULT && c->op == IPT_SO_SET_REPLACE)
		return 0;
	return err;
}

static int connect_helper(struct call *c)
{
	struct bf_why why = {};
	int sk, exit_code;

	if (c->s->helper >= 0)
		return 0;
	sk = bf_client_start(&exit_code, &why);
	if (sk < 0) {
		bf_log(BF_LOG_ERR, "iptables: %s", why.text);
		return sk;
	}
	c->s->helper = sk;
	return 0;
}

/*
 * A helper that dies is replaced. What it may have done already is not done twice, or the
 * counters of the table before would be lost: the caller is told to try again, with
 * the error that iptables reports as a resource problem (exit status 4), as for its lock.
 */
static int forward(struct call *c)
{
	ssize_t len = bf_sockopt_payload_len(c->op, &c->head, c->optlen);
	bool sent = false;
	int tries, ret;

	if (len < 0)
		return len;
	for (tries = 0; tries < MAX_TRIES && !(sent && !c->args.get); tries++) {
		ret = connect_helper(c);
		if (ret == -EAGAIN)
			continue;
		if (ret)
			return -EAGAIN;
		ret = exchange(c, len, &sent);
		if (ret != -ECONNRESET)
			return ret;
	}
	bf_log(BF_LOG_WARN, "the helper died during an iptables call");
	/* If the table was just moving between ip_tables and us, its successor finishes that: now. */
	connect_helper(c);
	return -EAGAIN;
}

/*
 * Rules of another table are on their way to the kernel, which are not for a filter at the interfaces
 * (others.h): the helper moves it, before they are in force, or the caller has to try again. If there is no helper there is nothing to lose by
 * starting one: it finds what the former one has left at the interfaces.
 */
static int tell_of_others(struct call *c)
{
	bool sent = false;
	int tries, ret = -ECONNRESET;

	for (tries = 0; tries < MAX_TRIES && ret == -ECONNRESET; tries++) {
		ret = connect_helper(c);
		if (ret == -EAGAIN)
			ret = -ECONNRESET;
		else if (!ret)
			ret = exchange(c, sizeof(c->head.replace), &sent);
	}
	if (!ret || ret == -ESRCH)
		return ret ?: BF_CALL_CONTINUE;
	bf_log(BF_LOG_WARN, "the rules of table %.*s have to wait for the filter table: %s",
	       (int)sizeof(c->head.replace.name), c->head.replace.name, strerror(-ret));
	return -EAGAIN;
}

/* "bpfilter" itself, asking whether it is below us. */
static bool is_inside_probe(const struct bf_sockopt_call *args)
{
	return args->get && args->fd == -1 && args->optval == BF_INSIDE_PROBE;
}

static int answer_probe(struct call *c)
{
	if (c->s->helper >= 0)
		drop_connection(c, 0);
	connect_helper(c);
	return -EALREADY;
}

int bf_call_handle(struct bf_call_server *s, const struct seccomp_notif *notif)
{
	struct call c = {
		.s = s, .id = notif->id, .tid = notif->pid, .task = -1, .sk = -1, .netns = -1};
	int ret = 0;

	bf_seccomp_call(&notif->data, &c.args);
	if (c.args.args)
		ret = read_socketcall(&c);
	if (ret)
		return ret;
	c.op = c.args.opt | (c.args.get ? BPFILTER_GET : 0);
	if (c.args.level != IPPROTO_IP)
		ret = BF_CALL_CONTINUE;
	else if (is_inside_probe(&c.args))
		ret = answer_probe(&c);
	else if (c.args.compat)
		ret = handle_compat(&c);
	else
		ret = examine(&c) ?: forward(&c);
	if (ret == BF_CALL_CONTINUE && c.others)
		ret = tell_of_others(&c);
	if (c.task >= 0)
		close(c.task);
	if (c.sk >= 0)
		close(c.sk);
	if (c.netns >= 0)
		close(c.netns);
	return ret;
}

int bf_call_server_init(struct bf_call_server *s, int listener, int probe)
{
	s->listener = listener;
	s->probe = probe;
	s->helper = -1;
	s->buf = malloc(BF_CALL_BUF_SIZE);
	return s->buf ? 0 : -ENOMEM;
}

void bf_call_server_exit(struct bf_call_server *s)
{
	if (s->helper >= 0)
		close(s->helper);
	free(s->buf);
}
