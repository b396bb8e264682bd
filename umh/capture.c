// SPDX-License-Identifier: GPL-2.0
#include "capture.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define VLAN_LEN 4

/**
 * struct bf_capture - an open file
 * @link: DLT_*: what stands in front of the IP header
 * @size: of the file in bytes, 0 if it is none
 */
struct bf_capture {
	const char *name;
	pcap_t *pcap;
	int link;
	uint64_t number;
	off_t size;
};

static bool is_known(int link)
{
	return link == DLT_EN10MB || link == DLT_RAW || link == DLT_IPV4 || link == DLT_LINUX_SLL ||
	       link == DLT_LINUX_SLL2 || link == DLT_NULL || link == DLT_LOOP || link == DLT_PPP;
}

int bf_capture_open(struct bf_capture **result, const char *file, struct bf_why *why)
{
	struct bf_capture *c = calloc(1, sizeof(*c));
	char reason[PCAP_ERRBUF_SIZE] = "";
	struct stat st;

	*result = NULL;
	if (!c)
		return bf_why(why, -ENOMEM, "no memory");
	c->name = strcmp(file, "-") ? file : "stdin";
	c->pcap = pcap_open_offline(file, reason);
	if (!c->pcap) {
		size_t len = strlen(file);

		free(c);
		/* Some of its reasons begin with the name of the file. */
		if (!strncmp(reason, file, len) && reason[len] == ':')
			return bf_why(why, -EINVAL, "%.200s", reason);
		return bf_why(why, -EINVAL, "%s: %.160s", file, reason);
	}
	c->link = pcap_datalink(c->pcap);
	if (!is_known(c->link)) {
		const char *name = pcap_datalink_val_to_name(c->link);

		bf_why(why, -EINVAL, "%s: no packets of a network with IPv4, but of link type %s",
		       c->name, name ?: "unknown");
		bf_capture_close(c);
		return -EINVAL;
	}
	if (pcap_file(c->pcap) && !fstat(fileno(pcap_file(c->pcap)), &st) && S_ISREG(st.st_mode))
		c->size = st.st_size;
	*result = c;
	return 0;
}

void bf_capture_close(struct bf_capture *c)
{
	if (!c)
		return;
	pcap_close(c->pcap);
	free(c);
}

static uint16_t be16(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

/* Ethernet's header, with any number of VLAN tags. Bytes up to the IP header, or 0. */
static uint32_t ethernet_header(const uint8_t *data, uint32_t len)
{
	uint32_t at = 2 * ETH_ALEN;

	while (len >= at + 2 && (be16(data + at) == ETH_P_8021Q || be16(data + at) == ETH_P_8021AD))
		at += VLAN_LEN;
	return len >= at + 2 && be16(data + at) == ETH_P_IP ? at + 2 : 0;
}

/* Bytes in front of the IP header; UINT32_MAX if there is none. */
static uint32_t link_header(int link, const uint8_t *data, uint32_t len)
{
	uint32_t n;

	switch (link) {
	case DLT_EN10MB:
		return ethernet_header(data, len) ?: UINT32_MAX;
	case DLT_LINUX_SLL:
		return len >= 16 && be16(data + 14) == ETH_P_IP ? 16 : UINT32_MAX;
	case DLT_LINUX_SLL2:
		return len >= 20 && be16(data) == ETH_P_IP ? 20 : UINT32_MAX;
	case DLT_PPP:
		n = len >= 2 && data[0] == 0xff ? 2 : 0;
		return len >= n + 2 && be16(data + n) == 0x0021 ? n + 2 : UINT32_MAX;
	case DLT_NULL:
	case DLT_LOOP:
		/* AF_INET, in the byte order of the machine that captured */
		return len >= 4 && (data[0] == 2 || data[3] == 2) ? 4 : UINT32_MAX;
	default:
		return 0;
	}
}

int bf_capture_next(struct bf_capture *c, struct bf_captured *packet, struct bf_why *why)
{
	struct pcap_pkthdr *head;
	const uint8_t *data;
	uint32_t at;
	int ret = pcap_next_ex(c->pcap, &head, &data);

	if (ret == PCAP_ERROR_BREAK)
		return 0;
	c->number++;
	if (ret != 1)
		return bf_why(why, -EINVAL, "%s: packet %llu: %.150s", c->name,
			      (unsigned long long)c->number, pcap_geterr(c->pcap));
	*packet = (struct bf_captured){.number = c->number, .time = head->ts};
	at = link_header(c->link, data, head->caplen);
	if (at > head->caplen || (at < head->caplen && data[at] >> 4 != 4))
		return 1;
	packet->data = data + at;
	packet->len = head->caplen - at;
	return 1;
}

double bf_capture_done(const struct bf_capture *c)
{
	off_t at = c->size ? ftello(pcap_file(c->pcap)) : -1;

	return at < 0 ? -1 : (double)at / c->size;
}
