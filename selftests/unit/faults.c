// SPDX-License-Identifier: GPL-2.0
#include "faults.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
	unsigned int kinds, left;
	bool death, paused;
	const char *failed;
} fault;

void faults_arm(unsigned int kinds, unsigned int n)
{
	fault.kinds = kinds;
	fault.left = n;
	fault.death = false;
	fault.failed = NULL;
}

void faults_arm_death(unsigned int kinds, unsigned int n)
{
	faults_arm(kinds, n);
	fault.death = true;
}

const char *faults_disarm(void)
{
	fault.kinds = 0;
	return fault.failed;
}

bool faults_hit(unsigned int kinds, const char *name)
{
	if (fault.paused || !(fault.kinds & kinds) || !fault.left || --fault.left)
		return false;
	if (fault.death)
		_exit(0);
	fault.failed = name;
	errno = ENOMEM;
	return true;
}

void faults_pause(bool pause)
{
	fault.paused = pause;
}

/* The linker makes __real_NAME where the program is linked with --wrap=NAME. */
#define WRAP(kinds, failure, ret, name, params, args)                                              \
	WRAP_FOR(__real_##name, kinds, failure, ret, name, params, args)

/* With another function behind it: fake_card.c. */
#define WRAP_FOR(real, kinds, failure, ret, name, params, args)                                    \
	ret real params __attribute__((weak));                                                     \
	ret __wrap_##name params                                                                   \
	{                                                                                          \
		if (faults_hit(kinds, #name))                                                      \
			return failure;                                                            \
		return real args;                                                                  \
	}

WRAP(FAULT_MEMORY, NULL, void *, malloc, (size_t n), (n))
WRAP(FAULT_MEMORY, NULL, void *, calloc, (size_t n, size_t size), (n, size))
WRAP(FAULT_MEMORY, NULL, void *, realloc, (void *p, size_t n), (p, n))
WRAP(FAULT_MEMORY, NULL, void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
WRAP(FAULT_MEMORY, NULL, char *, strdup, (const char *s), (s))

WRAP_FOR(card_map_create, FAULT_CALL, -1, int, bpf_map_create,
	 (enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 max,
	  const struct bpf_map_create_opts *opts),
	 (type, name, key, value, max, opts))
WRAP_FOR(card_prog_load, FAULT_CALL, -1, int, bpf_prog_load,
	 (enum bpf_prog_type type, const char *name, const char *license,
	  const struct bpf_insn *insns, size_t n, const struct bpf_prog_load_opts *opts),
	 (type, name, license, insns, n, opts))
WRAP(FAULT_CALL, -1, int, bpf_btf_load,
     (const void *data, size_t size, const struct bpf_btf_load_opts *opts), (data, size, opts))
WRAP(FAULT_CALL, -1, int, bpf_prog_bind_map,
     (int prog, int map, const struct bpf_prog_bind_opts *opts), (prog, map, opts))
WRAP(FAULT_CALL, -1, int, bpf_prog_test_run_opts, (int prog, struct bpf_test_run_opts *opts),
     (prog, opts))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, int, bpf_map_update_elem,
     (int fd, const void *key, const void *value, __u64 flags), (fd, key, value, flags))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, int, bpf_map_delete_elem, (int fd, const void *key), (fd, key))
WRAP_FOR(card_map_lookup_elem, FAULT_CALL, -1, int, bpf_map_lookup_elem,
	 (int fd, const void *key, void *value), (fd, key, value))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, int, bpf_obj_pin, (int fd, const char *path), (fd, path))
WRAP(FAULT_CALL, -1, int, bpf_obj_get, (const char *path), (path))
WRAP_FOR(card_obj_get_info_by_fd, FAULT_CALL, -1, int, bpf_obj_get_info_by_fd,
	 (int fd, void *info, __u32 *len), (fd, info, len))
WRAP(FAULT_CALL, -1, int, bpf_prog_get_fd_by_id, (__u32 id), (id))
WRAP(FAULT_CALL, -1, int, bpf_map_get_fd_by_id, (__u32 id), (id))

WRAP(FAULT_CALL, NULL, struct btf *, btf__new_empty, (void), ())
WRAP(FAULT_CALL, -ENOMEM, int, btf__add_func,
     (struct btf * btf, const char *name, enum btf_func_linkage linkage, int proto),
     (btf, name, linkage, proto))
WRAP(FAULT_CALL, -ENOMEM, int, btf__add_func_proto, (struct btf * btf, int ret), (btf, ret))
WRAP(FAULT_CALL, NULL, struct btf *, btf__load_vmlinux_btf, (void), ())

WRAP(FAULT_CALL | FAULT_CHANGE, MAP_FAILED, void *, mmap,
     (void *addr, size_t len, int prot, int flags, int fd, off_t off),
     (addr, len, prot, flags, fd, off))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, long, syscall,
     (long nr, long a, long b, long c, long d, long e), (nr, a, b, c, d, e))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(FAULT_CALL, NULL, FILE *, fopen, (const char *path, const char *mode), (path, mode))

WRAP(FAULT_CALL, -1, int, socket, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(FAULT_CALL, -1, int, bind, (int sk, const struct sockaddr *addr, socklen_t len),
     (sk, addr, len))
WRAP(FAULT_CALL, -1, int, getsockname, (int sk, struct sockaddr *addr, socklen_t *len),
     (sk, addr, len))
WRAP(FAULT_CALL, -1, int, getsockopt, (int sk, int level, int opt, void *val, socklen_t *len),
     (sk, level, opt, val, len))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, int, setsockopt,
     (int sk, int level, int opt, const void *val, socklen_t len), (sk, level, opt, val, len))
WRAP(FAULT_CALL | FAULT_CHANGE, -1, ssize_t, sendmsg, (int sk, const struct msghdr *msg, int flags),
     (sk, msg, flags))
WRAP(FAULT_CALL, -1, ssize_t, recv, (int sk, void *buf, size_t len, int flags),
     (sk, buf, len, flags))

/* Those of umh/trial.c, for its own test alone; ioctl is in fake_device.c. */
WRAP(FAULT_CALL, -1, int, unshare, (int flags), (flags))
WRAP(FAULT_CALL, ENOMEM, int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*main)(void *), void *arg),
     (thread, attr, main, arg))
WRAP(FAULT_CALL, -1, ssize_t, sendto,
     (int sk, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t to_len),
     (sk, buf, len, flags, to, to_len))

/* Those of umh/offload.c, for its own test alone. */
WRAP_FOR(card_link_create, FAULT_CALL | FAULT_CHANGE, -1, int, bpf_link_create,
	 (int prog, int target, enum bpf_attach_type type, const struct bpf_link_create_opts *opts),
	 (prog, target, type, opts))
WRAP(FAULT_CALL, NULL, DIR *, opendir, (const char *path), (path))

/* These are not expected to fail; but a process can end before them. */
int __real_bpf_link_detach(int fd) __attribute__((weak));
int __wrap_bpf_link_detach(int fd)
{
	if (fault.death)
		faults_hit(FAULT_CHANGE, "bpf_link_detach");
	return __real_bpf_link_detach(fd);
}

int __real_unlink(const char *path) __attribute__((weak));
int __wrap_unlink(const char *path)
{
	if (fault.death)
		faults_hit(FAULT_CHANGE, "unlink");
	return __real_unlink(path);
}

int __real_rmdir(const char *path) __attribute__((weak));
int __wrap_rmdir(const char *path)
{
	if (fault.death)
		faults_hit(FAULT_CHANGE, "rmdir");
	return __real_rmdir(path);
}
