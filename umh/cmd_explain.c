// SPDX-License-Identifier: GPL-2.0
/* bpfilter explain --rules=FILE|--live [OPTION...] */
#include <ctype.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "cmd.h"
#include "context.h"
#include "craft.h"
#include "env.h"
#include "explain.h"
#include "flows.h"
#include "trial.h"

static const char usage[] =
	"Usage: bpfilter explain --rules=FILE|--live [OPTION...]\n"
	"\n"
	"The way of one packet through the chains, and why each rule that was looked at matched or not.\n"
	"Nothing is changed; any user may, but only root learns what conditions such as limit say.\n"
	"\n"
	"  --rules=FILE    the rule set, as iptables-save prints it\n"
	"  --live          the table in force in this network namespace\n"
	"  --short         only the rules that match\n"
	"\n"
	"The packet, by its fields:\n"
	"  --src=ADDRESS   --dst=ADDRESS\n"
	"  --proto=NAME    tcp if nothing else is said\n"
	"  --sport=PORT    --dport=PORT\n"
	"  --flags=FLAGS   of TCP, such as SYN,ACK; SYN if not given\n"
	"  --icmp-type=N   N or N/CODE; 8 if not given\n"
	"  --length=N      of the packet, in bytes\n"
	"or by its bytes:\n"
	"  --hex=BYTES     in hex, from the IP header on, or from that of Ethernet\n"
	"  --capture=FILE  a packet of a capture (pcap, pcapng)\n"
	"  --packet=N      which one, from 1 on\n"
	"\n"
	"What the bytes do not say:\n" BF_CONTEXT_USAGE
	"  --ctstate=WHAT  what conntrack says: NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED; or flows, with\n"
	"                  --capture: told from the packets before, as replay does. Default: flows with\n"
	"                  --capture, else NEW\n"
	"  --help          this text\n";

/**
 * struct options - what was asked
 * @number: what @packet says
 * @ct_given: with --ctstate
 */
struct options {
	const char *rules, *capture, *packet;
	unsigned long number;
	bool live, brief, ct_given;
	struct bf_context context;
	struct bf_craft craft;
};

/**
 * struct inquiry - a packet and who is asked about it
 * @kernel: known if @looked
 * @run: the program; NULL if we may not run it: then the rules are gone through
 * @flows: what the packets before it in @capture, which may be NULL, began
 * @nowhere: where what is told of those goes, open from the first on
 * @guessed: of one of those, a condition was taken to hold
 * @p: the packet; in @data, or in @capture's
 */
struct inquiry {
	struct bf_ruleset rules;
	struct bf_kernel kernel;
	struct bf_testrun *run;
	struct bf_flows flows;
	struct bf_capture *capture;
	FILE *nowhere;
	bool looked, guessed;
	struct bf_packet p;
	uint8_t data[BF_CRAFT_MAX];
};

/* Where the value of an option without a letter goes to; NULL if it is none of those. */
static const char **place_of(struct options *o, int opt)
{
	const char **const places[] = {
		&o->rules,	 &o->capture,	      &o->packet,	&o->craft.src,
		&o->craft.dst,	 &o->craft.proto,     &o->craft.sport,	&o->craft.dport,
		&o->craft.flags, &o->craft.icmp_type, &o->craft.length, &o->craft.hex,
	};

	return opt > 0 && opt <= (int)ARRAY_SIZE(places) ? places[opt - 1] : NULL;
}

static int say_usage(const char *text)
{
	bf_log(BF_LOG_ERR, "explain: %s", text);
	return -1;
}

/* One packet, and told in one way. */
static int check_packet(struct options *o, struct bf_why *why)
{
	int ways = !!o->craft.hex + !!o->capture + bf_craft_any(&o->craft);
	char *end;

	if (o->packet && !o->capture)
		return bf_why(why, -EINVAL, "--packet=%.50s: of which capture? --capture=FILE",
			      o->packet);
	if (!ways)
		return bf_why(why, -EINVAL,
			      "which packet? Its fields (--src and so on), --hex or --capture: "
			      "try \"bpfilter explain --help\"");
	if (ways > 1)
		return bf_why(why, -EINVAL,
			      "one packet, please: its fields (--src and so on), --hex or "
			      "--capture, and not two of them");
	if (!o->capture)
		return 0;
	if (!o->packet)
		return bf_why(why, -EINVAL, "which packet of the capture? --packet=N");
	errno = 0;
	o->number = strtoul(o->packet, &end, 10);
	if (errno || !isdigit((unsigned char)*o->packet) || *end || !o->number)
		return bf_why(why, -EINVAL, "--packet=%.50s: not a number from 1 on", o->packet);
	return 0;
}

