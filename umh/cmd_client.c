// SPDX-License-Identifier: GPL-2.0
/* bpfilter detach [--all] and stop [--force]: questions to the helper. */
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
#include "live.h"
#include "wire.h"

static const char detach_usage[] =
	"Usage: bpfilter detach [--all]\n"
	"\n"
	"Gives the filter table, with rules and counters, back to the kernel's ip_tables, and removes\n"
	"what bpfilter has put into the kernel.\n"
	"\n"
	"  --all   of every network namespace, not only the one this is run in\n"
	"  --help  this text\n";

static const char stop_usage[] =
	"Usage: bpfilter stop [--force]\n"
	"\n"
	"Gives the filter tables of all network namespaces, with rules and counters, back to the\n"
	"kernel's ip_tables, and ends the helper; the module then intercepts nothing and can be\n"
	"unloaded. If one table cannot go back, nothing is done. Any bpfilter command, and iptables below\n"
	"\"bpfilter run\", starts a helper again.\n"
	"\n"
	"  --force  drop the rules of tables that cannot go back\n"
	"  --help   this text\n";

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

static bool is_root(int *exit_code)
{
	const char *missing = NULL;

	if (geteuid() == 0 && bf_caps_have(&missing))
		return true;
	bf_log(BF_LOG_ERR, "%s is needed: run it as root", geteuid() ? "root" : missing);
	*exit_code = BF_EXIT_NOT_ROOT;
	return false;
}

int bf_cmd_connect(int *exit_code)
{
	struct bf_why why = {};
	int sk;

	if (!is_root(exit_code))
		return -EPERM;
	sk = bf_client_start(exit_code, &why);
	if (sk < 0)
		bf_log(BF_LOG_ERR, "%s", why.text);
	return sk;
}

int bf_cmd_failed(const char *what, int err)
{
	const char *why = strerror(-err);

	if (err == -ECONNRESET)
		why = "the helper has died; try again";
	else if (err == -EINVAL)
		why = "the helper that runs is of another version: end it, and a new one is started";
	else if (err == -EALREADY)
		why = "it is under way already";
	else if (err == -EBUSY)
		why = "ip_tables has rules of its own, set outside of bpfilter, which would be lost: "
		      "remove those first (iptables-legacy -F), and set its policies to ACCEPT";
	bf_log(BF_LOG_ERR, "%s: %s", what, why);
	return err == -ECONNRESET ? BF_EXIT_NO_HELPER : BF_EXIT_FAILED;
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
			return bf_cmd_failed("/proc/self/ns/net", -errno);
	}
	sk = bf_cmd_connect(&exit_code);
	if (sk < 0)
		return exit_code;
	err = bf_client_call(sk, BF_CMD_DETACH, netns, NULL, 0, &data, &len);
	close(sk);
	if (netns >= 0)
		close(netns);
	if (err)
		return bf_cmd_failed("detach", err);
	memcpy(&count, data, len < sizeof(count) ? len : sizeof(count));
	free(data);
	if (count)
		printf("%u table%s given back to ip_tables\n", count, count == 1 ? "" : "s");
	else
		printf("nothing to give back%s\n", all ? "" : " in this network namespace");
	return 0;
}

/* The helper's lines, which say what happened to each table that was not just given back. */
static void print_lines(enum bf_log_level level, char *text)
{
	char *line;

	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		bf_log(level, "%s", line);
}

static int say_stopped(int sk, const struct bf_stop_reply *reply, char *text)
{
	print_lines(reply->refused ? BF_LOG_ERR : BF_LOG_WARN, text);
	if (reply->given)
		printf("%u table%s given back to ip_tables\n", reply->given,
		       reply->given == 1 ? "" : "s");
	if (reply->refused) {
		bf_log(BF_LOG_ERR, "not stopped%s",
		       reply->given ? "" : ": everything is as it was");
		return BF_EXIT_FAILED;
	}
	if (bf_client_wait_gone(sk)) {
		bf_log(BF_LOG_ERR, "the helper does not end");
		return BF_EXIT_FAILED;
	}
	return 0;
}

int bf_cmd_stop(int argc, char **argv)
{
	int sk, err, exit_code;
	struct bf_stop_reply reply;
	size_t len;
	char *data, force;
	int given = parse(argc, argv, "force", stop_usage, &exit_code);

	if (given < 0 || !is_root(&exit_code))
		return exit_code;
	force = given;
	if (!bf_live_any()) {
		printf("nothing to stop\n");
		return 0;
	}
	sk = bf_cmd_connect(&exit_code);
	if (sk < 0)
		return exit_code;
	err = bf_client_call(sk, BF_CMD_STOP, -1, &force, 1, (void **)&data, &len);
	if (!err && len < sizeof(reply))
		err = -EPROTO;
	if (err) {
		exit_code = bf_cmd_failed("stop", err);
	} else {
		memcpy(&reply, data, sizeof(reply));
		exit_code = say_stopped(sk, &reply, data + sizeof(reply));
	}
	free(data);
	close(sk);
	return exit_code;
}
