// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "netlink.h"
#include "wire.h"
#include "world.h"

/* So few that no queue on the way overflows before the host has caught up. */
#define CHUNK	    64
#define PATIENCE_MS 5000

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void frame_header(const struct packet *p, struct ether_header *eh)
{
	topology_mac(p->ifno, false, eh->ether_dhost);
	topology_mac(p->ifno, true, eh->ether_shost);
	eh->ether_type = htons(ETHERTYPE_IP);
	if (p->mac == MAC_BROADCAST)
		memset(eh->ether_dhost, 0xff, ETH_ALEN);
	else if (p->mac == MAC_MULTICAST)
		memcpy(eh->ether_dhost, "\x01\x00\x5e\x00\x00\x01", ETH_ALEN);
	else if (p->mac == MAC_OTHER)
		eh->ether_dhost[5] ^= 0x80;
}

static void offload_header(const struct packet *p, struct virtio_net_hdr *vh)
{
	unsigned int hlen = (p->data[0] & 15) * 4;

	memset(vh, 0, sizeof(*vh));
	if (p->linear)
		vh->hdr_len = sizeof(struct ether_header) + p->linear;
	if (!p->gso)
		return;
	vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vh->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	vh->gso_size = p->gso;
	vh->csum_start = sizeof(struct ether_header) + hlen;
	vh->csum_offset = 16;
	vh->hdr_len = vh->csum_start + 20;
}

static int send_frame(struct world *w, const struct packet *p)
{
	struct virtio_net_hdr vh;
	struct ether_header eh;
	struct iovec iov[] = {{&vh, sizeof(vh)}, {&eh, sizeof(eh)}, {p->data, p->len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};

	frame_header(p, &eh);
	offload_header(p, &vh);
	return sendmsg(w->sender[p->ifno], &msg, 0) < 0 ? -errno : 0;
}

static int send_socket(int fd, const struct packet *p, unsigned int skip)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
	struct iovec iov = {p->data + skip, p->len - skip};
	struct msghdr msg = {
		.msg_name = &sin, .msg_namelen = sizeof(sin), .msg_iov = &iov, .msg_iovlen = 1};
	uint32_t mark = p->mark;

	memcpy(&sin.sin_addr, p->data + 16, 4);
	if (p->way == WAY_UDP)
		memcpy(&sin.sin_port, p->data + 22, 2);
	if (p->way == WAY_UDP && p->gso) {
		struct cmsghdr *c = (void *)control;

		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
		memcpy(CMSG_DATA(c), &p->gso, sizeof(uint16_t));
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
	}
	setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
	return sendmsg(fd, &msg, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int send_one(struct world *w, const struct packet *p)
{
	unsigned int i, sport;

	switch (p->way) {
	case WAY_FRAME:
		return send_frame(w, p);
	case WAY_RAW:
		return send_socket(w->raw, p, 0);
	case WAY_ICMP:
		return send_socket(w->icmp, p, sizeof(struct iphdr));
	default:
		sport = p->data[20] << 8 | p->data[21];
		for (i = 0; i < WORLD_UDP_SOCKETS - 1; i++)
			if (world_udp_ports[i] == sport)
				break;
		return send_socket(w->udp[i], p, sizeof(struct iphdr) + sizeof(struct udphdr));
	}
}

static int pass_marker(int from, int to, bool to_neighbour)
{
	unsigned char frame[60] = {0}, buf[128];
	struct ether_header *eh = (void *)frame;
	struct pollfd pfd = {.fd = to, .events = POLLIN};
	int n;

	topology_mac(0, to_neighbour, eh->ether_dhost);
	topology_mac(0, !to_neighbour, eh->ether_shost);
	eh->ether_type = htons(WIRE_MARKER);
	if (send(from, frame, sizeof(frame), 0) < 0)
		return -errno;
	do
		n = poll(&pfd, 1, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	return recv(to, buf, sizeof(buf), 0) < 0 ? -errno : 0;
}

/*
 * Frames on their way wait in one queue of this CPU, so a marker that has arrived followed all
 * that was sent before. Answers of the host, and what goes over its lo, queue up behind: hence
 * more than one round.
 */
static int catch_up(struct world *w, unsigned int rounds)
{
	int err = 0;

	while (rounds-- && !err) {
		err = pass_marker(w->mark_there, w->mark_here, false);
		if (!err)
			err = pass_marker(w->mark_here, w->mark_there, true);
	}
	if (err)
		fprintf(stderr, "%s: the host does not catch up: %s\n", w->name, strerror(-err));
	return err;
}

static int read_wire(struct world *w, struct events *seen)
{
	static unsigned char buf[1 << 16];
	struct sockaddr_ll sll;
	socklen_t len = sizeof(sll);
	struct event ev = {.where = EVENT_WIRE};
	ssize_t n;

	while ((n = recvfrom(w->wire, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&sll,
			     &len)) >= 0) {
		if (n < (ssize_t)sizeof(struct ether_header) || !seen)
			continue;
		ev.in = sll.sll_ifindex;
		ev.len = n - sizeof(struct ether_header);
		events_add(seen, ev, buf + sizeof(struct ether_header));
	}
	return errno == EAGAIN ? 0 : -errno;
}

/* What the host's own sockets received is of no interest. */
static void empty_socket(int fd)
{
	char c;

	while (recv(fd, &c, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno != EAGAIN)
		;
}

int world_send(struct world *w, const struct packet *p, unsigned int n, int *results,
	       struct events *seen)
{
	struct events wire = {0};
	unsigned int i;
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		int result = send_one(w, &p[i]);

		if (results)
			results[i] = result;
		if (i % CHUNK == CHUNK - 1)
			err = catch_up(w, 1);
	}
	if (!err)
		err = catch_up(w, 3);
	if (!err)
		err = nflog_read(w->nflog, seen);
	if (!err)
		err = read_wire(w, seen);
	events_free(&wire);
	return err;
}

int world_reset(struct world *w)
{
	struct accounts unused;
	unsigned int i;
	int err;

	for (i = 0; i < WORLD_UDP_SOCKETS; i++)
		empty_socket(w->udp[i]);
	empty_socket(w->icmp);
	empty_socket(w->raw);
	nflog_read(w->nflog, NULL);
	read_wire(w, NULL);
	err = conntrack_flush(w->ct);
	return err ?: accounts_read(w->ct, &unused);
}
