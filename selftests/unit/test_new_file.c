// SPDX-License-Identifier: GPL-2.0
/*
 * Files that are written all at once, and what is left when that fails.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "new_file.h"
#include "kselftest_harness.h"

FIXTURE(dir)
{
	char path[64];
	char file[80];
	struct bf_why why;
};

FIXTURE_SETUP(dir)
{
	strcpy(self->path, "/tmp/bf-new-file.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->path));
	snprintf(self->file, sizeof(self->file), "%s/metrics.prom", self->path);
	self->why.text[0] = '\0';
}

FIXTURE_TEARDOWN(dir)
{
	char command[96];

	chmod(self->path, 0700);
	snprintf(command, sizeof(command), "rm -rf %s", self->path);
	EXPECT_EQ(0, system(command));
}

/* Names in the folder, "." and ".." aside. */
static int files(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	int n = 0;

	while (dir && (d = readdir(dir)))
		n += strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
	if (dir)
		closedir(dir);
	return n;
}

/* What is in the file. */
static const char *text_of(const char *path)
{
	static char text[256];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	return text;
}

TEST_F(dir, written_and_replaced)
{
	struct stat a, b;
	int fd;

	umask(077);
	ASSERT_EQ(0, bf_new_file(self->file, "one\n", 4, &self->why));
	EXPECT_STREQ("one\n", text_of(self->file));
	ASSERT_EQ(0, stat(self->file, &a));
	/* node_exporter is another user. */
	EXPECT_EQ(0644, a.st_mode & 07777);
	fd = open(self->file, O_RDONLY);
	ASSERT_EQ(0, bf_new_file(self->file, "other\n", 6, &self->why));
	EXPECT_STREQ("other\n", text_of(self->file));
	ASSERT_EQ(0, stat(self->file, &b));
	EXPECT_NE(a.st_ino, b.st_ino);
	/* Who had it open reads what was there. */
	ASSERT_EQ(0, fstat(fd, &b));
	EXPECT_EQ(4, b.st_size);
	close(fd);
	EXPECT_EQ(1, files(self->path));
	ASSERT_EQ(0, chdir(self->path));
	EXPECT_EQ(0, bf_new_file("metrics.prom", "", 0, &self->why));
	EXPECT_STREQ("", text_of(self->file));
	EXPECT_EQ(0, chdir("/"));
}

/* Who owns the folder shall not lead root to other files. */
TEST_F(dir, a_link_is_not_followed)
{
	char link[80], through[96];
	struct stat st;

	snprintf(link, sizeof(link), "%s/link", self->path);
	ASSERT_EQ(0, symlink("metrics.prom", link));
	EXPECT_EQ(-EINVAL, bf_new_file(link, "x", 1, &self->why));
	EXPECT_EQ(-1, access(self->file, F_OK));
	ASSERT_EQ(0, bf_new_file(self->file, "x", 1, &self->why));
	EXPECT_EQ(-EINVAL, bf_new_file(link, "yy", 2, &self->why));
	EXPECT_NE(NULL, strstr(self->why.text, "link: a symbolic link"));
	EXPECT_STREQ("x", text_of(self->file));
	ASSERT_EQ(0, lstat(link, &st));
	EXPECT_TRUE(S_ISLNK(st.st_mode));
	EXPECT_EQ(2, files(self->path));
	/* Folders may be ones. */
	ASSERT_EQ(0, unlink(link));
	ASSERT_EQ(0, symlink(".", link));
	snprintf(through, sizeof(through), "%s/metrics.prom", link);
	EXPECT_EQ(0, bf_new_file(through, "yy", 2, &self->why));
	EXPECT_STREQ("yy", text_of(self->file));
}

TEST_F(dir, what_cannot_be_one)
{
	static const struct {
		const char *path;
		int err;
	} wrong[] = {
		{"/dev/full", -EINVAL},
		{"/dev/null", -EINVAL},
		{"/tmp", -EINVAL},
		{"/nonexistent/metrics.prom", -ENOENT},
		{"/dev/null/x", -ENOTDIR},
		{"/nonexistent/", -EISDIR},
		{"", -EISDIR},
	};
	struct stat st;
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		self->why.text[0] = '\0';
		EXPECT_EQ(wrong[i].err, bf_new_file(wrong[i].path, "x", 1, &self->why))
		{
			printf("# %s\n", wrong[i].path);
		}
		EXPECT_EQ(0, strncmp(self->why.text, wrong[i].path, strlen(wrong[i].path)));
		EXPECT_NE('\0', self->why.text[0]);
	}
	ASSERT_EQ(0, stat("/dev/null", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
}

/* A file that may not grow: as on a full disk, the write fails half-way. */
TEST_F(dir, no_room)
{
	const struct rlimit limit = {4096, 4096};
	char *big = calloc(1, 10000);
	int status;

	ASSERT_NE(NULL, big);
	ASSERT_EQ(0, bf_new_file(self->file, "old\n", 4, &self->why));
	if (!fork()) {
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(bf_new_file(self->file, big, 10000, &self->why) != -EFBIG);
	}
	ASSERT_LT(0, wait(&status));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("old\n", text_of(self->file));
	EXPECT_EQ(1, files(self->path));
	free(big);
}

/* A disk that is full in truth. */
TEST_F(dir, disk_full)
{
	char *big = calloc(1, 100000);

	ASSERT_NE(NULL, big);
	if (mount("tmpfs", self->path, "tmpfs", 0, "size=16k"))
		SKIP(return, "no mount");
	EXPECT_EQ(0, bf_new_file(self->file, "old\n", 4, &self->why));
	EXPECT_EQ(-ENOSPC, bf_new_file(self->file, big, 100000, &self->why));
	EXPECT_NE(NULL, strstr(self->why.text, "metrics.prom: No space left on device"));
	EXPECT_STREQ("old\n", text_of(self->file));
	EXPECT_EQ(1, files(self->path));
	EXPECT_EQ(0, umount(self->path));
	free(big);
}

/* Writes the file again and again, for a moment, until it is ended by a signal. Returns whether it was. */
static bool is_ended(const char *path, int sig, useconds_t after_us)
{
	static const char data[1 << 16];
	struct bf_why why = {};
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		signal(sig, SIG_DFL);
		while (!bf_new_file(path, data, sizeof(data), &why))
			;
		_exit(1);
	}
	usleep(after_us);
	kill(pid, sig);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

/* Most of the time there is a file aside. */
TEST_F(dir, interrupted)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	unsigned int i;

	ASSERT_EQ(0, bf_new_file(self->file, "", 0, &self->why));
	for (i = 0; i < 60; i++) {
		EXPECT_TRUE(is_ended(self->file, signals[i % 3], i * 300));
		EXPECT_EQ(1, files(self->path));
	}
}

TEST_F(dir, unwritable)
{
	int status;

	ASSERT_EQ(0, bf_new_file(self->file, "old\n", 4, &self->why));
	ASSERT_EQ(0, chmod(self->path, 0555));
	if (!fork()) {
		/* Root may write everywhere. */
		if (!geteuid() && setuid(65534))
			_exit(2);
		_exit(bf_new_file(self->file, "new\n", 4, &self->why) != -EACCES);
	}
	ASSERT_LT(0, wait(&status));
	EXPECT_EQ(0, status);
	EXPECT_STREQ("old\n", text_of(self->file));
	EXPECT_EQ(1, files(self->path));
}

TEST_HARNESS_MAIN