static int check(struct options *o)
{
	struct bf_why why = {};

	if (!o->rules == !o->live)
		return say_usage("which rules? --rules=FILE or --live");
	if (check_packet(o, &why) || bf_context_check(&o->context, &why))
		return say_usage(why.text);
	if (o->capture || o->context.ct != BF_CT_FLOWS)
		return 0;
	if (o->ct_given)
		return say_usage("--ctstate=flows: there are no packets before this one to tell it "
				 "from: it needs --capture");
	o->context.ct = BF_CT_NEW;
	return 0;
}

/* 0, or -1 with the exit status in *@ret. */
static int parse(int argc, char **argv, struct options *o, int *ret)
{
	static const struct option options[] = {
		{"rules", required_argument, NULL, 1},
		{"capture", required_argument, NULL, 2},
		{"packet", required_argument, NULL, 3},
		{"src", required_argument, NULL, 4},
		{"dst", required_argument, NULL, 5},
		{"proto", required_argument, NULL, 6},
		{"sport", required_argument, NULL, 7},
		{"dport", required_argument, NULL, 8},
		{"flags", required_argument, NULL, 9},
		{"icmp-type", required_argument, NULL, 10},
		{"length", required_argument, NULL, 11},
		{"hex", required_argument, NULL, 12},
		BF_CONTEXT_OPTIONS,
		{"live", no_argument, NULL, 'l'},
		{"short", no_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	struct bf_why why = {};
	int opt;

	*ret = BF_EXIT_USAGE;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			*ret = 0;
			return -1;
		}
		if (opt == '?') {
			bf_usage_error(argv[0], argv[optind - 1]);
			return -1;
		}
		if (opt >= BF_OPTION_HOOK && bf_context_option(&o->context, opt, optarg, &why))
			return say_usage(why.text);
		if (place_of(o, opt))
			*place_of(o, opt) = optarg;
		o->ct_given |= opt == BF_OPTION_CTSTATE;
		o->live |= opt == 'l';
		o->brief |= opt == 's';
	}
	if (optind < argc) {
		bf_usage_error(argv[0], argv[optind]);
		return -1;
	}
	return check(o);
}

/* @where: "FILE: packet N: ", or empty. */
static int describe(struct inquiry *q, const struct options *o, const void *data, uint32_t len,
		    const char *where, struct bf_why *why)
{
	int err = bf_packet_describe(&q->p, data, len, &o->context);

	if (err == -ENODATA)
		return bf_why(why, err, "%sthe packet is cut off within its headers", where);
	if (err)
		return bf_why(why, err, "%sthis is no IPv4 packet that would get as far as a rule",
			      where);
	return 0;
}

/* The packet that is described, or the capture in which it is sought. */
static int open_packet(struct inquiry *q, const struct options *o, struct bf_why *why)
{
	uint32_t len;
	int err;

	if (o->capture)
		return bf_capture_open(&q->capture, o->capture, why);
	err = bf_craft_make(&o->craft, q->data, &len, why);
	return err ?: describe(q, o, q->data, len, "", why);
}

static int open_rules(struct bf_ruleset *rules, const struct options *o, int *exit_code,
		      struct bf_why *why)
{
	int err = o->live ? bf_ruleset_live(rules, exit_code, why)
			  : bf_ruleset_read(rules, o->rules, exit_code, why);

	if (err || (rules->table && !rules->table->asks))
		return err;
	*exit_code = BF_EXIT_USAGE;
	if (rules->table)
		return bf_why(why, -EOPNOTSUPP,
			      "%.60s: its rules ask the kernel about each packet: what that would "
			      "answer cannot be told",
			      rules->name);
	return bf_why(why, -EOPNOTSUPP, "%.60s: it has no translation to explain: %.150s",
		      rules->name, rules->why.text);
}

/* Whom to ask: the program, if we may run it. */
static void look(struct inquiry *q)
{
	if (bf_env_look(&q->kernel, NULL))
		return;
	q->looked = true;
	bf_trial_look(&q->kernel, q->rules.table);
	bf_testrun_open(&q->run, &q->rules, &q->kernel, BF_FORM_AUTO, NULL);
}

/*
 * The verdict on a packet before the one that is sought, or -errno. Without the program, only where it matters: to
 * what may begin a connection.
 */
