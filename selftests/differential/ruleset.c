// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "asks.h"
#include "ruleset.h"
#include "topology.h"

#define NAMES 64

void ruleset_init(struct ruleset *rs, const char *name)
{
	memset(rs, 0, sizeof(*rs));
	rs->name = must_strdup(name);
}

void ruleset_free(struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		free(rs->lines[i]);
	free(rs->lines);
	free(rs->name);
	memset(rs, 0, sizeof(*rs));
}

static void add_line(struct ruleset *rs, char *line)
{
	if (rs->nr == rs->max) {
		rs->max = rs->max * 2 + 32;
		rs->lines = must_realloc(rs->lines, rs->max * sizeof(*rs->lines));
	}
	rs->lines[rs->nr++] = line;
}

void ruleset_add(struct ruleset *rs, const char *fmt, ...)
{
	char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		exit(1);
	va_end(ap);
	add_line(rs, line);
}

void ruleset_copy(struct ruleset *to, const struct ruleset *from, const bool *keep)
{
	unsigned int i;

	ruleset_init(to, from->name);
	to->nat = from->nat;
	to->rp_filter = from->rp_filter;
	to->pokes = from->pokes;
	for (i = 0; i < from->nr; i++)
		if (!keep || keep[i])
			add_line(to, must_strdup(from->lines[i]));
}

void ruleset_print(const struct ruleset *rs, struct text *out)
{
	unsigned int i;

	text_add(out, "*filter\n");
	for (i = 0; i < rs->nr; i++) {
		text_add_bytes(out, rs->lines[i], strlen(rs->lines[i]));
		text_add_bytes(out, "\n", 1);
	}
	text_add(out, "COMMIT\n");
}

unsigned int ruleset_rules(const struct ruleset *rs)
{
	unsigned int i, n = 0;

	for (i = 0; i < rs->nr; i++)
		n += rs->lines[i][0] == '-';
	return n;
}

#define HASHLIMIT_EXPIRE "3600000"

/* Interface names of a dump, in the order in which they came up. */
struct names {
	char seen[NAMES][32];
	unsigned int nr;
};

static const char *our_name(struct names *names, const char *theirs)
{
	static const char *const wild[] = {"eth+", "docker+", "eth1+"};
	size_t len = strlen(theirs);
	unsigned int i;

	if (!strcmp(theirs, "lo") || !strcmp(theirs, "+"))
		return theirs;
	for (i = 0; i < names->nr; i++)
		if (!strcmp(names->seen[i], theirs))
			break;
	if (i == names->nr && i < NAMES)
		snprintf(names->seen[names->nr++], sizeof(names->seen[0]), "%.31s", theirs);
	if (len && theirs[len - 1] == '+')
		return wild[i % 3];
	return topology_ifs[i % TOPOLOGY_IFS].name;
}

/* Packets in a time; hashlimit has bytes, too. */
static bool is_rate_of_packets(const char *token)
{
	return strchr(token, '/') && !strstr(token, "b/");
}

/*
 * Of a limit only the burst passes, whenever packets come, and what hashlimit remembers of an address stays until the end.
 */
static void add_token(struct text *t, struct names *names, const char *before, const char *token)
{
	if (!strcmp(before, "-i") || !strcmp(before, "-o"))
		text_add(t, "%s", our_name(names, token));
	else if (!strcmp(before, "--limit"))
		text_add(t, "1/hour");
	else if ((!strcmp(before, "--hashlimit") || !strcmp(before, "--hashlimit-upto") ||
		  !strcmp(before, "--hashlimit-above")) &&
		 is_rate_of_packets(token))
		text_add(t, "1/hour");
	else if (!strcmp(before, "--hashlimit-htable-expire"))
		text_add(t, HASHLIMIT_EXPIRE);
	else
		text_add_bytes(t, token, strlen(token));
}

