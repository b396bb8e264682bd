// SPDX-License-Identifier: GPL-2.0
#include "asks.h"

#include <stdio.h>
#include <string.h>

#include "clauses.h"
#include "netns.h"

static const char *const matches[] = {
	" -m set ",	  " -m recent ",    " -m hashlimit ", " -m connlimit ",	 " -m string ",
	" -m time ",	  " -m u32 ",	    " -m connbytes ", " -m connlabel ",	 " -m helper ",
	" -m realm ",	  " -m bpf ",	    " -m cgroup ",    " -m socket ",	 " -m osf ",
	" --dccp-types ", " --dccp-option", " --chunk-types", " --suppl-groups", " -j TCPMSS ",
	" -j SYNPROXY"};

bool asks_line(const char *line)
{
	unsigned int i;

	for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
		if (strstr(line, matches[i]))
			return true;
	return false;
}

bool asks_any(const struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		if (asks_line(rs->lines[i]))
			return true;
	return false;
}

bool asks_too_much(const struct ruleset *rs)
{
	static const char *const others[] = {" -m limit ", " -m quota ", " -m statistic "};
	unsigned int i, j, n = 0;

	for (i = 0; i < rs->nr; i++) {
		n += 2 * asks_line(rs->lines[i]);
		for (j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			n += strstr(rs->lines[i], others[j]) != NULL;
	}
	return n > 12 && asks_any(rs);
}

/* --- sets ---------------------------------------------------------------------------------- */

static void add_set(struct text *t, const char *name)
{
	static const char *const nets[] = {"10.0.0.0/9",    "172.16.0.0/12",	  "192.0.2.0/25",
					   "128.0.0.0/2",   "198.51.100.2",	  "10.0.1.0/24",
					   "172.17.0.0/17", "10.0.0.0/30 nomatch"};
	bool ports = !strncmp(name, "port", 4), pairs = !strncmp(name, "pair", 4);
	unsigned int hash = 0, i;
	const char *c;

	for (c = name; *c; c++)
		hash = hash * 31 + *c;
	text_add(t, "create %s %s counters\n", name,
		 ports	 ? "bitmap:port range 0-65535"
		 : pairs ? "hash:net,port"
			 : "hash:net");
	/* What an earlier table has counted is gone. */
	text_add(t, "flush %s\n", name);
	for (i = 0; ports && i < 4; i++)
		text_add(t, "add %s %u-%u\n", name, hash >> i & 0x3fff, (hash >> i & 0x3fff) + 800);
	for (i = 0; !ports && i < sizeof(nets) / sizeof(nets[0]); i++) {
		if (!(hash >> i & 1))
			continue;
		if (pairs && strchr(nets[i], ' '))
			continue;
		text_add(t, "add %s %s%s\n", name, nets[i], pairs ? ",udp:53-2000" : "");
	}
}

void asks_make(int netns, const struct ruleset *rs)
{
	char *const argv[] = {"ipset", "-exist", "restore", NULL};
	struct text t = {0};
	unsigned int i;

	for (i = 0; i < rs->nr; i++) {
		const char *at = rs->lines[i];
		char name[64];

		while ((at = strstr(at, "--match-set "))) {
			at += strlen("--match-set ");
			if (sscanf(at, "%63s", name) == 1)
				add_set(&t, name);
		}
	}
	/* Where there are no sets, both sides refuse the table. */
	if (t.len)
		netns_run(netns, argv, t.s);
	text_free(&t);
}

/* --- what is left behind --------------------------------------------------------------------- */

static int read_there(void *arg)
{
	FILE *f = popen(
		"ipset save 2>/dev/null | grep '^add' | grep -v 'packets 0 ' | sort\n"
		"for f in /proc/net/xt_recent/*; do\n"
		"	[ ! -f \"$f\" ] || { echo \"$f\"; awk '{ print $1, $3, $7, NF }' \"$f\" | sort; }\n"
		"done\n"
		"for f in /proc/net/ipt_hashlimit/*; do\n"
		"	[ ! -f \"$f\" ] || { echo \"$f\"; awk '{ print $2 }' \"$f\" | sort; }\n"
		"done",
		"r");
	char line[512];

	while (f && fgets(line, sizeof(line), f))
		text_add(arg, "%s", line);
	return f ? pclose(f) : -1;
}

void asks_read(int netns, struct text *t)
{
	text_add(t, "\n");
	netns_call(netns, read_there, t);
}

/* --- random rules ---------------------------------------------------------------------------- */

static void add_not(struct rng *r, struct text *t)
{
	if (rng_chance(r, 25))
		text_add(t, " !");
}

static void add_set_match(struct rng *r, struct text *t)
{
	static const char *const kinds[] = {"net", "net", "port", "pair"};
	static const char *const sides[] = {"src", "dst"};
	const char *kind = RNG_PICK(r, kinds);

	text_add(t, " -m set");
	add_not(r, t);
	text_add(t, " --match-set %s%u %s", kind, rng_below(r, ASKS_SETS), RNG_PICK(r, sides));
	if (!strcmp(kind, "pair"))
		text_add(t, ",%s", RNG_PICK(r, sides));
	if (rng_chance(r, 15))
		text_add(t, " --return-nomatch");
	if (rng_chance(r, 15))
		text_add(t, " ! --update-counters");
	if (rng_chance(r, 15))
		text_add(t, " --packets-%s %u", rng_chance(r, 50) ? "gt" : "lt",
			 rng_between(r, 1, 9));
	if (rng_chance(r, 10))
		text_add(t, " --bytes-gt %u", rng_between(r, 100, 900));
}

static void add_recent(struct rng *r, struct text *t)
{
	static const char *const ways[] = {"set", "rcheck", "update", "update", "remove", "set"};
	static const char *const masks[] = {"255.255.255.0", "255.255.0.0", "255.255.255.255"};
	unsigned int way = rng_below(r, 6);

	text_add(t, " -m recent --name list%u", rng_below(r, 3));
	add_not(r, t);
	text_add(t, " --%s", ways[way]);
	if (way >= 1 && way <= 3 && rng_chance(r, 60))
		text_add(t, " --hitcount %u", rng_between(r, 1, 6));
	if (way >= 1 && way <= 3 && rng_chance(r, 30))
		text_add(t, " --seconds 9999");
	if (way >= 1 && way <= 3 && rng_chance(r, 20))
		text_add(t, " --rttl");
	text_add(t, " --mask %s --r%s", RNG_PICK(r, masks), rng_chance(r, 70) ? "source" : "dest");
}

static void add_hashlimit(struct rng *r, struct text *t)
{
	static const char *const modes[] = {"srcip",	   "dstip",
					    "srcip,dstip", "srcip,dstport",
					    "srcport",	   "srcip,srcport,dstip,dstport"};
	unsigned int mode = rng_below(r, 6);
	bool small = rng_chance(r, 40);

	text_add(t, " -m hashlimit --hashlimit-%s 1/hour --hashlimit-burst %u --hashlimit-mode %s",
		 rng_chance(r, 60) ? "upto" : "above", rng_between(r, 1, 5), modes[mode]);
	text_add(t, " --hashlimit-name %s%u --hashlimit-htable-expire 3600000",
		 small ? "small" : "mode", mode);
	/* It soon is full; then packets are dropped, which the rules in front have counted. */
	if (small)
		text_add(t, " --hashlimit-htable-size 4 --hashlimit-htable-max 4");
	if (rng_chance(r, 20) && !mode)
		text_add(t, " --hashlimit-srcmask %u", rng_between(r, 8, 30));
}

static void add_string(struct rng *r, struct text *t)
{
	static const char *const patterns[] = {"--hex-string \"|0001|\"", "--string ab",
					       "--hex-string \"|00000000|\"", "--string GET",
					       "--hex-string \"|0a0001|\""};

	text_add(t, " -m string --algo %s", rng_chance(r, 50) ? "bm" : "kmp");
	if (rng_chance(r, 30))
		text_add(t, " --from %u", rng_below(r, 60));
	if (rng_chance(r, 30))
		text_add(t, " --to %u", rng_between(r, 60, 300));
	add_not(r, t);
	text_add(t, " %s", RNG_PICK(r, patterns));
	if (rng_chance(r, 30))
		text_add(t, " --icase");
}

static void add_time(struct rng *r, struct text *t)
{
	static const char *const times[] = {
		"--datestart 2000-01-01",	   "--datestop 2000-01-01",
		"--datestart 2037-01-01",	   "--timestart 00:00 --timestop 23:59:59",
		"--weekdays Mo,Tu,We,Th,Fr,Sa,Su", "! --weekdays Mo,Tu,We,Th,Fr,Sa,Su"};

	text_add(t, " -m time %s%s", RNG_PICK(r, times), rng_chance(r, 50) ? " --kerneltz" : "");
}

static void add_u32(struct rng *r, struct text *t)
{
	static const char *const tests[] = {"6&0xFF=1",
					    "4&0x3FFF=0",
					    "0>>22&0x3C@0>>24=8",
					    "0&0xFFFF=40:100",
					    "6&0xFF=6&&0>>22&0x3C@12>>26&0x3C@0=0:99",
					    "12=0x0a000101:0x0a0001ff,0xac110001"};

	text_add(t, " -m u32");
	add_not(r, t);
	text_add(t, " --u32 \"%s\"", RNG_PICK(r, tests));
}

/*
 * Of first packets of TCP alone: the last one of a connection may be dropped, which is not foreseen. And the kernel may count
 * a connection twice whose packets come within one tick: only what does not depend on how many there are can be compared.
 */
static void add_connlimit(struct rng *r, struct text *t)
{
	text_add(t,
		 " -m tcp --syn -m connlimit --connlimit-%s %u --connlimit-mask %u --connlimit-%s",
		 rng_chance(r, 50) ? "upto" : "above", rng_chance(r, 50) ? 0 : 1000000,
		 rng_chance(r, 50) ? 32 : rng_below(r, 25), rng_chance(r, 70) ? "saddr" : "daddr");
}

static void add_connbytes(struct rng *r, struct text *t)
{
	static const char *const modes[] = {"packets", "bytes", "avgpkt"};
	static const char *const dirs[] = {"original", "reply", "both"};
	unsigned int mode = rng_below(r, 3), from = rng_below(r, mode ? 200 : 4);

	text_add(t, " -m connbytes");
	add_not(r, t);
	text_add(t, " --connbytes %u", from);
	if (rng_chance(r, 60))
		text_add(t, ":%u", from + rng_below(r, mode ? 400 : 6));
	text_add(t, " --connbytes-dir %s --connbytes-mode %s", RNG_PICK(r, dirs), modes[mode]);
}

static void add_connlabel(struct rng *r, struct text *t)
{
	static const unsigned int labels[] = {0, 1, 63, 64, 127};

	text_add(t, " -m connlabel");
	add_not(r, t);
	text_add(t, " --label %u%s", RNG_PICK(r, labels), rng_chance(r, 50) ? " --set" : "");
}

static void add_helper(struct rng *r, struct text *t)
{
	text_add(t, " -m helper");
	add_not(r, t);
	text_add(t, " --helper %s", rng_chance(r, 50) ? "ftp" : "any");
}

/* Routes of the topology have realms up to 3. */
static void add_realm(struct rng *r, struct text *t)
{
	static const char *const realms[] = {"0", "1", "2", "3", "0x10001/0xffff", "2/2", "0/3"};

	text_add(t, " -m realm");
	add_not(r, t);
	text_add(t, " --realm %s", RNG_PICK(r, realms));
}

static void add_bpf(struct rng *r, struct text *t)
{
	/* The protocol; the mark; whether there are 40 bytes; a port of UDP; whether its length is a multiple of 4. */
	static const char *const programs[] = {
		"4,48 0 0 9,21 0 1 6,6 0 0 1,6 0 0 0",
		"4,32 0 0 4294963220,21 0 1 1,6 0 0 1,6 0 0 0",
		"4,128 0 0 0,53 0 1 40,6 0 0 65535,6 0 0 0",
		"7,48 0 0 9,21 0 4 17,177 0 0 0,72 0 0 2,53 0 1 1024,6 0 0 1,6 0 0 0",
		"4,40 0 0 2,69 0 1 3,6 0 0 256,6 0 0 0",
	};

	text_add(t, " -m bpf --bytecode \"%s\"", RNG_PICK(r, programs));
}

static void add_cgroup(struct rng *r, struct text *t)
{
	text_add(t, " -m cgroup");
	add_not(r, t);
	text_add(t, " --cgroup %u", rng_chance(r, 70) ? 0 : 7);
}

static void add_socket(struct rng *r, struct text *t)
{
	text_add(t, " -m socket%s%s", rng_chance(r, 50) ? " --nowildcard" : "",
		 rng_chance(r, 20) ? " --transparent" : "");
}

static void add_osf(struct rng *r, struct text *t)
{
	text_add(t, " -m osf");
	add_not(r, t);
	text_add(t, " --genre Linux --ttl %u", rng_below(r, 3));
}

/* Those that are not for everywhere, or for every protocol. */
static void add_special(struct rng *r, struct text *t, unsigned int hooks)
{
	const char *before = strrchr(t->s, '\n') ?: t->s;
	bool tcp = strstr(before, " -p tcp") && !strstr(before, "! -p tcp");

	switch (rng_below(r, 3)) {
	case 0:
		if (hooks & FROM_FORWARD)
			add_realm(r, t);
		else
			add_cgroup(r, t);
		break;
	case 1:
		if (hooks == FROM_INPUT)
			add_socket(r, t);
		else if (tcp && !(hooks & FROM_OUTPUT))
			add_osf(r, t);
		else
			add_connbytes(r, t);
		break;
	default:
		if (tcp && !strstr(before, " -m tcp "))
			add_connlimit(r, t);
		else
			add_connlabel(r, t);
	}
}

static void add_of_connection(struct rng *r, struct text *t)
{
	switch (rng_below(r, 4)) {
	case 0:
	case 1:
		add_connbytes(r, t);
		break;
	case 2:
		add_connlabel(r, t);
		break;
	default:
		add_helper(r, t);
	}
}

void asks_add(struct rng *r, struct text *t, unsigned int hooks)
{
	switch (rng_below(r, 17)) {
	case 10:
	case 11:
		add_of_connection(r, t);
		break;
	case 12:
		add_realm(r, t);
		break;
	case 13:
	case 14:
		add_bpf(r, t);
		break;
	case 15:
	case 16:
		add_special(r, t, hooks);
		break;
	case 0:
	case 1:
	case 2:
		add_set_match(r, t);
		break;
	case 3:
	case 4:
		add_recent(r, t);
		break;
	case 5:
	case 6:
		add_hashlimit(r, t);
		break;
	case 7:
		add_time(r, t);
		break;
	case 8:
		add_u32(r, t);
		break;
	default:
		add_string(r, t);
	}
}
