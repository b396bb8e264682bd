// SPDX-License-Identifier: GPL-2.0
/* bpfilter status: asked of the helper, once or again and again. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "cmd.h"
#include "env.h"
#include "meter.h"
#include "new_file.h"
#include "status.h"
#include "watch.h"

#define DEFAULT_INTERVAL 2
#define MAX_INTERVAL	 86400

static const char usage[] =
	"Usage: bpfilter status [--json | --prometheus[=FILE] [--rules=N] | --watch[=SECONDS] [--rules=N]]\n"
	"\n"
	"For each network namespace that bpfilter serves: who has the filter table, and why if it is\n"
	"the kernel; placement, programs, rules, memory, counters, the last replace. As root.\n"
	"\n"
	"  --json               for programs\n"
	"  --prometheus[=FILE]  in the text format of Prometheus; into FILE, which is replaced at once, for\n"
	"                       node_exporter's textfile collector\n"
	"  --watch[=SECONDS]    the busiest rules, with packets and bytes a second, every 2 or SECONDS\n"
	"                       seconds, until interrupted\n"
	"  --rules=N            with --prometheus: also the N rules with the most packets; with --watch:\n"
	"                       at most N rules (1 to 1000)\n"
	"  --help               this text\n";

/**
 * struct options - what was asked for
 * @interval: seconds; 0: once
 * @rules: 0 if not given
 */
struct options {
	enum bf_status_form form;
	const char *file;
	unsigned int interval, rules;
};

/* A decimal number from 1 to @max, or 0 if it is none. */
static unsigned int number(const char *text, unsigned int max)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	n = strtoul(text, &end, 10);
	return errno || *end || n > max ? 0 : n;
}

/* Returns the exit status. */
static int say_wrong(const char *option, const char *value, unsigned int max)
{
	bf_log(BF_LOG_ERR, "status: --%s=%s: a number from 1 to %u is needed", option, value, max);
	return BF_EXIT_USAGE;
}

static int check(const struct options *o)
{
	const char *wrong = NULL;

	if (o->interval && o->form != BF_STATUS_TEXT)
		wrong = "--watch does not go with --json or --prometheus";
	else if (o->rules && !o->interval && o->form != BF_STATUS_PROMETHEUS)
		wrong = "--rules goes with --watch or --prometheus";
	else if (o->file && !*o->file)
		wrong = "--prometheus=: the name of a file is missing";
	if (wrong)
		bf_log(BF_LOG_ERR, "status: %s", wrong);
	return wrong ? BF_EXIT_USAGE : 0;
}

/* One form or the other. */
static int set_form(struct options *o, enum bf_status_form form)
{
	if (o->form != BF_STATUS_TEXT && o->form != form) {
		bf_log(BF_LOG_ERR, "status: --json does not go with --prometheus");
		return BF_EXIT_USAGE;
	}
	o->form = form;
	return 0;
}

static int take_option(struct options *o, int opt, char *const *argv)
{
	switch (opt) {
	case 'j':
		return set_form(o, BF_STATUS_JSON);
	case 'p':
		o->file = optarg;
		return set_form(o, BF_STATUS_PROMETHEUS);
	case 'w':
		o->interval = optarg ? number(optarg, MAX_INTERVAL) : DEFAULT_INTERVAL;
		return o->interval ? 0 : say_wrong("watch", optarg, MAX_INTERVAL);
	case 'r':
		o->rules = number(optarg, BF_WATCH_MAX_ROWS);
		return o->rules ? 0 : say_wrong("rules", optarg, BF_WATCH_MAX_ROWS);
	default:
		return bf_usage_error(argv[0], argv[optind - 1]);
	}
}

/* 0, or -1 and the exit status in *@ret. */
static int parse(int argc, char **argv, struct options *o, int *ret)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"prometheus", optional_argument, NULL, 'p'},
		{"watch", optional_argument, NULL, 'w'},
		{"rules", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	int opt;

	opterr = 0;
	*ret = 0;
	while (!*ret && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(usage, stdout);
			return -1;
		}
		*ret = take_option(o, opt, argv);
	}
	if (!*ret && optind < argc)
		*ret = bf_usage_error(argv[0], argv[optind]);
	if (!*ret)
		*ret = check(o);
	return *ret ? -1 : 0;
}

/* The text, with the single rules behind it that were asked for. 0 or -errno. */
static int add_rules(int sk, unsigned int rules, char **text, size_t *len)
{
	struct bf_meter m = {};
	size_t data_len;
	void *data;
	char *all = NULL;
	FILE *f;
	int err = bf_client_call(sk, BF_CMD_TABLES, -1, NULL, 0, &data, &data_len);

	if (!err)
		err = bf_meter_take(&m, data, data_len);
	free(data);
	f = err ? NULL : open_memstream(&all, &data_len);
	if (!err && !f)
		err = -ENOMEM;
	if (f) {
		fwrite(*text, 1, *len, f);
		err = bf_meter_prometheus(f, &m, rules);
		if (fclose(f))
			err = -ENOMEM;
	}
	bf_meter_free(&m);
	if (err) {
		free(all);
		return err;
	}
	free(*text);
	*text = all;
	*len = data_len;
	return 0;
}

/* There can be no file of that name, however much room there is and whoever asks. */
static bool is_wrong_name(int err)
{
	return err == -EINVAL || err == -ENOENT || err == -ENOTDIR || err == -EISDIR ||
	       err == -ENAMETOOLONG || err == -ELOOP;
}

/* Returns the exit status. */
static int put_out(const char *file, const char *text, size_t len)
{
	struct bf_why why = {};
	int err = file ? bf_new_file(file, text, len, &why) : 0;

	if (err) {
		bf_log(BF_LOG_ERR, "%s", why.text);
		return is_wrong_name(err) ? BF_EXIT_USAGE : BF_EXIT_FAILED;
	}
	if (!file && (fwrite(text, 1, len, stdout) != len || fflush(stdout))) {
		bf_log(BF_LOG_ERR, "standard output: %s", strerror(errno));
		return BF_EXIT_FAILED;
	}
	return 0;
}

static int show(int sk, const struct options *o)
{
	const uint8_t form = o->form;
	size_t len;
	char *text;
	int ret, err;

	err = bf_client_call(sk, BF_CMD_STATUS, -1, &form, 1, (void **)&text, &len);
	if (!err && o->rules)
		err = add_rules(sk, o->rules, &text, &len);
	ret = err ? bf_cmd_failed("status", err) : put_out(o->file, text, len);
	free(text);
	return ret;
}

int bf_cmd_status(int argc, char **argv)
{
	struct options o = {.form = BF_STATUS_TEXT};
	int sk, ret;

	if (parse(argc, argv, &o, &ret))
		return ret;
	sk = bf_cmd_connect(&ret);
	if (sk < 0)
		return ret;
	ret = o.interval ? bf_watch(sk, o.interval, o.rules) : show(sk, &o);
	close(sk);
	return ret;
}