/* Tokens are separated by single blanks; a quoted one is copied as it is. */
static void add_rule(struct ruleset *rs, struct names *names, const char *rule)
{
	char before[32] = "", token[4096];
	bool expires = strstr(rule, " --hashlimit-htable-expire ");
	struct text t = {0};

	while (*rule) {
		size_t len = strcspn(rule, " ");

		if (*rule == '"')
			for (len = 1; rule[len] && (rule[len] != '"' || rule[len - 1] == '\\');)
				len++;
		if (*rule == '"' && rule[len])
			len++;
		if (len >= sizeof(token))
			len = sizeof(token) - 1;
		memcpy(token, rule, len);
		token[len] = '\0';
		if (t.len)
			text_add(&t, " ");
		add_token(&t, names, before, token);
		if (!strcmp(before, "--hashlimit-name") && !expires)
			text_add(&t, " --hashlimit-htable-expire " HASHLIMIT_EXPIRE);
		snprintf(before, sizeof(before), "%.31s", token);
		rule += len;
		rule += strspn(rule, " ");
	}
	add_line(rs, t.s);
}

bool ruleset_parse(struct ruleset *rs, const char *dump)
{
	char *copy = must_strdup(dump), *line, *save, name[64], policy[16];
	struct names names = {.nr = 0};
	bool in = false, found = false, chance = false;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '*')
			found |= in = !strcmp(line, "*filter");
		if (!in)
			continue;
		if (line[0] == '[')
			line += strcspn(line, " ") + 1;
		if (!strcmp(line, "COMMIT"))
			in = false;
		else if (sscanf(line, ":%63s %15s", name, policy) == 2)
			ruleset_add(rs, ":%s %s [0:0]", name, policy);
		else if (line[0] == '-')
			add_rule(rs, &names, line);
		chance |= strstr(line, "--mode random") != NULL;
	}
	free(copy);
	return found && !chance;
}

static bool is_translated(const char *line)
{
	static const char *const matches[] = {
		"tcp ",	    "udp ",	  "icmp ",	"multiport ", "conntrack ", "state ",
		"comment ", "mark ",	  "limit ",	"addrtype ",  "iprange ",   "length ",
		"ttl ",	    "tos ",	  "dscp ",	"ecn ",	      "pkttype ",   "mac ",
		"sctp ",    "dccp ",	  "tcpmss ",	"owner ",     "esp ",	    "ah ",
		"ipcomp ",  "statistic ", "quota ",	"connmark ",  "cpu ",	    "physdev ",
		"policy ",  "set ",	  "recent ",	"hashlimit ", "connlimit ", "string ",
		"time ",    "u32 ",	  "connbytes ", "connlabel ", "helper ",    "realm ",
		"bpf ",	    "cgroup ",	  "socket ",	"osf "};
	static const char *const options[] = {"--object-pinned", "--path", "--restore-skmark",
					      "! --chunk-types", "! --dccp-option"};
	const char *m;
	unsigned int i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strstr(line, options[i]))
			return false;
	for (m = strstr(line, " -m "); m; m = strstr(m + 1, " -m ")) {
		for (i = 0; i < sizeof(matches) / sizeof(matches[0]); i++)
			if (!strncmp(m + 4, matches[i], strlen(matches[i])))
				break;
		if (i == sizeof(matches) / sizeof(matches[0]))
			return false;
	}
	return true;
}

static bool is_chain(const struct ruleset *rs, const char *name, size_t len)
{
	unsigned int i;

	for (i = 0; i < rs->nr && rs->lines[i][0] == ':'; i++)
		if (!strncmp(rs->lines[i] + 1, name, len) && rs->lines[i][1 + len] == ' ')
			return true;
	return false;
}

/*
 * Before Linux 6.4 there is only the module, whose notes of a packet have room for fewer effects than large rule sets may have
 * beside nfacct.
 */
static bool kernel_has_links(void)
{
	unsigned int major, minor;
	struct utsname name;

	return uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2 || major > 6 ||
	       (major == 6 && minor >= 4);
}

static void reduce_target(const struct ruleset *rs, char *line)
{
	static const char *const translated[] = {"ACCEPT", "DROP",    "RETURN", "REJECT",
						 "LOG",	   "NFLOG",   "MARK",	"CONNMARK",
						 "TCPMSS", "SYNPROXY"};
	unsigned int i, nr = sizeof(translated) / sizeof(translated[0]);
	char *target = strstr(line, " -j ");
	size_t len;

	if (!target)
		return;
	nr -= kernel_has_links() ? 0 : 4;
	len = strcspn(target + 4, " ");
	for (i = 0; i < nr; i++)
		if (strlen(translated[i]) == len && !strncmp(target + 4, translated[i], len))
			return;
	if (!is_chain(rs, target + 4, len))
		*target = '\0';
}

