// SPDX-License-Identifier: GPL-2.0
#include "odd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"

/* Frames in a row, and how long nothing comes then: a veth's queue is short, and CPUs have other things to do. */
#define ROW   8
#define PAUSE 500 /* us */

#define UDP_PORT 10
#define TCP_PORT 99
#define TCP_SYN	 0x02
#define FLAGS_AT 13

#define UDP_CHECK  offsetof(struct udphdr, check)
#define TCP_CHECK  offsetof(struct tcphdr, check)
#define ICMP_CHECK offsetof(struct icmphdr, checksum)

enum check { RIGHT, WRONG, NONE };

struct sender {
	struct frame f;
	int sk, err;
	unsigned int n;
	uint32_t random;
};

static const int lengths[] = {63,  64,	65,  100, 127, 128,  129,  255,	 256,  257,  300,  511,
			      512, 513, 600, 777, 999, 1000, 1023, 1024, 1025, 1300, 1459, 1460};

/* Anything behind the header, always the same. */
static void begin(struct sender *s, int protocol)
{
	unsigned int i;

	s->f.ip.protocol = protocol;
	for (i = 0; i < sizeof(s->f.l4); i++) {
		s->random = s->random * 1664525 + 1013904223;
		s->f.l4[i] = s->random >> 24;
	}
}

/* Its checksum is @at bytes behind the IP header. */
static void end(struct sender *s, int len, size_t at, enum check check)
{
	uint16_t sum = 0;

	memcpy(s->f.l4 + at, &sum, sizeof(sum));
	if (check != NONE)
		sum = frame_check(&s->f, len);
	/* 0xffff is what 0 is in a datagram. */
	if (!sum && check != NONE && s->f.ip.protocol == IPPROTO_UDP)
		sum = 0xffff;
	if (check == WRONG)
		sum ^= htons(1 << s->n % 16);
	if (!sum && check == WRONG)
		sum = htons(0x1234);
	memcpy(s->f.l4 + at, &sum, sizeof(sum));
	if (!s->err)
		s->err = frame_send(s->sk, &s->f, len);
	if (++s->n % ROW == 0)
		usleep(PAUSE);
}

static void udp(struct sender *s, int len, int header_len, enum check check)
{
	begin(s, IPPROTO_UDP);
	s->f.udp.source = htons(20000 + s->n);
	s->f.udp.dest = htons(UDP_PORT);
	s->f.udp.len = htons(header_len);
	end(s, len, UDP_CHECK, check);
}

static void tcp(struct sender *s, int len, int doff, int flags, enum check check)
{
	begin(s, IPPROTO_TCP);
	s->f.tcp.source = htons(20000 + s->n);
	s->f.tcp.dest = htons(TCP_PORT);
	s->f.tcp.doff = doff;
	s->f.l4[FLAGS_AT] = flags;
	end(s, len, TCP_CHECK, check);
}

static void icmp(struct sender *s, int type, int len, enum check check)
{
	begin(s, IPPROTO_ICMP);
	s->f.icmp.type = type;
	s->f.icmp.code = 0;
	end(s, len, ICMP_CHECK, check);
}

static void send_lengths(struct sender *s)
{
	enum check check;
	unsigned int i;
	int len;

	for (check = RIGHT; check <= WRONG; check++) {
		for (len = 8; len < 62; len++)
			udp(s, len, len, check);
		for (len = 20; len < 62; len++)
			tcp(s, len, 5, TCP_SYN, check);
		for (i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
			udp(s, lengths[i], lengths[i], check);
			tcp(s, lengths[i], 5 + i % 11, TCP_SYN, check);
		}
		for (len = 8; len < 30; len++)
			icmp(s, ICMP_ECHO, len, check);
	}
	for (len = 8; len < 30; len++)
		udp(s, len, len, NONE);
	for (len = 1; len < 20; len++)
		tcp(s, len, 5, TCP_SYN, RIGHT);
	for (len = 1; len < 8; len++)
		udp(s, len, len, RIGHT);
}

static void send_headers(struct sender *s)
{
	int i;

	for (i = 0; i < 16; i++) {
		tcp(s, 20, i, TCP_SYN, RIGHT);
		tcp(s, 41, i, TCP_SYN, RIGHT);
	}
	for (i = 0; i < 256; i++)
		tcp(s, 20, 5, i, RIGHT);
	for (i = 0; i < 64; i++)
		tcp(s, 20, 5, i, WRONG);
	for (i = 0; i < 24; i++) {
		udp(s, 20, i, RIGHT);
		udp(s, 20, i, NONE);
	}
	for (i = 0; i < 20; i++)
		icmp(s, i, 36, RIGHT);
}

static int open_sender(struct sender *s, const char *interface, const char *mac)
{
	*s = (struct sender){};
	s->sk = frame_open(&s->f, interface, mac);
	return s->sk < 0 ? s->sk : 0;
}

int send_odd(const char *interface, const char *mac)
{
	struct sender s;
	int err = open_sender(&s, interface, mac);

	if (err)
		return err;
	send_lengths(&s);
	send_headers(&s);
	close(s.sk);
	return s.err;
}

