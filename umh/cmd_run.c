// SPDX-License-Identifier: GPL-2.0
/* bpfilter run [--attach=PLACEMENT] [--] COMMAND [ARG...] */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "client.h"
#include "cmd.h"
#include "config.h"
#include "device.h"
#include "env.h"
#include "run.h"
#include "seccomp.h"

static const char usage[] =
	"Usage: bpfilter run [--attach=PLACEMENT] [--] COMMAND [ARG...]\n"
	"\n"
	"Runs COMMAND, and everything it starts, with the iptables filter table (IPv4) as eBPF.\n"
	"COMMAND and its iptables (the legacy variant) stay as they are. Where bpfilter's kernel module\n"
	"is loaded, that is so for all iptables anyway, and COMMAND is only started, by any user.\n"
	"\n"
	"  --attach=PLACEMENT  where the programs go:\n"
	"      netfilter       the hooks of ip_tables\n"
	"      tc              the interfaces, at tc\n"
	"      xdp             the interfaces, in the driver where it can; OUTPUT at tc\n"
	"      xdp,generic     the same for drivers that cannot\n"
	"      offload         as xdp, and what network cards can drop, on those\n"
	"      auto            netfilter where the kernel can (6.4 or later, or the module), else tc;\n"
	"                      and drivers drop early what INPUT or FORWARD is certain to drop\n"
	"                      If not given: what the configuration file says, or as auto, but for the last.\n"
	"  --help              this text\n"
	"\n"
	"Exit status: that of COMMAND, 128+N if signal N killed it, or\n"
	"    2  wrong usage\n"
	"  118  COMMAND is an iptables-legacy, and there is none on the machine\n"
	"  119  below another \"bpfilter run\"\n"
	"  120  a privilege is missing\n"
	"  121  bpffs cannot be mounted or written\n"
	"  122  the kernel has no BTF\n"
	"  123  the kernel is too old\n"
	"  124  the helper cannot be started or reached\n"
	"  125  another failure of bpfilter\n"
	"  126  COMMAND cannot be executed\n"
	"  127  COMMAND was not found\n";

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* @attach: receives the one of struct bpfilter_request */
static int parse(int argc, char **argv, uint32_t *attach)
{
	static const struct option options[] = {
		{"attach", required_argument, NULL, 'a'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	int opt;

	opterr = 0;
	/* "+": what follows COMMAND belongs to it */
	while ((opt = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			exit(0);
		}
		if (opt == 'a' && bf_placement_parse(optarg) < 0) {
			bf_log(BF_LOG_ERR,
			       "--attach=%s: only auto, netfilter, tc, xdp, xdp,generic and "
			       "offload are known",
			       optarg);
			return -EINVAL;
		}
		if (opt == 'a')
			*attach = bf_placement_parse(optarg) + 1;
		if (opt == '?') {
			bf_usage_error(argv[0], argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (optind == argc) {
		bf_log(BF_LOG_ERR, "run: which command? Try \"bpfilter run --help\"");
		return -EINVAL;
	}
	return 0;
}

static bool is_iptables(const char *name)
{
	static const char *const names[] = {
		"iptables",	   "iptables-save",	   "iptables-restore",
		"iptables-legacy", "iptables-legacy-save", "iptables-legacy-restore"};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static int say_not_found(const char *command, int err)
{
	if (err == -EACCES) {
		bf_log(BF_LOG_ERR, "%s: found, but it cannot be executed", command);
		return BF_EXIT_CANNOT_EXEC;
	}
	if (is_iptables(base_name(command))) {
		bf_log(BF_LOG_ERR,
		       "%s: not found: install the package that has iptables-legacy (Debian, "
		       "Ubuntu: apt install iptables)",
		       command);
		return BF_EXIT_NO_IPTABLES;
	}
	bf_log(BF_LOG_ERR, "%s: not found", command);
	return BF_EXIT_NOT_FOUND;
}

/* The nf_tables variant never makes the calls that we answer. */
static void warn_nft_variant(const char *command, const char *path)
{
	char real[PATH_MAX];
	const char *name = base_name(command);

	if (!has_prefix(name, "iptables") || !realpath(path, real) ||
	    strcmp(base_name(real), "xtables-nft-multi"))
		return;
	bf_log(BF_LOG_WARN,
	       "%s is the nf_tables variant, which bpfilter does not see: use "
	       "iptables-legacy%s",
	       name,
	       has_prefix(name, "iptables-nft") ? name + strlen("iptables-nft")
						: name + strlen("iptables"));
}

/* What must be there before anything is started: 0 or one of enum bf_exit. */
static int check_system(struct bf_why *why)
{
	const char *missing = NULL;

	if (bf_client_inside()) {
		bf_why(why, 0,
		       "this is already below a \"bpfilter run\": start the command directly, its "
		       "iptables is served");
		return BF_EXIT_NESTED;
	}
	if (geteuid() != 0 || !bf_caps_have(&missing)) {
		bf_why(why, 0, "%s is needed: run it as root (sudo bpfilter run ...)",
		       geteuid() ? "root" : missing);
		return BF_EXIT_NOT_ROOT;
	}
	return bf_seccomp_check(why) ? BF_EXIT_OLD_KERNEL : 0;
}

static int start_helper(struct bf_why *why)
{
	int exit_code = BF_EXIT_NO_HELPER;
	int sk = bf_client_start(&exit_code, why);

	if (sk < 0)
		return exit_code;
	close(sk);
	return 0;
}

/*
 * The module sees the calls of all processes; that the helper can be had is better known now than from each
 * iptables. Who cannot open the device cannot start one: the module does.
 */
static int run_with_module(const char *path, char **argv, uint32_t attach, struct bf_why *why)
{
	int err, exit_code;

	if (attach)
		bf_log(BF_LOG_WARN,
		       "--attach has no effect where the kernel module is loaded: write \"attach %s\" "
		       "into %s",
		       bf_placement_name(attach - 1), bf_config_path());
	if (!access(BPFILTER_DEVICE, R_OK | W_OK) && bf_caps_have(NULL)) {
		err = bf_client_serve_module(&exit_code, why);
		if (err && err != -EBUSY)
			return exit_code;
	}
	return bf_run_directly(path, argv, why);
}

static int run_without_module(const char *path, char **argv, uint32_t attach, struct bf_why *why)
{
	return check_system(why) ?: start_helper(why) ?: bf_run_exec(path, argv, attach, why);
}

int bf_cmd_run(int argc, char **argv)
{
	char path[PATH_MAX];
	struct bf_why why = {};
	uint32_t attach = 0;
	int ret;

	if (parse(argc, argv, &attach))
		return BF_EXIT_USAGE;
	argv += optind;
	ret = bf_run_find(argv[0], path);
	if (ret)
		return say_not_found(argv[0], ret);
	warn_nft_variant(argv[0], path);
	ret = bf_device_exists() ? run_with_module(path, argv, attach, &why)
				 : run_without_module(path, argv, attach, &why);
	if (why.text[0])
		bf_log(BF_LOG_ERR, "%s", why.text);
	return ret;
}
