// SPDX-License-Identifier: GPL-2.0
/* Is the third side compared with the others at all? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

/* Another line for one of the table's: for "" none of them is another. */
struct change {
	const char *from, *to, *what;
};

static const char *const table[] = {
	":INPUT ACCEPT [0:0]",
	":FORWARD ACCEPT [0:0]",
	":OUTPUT ACCEPT [0:0]",
	":user - [0:0]",
	"-A INPUT -p udp -j MARK --set-xmark 0x7/0xff",
	"-A INPUT -i eth0 -p tcp -j user",
	"-A FORWARD -p udp -m conntrack --ctstate NEW -j ACCEPT",
	"-A FORWARD -p icmp -m ttl --ttl-gt 3 -j DROP",
	"-A user -j DROP",
};

static const struct change changes[] = {
	{"", "", "no change"},
	{"-A user -j DROP", "-A user -j ACCEPT", "a target"},
	{"-A FORWARD -p udp -m conntrack --ctstate NEW -j ACCEPT",
	 "-A FORWARD -p udp -m conntrack --ctstate ESTABLISHED -j ACCEPT",
	 "a state, which only counters tell"},
	{"-A INPUT -p udp -j MARK --set-xmark 0x7/0xff",
	 "-A INPUT -p udp -j MARK --set-xmark 0x6/0xff", "a mark"},
	{"-A INPUT -i eth0 -p tcp -j user", "-A INPUT -i eth1 -p tcp -j user", "an interface"},
};

static void fill(struct ruleset *rules, const struct change *c)
{
	unsigned int i;

	ruleset_init(rules, "the table of a test of the test");
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ruleset_add(rules, "%s", strcmp(table[i], c->from) ? table[i] : c->to);
}

/* Behind the values of DSCP that give a mark. */
#define OTHER_DSCP 16

/**
 * struct choice - which contexts there are to be: each takes a call of its own
 * @mark: the only one, beside 0
 * @one_interface: all frames come by interface @ifno
 */
struct choice {
	uint32_t mark;
	bool one_interface;
	uint8_t ifno;
};

/* A mark that the rules name, if there is one. */
static uint32_t choose_mark(const char *rules)
{
	char text[24];
	unsigned int i;

	for (i = 0; i < TOPOLOGY_MARKS; i++) {
		snprintf(text, sizeof(text), "mark 0x%x", topology_marks[i]);
		if (strstr(rules, text))
			return topology_marks[i];
	}
	return topology_marks[0];
}

static struct choice choose(const struct ruleset *rules)
{
	struct text text = {0};
	struct choice c;

	ruleset_print(rules, &text);
	c = (struct choice){.mark = choose_mark(text.s), .ifno = text.len % TOPOLOGY_IFS};
	c.one_interface = (strstr(text.s, " -i ") || strstr(text.s, " -o ")) &&
			  (strstr(text.s, "mark ") || replay_wants_states(rules));
	text_free(&text);
	return c;
}

static void settle_frame(const struct choice *c, struct packet *p)
{
	unsigned int dscp = p->data[1] >> 2;

	if (c->one_interface)
		p->ifno = c->ifno;
	if (!dscp || dscp > TOPOLOGY_MARKS || topology_marks[dscp - 1] == c->mark)
		return;
	p->data[1] += OTHER_DSCP << 2;
	packet_fix_ip(p->data, p->len);
}

void session_settle(const struct ruleset *rules, struct packets *packets)
{
	struct choice c = choose(rules);
	unsigned int i;

	for (i = 0; i < packets->nr; i++) {
		struct packet *p = &packets->list[i];

		if (p->mark != c.mark)
			p->mark = 0;
		if (p->len < 20)
			continue;
		if (p->way == WAY_FRAME)
			settle_frame(&c, p);
		else if (p->way == WAY_RAW)
			p->data[0] = 0x40 | (p->data[0] & 15);
	}
}

/* Of few contexts: frames for INPUT and FORWARD without a mark. */
static void draw(struct session *s, const struct ruleset *rules, struct packets *packets)
{
	unsigned int i, nr = 0;

	session_packets(s, rules, 400, 0, packets);
	for (i = 0; i < packets->nr; i++) {
		struct packet *p = &packets->list[i];

		if (p->len < 20 || p->way != WAY_FRAME || p->ifno) {
			free(p->data);
			continue;
		}
		p->data[1] = 0;
		packet_fix_ip(p->data, p->len);
		packets->list[nr++] = *p;
	}
	packets->nr = nr;
}

void session_third(struct session *s)
{
	struct ruleset rules, other;
	struct packets packets = {0};
	struct trial t = {.rules = &rules, .replayed = &other, .packets = &packets};
	struct text why = {0};
	unsigned int i;

	fill(&rules, &changes[0]);
	draw(s, &rules, &packets);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		enum duel_result want = i ? DUEL_DIFFERENT : DUEL_SAME, result;

		fill(&other, &changes[i]);
		text_reset(&why);
		result = duel_run(&s->duel[0], &t, &why);
		if (result != want && why.s)
			printf("%s", why.s);
		session_result(s, result == want, "replay with another rule set: %s",
			       changes[i].what);
		ruleset_free(&other);
	}
	text_free(&why);
	packets_free(&packets);
	ruleset_free(&rules);
}
