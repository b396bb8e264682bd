// SPDX-License-Identifier: GPL-2.0
/*
 * The same filter table in two worlds, one usually served by the kernel's ip_tables and the other
 * by bpfilter; the same packets through both; every packet that comes out and every counter
 * compared.
 */
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <dirent.h>

#include "lab.h"
#include "module.h"
#include "session.h"
#include "uapi/bpfilter.h"

static const char usage[] =
	"usage: differential [OPTION...]\n"
	"  --left=CMD, --right=CMD  how iptables is run in the two worlds: words before the command,\n"
	"                    such as \"bpfilter run --\". Default: none, and \"$BPFILTER run --\";\n"
	"                    with BPFILTER_THROUGH=module none, and the first world is excluded\n"
	"  --attach=P        the second is \"$BPFILTER run --attach=P --\"; of tc and xdp, which filter at\n"
	"                    interfaces, only what may never happen is a failure: that it accepts what\n"
	"                    the first one drops\n"
	"  --replay          \"bpfilter replay\" as a third side: of what the first world's filter table was\n"
	"                    given, it must say what the kernel has done\n"
	"  --seed=N          default: the time\n"
	"  --sets=N          random rule sets (300)\n"
	"  --packets=N       packets for each (1000)\n"
	"  --shapes=N        large rule sets of each shape (1)\n"
	"  --shape-rules=N   rules that they have at most (2000)\n"
	"  --corpus=DIR      saves/*.save and pcaps/* there ($BPFILTER_CORPUS)\n"
	"  --rules-dir=DIR   more dumps (selftests/rules, where there is such a folder)\n"
	"  --rules=FILE      only this dump\n"
	"  --set=N           only random rule set N\n"
	"  --soak            random rule sets until stopped\n"
	"  --shrink=SECONDS  how long to make a failure smaller (60)\n"
	"  --mutants         change a rule on one side: is it noticed?\n"
	"  --verbose         say why tables are refused, or left to ip_tables\n"
	"  --keep-going      go on after a difference\n";

enum option_name {
	O_LEFT = 256,
	O_RIGHT,
	O_ATTACH,
	O_REPLAY,
	O_SEED,
	O_SETS,
	O_PACKETS,
	O_SHAPES,
	O_SHAPE_RULES,
	O_CORPUS,
	O_RULES_DIR,
	O_RULES,
	O_SET,
	O_SHRINK,
	O_SOAK,
	O_MUTANTS,
	O_VERBOSE,
	O_KEEP_GOING,
	O_AGENT,
	O_HELP
};

static const struct option options[] = {
	{"left", required_argument, NULL, O_LEFT},
	{"right", required_argument, NULL, O_RIGHT},
	{"attach", required_argument, NULL, O_ATTACH},
	{"replay", no_argument, NULL, O_REPLAY},
	{"seed", required_argument, NULL, O_SEED},
	{"sets", required_argument, NULL, O_SETS},
	{"packets", required_argument, NULL, O_PACKETS},
	{"shapes", required_argument, NULL, O_SHAPES},
	{"shape-rules", required_argument, NULL, O_SHAPE_RULES},
	{"corpus", required_argument, NULL, O_CORPUS},
	{"rules-dir", required_argument, NULL, O_RULES_DIR},
	{"rules", required_argument, NULL, O_RULES},
	{"set", required_argument, NULL, O_SET},
	{"shrink", required_argument, NULL, O_SHRINK},
	{"soak", no_argument, NULL, O_SOAK},
	{"mutants", no_argument, NULL, O_MUTANTS},
	{"verbose", no_argument, NULL, O_VERBOSE},
	{"keep-going", no_argument, NULL, O_KEEP_GOING},
	{"agent", no_argument, NULL, O_AGENT},
	{"help", no_argument, NULL, O_HELP},
	{NULL, 0, NULL, 0},
};

/**
 * struct command_line - what is to be done, beside what the session knows
 * @set: one random rule set, or -1
 */
struct command_line {
	const char *left, *right, *attach, *rules;
	long set;
	bool soak, mutants, agent;
};

