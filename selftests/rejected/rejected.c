// SPDX-License-Identifier: GPL-2.0
/*
 * Sends packets that are to be rejected, of all kinds, and prints what comes back, for two worlds to be compared:
 *
 *	rejected forward|input|output INTERFACE MAC ADDRESS MARKER WATCH...
 *
 * From the network namespace that it runs in: by INTERFACE as frames to MAC; "output" as packets of a raw socket.
 * For each of eight addresses from ADDRESS on, which have a type of reply each, each packet of the list is sent, and
 * followed by a ping to MARKER, so that its answer tells that no more is to come. WATCH is PATH:INTERFACE: in the
 * network namespace at PATH what that interface receives is printed, but for what differs by nature: ids, and
 * checksums of IP and TCP, which are checked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

#define MAX_WATCH 4
#define KINDS	  8 /* of replies */

struct run {
	const char *mode;
	int out;
	bool raw;
	uint8_t mac[ETH_ALEN], own_mac[ETH_ALEN];
	uint32_t own, to, marker; /* host byte order */
	struct {
		const char *name;
		int fd;
	} watch[MAX_WATCH];
	unsigned int nr_watch;
	uint16_t ping;
};

/**
 * struct packet - one of the list
 * @proto: of IP
 * @payload: bytes behind the IP header; of TCP and UDP with their headers
 * @flags: TCP's
 * @type: ICMP's
 * @frag: frag_off, host byte order
 * @wrong: the checksum is
 * @unsummed: UDP: there is none
 * @partial: it is left to the device
 * @gso: so many bytes for each segment
 * @options: words of NOP in the IP header
 * @group: the frame is for all
 * @tag: it has a tag of VLAN 0
 * @source: who sends it, unless 0
 */
struct packet {
	const char *name;
	uint8_t proto;
	uint16_t payload;
	uint8_t flags, type, tos;
	uint8_t ttl;
	uint16_t frag;
	bool wrong, unsummed, partial;
	uint16_t gso;
	uint8_t options;
	bool group, tag;
	uint32_t source;
};

#define SYN 0x02
#define RST 0x04
#define ACK 0x10
#define FIN 0x01

