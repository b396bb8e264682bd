// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <string.h>

#include "capture.h"
#include "topology.h"

#define LARGEST 1400

/* Where the IP header starts in a frame of this link type; -1 if it has none. */
static int ip_offset(int link, const uint8_t *frame, unsigned int len)
{
	unsigned int at;

	switch (link) {
	case DLT_EN10MB:
		at = 12;
		while (at + 6 <= len && frame[at] == 0x81 && !frame[at + 1])
			at += 4;
		return at + 2 <= len && frame[at] == 8 && !frame[at + 1] ? (int)at + 2 : -1;
	case DLT_LINUX_SLL:
		return len > 16 && frame[14] == 8 && !frame[15] ? 16 : -1;
	case DLT_NULL:
	case DLT_LOOP:
		return 4;
	case DLT_RAW:
		return 0;
	default:
		return -1;
	}
}

static void add_frame(struct packets *ps, int link, const uint8_t *frame, unsigned int len)
{
	int at = ip_offset(link, frame, len);
	struct packet *p;
	unsigned int size;

	if (at < 0 || (unsigned int)at + 20 > len || frame[at] >> 4 != 4)
		return;
	size = frame[at + 2] << 8 | frame[at + 3];
	if (size < 20 || size > len - at || size > LARGEST)
		return;
	p = packets_new(ps, WAY_FRAME, size);
	memcpy(p->data, frame + at, size);
}

int capture_load(struct packets *ps, const char *path)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, why);
	unsigned int before = ps->nr;
	struct pcap_pkthdr *header;
	const uint8_t *frame;

	if (!pcap) {
		fprintf(stderr, "%s: %s\n", path, why);
		return -EINVAL;
	}
	while (pcap_next_ex(pcap, &header, &frame) == 1)
		add_frame(ps, pcap_datalink(pcap), frame, header->caplen);
	pcap_close(pcap);
	return ps->nr - before;
}

static void put_addr(uint8_t *p, uint32_t a)
{
	p[0] = a >> 24;
	p[1] = a >> 16;
	p[2] = a >> 8;
	p[3] = a;
}

static void readdress(struct craft *c, struct packet *p)
{
	bool whole = !(p->data[6] & 0x3f) && !p->data[7];

	if (rng_chance(c->r, 50))
		put_addr(p->data + 12, craft_remote(c));
	if (rng_chance(c->r, 70))
		put_addr(p->data + 16, rng_chance(c->r, 50) ? craft_local(c) : craft_remote(c));
	if (p->data[8] < 2)
		p->data[8] = 64;
	if (whole)
		packet_fix_l4(p->data, p->len);
	packet_fix_ip(p->data, p->len);
}

void craft_captured(struct craft *c, const struct packets *from, unsigned int n)
{
	struct packet *p;

	while (n-- && from->nr) {
		packets_add(c->out, &from->list[rng_below(c->r, from->nr)]);
		p = &c->out->list[c->out->nr - 1];
		p->ifno = rng_below(c->r, TOPOLOGY_IFS);
		if (rng_chance(c->r, 20))
			p->way = WAY_RAW;
		if (rng_chance(c->r, 80))
			readdress(c, p);
	}
}