static bool parse(int argc, char **argv, struct session *s, struct command_line *cl)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case O_LEFT:
			cl->left = optarg;
			break;
		case O_RIGHT:
			cl->right = optarg;
			break;
		case O_ATTACH:
			cl->attach = optarg;
			break;
		case O_REPLAY:
			s->third = true;
			break;
		case O_SEED:
			s->seed = strtoull(optarg, NULL, 0);
			break;
		case O_SETS:
			s->sets = strtoul(optarg, NULL, 0);
			break;
		case O_PACKETS:
			s->packets = strtoul(optarg, NULL, 0);
			break;
		case O_SHAPES:
			s->shapes = strtoul(optarg, NULL, 0);
			break;
		case O_SHAPE_RULES:
			s->shape_rules = strtoul(optarg, NULL, 0);
			break;
		case O_CORPUS:
			s->corpus = optarg;
			break;
		case O_RULES_DIR:
			s->rules_dir = optarg;
			break;
		case O_RULES:
			cl->rules = optarg;
			break;
		case O_SET:
			cl->set = strtol(optarg, NULL, 0);
			break;
		case O_SHRINK:
			s->shrink_seconds = strtoul(optarg, NULL, 0);
			break;
		case O_SOAK:
			cl->soak = true;
			break;
		case O_MUTANTS:
			cl->mutants = true;
			break;
		case O_VERBOSE:
			s->verbose = true;
			break;
		case O_KEEP_GOING:
			s->keep_going = true;
			break;
		case O_AGENT:
			cl->agent = true;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