static const struct packet packets[] = {
	{"syn", IPPROTO_TCP, .payload = 20, .flags = SYN},
	{"syn with options", IPPROTO_TCP, .payload = 40, .flags = SYN},
	{"ack", IPPROTO_TCP, .payload = 20, .flags = ACK},
	{"data", IPPROTO_TCP, .payload = 20 + 333, .flags = ACK | 8},
	{"data without ack", IPPROTO_TCP, .payload = 20 + 100, .flags = 8},
	{"syn and data", IPPROTO_TCP, .payload = 20 + 7, .flags = SYN},
	{"fin", IPPROTO_TCP, .payload = 20, .flags = FIN},
	{"syn fin", IPPROTO_TCP, .payload = 20, .flags = SYN | FIN},
	{"syn ack", IPPROTO_TCP, .payload = 20, .flags = SYN | ACK},
	{"fin ack", IPPROTO_TCP, .payload = 20, .flags = FIN | ACK},
	{"rst", IPPROTO_TCP, .payload = 20, .flags = RST},
	{"rst ack", IPPROTO_TCP, .payload = 20, .flags = RST | ACK},
	{"no flags", IPPROTO_TCP, .payload = 20, .flags = 0},
	{"all flags but rst", IPPROTO_TCP, .payload = 20, .flags = 0xff & ~RST},
	{"syn, wrong checksum", IPPROTO_TCP, .payload = 20, .flags = SYN, .wrong = true},
	{"syn, checksum put off", IPPROTO_TCP, .payload = 20, .flags = SYN, .partial = true},
	{"data, checksum put off", IPPROTO_TCP, .payload = 20 + 700, .flags = ACK, .partial = true},
	{"many at once", IPPROTO_TCP, .payload = 20 + 4000, .flags = ACK, .partial = true,
	 .gso = 1000},
	{"as long as can be", IPPROTO_TCP, .payload = 1480, .flags = ACK},
	{"short of a tcp header", IPPROTO_TCP, .payload = 19, .flags = SYN},
	{"four bytes of tcp", IPPROTO_TCP, .payload = 4, .flags = SYN},
	{"nothing of tcp", IPPROTO_TCP, .payload = 0, .flags = SYN},
	{"first fragment of tcp", IPPROTO_TCP, .payload = 64, .flags = SYN, .frag = IP_MF},
	{"later fragment of tcp", IPPROTO_TCP, .payload = 64, .flags = SYN, .frag = 5},
	{"tos 2", IPPROTO_TCP, .payload = 20, .flags = SYN, .tos = 2},
	{"tos 255", IPPROTO_TCP, .payload = 20, .flags = SYN, .tos = 255},
	{"ttl 2", IPPROTO_TCP, .payload = 20, .flags = SYN, .ttl = 2},
	{"df", IPPROTO_TCP, .payload = 20, .flags = SYN, .frag = IP_DF},
	{"tag", IPPROTO_TCP, .payload = 20, .flags = SYN, .tag = true},
	{"to all", IPPROTO_TCP, .payload = 20, .flags = SYN, .group = true},
	{"from a broadcast", IPPROTO_TCP, .payload = 20, .flags = SYN, .source = 0xffffffff},
	{"from a multicast", IPPROTO_TCP, .payload = 20, .flags = SYN, .source = 0xe0000005},
	{"from zero", IPPROTO_TCP, .payload = 20, .flags = SYN, .source = 0x00000000 + 1},
	{"udp", IPPROTO_UDP, .payload = 8 + 31},
	{"udp, empty", IPPROTO_UDP, .payload = 8},
	{"udp of 527", IPPROTO_UDP, .payload = 527},
	{"udp of 528", IPPROTO_UDP, .payload = 528},
	{"udp of 529", IPPROTO_UDP, .payload = 529},
	{"udp of 530", IPPROTO_UDP, .payload = 530},
	{"udp of 1480", IPPROTO_UDP, .payload = 1480},
	{"udp, without checksum", IPPROTO_UDP, .payload = 8 + 31, .unsummed = true},
	{"udp, wrong checksum", IPPROTO_UDP, .payload = 8 + 31, .wrong = true},
	{"long udp, wrong checksum", IPPROTO_UDP, .payload = 8 + 900, .wrong = true},
	{"udp, checksum put off", IPPROTO_UDP, .payload = 8 + 31, .partial = true},
	{"long udp, checksum put off", IPPROTO_UDP, .payload = 8 + 1001, .partial = true},
	{"short of a udp header", IPPROTO_UDP, .payload = 7},
	{"first fragment of udp", IPPROTO_UDP, .payload = 64, .frag = IP_MF},
	{"the same without checksum", IPPROTO_UDP, .payload = 64, .frag = IP_MF, .unsummed = true},
	{"later fragment of udp", IPPROTO_UDP, .payload = 64, .frag = 7},
	{"udp with tos", IPPROTO_UDP, .payload = 39, .tos = 0x1f},
	{"udp with ttl 2", IPPROTO_UDP, .payload = 39, .ttl = 2},
	{"udp with ttl 255", IPPROTO_UDP, .payload = 39, .ttl = 255},
	{"udp to all", IPPROTO_UDP, .payload = 39, .group = true},
	{"udp with a tag", IPPROTO_UDP, .payload = 39, .tag = true},
	{"udp of 900 with a tag", IPPROTO_UDP, .payload = 900, .tag = true},
	{"ping", IPPROTO_ICMP, .payload = 8 + 56, .type = ICMP_ECHO},
	{"ping of 1000", IPPROTO_ICMP, .payload = 8 + 1000, .type = ICMP_ECHO},
	{"echo reply", IPPROTO_ICMP, .payload = 64, .type = ICMP_ECHOREPLY},
	{"unreachable", IPPROTO_ICMP, .payload = 36, .type = ICMP_DEST_UNREACH},
	{"source quench", IPPROTO_ICMP, .payload = 36, .type = ICMP_SOURCE_QUENCH},
	{"redirect", IPPROTO_ICMP, .payload = 36, .type = ICMP_REDIRECT},
	{"time exceeded", IPPROTO_ICMP, .payload = 36, .type = ICMP_TIME_EXCEEDED},
	{"parameter problem", IPPROTO_ICMP, .payload = 36, .type = ICMP_PARAMETERPROB},
	{"timestamp", IPPROTO_ICMP, .payload = 20, .type = ICMP_TIMESTAMP},
	{"address mask", IPPROTO_ICMP, .payload = 12, .type = ICMP_ADDRESS},
	{"icmp 1", IPPROTO_ICMP, .payload = 12, .type = 1},
	{"icmp 2", IPPROTO_ICMP, .payload = 12, .type = 2},
	{"icmp 6", IPPROTO_ICMP, .payload = 12, .type = 6},
	{"icmp 7", IPPROTO_ICMP, .payload = 12, .type = 7},
	{"icmp 9", IPPROTO_ICMP, .payload = 12, .type = 9},
	{"icmp 10", IPPROTO_ICMP, .payload = 12, .type = 10},
	{"icmp 14", IPPROTO_ICMP, .payload = 12, .type = 14},
	{"icmp 15", IPPROTO_ICMP, .payload = 12, .type = 15},
	{"icmp 16", IPPROTO_ICMP, .payload = 12, .type = 16},
	{"icmp 18", IPPROTO_ICMP, .payload = 12, .type = 18},
	{"icmp 19", IPPROTO_ICMP, .payload = 12, .type = 19},
	{"icmp 255", IPPROTO_ICMP, .payload = 12, .type = 255},
	{"nothing of icmp", IPPROTO_ICMP, .payload = 0},
	{"ping, wrong checksum", IPPROTO_ICMP, .payload = 64, .type = ICMP_ECHO, .wrong = true},
	{"gre", IPPROTO_GRE, .payload = 40},
	{"esp", IPPROTO_ESP, .payload = 40},
	{"ah", IPPROTO_AH, .payload = 40},
	{"sctp", IPPROTO_SCTP, .payload = 41},
	{"udplite", IPPROTO_UDPLITE, .payload = 40},
	{"first fragment of gre", IPPROTO_GRE, .payload = 64, .frag = IP_MF},
	{"another protocol", 253, .payload = 40},
	{"another protocol that adds up", 253, .payload = 40, .unsummed = true},
	{"another protocol, empty", 253, .payload = 0},
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- making them ---------------------------------------------------------------------------- */

static uint32_t add(uint32_t sum, const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum += i % 2 ? p[i] : p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t pseudo(const uint8_t *ip, size_t len)
{
	return add(0, ip + 12, 8) + ip[9] + len;
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static uint16_t get16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* Its checksum at @off of @l4, right or not, or what it is to be completed from. */
static void set_sum(const struct packet *p, const uint8_t *ip, uint8_t *l4, int off)
{
	bool has_pseudo = p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
	uint32_t sum = has_pseudo ? pseudo(ip, p->payload) : 0;

	if (p->payload < off + 2)
		return;
	if (p->partial) {
		put16(l4 + off, fold(sum));
		return;
	}
	put16(l4 + off, 0);
	put16(l4 + off, ~fold(add(sum, l4, p->payload)) ^ (p->wrong ? 0x1111 : 0));
}

/* The IP packet; its length. */
static size_t make_ip(const struct run *r, const struct packet *p, uint32_t to, uint8_t *ip)
{
	size_t head = 20 + 4 * p->options, i;
	uint8_t *l4 = ip + head;

	memset(ip, 0, head);
	ip[0] = 0x40 | head / 4;
	ip[1] = p->tos;
	put16(ip + 2, head + p->payload);
	put16(ip + 4, 0x1234);
	put16(ip + 6, p->frag);
	ip[8] = p->ttl ?: 64;
	ip[9] = p->proto;
	put32(ip + 12, p->source == 1 ? 0 : p->source ?: r->own);
	put32(ip + 16, to);
	memset(ip + 20, 1, head - 20);
	put16(ip + 10, ~fold(add(0, ip, head)));
	for (i = 0; i < p->payload; i++)
		l4[i] = 7 * i + 3;
	if (p->proto == IPPROTO_TCP && p->payload >= 20) {
		put16(l4, 4001);
		put16(l4 + 2, 80);
		put32(l4 + 4, 0xfffffff0);
		put32(l4 + 8, 0x89abcdef);
		l4[12] = (p->payload == 40 ? 10 : 5) << 4;
		l4[13] = p->flags;
		set_sum(p, ip, l4, 16);
	} else if (p->proto == IPPROTO_UDP && p->payload >= 8) {
		put16(l4, 4002);
		put16(l4 + 2, 81);
		put16(l4 + 4, p->payload);
		set_sum(p, ip, l4, 6);
		if (p->unsummed)
			put16(l4 + 6, 0);
	} else if (p->proto == IPPROTO_ICMP && p->payload) {
		l4[0] = p->type;
		l4[1] = 0;
		set_sum(p, ip, l4, 2);
	} else if (p->unsummed && p->payload) {
		set_sum(p, ip, l4, 0);
	}
	return head + p->payload;
}

static void send_packet(const struct run *r, const struct packet *p, uint32_t to)
{
	uint8_t buf[8192] = {};
	struct virtio_net_hdr *v = (void *)buf;
	uint8_t *frame = buf + sizeof(*v), *at = frame + ETH_HLEN;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(to)};
	size_t len;

	if (r->raw) {
		len = make_ip(r, p, to, frame);
		/* ip_tables has an error for who sends; what stands at the end of the way has not. */
		if (sendto(r->out, frame, len, 0, (void *)&sin, sizeof(sin)) < 0 && errno != EPERM)
			printf("%s: not sent: %s\n", p->name, strerror(errno));
		return;
	}
	memcpy(frame, r->mac, ETH_ALEN);
	if (p->group)
		memset(frame, 0xff, ETH_ALEN);
	memcpy(frame + ETH_ALEN, r->own_mac, ETH_ALEN);
	if (p->tag) {
		put16(frame + 12, ETH_P_8021Q);
		put16(frame + 14, 0x4000); /* a priority */
		at += 4;
	}
	put16(at - 2, ETH_P_IP);
	if (p->partial) {
		v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v->csum_start = at - frame + 20;
		v->csum_offset = p->proto == IPPROTO_TCP ? 16 : 6;
	}
	if (p->gso) {
		v->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
		v->gso_size = p->gso;
		v->hdr_len = at - frame + 40;
	}
	len = make_ip(r, p, to, at);
	if (write(r->out, buf, sizeof(*v) + (at - frame) + len) < 0)
		printf("%s: not sent: %s\n", p->name, strerror(errno));
}

static void send_ping(struct run *r)
{
	static const struct packet ping = {"marker", IPPROTO_ICMP, 8, .type = ICMP_ECHO,
					   .tos = 0x88};

	r->ping++;
	send_packet(r, &ping, r->marker);
}

/* --- what comes back ------------------------------------------------------------------------- */

/* Is it of what is asked for? Then it is made what both worlds should have the same. */
static bool normalize(uint8_t *ip, size_t len, const char **fault)
{
	size_t l4len = len - 20;
	uint8_t *l4 = ip + 20;
	uint16_t sum;

	*fault = "";
	if (len < 20 || ip[0] != 0x45 || get16(ip + 2) > len)
		return true;
	if (fold(add(0, ip, 20)) != 0xffff)
		*fault = " (wrong checksum of IP)";
	if (ip[9] == IPPROTO_ICMP)
		put16(ip + 4, 0);
	put16(ip + 10, 0);
	if (ip[9] == IPPROTO_TCP && l4len >= 20) {
		l4len = get16(ip + 2) - 20;
		sum = get16(l4 + 16);
		if (sum != fold(pseudo(ip, l4len)) &&
		    fold(add(pseudo(ip, l4len), l4, l4len)) != 0xffff)
			*fault = " (wrong checksum of TCP)";
		put16(l4 + 16, 0);
	} else if (ip[9] == IPPROTO_ICMP) {
		l4len = get16(ip + 2) - 20;
		if (fold(add(0, l4, l4len)) != 0xffff)
			*fault = " (wrong checksum of ICMP)";
	}
	return true;
}

static bool is_marker(const struct run *r, const uint8_t *ip, size_t len)
{
	return len >= 28 && ip[9] == IPPROTO_ICMP && ip[20] == ICMP_ECHOREPLY &&
	       get16(ip + 12) == r->marker >> 16 && get16(ip + 14) == (r->marker & 0xffff);
}

/* Is it one that was sent here, and comes in on the way? */
static bool is_own(const struct run *r, const uint8_t *ip, size_t len)
{
	return len >= 20 && get16(ip + 4) == 0x1234;
}

/* One packet of watch @i, if there is one; true for the marker's answer. */
static bool show(struct run *r, unsigned int i, const char *name, unsigned int kind)
{
	struct sockaddr_ll from = {};
	socklen_t size = sizeof(from);
	uint8_t buf[8192];
	ssize_t n = recvfrom(r->watch[i].fd, buf, sizeof(buf), MSG_DONTWAIT, (void *)&from, &size);
	const char *fault;
	ssize_t k;

	if (n < ETH_HLEN || from.sll_pkttype == PACKET_OUTGOING ||
	    from.sll_protocol != htons(ETH_P_IP))
		return false;
	if (is_marker(r, buf + ETH_HLEN, n - ETH_HLEN))
		return true;
	if (is_own(r, buf + ETH_HLEN, n - ETH_HLEN) ||
	    !normalize(buf + ETH_HLEN, n - ETH_HLEN, &fault))
		return false;
	printf("%s %u %s: %s%s ", r->mode, kind, name, r->watch[i].name, fault);
	/* On the loopback no address of a link means anything. */
	for (k = r->raw ? ETH_HLEN : 0; k < n; k++)
		printf("%02x", buf[k]);
	printf("\n");
	return false;
}

/* Until the marker has been answered; that it has not after a second is told as well. */
static void collect(struct run *r, const char *name, unsigned int kind)
{
	struct pollfd fds[MAX_WATCH];
	unsigned int i;
	int waits = 0;

	for (;;) {
		bool done = false, some = false;

		for (i = 0; i < r->nr_watch; i++)
			fds[i] = (struct pollfd){.fd = r->watch[i].fd, .events = POLLIN};
		if (poll(fds, r->nr_watch, 200) == 0) {
			if (++waits == 5) {
				printf("%s %u %s: no answer to the ping behind it\n", r->mode, kind,
				       name);
				return;
			}
			send_ping(r);
		}
		/* What came before the answer, elsewhere, is there by now. */
		for (i = r->nr_watch; i-- > 0;)
			while (poll(&fds[i], 1, 0) > 0) {
				some = true;
				done |= show(r, i, name, kind);
			}
		if (done)
			return;
		(void)some;
	}
}

/* --- where ------------------------------------------------------------------------------------ */

static int open_watch(const char *path, const char *name)
{
	int own = open("/proc/self/ns/net", O_RDONLY), other = open(path, O_RDONLY), fd,
	    size = 1 << 22;
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET))
		die(path);
	fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	sll.sll_ifindex = if_nametoindex(name);
	if (fd < 0 || !sll.sll_ifindex || bind(fd, (void *)&sll, sizeof(sll)))
		die(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (setns(own, CLONE_NEWNET))
		die("setns");
	close(own);
	close(other);
	return fd;
}

static void open_out(struct run *r, const char *name)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = 0};
	socklen_t size = sizeof(sll);
	int one = 1;

	r->out = r->raw ? socket(AF_INET, SOCK_RAW, IPPROTO_RAW) : socket(AF_PACKET, SOCK_RAW, 0);
	if (r->out < 0)
		die("socket");
	if (r->raw)
		return;
	sll.sll_ifindex = if_nametoindex(name);
	if (setsockopt(r->out, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    bind(r->out, (void *)&sll, sizeof(sll)) || getsockname(r->out, (void *)&sll, &size))
		die(name);
	memcpy(r->own_mac, sll.sll_addr, ETH_ALEN);
}

