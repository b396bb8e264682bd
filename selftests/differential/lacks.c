// SPDX-License-Identifier: GPL-2.0
/* What replay is not told: rules that look at it are left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

static const char *const reasons[NR_LACKS] = {
	[LACK_BEFORE] = "count or remember packets, or look at the clock",
	[LACK_SOCKET] = "look at the socket",
	[LACK_FRAME] = "look at the header of the link",
	[LACK_ROUTING] = "ask the routing about an address",
	[LACK_CONNECTION] = "look at more of the connection than its state",
	[LACK_CPU] = "look at the processor",
	[LACK_KERNEL] = "ask the kernel",
};

static const struct {
	const char *words;
	enum replay_lack lack;
} lacks[] = {
	{" -m limit ", LACK_BEFORE},
	{" -m quota ", LACK_BEFORE},
	{" --mode nth ", LACK_BEFORE},
	{" -m hashlimit ", LACK_BEFORE},
	{" -m recent ", LACK_BEFORE},
	{" -m time ", LACK_BEFORE},
	{" -m connlimit ", LACK_BEFORE},
	{" -m owner ", LACK_SOCKET},
	{" -m socket", LACK_SOCKET},
	{" -m cgroup ", LACK_SOCKET},
	{" -m mac ", LACK_FRAME},
	{" -m pkttype ", LACK_FRAME},
	{" -m addrtype ", LACK_ROUTING},
	{" -m rpfilter ", LACK_ROUTING},
	{" -m realm ", LACK_ROUTING},
	{" -m connmark ", LACK_CONNECTION},
	{" -j CONNMARK ", LACK_CONNECTION},
	{" -m helper ", LACK_CONNECTION},
	{" -m connbytes ", LACK_CONNECTION},
	{" -m connlabel ", LACK_CONNECTION},
	{" --ctproto ", LACK_CONNECTION},
	{" --ctorig", LACK_CONNECTION},
	{" --ctrepl", LACK_CONNECTION},
	{" --ctstatus ", LACK_CONNECTION},
	{" --ctexpire ", LACK_CONNECTION},
	{" --ctdir ", LACK_CONNECTION},
	{" -m cpu ", LACK_CPU},
	{" -j TCPMSS ", LACK_KERNEL},
	{" -j SYNPROXY", LACK_KERNEL},
	{" -m set ", LACK_KERNEL},
	{" -m string ", LACK_KERNEL},
	{" -m u32 ", LACK_KERNEL},
	{" -m bpf ", LACK_KERNEL},
	{" -m osf ", LACK_KERNEL},
	{" --dccp-types ", LACK_KERNEL},
	{" --dccp-option ", LACK_KERNEL},
	{" --chunk-types ", LACK_KERNEL},
};

/* States that are none of a connection's life, but of its addresses. */
static bool asks_for_nat(const char *line)
{
	const char *list = strstr(line, " --ctstate "), *nat;

	if (!list)
		return false;
	list += strlen(" --ctstate ");
	nat = strstr(list, "NAT");
	return nat && nat < list + strcspn(list, " ");
}

static int lack_of(const char *line)
{
	unsigned int i;

	if (asks_for_nat(line))
		return LACK_CONNECTION;
	for (i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++)
		if (strstr(line, lacks[i].words))
			return lacks[i].lack;
	return -1;
}

void replay_reduce(struct replay *r, struct ruleset *rules)
{
	unsigned int i, nr = 0;

	for (i = 0; i < rules->nr; i++) {
		int lack = rules->lines[i][0] == '-' ? lack_of(rules->lines[i]) : -1;

		if (lack < 0) {
			rules->lines[nr++] = rules->lines[i];
			continue;
		}
		r->lacks[lack]++;
		free(rules->lines[i]);
	}
	rules->nr = nr;
	/* Which iptables-save does not show. */
	rules->pokes = 0;
}

void replay_summary(const struct replay *r)
{
	unsigned int i;

	printf("# replay: %lu rule sets, %lu packets, %lu calls compared; not: %lu rule sets without "
	       "a program, %lu malformed packets, counters of %lu rule sets that had such\n",
	       r->sets, r->packets, r->calls, r->no_program, r->malformed, r->uncounted);
	for (i = 0; i < NR_LACKS; i++)
		if (r->lacks[i])
			printf("# replay: %lu rules left out that %s\n", r->lacks[i], reasons[i]);
}