static int judge(struct inquiry *q, const struct bf_packet *p)
{
	struct bf_explain e = {.kernel = q->looked ? &q->kernel : NULL, .brief = true};
	struct bf_fate fate;
	int verdict;

	if (q->run && !bf_testrun_packet(q->run, p, &fate))
		return fate.verdict;
	if (p->what.ct_state != XT_CONNTRACK_STATE_BIT(IP_CT_NEW))
		return NF_DROP;
	if (!q->nowhere)
		q->nowhere = fopen("/dev/null", "w");
	if (!q->nowhere)
		return -errno;
	verdict = bf_explain_packet(q->nowhere, &e, &q->rules, p);
	q->guessed |= e.guessed;
	return verdict;
}

/* A packet before the one that is sought, as replay takes it. 0 or -errno. */
static int pass(struct inquiry *q, const struct bf_context *context, const struct bf_captured *c)
{
	bool flows = context->ct == BF_CT_FLOWS;
	struct bf_packet p;
	int verdict;

	if (!c->data || bf_packet_describe(&p, c->data, c->len, context))
		return 0;
	if (!flows && !q->run)
		return 0;
	if (flows)
		bf_flows_describe(&q->flows, &p);
	verdict = judge(q, &p);
	if (verdict < 0)
		return verdict;
	return flows ? bf_flows_note(&q->flows, &p, verdict == NF_ACCEPT) : 0;
}

/* The packet with that number, behind all before it. */
static int seek(struct inquiry *q, const struct options *o, struct bf_why *why)
{
	struct bf_captured c = {};
	char where[128];
	int err;

	while ((err = bf_capture_next(q->capture, &c, why)) > 0 && c.number < o->number) {
		err = pass(q, &o->context, &c);
		if (err)
			return bf_why(why, err, "%s: packet %llu: %s", o->capture,
				      (unsigned long long)c.number, strerror(-err));
	}
	if (err < 0)
		return err;
	snprintf(where, sizeof(where), "%.90s: packet %lu: ", o->capture, o->number);
	if (!err)
		return bf_why(why, -EINVAL, "%sthere are only %llu", where,
			      (unsigned long long)c.number);
	if (!c.data)
		return bf_why(why, -EINVAL, "%sit is not IPv4", where);
	err = describe(q, o, c.data, c.len, where, why);
	if (!err && o->context.ct == BF_CT_FLOWS)
		bf_flows_describe(&q->flows, &q->p);
	return err;
}

static int tell(struct inquiry *q, const struct options *o, struct bf_why *why)
{
	struct bf_explain e = {.brief = o->brief, .kernel = q->looked ? &q->kernel : NULL};
	struct bf_fate fate;
	int verdict;

	if (q->run && !bf_testrun_packet(q->run, &q->p, &fate) && fate.nr <= BF_TRACE_MAX)
		e.fate = &fate;
	verdict = bf_explain_packet(stdout, &e, &q->rules, &q->p);
	if (verdict < 0)
		return bf_why(why, verdict, "%s", strerror(-verdict));
	printf("verdict: %s\n", e.verdict);
	if (e.guessed || q->guessed)
		printf("(conditions such as limit were taken to hold; run as root, their own code "
		       "is asked)\n");
	if (e.untried && q->p.what.fragoff)
		printf("(matches tcpmss and ecn were taken to read the fragment's data as a "
		       "header; run as root, this kernel's are tried)\n");
	if (e.disagrees)
		return bf_why(why, -EPROTO,
			      "the program decides otherwise: %s. This is a bug, please report it",
			      fate.verdict == NF_ACCEPT ? "ACCEPT" : "DROP");
	return 0;
}

static void finish(struct inquiry *q)
{
	if (q->nowhere)
		fclose(q->nowhere);
	bf_testrun_close(q->run);
	bf_ruleset_free(&q->rules);
	bf_flows_free(&q->flows);
	bf_capture_close(q->capture);
}

static int run(const struct options *o)
{
	struct inquiry q = {};
	struct bf_why why = {};
	int exit_code = BF_EXIT_USAGE, err;

	err = open_packet(&q, o, &why) ?: open_rules(&q.rules, o, &exit_code, &why);
	if (!err) {
		exit_code = BF_EXIT_USAGE;
		look(&q);
		err = o->capture ? seek(&q, o, &why) : 0;
	}
	if (!err) {
		exit_code = BF_EXIT_FAILED;
		err = tell(&q, o, &why);
	}
	finish(&q);
	fflush(stdout);
	if (err)
		bf_log(BF_LOG_ERR, "%s", why.text);
	return err ? exit_code : 0;
}

int bf_cmd_explain(int argc, char **argv)
{
	struct options o = {.context.hook = NF_INET_LOCAL_IN, .context.ct = BF_CT_FLOWS};
	int ret;

	if (parse(argc, argv, &o, &ret))
		return ret;
	return run(&o);
}
