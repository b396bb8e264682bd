// SPDX-License-Identifier: GPL-2.0
/*
 * blast ADDRESS PORT MILLISECONDS - send UDP packets as fast as one thread can, and print how many
 * nanoseconds each took
 *
 * With a table that drops them in OUTPUT this is the cost of that table, on top of what is there
 * without rules.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	double start, end;
	unsigned long n = 0;
	int sk;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: blast ADDRESS PORT MILLISECONDS\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sk < 0 || connect(sk, (struct sockaddr *)&to, sizeof(to))) {
		perror("blast");
		return 1;
	}
	start = now_ns();
	do {
		for (int i = 0; i < 64; i++, n++)
			send(sk, "0123456789abcdef", 16, 0); /* EPERM where it is dropped */
		end = now_ns();
	} while (end - start < atoi(argv[3]) * 1e6);
	printf("%.0f\n", (end - start) / n);
	return 0;
}