int send_one(const char *interface, const char *mac, const char *kind, int sport, int dport)
{
	bool datagram = !strcmp(kind, "udp");
	struct sender s;
	int err = open_sender(&s, interface, mac);

	if (err)
		return err;
	begin(&s, datagram ? IPPROTO_UDP : IPPROTO_TCP);
	s.f.udp.source = htons(sport);
	s.f.udp.dest = htons(dport);
	if (datagram) {
		s.f.udp.len = htons(12);
		end(&s, 12, UDP_CHECK, RIGHT);
	} else {
		s.f.tcp.doff = 5;
		s.f.l4[FLAGS_AT] = strtol(kind, NULL, 0);
		end(&s, 20, TCP_CHECK, RIGHT);
	}
	close(s.sk);
	return s.err;
}

int send_many(const char *interface, const char *mac, int dport, int n)
{
	struct sender s;
	int err = open_sender(&s, interface, mac), i;

	if (err)
		return err;
	begin(&s, IPPROTO_UDP);
	s.f.udp.source = htons(1000);
	s.f.udp.dest = htons(dport);
	s.f.udp.len = htons(12);
	for (i = 0; i < n; i++) {
		s.f.ip.saddr = htonl(10U << 24 | (i + 1));
		end(&s, 12, UDP_CHECK, RIGHT);
	}
	close(s.sk);
	return s.err;
}

int send_from(const char *interface, const char *mac, int dport, int tos, FILE *sources)
{
	char line[INET_ADDRSTRLEN + 1];
	struct sender s;
	int err = open_sender(&s, interface, mac);

	if (err)
		return err;
	begin(&s, IPPROTO_UDP);
	s.f.ip.tos = tos;
	s.f.udp.source = htons(1000);
	s.f.udp.dest = htons(dport);
	s.f.udp.len = htons(12);
	while (!s.err && fgets(line, sizeof(line), sources)) {
		line[strcspn(line, "\n")] = '\0';
		if (inet_pton(AF_INET, line, &s.f.ip.saddr) == 1)
			end(&s, 12, UDP_CHECK, RIGHT);
		else
			s.err = -EINVAL;
	}
	close(s.sk);
	return s.err;
}

/* A line of send_to(): 0 or -EINVAL. */
static int send_line(struct sender *s, const char *line)
{
	char to[INET_ADDRSTRLEN], kind[8];
	int len, ttl, tos, df, dport;
	bool datagram;

	if (sscanf(line, "%15s %d %d %i %d %7s %d", to, &len, &ttl, &tos, &df, kind, &dport) != 7 ||
	    len < 40 || len > 1500 || inet_pton(AF_INET, to, &s->f.ip.daddr) != 1)
		return -EINVAL;
	len -= sizeof(s->f.ip);
	datagram = !strcmp(kind, "udp");
	begin(s, datagram ? IPPROTO_UDP : IPPROTO_TCP);
	s->f.ip.ttl = ttl;
	s->f.ip.tos = tos;
	s->f.ip.frag_off = htons(df ? IP_DF : 0);
	s->f.udp.source = htons(1000);
	s->f.udp.dest = htons(dport);
	if (datagram) {
		s->f.udp.len = htons(len);
		end(s, len, UDP_CHECK, RIGHT);
	} else {
		s->f.tcp.doff = 5;
		s->f.l4[FLAGS_AT] = strtol(kind, NULL, 0);
		end(s, len, TCP_CHECK, RIGHT);
	}
	return 0;
}

int send_to(const char *interface, const char *mac, FILE *lines)
{
	struct sender s;
	int err = open_sender(&s, interface, mac);
	char line[100];

	if (err)
		return err;
	while (!s.err && fgets(line, sizeof(line), lines)) {
		err = send_line(&s, line);
		s.err = s.err ?: err;
	}
	close(s.sk);
	return s.err;
}

int send_too_big(const char *interface, const char *mac, const char *host, const char *to,
		 int sport, int mtu)
{
	struct {
		struct icmphdr icmp;
		struct iphdr ip;
		struct udphdr udp;
	} error = {};
	struct sender s;
	int err = open_sender(&s, interface, mac);

	if (err)
		return err;
	begin(&s, IPPROTO_ICMP);
	error.icmp.type = ICMP_DEST_UNREACH;
	error.icmp.code = ICMP_FRAG_NEEDED;
	error.icmp.un.frag.mtu = htons(mtu);
	error.ip = (struct iphdr){.version = 4,
				  .ihl = 5,
				  .tot_len = htons(1500),
				  .frag_off = htons(IP_DF),
				  .ttl = 64,
				  .protocol = IPPROTO_UDP};
	error.udp = (struct udphdr){.source = htons(sport), .dest = htons(9), .len = htons(1480)};
	if (inet_pton(AF_INET, host, &s.f.ip.daddr) == 1 &&
	    inet_pton(AF_INET, to, &error.ip.daddr) == 1) {
		error.ip.saddr = s.f.ip.daddr;
		error.ip.check = frame_fold(frame_add(&error.ip, sizeof(error.ip), 0));
		memcpy(s.f.l4, &error, sizeof(error));
		end(&s, sizeof(error), ICMP_CHECK, RIGHT);
	} else {
		s.err = -EINVAL;
	}
	close(s.sk);
	return s.err;
}
