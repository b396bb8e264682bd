// SPDX-License-Identifier: GPL-2.0
/* bpfilter translate [OPTION...] [FILE|-] */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "env.h"
#include "trial.h"
#include "translation.h"

static const char usage[] =
	"Usage: bpfilter translate [OPTION...] [FILE|-]\n"
	"\n"
	"Shows what becomes of a rule set in iptables-save's format: the program, each rule beside the\n"
	"instructions or records that belong to it, sizes, what falls back to ip_tables and why. Nothing\n"
	"is changed; any user may, but only root is told what the verifier says.\n"
	"\n"
	"  --attach=WHERE  the hooks: netfilter, module, both, or auto (default): those that would be used\n"
	"  --live          the table in force in this network namespace, instead of a FILE\n"
	"  --chain=CHAIN   only the rules of this chain\n"
	"  --form=FORM     straight or records, whatever would be chosen\n"
	"  --json          for programs\n"
	"  --dot           the chains and decision trees as a graph, for dot(1)\n"
	"  --output=FILE   (-o) write the instructions to FILE, as raw struct bpf_insn\n"
	"  --help          this text\n";

struct options {
	const char *file, *chain, *output;
	bool live, json, dot, netfilter, module;
	enum bf_form form;
};

static int say_wrong(const char *option, const char *value)
{
	bf_log(BF_LOG_ERR, "translate: --%s=%s is not known: try \"bpfilter translate --help\"",
	       option, value);
	return BF_EXIT_USAGE;
}

static int set_attach(struct options *o, const char *value)
{
	o->netfilter = !strcmp(value, "netfilter") || !strcmp(value, "both");
	o->module = !strcmp(value, "module") || !strcmp(value, "both");
	if (!o->netfilter && !o->module && strcmp(value, "auto"))
		return say_wrong("attach", value);
	return 0;
}

static int set_form(struct options *o, const char *value)
{
	if (!strcmp(value, "straight"))
		o->form = BF_FORM_STRAIGHT;
	else if (!strcmp(value, "records"))
		o->form = BF_FORM_RECORDS;
	else if (strcmp(value, "auto"))
		return say_wrong("form", value);
	return 0;
}

/* 0, or -1 with the exit status in *@ret. */
static int parse(int argc, char **argv, struct options *o, int *ret)
{
	static const struct option options[] = {
		{"attach", required_argument, NULL, 'a'},
		{"live", no_argument, NULL, 'l'},
		{"chain", required_argument, NULL, 'c'},
		{"form", required_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},
		{"dot", no_argument, NULL, 'd'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	int opt;

	*ret = 0;
	opterr = 0;
	while (!*ret && (opt = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		if (opt == 'a')
			*ret = set_attach(o, optarg);
		else if (opt == 'f')
			*ret = set_form(o, optarg);
		else if (opt == 'c')
			o->chain = optarg;
		else if (opt == 'o')
			o->output = optarg;
		else if (opt == '?')
			*ret = bf_usage_error(argv[0], argv[optind - 1]);
		o->live |= opt == 'l';
		o->json |= opt == 'j';
		o->dot |= opt == 'd';
	}
	if (!*ret && optind < argc)
		o->file = argv[optind++];
	if (!*ret && (optind < argc || (o->live && o->file)))
		*ret = bf_usage_error(argv[0], argv[argc - 1]);
	return *ret ? -1 : 0;
}

/* The placements that are asked for. How many, or -ENOMEM. */
static int translate(const struct bf_ruleset *rules, const struct bf_kernel *kernel,
		     const struct options *o, struct bf_translation t[2])
{
	bool automatic = !o->netfilter && !o->module;
	int n = 0, err = 0;

	if (o->netfilter || automatic)
		err = bf_translation_make(&t[n++], rules, kernel, BF_ATTACH_LINK, o->form);
	if (!err && (o->module || (automatic && !t[0].program)))
		err = bf_translation_make(&t[n++], rules, kernel, BF_ATTACH_MODULE, o->form);
	return err ?: n;
}

static int write_insns(const char *file, const struct bf_translation *t, int n)
{
	size_t size = sizeof(*t->program->insns);
	FILE *f;
	int i;

	for (i = 0; i < n && !t[i].program; i++)
		;
	if (i == n) {
		bf_log(BF_LOG_ERR, "%s: not written: there is no program", file);
		return BF_EXIT_FAILED;
	}
	f = fopen(file, "we");
	if (!f ||
	    fwrite(t[i].program->insns, size, t[i].program->nr_insns, f) !=
		    t[i].program->nr_insns ||
	    fclose(f)) {
		bf_log(BF_LOG_ERR, "%s: %s", file, strerror(errno));
		return BF_EXIT_FAILED;
	}
	return 0;
}

static int show_all(const struct bf_ruleset *rules, const struct options *o,
		    struct bf_translation *t, int n)
{
	struct bf_show show = {.chain = UINT32_MAX};

	if (o->chain) {
		show.chain = bf_ruleset_chain(rules, o->chain);
		if (show.chain == UINT32_MAX) {
			bf_log(BF_LOG_ERR, "%s: there is no chain %s in it", rules->name, o->chain);
			return BF_EXIT_USAGE;
		}
	}
	if (o->dot)
		bf_translation_dot(stdout, rules, t, n, &show);
	else if (o->json)
		bf_translation_json(stdout, rules, t, n, &show);
	else if (!o->output)
		bf_translation_text(stdout, rules, t, n, &show);
	return o->output ? write_insns(o->output, t, n) : 0;
}

static int run(const struct options *o)
{
	struct bf_translation t[2] = {};
	struct bf_ruleset rules;
	struct bf_kernel kernel;
	struct bf_why why = {};
	int exit_code, err, n = 0;

	err = o->live ? bf_ruleset_live(&rules, &exit_code, &why)
		      : bf_ruleset_read(&rules, o->file, &exit_code, &why);
	if (!err && (err = bf_env_look(&kernel, &why)))
		exit_code = BF_EXIT_FAILED;
	if (!err && rules.table) {
		bf_trial_look(&kernel, rules.table);
		kernel.asks_instead = !kernel.has_links;
		n = translate(&rules, &kernel, o, t);
		if (n < 0) {
			err = bf_why(&why, n, "no memory");
			exit_code = BF_EXIT_FAILED;
		}
	}
	if (err)
		bf_log(BF_LOG_ERR, "%s", why.text);
	else
		exit_code = show_all(&rules, o, t, n);
	bf_translation_free(&t[0]);
	bf_translation_free(&t[1]);
	bf_ruleset_free(&rules);
	return exit_code;
}

int bf_cmd_translate(int argc, char **argv)
{
	struct options o = {.form = BF_FORM_AUTO};
	int ret;

	if (parse(argc, argv, &o, &ret))
		return ret;
	return run(&o);
}
