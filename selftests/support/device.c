// SPDX-License-Identifier: GPL-2.0
#include <linux/netfilter_ipv4/ip_tables.h>
#include <stddef.h>
#include <stdio.h>

#include "device.h"
#include "uapi/bpfilter.h"

#define CONSTANT(name)                                                                             \
	{                                                                                          \
#name, name                                                                        \
	}

static const struct {
	const char *name;
	unsigned int value;
} constants[] = {
	CONSTANT(BPFILTER_VERSION),
	CONSTANT(IPT_SO_SET_REPLACE),
	CONSTANT(IPT_SO_SET_ADD_COUNTERS),
	CONSTANT(BPFILTER_GET + IPT_SO_GET_INFO),
	CONSTANT(BPFILTER_GET + IPT_SO_GET_ENTRIES),
	CONSTANT(BPFILTER_GET + IPT_SO_GET_REVISION_MATCH),
	CONSTANT(BPFILTER_GET + IPT_SO_GET_REVISION_TARGET),
	CONSTANT(BPFILTER_CMD),
	CONSTANT(BPFILTER_IOC_READY),
	CONSTANT(BPFILTER_IOC_NETNS),
	CONSTANT(BPFILTER_IOC_NS_SET),
	CONSTANT(BPFILTER_IOC_NS_GET),
	CONSTANT(BPFILTER_IOC_SYNC),
	CONSTANT(BPFILTER_IOC_STOP),
	CONSTANT(BPFILTER_IOC_QUESTIONS),
	CONSTANT(BPFILTER_IOC_QUESTIONS_NOW),
	CONSTANT(BPFILTER_NS_OWNED),
	CONSTANT(BPFILTER_NS_MOVING),
	CONSTANT(BPFILTER_NS_HOOK),
	CONSTANT(BPFILTER_NS_KEEP),
	CONSTANT(BPFILTER_WANT_CT),
	CONSTANT(BPFILTER_WANT_FRAGMENTS),
	CONSTANT(BPFILTER_WANT_HEADER),
	CONSTANT(BPFILTER_WANT_OWNER),
	CONSTANT(BPFILTER_WANT_TYPE(0, 0)),
	CONSTANT(BPFILTER_WANT_TYPE(1, 2)),
	CONSTANT(BPFILTER_ASK),
	CONSTANT(BPFILTER_QUESTIONS_MAX),
	CONSTANT(BPFILTER_QUESTIONS_SIZE),
	CONSTANT(BPFILTER_QUESTION_TARGET),
};

#define MEMBER(type, member)                                                                       \
	{                                                                                          \
#type, #member, offsetof(struct type, member), sizeof(((struct type *)0)->member)  \
	}
#define REQUEST(member)	  MEMBER(bpfilter_request, member)
#define REPLY(member)	  MEMBER(bpfilter_reply, member)
#define NS(member)	  MEMBER(bpfilter_ns, member)
#define QUESTION(member)  MEMBER(bpfilter_question, member)
#define QUESTIONS(member) MEMBER(bpfilter_questions, member)
#define PACKET(member)	  MEMBER(bpfilter_packet, member)

/* One after the other in each structure, without a hole. */
static const struct {
	const char *type, *name;
	size_t offset, size;
} members[] = {
	REQUEST(version),
	REQUEST(op),
	REQUEST(id),
	REQUEST(pid),
	REQUEST(len),
	REQUEST(optlen),
	REQUEST(attach),
	REPLY(id),
	REPLY(error),
	REPLY(len),
	NS(netns),
	NS(flags),
	NS(prog),
	NS(want),
	NS(asking),
	NS(questions),
	NS(lost),
	QUESTION(name),
	QUESTION(revision),
	QUESTION(invflags),
	QUESTION(proto),
	QUESTION(hooks),
	QUESTION(size),
	QUESTION(flags),
	QUESTIONS(netns),
	QUESTIONS(nr),
	QUESTIONS(list),
	QUESTIONS(size),
	QUESTIONS(failed),
	PACKET(saddr),
	PACKET(daddr),
	PACKET(protocol),
	PACKET(fragoff),
	PACKET(l4len),
	PACKET(len),
	PACKET(mark),
	PACKET(hook),
	PACKET(sport),
	PACKET(dport),
	PACKET(icmp),
	PACKET(tcp_flags),
	PACKET(in),
	PACKET(out),
	PACKET(ct_state),
	PACKET(ct_status),
	PACKET(ct_dir),
	PACKET(ct_protocol),
	PACKET(ct_orig_saddr),
	PACKET(ct_orig_daddr),
	PACKET(ct_repl_saddr),
	PACKET(ct_repl_daddr),
	PACKET(ct_orig_sport),
	PACKET(ct_orig_dport),
	PACKET(ct_repl_sport),
	PACKET(ct_repl_dport),
	PACKET(ct_expires),
	PACKET(ct_mark),
	PACKET(header),
	PACKET(tot_len),
	PACKET(mac),
	PACKET(spi),
	PACKET(owner),
	PACKET(uid),
	PACKET(gid),
	PACKET(cpu),
	PACKET(thoff),
	PACKET(addr_type),
	PACKET(pad),
	PACKET(known),
	PACKET(yes),
};

void device_constants(void)
{
	unsigned int i;

	printf("| constant | value |\n|---|--:|\n");
	for (i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		printf(constants[i].value < 0x100 ? "| `%s` | %u |\n" : "| `%s` | 0x%x |\n",
		       constants[i].name, constants[i].value);
}

void device_structures(void)
{
	unsigned int i;

	printf("| structure | member | offset | bytes |\n|---|---|--:|--:|\n");
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		printf("| `%s` | `%s` | %zu | %zu |\n", members[i].type, members[i].name,
		       members[i].offset, members[i].size);
}