/* One CPU: packets stay in order then. */
static void stay_here(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void load_captures(struct session *s)
{
	char dir[400], path[700];
	struct dirent **names;
	int n, i;

	if (!s->corpus)
		return;
	snprintf(dir, sizeof(dir), "%s/pcaps", s->corpus);
	n = scandir(dir, &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (strstr(names[i]->d_name, ".pcap")) {
			snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
			capture_load(&s->captured, path);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	printf("# %u captured packets\n", s->captured.nr);
}

static bool open_worlds(struct session *s, const struct command_line *cl)
{
	unsigned int nat;

	for (nat = 0; nat < 2; nat++) {
		s->duel[nat].prefix[0] = cl->left;
		s->duel[nat].prefix[1] = cl->right;
		s->duel[nat].nat = nat;
		s->duel[nat].verbose = s->verbose;
		s->duel[nat].early = s->early;
		s->duel[nat].native = s->native;
		s->duel[nat].clear = s->drivers && !nat;
		s->duel[nat].replay = s->third ? &s->replay : NULL;
		if (!duel_open(&s->duel[nat]))
			continue;
		if (nat)
			duel_close(&s->duel[0]);
		return false;
	}
	return true;
}

static void run_all(struct session *s)
{
	char dir[400];

	session_random(s);
	session_shapes(s);
	if (!s->third)
		session_limits(s);
	if (s->rules_dir)
		session_directory(s, s->rules_dir);
	if (s->corpus) {
		snprintf(dir, sizeof(dir), "%s/saves", s->corpus);
		session_directory(s, dir);
	}
}

static void run_one(struct session *s, uint64_t number)
{
	struct ruleset rules;
	unsigned int packets;

	session_draw(s, &rules, &packets, number);
	session_result(s, session_trial(s, &rules, packets, number), "%s", rules.name);
	ruleset_free(&rules);
}

static void run(struct session *s, const struct command_line *cl)
{
	session_sanity(s);
	if (s->third)
		session_third(s);
	if (s->failures)
		return;
	if (cl->mutants)
		session_mutants(s);
	else if (cl->soak)
		session_soak(s);
	else if (cl->rules)
		session_file(s, cl->rules);
	else if (cl->set >= 0)
		run_one(s, cl->set);
	else
		run_all(s);
}

/* What "" and nothing mean. */
static void settle(struct session *s)
{
	if (s->corpus && !*s->corpus)
		s->corpus = NULL;
	if (!s->rules_dir && !access("selftests/rules", R_OK))
		s->rules_dir = "selftests/rules";
	if (s->rules_dir && !*s->rules_dir)
		s->rules_dir = NULL;
}

/* So that "until stopped" ends in order. */
static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = sig;
}

static void catch_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
}

/* Veths are left alone by the placement auto unless they are named: in a file, whose name goes to @path. */
static void name_interfaces(char path[32])
{
	int fd = mkstemp(strcpy(path, "/tmp/differential.XXXXXX"));

	if (fd < 0 || dprintf(fd, "interface + auto\n") < 0)
		perror(path);
	if (fd >= 0)
		close(fd);
	setenv("BPFILTER_CONFIG", path, 1);
}

/* Why no table has the early-drop stage with this kernel, as one tells that nothing else is against; or nothing. */
static void look_for_stage(struct session *s, char *why, size_t size)
{
	static const char rules[] = "*filter\n-A INPUT -p udp --dport 9 -j DROP\nCOMMIT\n";
	const char *bpfilter = getenv("BPFILTER");
	struct text output = {};
	char command[512];
	FILE *f;

	agent_restore(&s->duel[0].side[1].agent, rules, &output);
	text_free(&output);
	snprintf(command, sizeof(command),
		 "'%s' status --json | grep -o -m 1 -e 'the table is not at links' "
		 "-e 'the kernel does not tell what there is' -e 'kallsyms does not tell'",
		 bpfilter ? bpfilter : "bpfilter");
	f = popen(command, "r");
	if (!f || !fgets(why, size, f))
		*why = '\0';
	if (f)
		pclose(f);
	why[strcspn(why, "\n")] = '\0';
}

/* Equal in all is also what does nothing. */
static void early_result(struct session *s, const char *why)
{
	unsigned long n = s->duel[0].dropped_early;

	if (!n && *why)
		session_result(s, true, "no packet was dropped early # SKIP %s", why);
	else
		session_result(
			s,
			n > s->done_pairs / 200 && s->tracked_drops > s->done_pairs / 2000 &&
				s->filtered_drops > s->done_pairs / 2000,
			"%lu packets were dropped early, %lu of them where states are looked at, %lu where "
			"rp_filter is on",
			n, s->tracked_drops, s->filtered_drops);
}

int main(int argc, char **argv)
{
	struct session s = {.seed = time(NULL),
			    .sets = 300,
			    .packets = 1000,
			    .shapes = 1,
			    .shape_rules = 2000,
			    .shrink_seconds = 60,
			    .corpus = getenv("BPFILTER_CORPUS")};
	struct command_line cl = {.left = "", .set = -1};
	char right[512], config[32] = "", why[128];
	struct lab lab;

	if (!parse(argc, argv, &s, &cl)) {
		fputs(usage, stderr);
		return 2;
	}
	if (cl.agent)
		return agent_serve(0);
	if (geteuid()) {
		printf("1..0 # SKIP needs root\n");
		return 4;
	}
	snprintf(right, sizeof(right), "'%s' run %s%s --",
		 getenv("BPFILTER") ? getenv("BPFILTER") : "bpfilter", cl.attach ? "--attach=" : "",
		 cl.attach ? cl.attach : "");
	s.early = cl.attach && (!strncmp(cl.attach, "tc", 2) || !strncmp(cl.attach, "xdp", 3));
	s.native = cl.attach && !strcmp(cl.attach, "xdp");
	s.drivers = cl.attach && !strcmp(cl.attach, "auto");
	if (s.drivers)
		name_interfaces(config);
	if (module_mode())
		right[0] = '\0';
	if (!cl.right)
		cl.right = right;
	/* Somebody who answers for iptables has to do so for all that is in the grammar. */
	s.strict = *cl.right || module_mode();
	s.module = !access(BPFILTER_DEVICE, F_OK);
	settle(&s);
	stay_here();
	printf("TAP version 13\n# seed %llu, left \"%s\", right \"%s\"\n",
	       (unsigned long long)s.seed, cl.left, cl.right);
	load_captures(&s);
	s.stop = &stop;
	catch_signals();
	if (lab_begin(&lab) || !open_worlds(&s, &cl)) {
		printf("Bail out! no worlds\n");
		lab_end(&lab);
		return 1;
	}
	run(&s, &cl);
	if (s.third)
		replay_summary(&s.replay);
	if (s.drivers)
		look_for_stage(&s, why, sizeof(why));
	duel_close(&s.duel[0]);
	duel_close(&s.duel[1]);
	if (s.drivers)
		early_result(&s, why);
	lab_end(&lab);
	packets_free(&s.captured);
	if (*config)
		unlink(config);
	printf("1..%u\n", s.test);
	return s.failures != 0;
}
