/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A place to load, attach and pin things in: namespaces of this process's own.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <sys/types.h>
#include <unistd.h>

struct bf_env;

/**
 * struct sandbox - a network and a mount namespace with a bpffs, private to this process
 * @netns: descriptor of the network namespace; its loopback is up
 * @inode: of it
 * @dir: a temporary folder; a bpffs is at its "bpf", and BPFILTER_PIN_DIR below that
 * @env: opened in there
 */
struct sandbox {
	int netns;
	ino_t inode;
	char dir[64];
	struct bf_env *env;
	char why[256];
};

/*
 * Makes it, and moves the calling thread into it. 0; 1 if this machine cannot have one, and the
 * test has to be skipped, for the reason in @why; -1 if it should be able to, and @why says what
 * failed.
 */
int sandbox_enter(struct sandbox *s);
void sandbox_leave(struct sandbox *s);

/*
 * In a FIXTURE_SETUP: the test is skipped, for the reason in @why. If it merely returned, the harness
 * would run the test on what is not there; 255 is how the harness's own process says that it was skipped.
 */
#define SANDBOX_SKIP(s) SKIP(_exit(255), "%s", (s)->why)

/* Open file descriptors of this process, to find those that were left. */
unsigned int open_descriptors(void);

#endif /* SANDBOX_H */
