/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Network namespaces for tests. They have no names: they go with the process, however it ends.
 */
#ifndef TESTNET_H
#define TESTNET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* End this program as skipped if it may not make namespaces. To be called by a constructor. */
void testnet_or_skip(void);

/* A new network namespace with its loopback up; the calling thread is in it. fd or -1. */
int testnet_new(void);

/* Put the calling thread into the namespace. 0 or -1. */
int testnet_enter(int fd);

ino_t testnet_inode(int fd);

/*
 * Run a shell command in the namespace; the format is printf's. Returns its exit status, or -1.
 * /proc/PID/fd/N of this process names other namespaces.
 */
int testnet_sh(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Output of a command, at most @size - 1 bytes, terminated. Its exit status, or -1. */
int testnet_read(int fd, char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/**
 * struct testnet_line - three namespaces in a line: A -- R -- B
 *
 * A is 10.77.1.2 on "a0", R is 10.77.1.1 on "ra" and 10.77.2.1 on "rb" and forwards, B is
 * 10.77.2.2 on "b0".
 */
struct testnet_line {
	int a, r, b;
};

/* 0 or -1. The calling thread is in none of the three afterwards. */
int testnet_line_make(struct testnet_line *net);

/*
 * A stream of numbered UDP packets, to find out what was lost, doubled or overtaken.
 */
struct stream;

/**
 * stream_start - send @pps packets a second from one namespace to an address in another
 *
 * Returns once the first packet has arrived, or NULL.
 */
struct stream *stream_start(int from, int to, const char *address, unsigned int pps);

/**
 * struct stream_result
 * @overtaken: packets that arrived after one with a higher number
 * @furthest: the most numbers that one was behind
 */
struct stream_result {
	uint64_t sent, received, lost, doubled, overtaken, furthest;
	double seconds;
};

/* Stop sending, wait for what is on its way, and free the stream. */
struct stream_result stream_stop(struct stream *s);

double now_us(void);

/* Print "@what p50 ... p99 ... max" of @n values in microseconds; sorts them. */
void print_percentiles(const char *what, double *us, unsigned int n);

#endif /* TESTNET_H */
