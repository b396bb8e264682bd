// SPDX-License-Identifier: GPL-2.0
/* bpfilter status [--json] and bpfilter detach [--all]: questions to the helper. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "client.h"
#include "cmd.h"
#include "env.h"
#include "wire.h"

static const char status_usage[] =
	"Usage: bpfilter status [--json]\n"
	"\n"
	"For each network namespace that bpfilter serves: who has the filter table, and why if it is\n"
	"the kernel; programs, rules, memory.\n"
	"\n"
	"  --json  for programs\n"
	"  --help  this text\n";

static const char detach_usage[] =
	"Usage: bpfilter detach [--all]\n"
	"\n"
	"Gives the filter table, with rules and counters, back to the kernel's ip_tables, and removes\n"
	"what bpfilter has put into the kernel.\n"
	"\n"
	"  --all   of every network namespace, not only the one this is run in\n"
	"  --help  this text\n";

int bf_usage_error(const char *command, const char *arg)
{
	bf_log(BF_LOG_ERR, "%s: wrong option or argument \"%s\": try \"bpfilter %s --help\"",
	       command, arg, command);
	return BF_EXIT_USAGE;
}

/*
 * The options of a command that has one, @name, beside --help. 0 or 1 for whether it was given;
 * or -1, and the exit status in *@ret.
 */
static int parse(int argc, char **argv, const char *name, const char *usage, int *ret)
{
	const struct option options[] = {
		{name, no_argument, NULL, 'x'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	int opt, given = 0;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'x') {
			given = 1;
			continue;
		}
		if (opt == 'h') {
			fputs(usage, stdout);
			*ret = 0;
		} else {
			*ret = bf_usage_error(argv[0], argv[optind - 1]);
		}
		return -1;
	}
	if (optind < argc) {
		*ret = bf_usage_error(argv[0], argv[optind]);
		return -1;
	}
	return given;
}

/* The helper, started if there is none, so that it takes up what is pinned. */
static int connect_helper(int *exit_code)
{
	struct bf_why why = {};
	const char *missing = NULL;
	int sk;

	if (geteuid() != 0 || !bf_caps_have(&missing)) {
		bf_log(BF_LOG_ERR, "%s is needed: run it as root", geteuid() ? "root" : missing);
		*exit_code = BF_EXIT_NOT_ROOT;
		return -EPERM;
	}
	sk = bf_client_start(exit_code, &why);
	if (sk < 0)
		bf_log(BF_LOG_ERR, "%s", why.text);
	return sk;
}

static int say_failed(const char *what, int err)
{
	const char *why = strerror(-err);

	if (err == -ECONNRESET)
		why = "the helper has died; try again";
	else if (err == -EBUSY)
		why = "ip_tables has rules of its own, set outside of bpfilter, which would be lost: "
		      "remove those first (iptables-legacy -F), and set its policies to ACCEPT";
	bf_log(BF_LOG_ERR, "%s: %s", what, why);
	return err == -ECONNRESET ? BF_EXIT_NO_HELPER : BF_EXIT_FAILED;
}

int bf_cmd_status(int argc, char **argv)
{
	int sk, err, exit_code;
	size_t len;
	char json;
	void *text;
	int given = parse(argc, argv, "json", status_usage, &exit_code);

	if (given < 0)
		return exit_code;
	json = given;
	sk = connect_helper(&exit_code);
	if (sk < 0)
		return exit_code;
	err = bf_client_call(sk, BF_CMD_STATUS, -1, &json, 1, &text, &len);
	close(sk);
	if (err)
		return say_failed("status", err);
	fwrite(text, 1, len, stdout);
	free(text);
	return 0;
}

int bf_cmd_detach(int argc, char **argv)
{
	int sk, err, exit_code, netns = -1;
	uint32_t count = 0;
	size_t len;
	void *data;
	int all = parse(argc, argv, "all", detach_usage, &exit_code);

	if (all < 0)
		return exit_code;
	if (!all) {
		netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (netns < 0)
			return say_failed("/proc/self/ns/net", -errno);
	}
	sk = connect_helper(&exit_code);
	if (sk < 0)
		return exit_code;
	err = bf_client_call(sk, BF_CMD_DETACH, netns, NULL, 0, &data, &len);
	close(sk);
	if (netns >= 0)
		close(netns);
	if (err)
		return say_failed("detach", err);
	memcpy(&count, data, len < sizeof(count) ? len : sizeof(count));
	free(data);
	if (count)
		printf("%u table%s given back to ip_tables\n", count, count == 1 ? "" : "s");
	else
		printf("nothing to give back%s\n", all ? "" : " in this network namespace");
	return 0;
}
