// SPDX-License-Identifier: GPL-2.0
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "env.h"
#include "utf8.h"

#define NS_PER_S 1000000000ULL

/* To the upper left corner; to the end of the line; to the end of the screen; all of it. */
#define CURSOR_HOME  "\033[H"
#define CLEAR_LINE   "\033[K"
#define CLEAR_BELOW  "\033[J"
#define CLEAR_SCREEN "\033[2J"

/* --- a picture -------------------------------------------------------------------------------- */

/* A line that is cut after so many columns. */
struct line {
	FILE *f;
	unsigned int left;
	bool endless;
};

/* Characters of three bytes and more may be two columns wide. Controls are for no terminal. */
static void put_text(struct line *l, const char *s)
{
	size_t len;

	for (; *s; s += len ?: 1) {
		bool strange;
		unsigned int width;

		len = bf_utf8_length(s);
		strange = !len || bf_utf8_is_control(s, len);
		width = !strange && len >= 3 ? 2 : 1;
		if (!l->endless && l->left < width) {
			l->left = 0;
			return;
		}
		l->left -= l->endless ? 0 : width;
		if (strange)
			fputc('?', l->f);
		else
			fwrite(s, 1, len, l->f);
	}
}

static struct line begin(FILE *f, const struct bf_watch_view *view)
{
	return (struct line){f, view->columns, !view->columns};
}

/* 12345678 as 12.3M, but 1234567 as 1234.6k: seven characters at most. */
static void put_scaled(char *text, size_t size, double v)
{
	static const char units[] = " kMGTPE";
	unsigned int i = 0;

	for (; v >= 9999.95 && units[i + 1]; i++)
		v /= 1000;
	if (i)
		snprintf(text, size, "%.1f%c", v, units[i]);
	else
		snprintf(text, size, "%.1f", v);
}

static void put_row(FILE *f, const struct bf_watch_view *view, const struct bf_rate *r, bool many)
{
	struct line l = begin(f, view);
	char packets[16] = "-", bytes[16] = "-", text[64];

	if (r->known) {
		put_scaled(packets, sizeof(packets), r->packets);
		put_scaled(bytes, sizeof(bytes), r->bytes);
	}
	snprintf(text, sizeof(text), "%10s %10s %12llu  ", packets, bytes,
		 (unsigned long long)r->total.pcnt);
	put_text(&l, text);
	if (many) {
		put_text(&l, r->table->name);
		put_text(&l, ": ");
	}
	put_text(&l, bf_rate_name(r).text);
	fputc('\n', f);
}

static void put_head(FILE *f, const struct bf_meter *m, const struct bf_watch_view *view)
{
	unsigned long long rules = 0;
	struct line l = begin(f, view);
	char text[128];
	size_t i;

	for (i = 0; i < m->nr; i++)
		rules += bf_ruleset_rules(&m->tables[i].rules);
	snprintf(text, sizeof(text), "%s  every %u s  %zu table%s, %llu rule%s", view->time,
		 view->interval, m->nr, m->nr == 1 ? "" : "s", rules, rules == 1 ? "" : "s");
	put_text(&l, text);
	fputc('\n', f);
	l = begin(f, view);
	put_text(&l, " packets/s    bytes/s      packets  ");
	put_text(&l, m->nr > 1 ? "namespace: rule" : "rule");
	fputc('\n', f);
}

int bf_watch_frame(FILE *f, const struct bf_meter *m, const struct bf_watch_view *view)
{
	struct bf_rate *top = calloc(view->rows, sizeof(*top));
	size_t n, i;

	if (!top)
		return -ENOMEM;
	put_head(f, m, view);
	n = bf_meter_top(m, true, top, view->rows);
	for (i = 0; i < n; i++)
		put_row(f, view, &top[i], m->nr > 1);
	free(top);
	return 0;
}

/* --- on a terminal, or a line after the other --------------------------------------------------- */

/* Nothing has to be undone, but the prompt shall begin a line of its own. */
static void leave_terminal(int sig)
{
	ssize_t n = write(STDOUT_FILENO, "\n", 1);

	_exit(n < 0);
}

static void leave(int sig)
{
	_exit(0);
}

static void catch_signals(bool terminal)
{
	struct sigaction end = {.sa_handler = terminal ? leave_terminal : leave};

	sigaction(SIGINT, &end, NULL);
	sigaction(SIGTERM, &end, NULL);
}

/*
 * Without a buffer in which half of it could stay when the process is ended: what fits a pipe or a file is
 * written at once. 0 or -errno.
 */
