// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "module.h"

enum agent_cmd { AGENT_RESTORE = 1, AGENT_SAVE, AGENT_READ, AGENT_REPLACE };

struct message {
	uint32_t cmd;
	int32_t result;
	uint32_t len;
};

static int send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EPIPE;
		p += n;
		len -= n;
	}
	return 0;
}

static int recv_all(int fd, void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EPIPE;
		p += n;
		len -= n;
	}
	return 0;
}

static int send_message(int fd, uint32_t cmd, int result, const void *data, size_t len)
{
	struct message m = {.cmd = cmd, .result = result, .len = len};
	int err = send_all(fd, &m, sizeof(m));

	return err ? err : send_all(fd, data, len);
}

static int recv_message(int fd, struct message *m, struct text *data)
{
	char *buf;
	int err = recv_all(fd, m, sizeof(*m));

	if (err)
		return err;
	buf = must_alloc(m->len);
	err = recv_all(fd, buf, m->len);
	text_reset(data);
	text_add_bytes(data, buf, m->len);
	free(buf);
	return err;
}

static int memory_file(const char *text, size_t len)
{
	int fd = memfd_create("agent", 0);

	if (fd < 0 || (len && write(fd, text, len) != (ssize_t)len)) {
		perror("memfd");
		exit(1);
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* Run a program; what it prints on both of its outputs is collected. */
static int run_collect(char *const argv[], const struct text *input, struct text *output)
{
	int in = memory_file(input->s, input->len), out = memory_file(NULL, 0), status = -1;
	pid_t pid = fork();

	if (!pid) {
		dup2(in, 0);
		dup2(out, 1);
		dup2(out, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, &status, 0);
	lseek(out, 0, SEEK_SET);
	text_reset(output);
	text_read_fd(output, out);
	close(in);
	close(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int table_image_read(struct table_image *image)
{
	int sk = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), err = 0;
	struct ipt_get_entries *get = NULL;
	socklen_t len = sizeof(image->info);

	memset(image, 0, sizeof(*image));
	strcpy(image->info.name, "filter");
	if (sk < 0)
		return -errno;
	if (getsockopt(sk, IPPROTO_IP, IPT_SO_GET_INFO, &image->info, &len)) {
		err = -errno;
		goto out;
	}
	len = sizeof(*get) + image->info.size;
	get = must_alloc(len);
	strcpy(get->name, "filter");
	get->size = image->info.size;
	if (getsockopt(sk, IPPROTO_IP, IPT_SO_GET_ENTRIES, get, &len)) {
		err = -errno;
		goto out;
	}
	image->entries = must_alloc(image->info.size);
	memcpy(image->entries, get->entrytable, image->info.size);
out:
	free(get);
	close(sk);
	return err;
}

void table_image_free(struct table_image *image)
{
	free(image->entries);
	memset(image, 0, sizeof(*image));
}

static int do_replace(const struct text *data)
{
	const struct ipt_getinfo *info = (const void *)data->s;
	struct ipt_getinfo now = {.name = "filter"};
	socklen_t len = sizeof(now);
	struct ipt_replace *r;
	int sk, err = 0;

	sk = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (sk < 0 || getsockopt(sk, IPPROTO_IP, IPT_SO_GET_INFO, &now, &len))
		return -errno;
	r = must_alloc(sizeof(*r) + info->size);
	strcpy(r->name, "filter");
	r->valid_hooks = info->valid_hooks;
	r->num_entries = info->num_entries;
	r->size = info->size;
	memcpy(r->hook_entry, info->hook_entry, sizeof(r->hook_entry));
	memcpy(r->underflow, info->underflow, sizeof(r->underflow));
	r->num_counters = now.num_entries;
	r->counters = must_alloc(now.num_entries * sizeof(*r->counters));
	memcpy(r->entries, data->s + sizeof(*info), info->size);
	if (setsockopt(sk, IPPROTO_IP, IPT_SO_SET_REPLACE, r, sizeof(*r) + info->size))
		err = -errno;
	free(r->counters);
	free(r);
	close(sk);
	return err;
}

static int serve_read(int sock)
{
	struct table_image image;
	struct text t = {0};
	int err = table_image_read(&image);

	text_add_bytes(&t, &image.info, sizeof(image.info));
	if (!err)
		text_add_bytes(&t, image.entries, image.info.size);
	table_image_free(&image);
	err = send_message(sock, AGENT_READ, err, t.s, t.len);
	text_free(&t);
	return err;
}

static int serve_one(int sock, const struct message *m, struct text *data)
{
	static char *const restore[] = {"iptables-legacy-restore", NULL};
	static char *const save[] = {"iptables-legacy-save", "-c", "-t", "filter", NULL};
	struct text output = {0};
	int result = 0;

	switch (m->cmd) {
	case AGENT_READ:
		return serve_read(sock);
	case AGENT_RESTORE:
		result = run_collect(restore, data, &output);
		break;
	case AGENT_SAVE:
		result = run_collect(save, data, &output);
		break;
	case AGENT_REPLACE:
		result = do_replace(data);
		break;
	}
	result = send_message(sock, m->cmd, result, output.s, output.len);
	text_free(&output);
	return result;
}

int agent_serve(int sock)
{
	struct text data = {0};
	struct message m;

	while (!recv_message(sock, &m, &data))
		if (serve_one(sock, &m, &data))
			break;
	text_free(&data);
	return 0;
}

static void agent_exec(int sock, int netns, const char *prefix, const char *lockfile)
{
	char self[256], command[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		_exit(127);
	self[n] = '\0';
	snprintf(command, sizeof(command), "exec %s '%s' --agent", prefix, self);
	/* A process group of its own: a key pressed on the terminal is for our parent alone. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setenv("XTABLES_LOCKFILE", lockfile, 1);
	if (setns(netns, CLONE_NEWNET) || dup2(sock, 0) < 0)
		_exit(126);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

int agent_start(struct agent *a, int netns, const char *prefix, const char *lockfile)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	a->pid = fork();
	if (!a->pid)
		agent_exec(pair[1], netns, prefix, lockfile);
	close(pair[1]);
	a->sock = pair[0];
	return a->pid < 0 ? -errno : 0;
}

void agent_stop(struct agent *a)
{
	if (a->sock >= 0)
		close(a->sock);
	if (a->pid > 0)
		waitpid(a->pid, NULL, 0);
	a->sock = -1;
	a->pid = 0;
}

static int ask(struct agent *a, uint32_t cmd, const void *data, size_t len, struct text *answer)
{
	struct message m;

	if (a->excluded >= 0 && module_exclude(a->excluded))
		fprintf(stderr, "no namespace can be excluded: is the module loaded?\n");
	if (send_message(a->sock, cmd, 0, data, len) || recv_message(a->sock, &m, answer)) {
		fprintf(stderr, "the agent died\n");
		return -EPIPE;
	}
	return m.result;
}

int agent_restore(struct agent *a, const char *rules, struct text *output)
{
	return ask(a, AGENT_RESTORE, rules, strlen(rules), output);
}

int agent_save(struct agent *a, struct text *output)
{
	return ask(a, AGENT_SAVE, NULL, 0, output);
}

int agent_read(struct agent *a, struct table_image *image)
{
	struct text t = {0};
	int err = ask(a, AGENT_READ, NULL, 0, &t);

	memset(image, 0, sizeof(*image));
	if (t.len >= sizeof(image->info))
		memcpy(&image->info, t.s, sizeof(image->info));
	if (!err) {
		image->entries = must_alloc(image->info.size);
		memcpy(image->entries, t.s + sizeof(image->info), image->info.size);
	}
	text_free(&t);
	return err;
}

int agent_replace(struct agent *a, const struct table_image *image)
{
	struct text t = {0}, none = {0};
	int err;

	text_add_bytes(&t, &image->info, sizeof(image->info));
	text_add_bytes(&t, image->entries, image->info.size);
	err = ask(a, AGENT_REPLACE, t.s, t.len, &none);
	text_free(&t);
	text_free(&none);
	return err;
}