/* What can only be made as a frame, or what the kernel does not take from a raw socket. */
static bool is_for(const struct run *r, const struct packet *p)
{
	return !r->raw || (!p->group && !p->tag && !p->partial && !p->source && !p->frag);
}

static uint32_t address(const char *text)
{
	struct in_addr a;

	if (!inet_aton(text, &a)) {
		fprintf(stderr, "%s is no address\n", text);
		exit(1);
	}
	return ntohl(a.s_addr);
}

int main(int argc, char **argv)
{
	struct run r = {};
	cpu_set_t cpu;
	unsigned int kind, i;
	int n;

	if (argc < 8) {
		fprintf(stderr,
			"usage: rejected MODE INTERFACE MAC FROM ADDRESS MARKER PATH:INTERFACE...\n");
		return 2;
	}
	/* One after the other: what a packet causes is done before the next one is sent. */
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	r.mode = argv[1];
	r.raw = !strcmp(r.mode, "output");
	sscanf(argv[3], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", r.mac, r.mac + 1, r.mac + 2, r.mac + 3,
	       r.mac + 4, r.mac + 5);
	r.own = address(argv[4]);
	r.to = address(argv[5]);
	r.marker = address(argv[6]);
	open_out(&r, argv[2]);
	for (n = 7; n < argc && r.nr_watch < MAX_WATCH; n++) {
		char *colon = strrchr(argv[n], ':');

		*colon = '\0';
		r.watch[r.nr_watch].name = colon + 1;
		r.watch[r.nr_watch++].fd = open_watch(argv[n], colon + 1);
	}
	for (kind = 0; kind < KINDS; kind++)
		for (i = 0; i < ARRAY_SIZE(packets); i++) {
			if (!is_for(&r, &packets[i]))
				continue;
			send_packet(&r, &packets[i], r.to + kind);
			send_ping(&r);
			collect(&r, packets[i].name, kind);
		}
	return 0;
}
