// SPDX-License-Identifier: GPL-2.0
/* The bpfilter command. */
#include <stdio.h>
#include <string.h>

#include "bpfilter.h"
#include "cmd.h"
#include "env.h"

static const struct command {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *help;
} commands[] = {
	{"run", bf_cmd_run, "run a command with its iptables filter table as eBPF"},
	{"status", bf_cmd_status, "what filters in each network namespace"},
	{"detach", bf_cmd_detach, "give the table back to the kernel's ip_tables"},
	{"stop", bf_cmd_stop, "give all tables back and end, so that the module can be unloaded"},
	{"translate", bf_cmd_translate, "what becomes of a rule set, instruction by instruction"},
	{"replay", bf_cmd_replay, "what a rule set does to the packets of a capture"},
	{"explain", bf_cmd_explain, "the way of one packet through the chains, in words"},
	{"umh", bf_cmd_umh, "the helper, which the others start by themselves"},
};

static void usage(FILE *f)
{
	size_t i;

	fputs("Usage: bpfilter COMMAND [OPTION...]\n"
	      "\n"
	      "Runs the iptables filter table as eBPF.\n"
	      "\n",
	      f);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-12s%s\n", commands[i].name, commands[i].help);
	fputs("  help        this text\n"
	      "\n"
	      "\"bpfilter COMMAND --help\" says more. \"bpfilter --version\" gives the version.\n",
	      f);
}

static bool is_any(const char *s, const char *a, const char *b, const char *c)
{
	return strcmp(s, a) == 0 || strcmp(s, b) == 0 || strcmp(s, c) == 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	size_t i;

	if (is_any(name, "help", "--help", "-h")) {
		usage(stdout);
		return 0;
	}
	if (is_any(name, "version", "--version", "-V")) {
		puts("bpfilter " BPFILTER_RELEASE);
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].main(argc - 1, argv + 1);
	if (argc > 1)
		bf_log(BF_LOG_ERR, "%s: no such command: try \"bpfilter --help\"", name);
	else
		usage(stderr);
	return BF_EXIT_USAGE;
}