void ruleset_reduce(struct ruleset *rs)
{
	unsigned int i, nr = 0;

	for (i = 0; i < rs->nr; i++) {
		if (rs->lines[i][0] == '-' && !is_translated(rs->lines[i])) {
			free(rs->lines[i]);
			continue;
		}
		if (rs->lines[i][0] == '-')
			reduce_target(rs, rs->lines[i]);
		rs->lines[nr++] = rs->lines[i];
	}
	rs->nr = nr;
}

static bool has_place(const char *line)
{
	static const char *const none[] = {" -j LOG",
					   " -j NFLOG",
					   " addrtype ",
					   " limit ",
					   " MARK ",
					   " --mark ",
					   " CONNMARK ",
					   " TCPMSS ",
					   " -j SYNPROXY",
					   " --ctproto ",
					   " --ctorig",
					   " --ctrepl",
					   " --ctstatus ",
					   " --ctexpire ",
					   " --ctdir ",
					   "SNAT",
					   "DNAT",
					   " -m length ",
					   " -m ttl ",
					   " -m dscp ",
					   " -m tos ",
					   " -m pkttype ",
					   " -m mac ",
					   " -m owner ",
					   " -m ecn ",
					   " -m cpu ",
					   " -m tcpmss ",
					   " -m connmark ",
					   " ah",
					   " -m statistic ",
					   " -m quota ",
					   " -m physdev ",
					   " -m policy ",
					   " -m nfacct ",
					   " -m set ",
					   " -m recent ",
					   " -m hashlimit ",
					   " -m connlimit ",
					   " -m string ",
					   " -m time ",
					   " -m u32 ",
					   " -m connbytes ",
					   " -m connlabel ",
					   " -m helper ",
					   " -m realm ",
					   " -m bpf ",
					   " -m cgroup ",
					   " -m socket ",
					   " -m osf ",
					   " --dccp-types ",
					   " --dccp-option ",
					   " --chunk-types "};
	unsigned int i;

	/* Without an option it asks for an entry. */
	if (strstr(line, " -m conntrack ") && !strstr(line, " --ctstate "))
		return false;
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		if (strstr(line, none[i]))
			return false;
	return true;
}

bool ruleset_asks_for_states(const struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		if (strstr(rs->lines[i], "state "))
			return true;
	return false;
}

static void keep_only(struct ruleset *rs, bool (*keep)(const char *line))
{
	unsigned int i, nr = 0;

	for (i = 0; i < rs->nr; i++)
		if (rs->lines[i][0] == '-' && !keep(rs->lines[i]))
			free(rs->lines[i]);
		else
			rs->lines[nr++] = rs->lines[i];
	rs->nr = nr;
}

static bool does_without_links(const char *line)
{
	return !strstr(line, " -m nfacct ");
}

void ruleset_for_kernel(struct ruleset *rs)
{
	if (!kernel_has_links())
		keep_only(rs, does_without_links);
}

static bool tracks_nothing(const char *line)
{
	static const char *const words[] = {" -m conntrack ", " -m state ", " -m connlimit ",
					    " -m connmark ",  "CONNMARK",   "SYNPROXY"};
	unsigned int i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(line, words[i]))
			return false;
	return true;
}

void ruleset_untrack(struct ruleset *rs)
{
	keep_only(rs, tracks_nothing);
}

static bool not_of_output(const char *line)
{
	return strncmp(line, "-A OUTPUT ", 10);
}

/* Replies that are made at the interfaces do not pass OUTPUT: so that they all do, which comes first there. */
static void let_replies_pass(struct ruleset *rs)
{
	static const char *const replies[] = {
		"-A OUTPUT -p icmp -m icmp --icmp-type 3 -j ACCEPT",
		"-A OUTPUT -p tcp -m tcp --tcp-flags RST RST -j ACCEPT",
	};
	unsigned int first, i, nr = sizeof(replies) / sizeof(replies[0]);
	bool rejects = false;

	for (i = 0; i < rs->nr; i++)
		rejects |= strstr(rs->lines[i], " -j REJECT") != NULL;
	for (first = 0; first < rs->nr && rs->lines[first][0] != '-'; first++)
		;
	for (i = 0; rejects && i < nr; i++) {
		char *line = must_strdup(replies[i]);

		add_line(rs, line);
		memmove(&rs->lines[first + 1], &rs->lines[first],
			(rs->nr - 1 - first) * sizeof(*rs->lines));
		rs->lines[first] = line;
	}
}

