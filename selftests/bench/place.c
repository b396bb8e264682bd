// SPDX-License-Identifier: GPL-2.0
#include "place.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel_table.h"

static int failed(const char *what)
{
	int err = -errno;

	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	return err;
}

int place_enter(struct place *p)
{
	char path[sizeof(p->dir) + 16];
	struct bf_why why = {};
	int exit_code, err;

	memset(p, 0, sizeof(*p));
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return failed("namespaces");
	/* In this mount namespace alone: nothing has to be removed. */
	strcpy(p->dir, "/tmp");
	if (mount("bench", p->dir, "tmpfs", 0, NULL))
		return failed("a folder in memory");
	snprintf(path, sizeof(path), "%s/bpf", p->dir);
	if (mkdir(path, 0700))
		return failed(path);
	strcat(path, "/pins");
	setenv("BPFILTER_PIN_DIR", path, 1);
	snprintf(path, sizeof(path), "%s/lock", p->dir);
	setenv("XTABLES_LOCKFILE", path, 1);
	err = bf_env_open(&p->env, &exit_code, &why);
	if (err)
		fprintf(stderr, "bench: %s\n", why.text);
	return err;
}

static int restore(const char *text, struct bf_why *why)
{
	FILE *f = popen("iptables-legacy-restore", "w");
	int status;

	if (!f)
		return failed("iptables-legacy-restore");
	fputs(text, f);
	status = pclose(f);
	if (!status)
		return 0;
	return bf_why(why, -EINVAL, "iptables-legacy-restore refuses the rules");
}

static int check(const struct bf_kernel_table *k, struct bf_table **table, struct bf_why *why)
{
	size_t len = sizeof(struct ipt_replace) + k->info.size;
	struct ipt_replace *r = calloc(1, len);
	int err;

	if (!r)
		return -ENOMEM;
	strcpy(r->name, k->info.name);
	r->valid_hooks = k->info.valid_hooks;
	r->num_entries = k->info.num_entries;
	r->size = k->info.size;
	r->num_counters = 3;
	memcpy(r->hook_entry, k->info.hook_entry, sizeof(r->hook_entry));
	memcpy(r->underflow, k->info.underflow, sizeof(r->underflow));
	memcpy(r->entries, k->entries, k->info.size);
	err = bf_table_check(r, len, table, why);
	free(r);
	return err == BF_NOT_TRANSLATABLE ? -EOPNOTSUPP : err;
}

static int read_table(struct bf_table **table, struct bf_why *why)
{
	struct bf_kernel_table *k;
	int sk = bf_kernel_socket(), err;

	if (sk < 0)
		return sk;
	err = bf_kernel_read(sk, &k);
	if (!err) {
		err = check(k, table, why);
		bf_kernel_table_free(k);
	}
	close(sk);
	return err;
}

int place_table(struct place *p, const char *text, struct bf_table **table, struct bf_why *why)
{
	int sk, err = restore(text, why);

	*table = NULL;
	err = err ?: read_table(table, why);
	if (err)
		return err;
	sk = bf_kernel_socket();
	err = sk < 0 ? sk : bf_kernel_clear(sk, NULL, NULL);
	if (sk >= 0)
		close(sk);
	return err;
}
