/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the program of a namespace sits: at links of our own (pins.h), at the hooks of the kernel
 * module (device.h), or at the interfaces (edge.h). All stay when the helper goes, and tell its successor what is
 * in force.
 *
 * Where the module is loaded, it also knows whether the table is ours at all (BPFILTER_NS_OWNED), at links too: a
 * namespace whose table is ours it never answers from ip_tables. It learns so before the kernel's table is
 * emptied, and is told the contrary after that is filled.
 *
 * What a helper that died has left, and what its successor makes of it ("link" is the program in the switch
 * of the links, "module" that at the module's hooks):
 *
 *	module	link	moving	the former helper was killed	the successor
 *	-	-	any	on the way to or from		removes everything; the table is ip_tables'
 *				ip_tables, or at rest
 *	-	yes	no	at rest, or on the way to the	keeps the links, has the module's hooks
 *				module's hooks			unregistered
 *	-	yes	yes	on the way to or from ip_tables	empties ip_tables' table: until then packets
 *								pass both, and what either drops is dropped
 *	yes	any	no	at rest, or on the way from	keeps the module's hooks, removes the
 *				links				links: as above until then
 *	yes	-	yes	on the way to or from ip_tables	empties ip_tables' table
 *
 * A program at the interfaces counts like one at links, if there is none at those; if there is, it was on the
 * way from one to the other, and what is at the interfaces is removed.
 *
 * "moving" stands for a change of hands between ip_tables and us: a pin in the link placement, the flag
 * BPFILTER_NS_MOVING in the other. A table that goes from links to the module's hooks is not moving in this sense.
 */
#ifndef BPFILTER_SEAT_H
#define BPFILTER_SEAT_H

#include "edge.h"
#include "load.h"
#include "pins.h"

struct bf_env;

/**
 * struct bf_seat - what of ours is in a namespace
 * @pins: the links
 * @device: the module, as far as we have spoken to it; NULL if there is none (yet)
 * @flags: BPFILTER_NS_* as the module has them
 * @edge: the interfaces
 * @place: for bf_seat_make() at the interfaces: which of their placements
 */
struct bf_seat {
	struct bf_env *env;
	struct bf_pins pins;
	struct bf_edge edge;
	enum bf_placement place;
	struct bf_device *device;
	uint32_t flags;
};

/* All functions must be called in the namespace; @inode is its. */
void bf_seat_init(struct bf_seat *seat, struct bf_env *env, ino_t inode);

/**
 * bf_seat_open - what a former helper has left
 * @prog_id: receives the id of the program in force, or 0
 * @moving: receives whether the table was changing hands
 *
 * 0 or -errno; nothing is changed.
 */
int bf_seat_open(struct bf_seat *seat, uint32_t *prog_id, bool *moving, struct bf_why *why);

/**
 * bf_seat_adopt - complete a table that a former helper has put in force here
 * @loaded: as bf_load_by_id() makes it
 *
 * By what the module keeps beside its program, so that it could be put in force again. 0 or -errno.
 */
int bf_seat_adopt(struct bf_seat *seat, struct bf_loaded *loaded);

/**
 * bf_seat_make - make what is missing for a program to be put at these hooks
 *
 * With nothing in it yet; and let the module know that the table is (or will be) ours. What there was
 * at the other hooks stays. -errno: what there was is still there, and not more.
 */
int bf_seat_make(struct bf_seat *seat, enum bf_attach attach, struct bf_why *why);

/**
 * bf_seat_meet - ask a module that was not there before what it has of the namespace
 * @prog_id: receives the id of the program at its hooks; 0 if there is nothing new
 *
 * 0 or -errno: it is asked again the next time.
 */
int bf_seat_meet(struct bf_seat *seat, uint32_t *prog_id);

/**
 * bf_seat_settle - let the module know what is so, where it does not
 * @loaded: the table in force; NULL: it is ip_tables'
 *
 * What could not be told at the end of a change, and what is ours since before the module was loaded.
 * 0 or -errno.
 */
int bf_seat_settle(struct bf_seat *seat, const struct bf_loaded *loaded);

/* The one store that puts a table in force at all hooks of its kind; the one before is out of force. */
int bf_seat_put(struct bf_seat *seat, const struct bf_loaded *loaded);

/* The one store that takes out whatever is at these hooks. */
int bf_seat_take(struct bf_seat *seat, enum bf_attach attach);

/* Wait until no packet is in a program that was put out of force at these hooks. 0 or -errno. */
int bf_seat_wait(const struct bf_seat *seat, enum bf_attach attach);

/*
 * While a table moves between links and interfaces (BF_ATTACH_LINK and BF_ATTACH_TC, both made): each packet that
 * comes in is judged by one of the two. 0 or -errno: then by both.
 */
int bf_seat_guard(struct bf_seat *seat, bool on);

/* @attach: of the program that moves. Unsetting cannot fail to anybody's harm. */
int bf_seat_set_moving(struct bf_seat *seat, enum bf_attach attach, bool moving);

/*
 * Unregister these hooks, with what is in them; the table is still ours, by the others. While no
 * packets are held. bf_seat_remove(): all of them, and let the module know that the table is not ours.
 */
void bf_seat_leave(struct bf_seat *seat, enum bf_attach attach);
void bf_seat_remove(struct bf_seat *seat);

/* Close the descriptors; everything stays. */
void bf_seat_close(struct bf_seat *seat);

#endif /* BPFILTER_SEAT_H */