void ruleset_place(struct ruleset *rs)
{
	unsigned int i;

	keep_only(rs, has_place);
	let_replies_pass(rs);
	if (!ruleset_asks_for_states(rs))
		return;
	keep_only(rs, not_of_output);
	for (i = 0; i < rs->nr; i++) {
		if (strncmp(rs->lines[i], ":OUTPUT ", 8))
			continue;
		free(rs->lines[i]);
		rs->lines[i] = must_strdup(":OUTPUT ACCEPT [0:0]");
	}
}

static bool has_target(const struct ruleset *rs, const char *name)
{
	unsigned int i;
	char option[32];

	snprintf(option, sizeof(option), " -j %s ", name);
	for (i = 0; i < rs->nr; i++) {
		const char *at = strstr(rs->lines[i], " -j ");

		/* What has no options ends the line. */
		if (at && (strstr(at, option) || !strncmp(at, option, strlen(at))))
			return true;
	}
	return false;
}

/*
 * More than a note has room for, 15 effects behind links and 7 at the module's hooks: behind links each mark is one, and what is in
 * a chain may be met more than once.
 */
static bool marks_often(const struct ruleset *rs)
{
	unsigned int most = kernel_has_links() ? 15 : 7, i, n = 0;

	for (i = 0; i < rs->nr; i++) {
		const char *line = rs->lines[i];

		if (!strstr(line, " -j MARK ") && !strstr(line, " -j CONNMARK ") &&
		    !strstr(line, " -j LOG ") && !strstr(line, " -j NFLOG ") &&
		    !strstr(line, " -m nfacct "))
			continue;
		n += 3;
		if (strncmp(line, "-A INPUT ", 9) && strncmp(line, "-A FORWARD ", 11) &&
		    strncmp(line, "-A OUTPUT ", 10))
			return true;
	}
	return n > 3 * most;
}

bool ruleset_marks_too_much(const struct ruleset *rs, bool module)
{
	if (!has_target(rs, "MARK") && !has_target(rs, "CONNMARK"))
		return false;
	if (kernel_has_links() || has_target(rs, "CONNMARK"))
		return marks_often(rs);
	return !module || has_target(rs, "LOG") || has_target(rs, "NFLOG");
}

bool ruleset_wants_links(const struct ruleset *rs)
{
	return !kernel_has_links() && (has_target(rs, "TCPMSS") || has_target(rs, "SYNPROXY"));
}

bool ruleset_changes_options(const struct ruleset *rs)
{
	bool changes = has_target(rs, "TCPMSS"), looks = false;
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		looks |= strstr(rs->lines[i], " --tcp-option ") ||
			 strstr(rs->lines[i], " -m tcpmss ");
	return changes && looks;
}

static bool uses_account(const char *line)
{
	return strstr(line, " -m nfacct ");
}

bool ruleset_accounts(const struct ruleset *rs)
{
	unsigned int i;

	for (i = 0; i < rs->nr; i++)
		if (uses_account(rs->lines[i]))
			return true;
	return false;
}

bool ruleset_accounts_too_much(const struct ruleset *rs)
{
	unsigned int i, n = 0;
	bool user = false;

	for (i = 0; i < rs->nr; i++) {
		const char *line = rs->lines[i];

		if (strstr(line, " --nfacct-name " TOPOLOGY_QUOTA " "))
			return true;
		if (!uses_account(line) && !strstr(line, " -j LOG ") && !strstr(line, " -j NFLOG "))
			continue;
		/* Twice, if it has the match two times or a target as well. */
		n += 3;
		user |= strncmp(line, "-A INPUT ", 9) && strncmp(line, "-A FORWARD ", 11) &&
			strncmp(line, "-A OUTPUT ", 10);
	}
	return ruleset_accounts(rs) && (user || n > 15);
}
