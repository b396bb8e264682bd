// SPDX-License-Identifier: GPL-2.0
#include "craft.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IP_HEADER 20

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* A number up to @max. */
static int number(const char *option, const char *text, unsigned long max, uint32_t *value,
		  struct bf_why *why)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 0);
	if (errno || !isdigit((unsigned char)*text) || *end || v > max)
		return bf_why(why, -EINVAL, "--%s=%.50s: not a number from 0 to %lu", option, text,
			      max);
	*value = v;
	return 0;
}

static int address(const char *option, const char *text, uint8_t *to, struct bf_why *why)
{
	if (inet_pton(AF_INET, text, to) != 1)
		return bf_why(why, -EINVAL, "--%s=%.50s: not an IPv4 address", option, text);
	return 0;
}

static int protocol(const struct bf_craft *c, uint32_t *proto, struct bf_why *why)
{
	const struct protoent *known;

	*proto = c->icmp_type ? IPPROTO_ICMP : IPPROTO_TCP;
	if (!c->proto)
		return 0;
	if (isdigit((unsigned char)*c->proto))
		return number("proto", c->proto, 255, proto, why);
	known = getprotobyname(c->proto);
	if (known)
		*proto = known->p_proto;
	else if (!strcasecmp(c->proto, "tcp"))
		*proto = IPPROTO_TCP;
	else if (!strcasecmp(c->proto, "udp"))
		*proto = IPPROTO_UDP;
	else if (!strcasecmp(c->proto, "icmp"))
		*proto = IPPROTO_ICMP;
	else
		return bf_why(why, -EINVAL, "--proto=%.50s: no such protocol", c->proto);
	return 0;
}

static int port(const char *option, const char *text, uint8_t *to, struct bf_why *why)
{
	uint32_t value = 0;
	int err = text ? number(option, text, 65535, &value, why) : 0;

	put16(to, value);
	return err;
}

/* "SYN,ACK", or a number, or "none". */
static int tcp_flags(const char *text, uint8_t *flags, struct bf_why *why)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"};
	uint32_t value = 0;
	unsigned int i;

	if (isdigit((unsigned char)*text)) {
		int err = number("flags", text, 255, &value, why);

		*flags = value;
		return err;
	}
	if (!strcasecmp(text, "none"))
		text = "";
	while (*text) {
		size_t len = strcspn(text, ",");

		for (i = 0; i < ARRAY_SIZE(names); i++)
			if (len == 3 && !strncasecmp(text, names[i], 3))
				break;
		if (i == ARRAY_SIZE(names))
			return bf_why(why, -EINVAL,
				      "--flags=%.50s: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, with "
				      "commas; or none",
				      text);
		value |= 1U << i;
		text += len + (text[len] == ',');
	}
	*flags = value;
	return 0;
}

static int icmp(const struct bf_craft *c, uint8_t *l4, struct bf_why *why)
{
	char *code = NULL, text[16] = "8";
	uint32_t type, sub = 0;
	int err;

	if (c->icmp_type) {
		strncpy(text, c->icmp_type, sizeof(text) - 1);
		code = strchr(text, '/');
		if (code)
			*code++ = '\0';
	}
	err = number("icmp-type", text, 255, &type, why);
	if (!err && code)
		err = number("icmp-type", code, 255, &sub, why);
	if (err)
		return err;
	l4[0] = type;
	l4[1] = sub;
	return 0;
}

/* The header behind that of IP. Its length or -EINVAL. */
static int put_l4(const struct bf_craft *c, uint32_t proto, uint8_t *l4, struct bf_why *why)
{
	int err;

	if (proto != IPPROTO_ICMP && c->icmp_type)
		return bf_why(why, -EINVAL, "--icmp-type: the protocol is not icmp");
	if (proto != IPPROTO_TCP && c->flags)
		return bf_why(why, -EINVAL, "--flags: the protocol is not tcp");
	if (proto == IPPROTO_ICMP && (c->sport || c->dport))
		return bf_why(why, -EINVAL, "--%s: the protocol is icmp, which has no ports",
			      c->dport ? "dport" : "sport");
	if (proto == IPPROTO_ICMP)
		return icmp(c, l4, why) ?: 8;
	err = port("sport", c->sport, l4, why) ?: port("dport", c->dport, l4 + 2, why);
	if (err || proto != IPPROTO_TCP) {
		put16(l4 + 4, 8);
		return err ?: 8;
	}
	l4[12] = 5 << 4;
	return tcp_flags(c->flags ?: "SYN", &l4[13], why) ?: 20;
}

static int from_fields(const struct bf_craft *c, uint8_t *data, uint32_t *len, struct bf_why *why)
{
	uint32_t proto, total;
	int l4, err = protocol(c, &proto, why);

	memset(data, 0, BF_CRAFT_MAX);
	l4 = err ?: put_l4(c, proto, data + IP_HEADER, why);
	if (l4 < 0)
		return l4;
	total = IP_HEADER + l4;
	if (c->length)
		err = number("length", c->length, 65535, &total, why);
	if (!err && total < IP_HEADER)
		err = bf_why(why, -EINVAL, "--length=%u: the IP header alone has 20", total);
	err = err ?: address("src", c->src ?: "192.0.2.1", data + 12, why);
	err = err ?: address("dst", c->dst ?: "198.51.100.1", data + 16, why);
	data[0] = 0x45;
	put16(data + 2, total);
	data[8] = 64;
	data[9] = proto;
	*len = total < BF_CRAFT_MAX ? total : BF_CRAFT_MAX;
	return err;
}

static int from_hex(const char *hex, uint8_t *data, uint32_t *len, struct bf_why *why)
{
	uint32_t n = 0;

	for (; *hex; hex++) {
		unsigned int byte;
		char pair[3] = "";

		if (isspace((unsigned char)*hex) || *hex == ':')
			continue;
		if (!isxdigit((unsigned char)hex[0]) || !isxdigit((unsigned char)hex[1]))
			return bf_why(why, -EINVAL, "--hex: byte %u is none: \"%.8s\"", n, hex);
		if (n == BF_CRAFT_MAX)
			return bf_why(why, -EINVAL, "--hex: more than %u bytes", BF_CRAFT_MAX);
		memcpy(pair, hex, 2);
		byte = strtoul(pair, NULL, 16);
		data[n++] = byte;
		hex++;
	}
	if (n > ETH_HLEN && data[0] >> 4 != 4 && data[12] == 8 && !data[13]) {
		n -= ETH_HLEN;
		memmove(data, data + ETH_HLEN, n);
	}
	*len = n;
	return 0;
}

bool bf_craft_any(const struct bf_craft *c)
{
	return c->src || c->dst || c->proto || c->sport || c->dport || c->flags || c->icmp_type ||
	       c->length;
}

int bf_craft_make(const struct bf_craft *c, uint8_t *data, uint32_t *len, struct bf_why *why)
{
	return c->hex ? from_hex(c->hex, data, len, why) : from_fields(c, data, len, why);
}
