// SPDX-License-Identifier: GPL-2.0
/*
 * bench COMMAND [OPTION...] - the parts of the benchmark, which selftests/bench.sh puts together
 *
 *	shapes	the kinds of rule sets
 *	rules	one of them, for iptables-legacy-restore
 *	lookup	what a search costs: nanoseconds a packet over an empty table
 *	packets	those that one accepts or drops, as a file of frames
 *	blast	frames through namespaces: packets a second
 *	stream	TCP through namespaces: bytes a second
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct option long_options[] = {
	{"shape", required_argument, NULL, 's'},
	{"rules", required_argument, NULL, 'n'},
	{"seed", required_argument, NULL, 'S'},
	{"form", required_argument, NULL, 'f'},
	{"attach", required_argument, NULL, 'a'},
	{"rounds", required_argument, NULL, 'r'},
	{"verdict", required_argument, NULL, 'v'},
	{"ms", required_argument, NULL, 'm'},
	{"json", no_argument, NULL, 'j'},
	{"input", no_argument, NULL, 'i'},
	{},
};

static int usage(void)
{
	fputs("usage: bench shapes\n"
	      "       bench rules --shape=SHAPE --rules=N [--seed=N]\n"
	      "       bench lookup --shape=SHAPE,... --rules=N,... [--seed=N] [--json]\n"
	      "                    [--form=auto|straight|records] [--attach=module|link]\n"
	      "                    [--rounds=N] [--ms=N]\n"
	      "       bench packets --shape=SHAPE --rules=N [--seed=N] --verdict=accept|drop\n"
	      "                    [--input]\n"
	      "       bench blast [--rounds=N] [--ms=N] LAB FRAMES NAME[=drop|=tc-drop|=own]...\n"
	      "       bench stream [--rounds=N] [--ms=N] LAB NAME[=pass|=here|=pass-here]...\n",
	      stderr);
	return 2;
}

/* The number of a word in a list that ends with NULL; -1 if it is not there. */
static int word(const char *const *words, const char *w)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(words[i], w))
			return i;
	return -1;
}

static int parse(struct options *o, int argc, char **argv)
{
	static const char *const forms[] = {"auto", "straight", "records", NULL};
	static const char *const attaches[] = {"link", "module", NULL};
	static const char *const verdicts[] = {"drop", "accept", NULL};
	int c;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 's':
			o->shapes = optarg;
			break;
		case 'n':
			o->rules = optarg;
			break;
		case 'S':
			o->seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			o->form = word(forms, optarg);
			break;
		case 'a':
			o->attach = word(attaches, optarg);
			break;
		case 'v':
			o->verdict = word(verdicts, optarg);
			break;
		case 'r':
			o->rounds = atoi(optarg);
			break;
		case 'm':
			o->ms = atoi(optarg);
			break;
		case 'j':
			o->json = true;
			break;
		case 'i':
			o->input = true;
			break;
		default:
			return -EINVAL;
		}
	}
	o->args = argv + optind;
	return (int)o->form < 0 || (int)o->attach < 0 || o->verdict < 0 || !o->rounds || !o->ms
		       ? -EINVAL
		       : 0;
}

static int each_size(const struct options *o, const struct shape *shape,
		     int (*fn)(void *arg, const struct shape *shape, uint32_t rules), void *arg)
{
	const char *at = o->rules;
	int status;

	while (*at) {
		char *end;
		unsigned long n = strtoul(at, &end, 10);

		if (end == at || !n || n > 10000000 || (*end && *end != ','))
			return usage();
		status = fn(arg, shape, n);
		if (status)
			return status;
		at = *end ? end + 1 : end;
	}
	return 0;
}

int for_each_set(const struct options *o,
		 int (*fn)(void *arg, const struct shape *shape, uint32_t rules), void *arg)
{
	char *list = strdup(o->shapes ?: ""), *name, *save = NULL;
	int status = 0;

	if (!o->shapes || !o->rules || !list) {
		free(list);
		return usage();
	}
	for (name = strtok_r(list, ",", &save); name && !status;
	     name = strtok_r(NULL, ",", &save)) {
		const struct shape *shape = shape_find(name);

		if (!shape) {
			fprintf(stderr, "bench: no shape \"%s\"\n", name);
			status = 2;
		} else {
			status = each_size(o, shape, fn, arg);
		}
	}
	free(list);
	return status;
}

static int cmd_shapes(const struct options *o)
{
	unsigned int i;

	for (i = 0; shape_at(i); i++)
		printf("%-12s %s\n", shape_at(i)->name, shape_at(i)->what);
	return 0;
}

static int print_rules(void *arg, const struct shape *shape, uint32_t rules)
{
	const struct options *o = arg;
	struct set *s = set_make(shape, rules, o->seed);
	char *text = set_text(s);

	fputs(text, stdout);
	free(text);
	set_free(s);
	return 0;
}

int cmd_rules(const struct options *o)
{
	return for_each_set(o, print_rules, (void *)o);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct options *o);
	} commands[] = {
		{"shapes", cmd_shapes},	  {"rules", cmd_rules}, {"lookup", cmd_lookup},
		{"packets", cmd_packets}, {"blast", cmd_blast}, {"stream", cmd_stream},
	};
	struct options o = {
		.seed = 1, .attach = BF_ATTACH_MODULE, .verdict = NF_ACCEPT, .rounds = 7, .ms = 40};
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return parse(&o, argc - 1, argv + 1) ? usage() : commands[i].run(&o);
	return usage();
}
