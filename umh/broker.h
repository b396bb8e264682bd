/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that answers the calls of all tasks below one "bpfilter run". It lives as long as
 * any of them does, and so may outlive COMMAND.
 */
#ifndef BPFILTER_BROKER_H
#define BPFILTER_BROKER_H

#include <stdint.h>

/**
 * bf_broker_main - serve a listener until nobody is left below its filter
 * @listener: of the seccomp filter
 * @ready: a byte is written to it when calls are answered; closed then
 * @run: a socket, shut down when COMMAND or "run" has ended. Nothing of the terminal is kept open
 *	then, and a byte sent; or the broker ends, if nobody is left.
 * @attach: for struct bpfilter_request, of all calls
 *
 * Returns 0, or -errno if it could not begin. The descriptors are its own.
 */
int bf_broker_main(int listener, int ready, int run, uint32_t attach);

#endif /* BPFILTER_BROKER_H */