static int put_out(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		len -= n > 0 ? n : 0;
	}
	return 0;
}

/*
 * Over what is there: each line, then what was below the last one. A line is cleared before it is written: behind a
 * character in the last column the cursor is still on that, which would be erased.
 */
static void overwrite(FILE *f, const char *text)
{
	const char *end;

	fputs(CURSOR_HOME, f);
	for (; *text; text = end + 1) {
		end = strchr(text, '\n');
		fputs(CLEAR_LINE, f);
		fwrite(text, 1, end - text, f);
		fputc('\n', f);
	}
	fputs(CLEAR_BELOW, f);
}

static struct bf_watch_view look_at_terminal(bool terminal, unsigned int rows)
{
	struct bf_watch_view view = {.rows = rows ?: BF_WATCH_ROWS};
	struct winsize size;

	/* The cursor stays on the line below the last one. */
	if (!terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row)
		return view;
	view.columns = size.ws_col;
	view.rows = size.ws_row > BF_WATCH_HEAD + 1 ? size.ws_row - BF_WATCH_HEAD - 1 : 1;
	if (rows && rows < view.rows)
		view.rows = rows;
	return view;
}

static void put_time(char *text, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	*text = '\0';
	if (localtime_r(&now, &tm))
		strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm);
}

/* 0 or -errno */
static int show(const struct bf_meter *m, unsigned int interval, unsigned int rows, bool terminal)
{
	struct bf_watch_view view = look_at_terminal(terminal, rows);
	char *frame = NULL, *out = NULL, now[32];
	size_t frame_len, out_len;
	FILE *f = open_memstream(&frame, &frame_len), *o;
	int err;

	if (!f)
		return -ENOMEM;
	put_time(now, sizeof(now));
	view.time = now;
	view.interval = interval;
	err = bf_watch_frame(f, m, &view);
	if (fclose(f))
		err = -ENOMEM;
	o = err ? NULL : open_memstream(&out, &out_len);
	if (!err && !o)
		err = -ENOMEM;
	if (o) {
		if (terminal)
			overwrite(o, frame);
		else
			fprintf(o, "%s\n", frame);
		err = fclose(o) ? -ENOMEM : put_out(out, out_len);
	}
	free(out);
	free(frame);
	return err;
}

/* --- again and again ---------------------------------------------------------------------------- */

static int sample(int sk, struct bf_meter *m)
{
	size_t len;
	void *data;
	int err = bf_client_call(sk, BF_CMD_TABLES, -1, NULL, 0, &data, &len);

	if (err)
		return err;
	err = bf_meter_take(m, data, len);
	free(data);
	return err;
}

/* Until then, or -ECONNRESET: the helper says nothing by itself but that it has gone. */
static int wait_until(int sk, uint64_t when_ns)
{
	struct pollfd pfd = {.fd = sk, .events = POLLIN};
	uint64_t now;

	while ((now = bf_now_ns()) < when_ns) {
		int ret = poll(&pfd, 1, (when_ns - now + 999999) / 1000000);

		if (ret > 0)
			return -ECONNRESET;
		if (ret < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

static int say_ended(int err, bool written)
{
	if (err == -ECONNRESET) {
		bf_log(BF_LOG_ERR, "status: the helper has ended");
		return BF_EXIT_NO_HELPER;
	}
	if (err == -EINVAL)
		bf_log(BF_LOG_ERR, "status: the helper that runs is of another version: end it, "
				   "and a new one is started");
	else
		bf_log(BF_LOG_ERR, "status: %s: %s", written ? "standard output" : "no sample",
		       strerror(-err));
	return BF_EXIT_FAILED;
}

int bf_watch(int sk, unsigned int interval, unsigned int rows)
{
	bool terminal = isatty(STDOUT_FILENO), first = true;
	struct bf_meter m = {};
	uint64_t replied_ns;
	int err, shown = 0;

	catch_signals(terminal);
	err = terminal ? put_out(CLEAR_SCREEN, strlen(CLEAR_SCREEN)) : 0;
	while (!err) {
		err = sample(sk, &m);
		replied_ns = bf_now_ns();
		/* Of the first sample nothing but totals can be shown: those are worth a screen, but no line. */
		if (!err && (terminal || !first))
			shown = show(&m, interval, rows, terminal);
		err = err ?: shown;
		first = false;
		/* From the reply on: however late that was, rates are of no less than an interval. */
		if (!err)
			err = wait_until(sk, replied_ns + interval * NS_PER_S);
	}
	bf_meter_free(&m);
	return say_ended(err, shown);
}
