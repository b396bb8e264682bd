/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's requests in the event loop: the device is opened, what former helpers left is taken up, and
 * then it is read from, one request at a time.
 *
 *	closed --bf_port_begin(), bf_port_open()--> taking up --> ready
 *
 * Everything here is for the event loop's thread alone; answers come from any thread.
 */
#ifndef BPFILTER_PORT_H
#define BPFILTER_PORT_H

#include "bpfilter.h"

struct bf_budget;
struct bf_device;
struct bf_env;
struct bf_job;
struct bf_port;
struct bf_workers;

/**
 * bf_port_new - not open
 * @budget: its @wake is also written to when bf_port_wake() is to be called
 * @epoll: gets the device, with the port as its data
 *
 * NULL if there is no memory.
 */
struct bf_port *bf_port_new(struct bf_workers *ws, struct bf_env *env, struct bf_budget *budget,
			    int epoll);

/* After the workers have ended. */
void bf_port_free(struct bf_port *p);

/**
 * bf_port_begin - take up what former helpers left, and then serve the module
 * @device: open; taken over; NULL to go without
 */
void bf_port_begin(struct bf_port *p, struct bf_device *device);

/* BF_CMD_DEVICE: the same if it is not open yet. @job is taken over, and done when the module is served. */
void bf_port_open(struct bf_port *p, struct bf_job *job);

/* The device is readable. */
void bf_port_event(struct bf_port *p);

/* Something has changed in another thread: there is room in the budget, or all is taken up. */
void bf_port_wake(struct bf_port *p);

/* No namespace is ours any more: have nothing intercepted. 0 if that is so, or -errno. */
int bf_port_stop(struct bf_port *p);

/* Take no more requests, and wait until those that were taken are answered; some seconds at most. */
void bf_port_drain(struct bf_port *p);

#endif /* BPFILTER_PORT_H */
