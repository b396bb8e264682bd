// SPDX-License-Identifier: GPL-2.0
/* bpfilter replay --rules=FILE|--live [OPTION...] CAPTURE */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "context.h"
#include "env.h"
#include "replay.h"
#include "trial.h"

static const char usage[] =
	"Usage: bpfilter replay --rules=FILE|--live [OPTION...] CAPTURE|-\n"
	"\n"
	"Runs the program of a rule set on every IPv4 packet of a capture (pcap or pcapng): the verdict, the\n"
	"rule that decided, all rules that counted the packet, and in the end each rule's counters. Nothing\n"
	"is changed. As root.\n"
	"\n"
	"  --rules=FILE    the rule set, as iptables-save prints it\n"
	"  --live          the table in force in this network namespace\n"
	"  --against=FILE  another rule set: show the packets whose fate differs\n" BF_CONTEXT_USAGE
	"  --ctstate=WHAT  what conntrack says: flows (default: told from the capture), NEW, ESTABLISHED,\n"
	"                  RELATED, INVALID or UNTRACKED for every packet\n"
	"  --summary       no line for each packet\n"
	"  --json          for programs: one object a line\n"
	"  --help          this text\n"
	"\n"
	"Exit status: 0; with --against 1 if a packet's fate differs; 2 wrong usage, or something is wrong\n"
	"with a file\n";

struct options {
	const char *rules, *against, *capture;
	bool live;
	struct bf_context context;
	struct bf_replay_show show;
};

static int check(const char *name, const struct options *o)
{
	struct bf_why why = {};

	if (!o->rules == !o->live) {
		bf_log(BF_LOG_ERR, "%s: which rules? --rules=FILE or --live", name);
		return -1;
	}
	if (!o->capture) {
		bf_log(BF_LOG_ERR, "%s: which capture? Try \"bpfilter %s --help\"", name, name);
		return -1;
	}
	if (bf_context_check(&o->context, &why)) {
		bf_log(BF_LOG_ERR, "%s", why.text);
		return -1;
	}
	return 0;
}

/* 0, or -1 with the exit status in *@ret. */
static int parse(int argc, char **argv, struct options *o, int *ret)
{
	static const struct option options[] = {
		{"rules", required_argument, NULL, 'r'},   {"live", no_argument, NULL, 'l'},
		{"against", required_argument, NULL, 'a'}, BF_CONTEXT_OPTIONS,
		{"summary", no_argument, NULL, 's'},	   {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},	   {},
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
		if (opt >= BF_OPTION_HOOK && bf_context_option(&o->context, opt, optarg, &why)) {
			bf_log(BF_LOG_ERR, "%s", why.text);
			return -1;
		}
		if (opt == 'r')
			o->rules = optarg;
		if (opt == 'a')
			o->against = optarg;
		o->live |= opt == 'l';
		o->show.summary |= opt == 's';
		o->show.json |= opt == 'j';
	}
	if (optind < argc)
		o->capture = argv[optind++];
	if (optind < argc) {
		bf_usage_error(argv[0], argv[optind]);
		return -1;
	}
	return check(argv[0], o);
}

static int open_side(struct bf_replay_side *s, const char *file, struct bf_kernel *kernel,
		     int *exit_code, struct bf_why *why)
{
	int err = file ? bf_ruleset_read(&s->rules, file, exit_code, why)
		       : bf_ruleset_live(&s->rules, exit_code, why);

	if (err)
		return err;
	*exit_code = BF_EXIT_USAGE;
	if (!s->rules.table)
		return bf_why(why, -EOPNOTSUPP, "%.60s: there is no program: %.160s", s->rules.name,
			      s->rules.why.text);
	if (s->rules.table->asks)
		return bf_why(why, -EOPNOTSUPP,
			      "%.60s: its rules ask the kernel about each packet: what that would "
			      "answer cannot be told",
			      s->rules.name);
	bf_trial_look(kernel, s->rules.table);
	err = bf_testrun_open(&s->run, &s->rules, kernel, BF_FORM_AUTO, why);
	if (err == -EPERM || err == -EACCES)
		*exit_code = BF_EXIT_NOT_ROOT;
	s->counters = calloc(s->rules.nr_entries, sizeof(*s->counters));
	return err ?: s->counters ? 0 : -ENOMEM;
}

static void close_side(struct bf_replay_side *s)
{
	bf_testrun_close(s->run);
	bf_flows_free(&s->flows);
	free(s->counters);
	bf_ruleset_free(&s->rules);
}

static int open_all(struct bf_replay *r, const struct options *o, struct bf_capture **capture,
		    int *exit_code, struct bf_why *why)
{
	struct bf_why no_links = {};
	struct bf_kernel kernel;
	int err;

	*exit_code = BF_EXIT_USAGE;
	r->context = o->context;
	r->nr_sides = o->against ? 2 : 1;
	err = bf_capture_open(capture, o->capture, why);
	if (!err)
		err = bf_env_look(&kernel, &no_links);
	if (err && no_links.text[0]) {
		*exit_code = BF_EXIT_FAILED;
		return bf_why(why, err, "%s", no_links.text);
	}
	if (!err)
		err = open_side(&r->sides[0], o->live ? NULL : o->rules, &kernel, exit_code, why);
	if (!err && o->against)
		err = open_side(&r->sides[1], o->against, &kernel, exit_code, why);
	return err;
}

static int replay(const struct options *o)
{
	struct bf_capture *capture = NULL;
	struct bf_replay r = {};
	struct bf_why why = {};
	int exit_code, err;

	err = open_all(&r, o, &capture, &exit_code, &why);
	if (!err) {
		exit_code = BF_EXIT_USAGE;
		err = bf_replay_run(&r, capture, stdout, &o->show, &why);
		if (!err)
			bf_replay_end(stdout, &r, &o->show);
	}
	fflush(stdout);
	if (err)
		bf_log(BF_LOG_ERR, "%s", why.text);
	else
		exit_code = r.differ ? 1 : 0;
	bf_capture_close(capture);
	close_side(&r.sides[0]);
	close_side(&r.sides[1]);
	return exit_code;
}

int bf_cmd_replay(int argc, char **argv)
{
	struct options o = {.context.hook = NF_INET_LOCAL_IN, .context.ct = BF_CT_FLOWS};
	int ret;

	if (parse(argc, argv, &o, &ret))
		return ret;
	return replay(&o);
}
