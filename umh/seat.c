// SPDX-License-Identifier: GPL-2.0
/* Where the program of a namespace sits. See seat.h. */
#include <errno.h>
#include <string.h>

#include "device.h"
#include "env.h"
#include "hold.h"
#include "seat.h"

/* Flags that the module keeps. */
#define NS_STATE (BPFILTER_NS_OWNED | BPFILTER_NS_MOVING | BPFILTER_NS_HOOK)

/* Tell the module. On error it has what it had. */
static int set_module(struct bf_seat *seat, uint32_t flags, int prog, uint32_t want)
{
	int err = seat->device ? bf_device_ns_set(seat->device, flags, prog, want) : -ENODEV;

	if (err)
		return err;
	seat->flags = flags & NS_STATE;
	seat->want = want;
	return 0;
}

/* Other flags, the same program. */
static int set_flags(struct bf_seat *seat, uint32_t flags)
{
	if (flags == seat->flags)
		return 0;
	return set_module(seat, flags | BPFILTER_NS_KEEP, -1, seat->want);
}

void bf_seat_init(struct bf_seat *seat, struct bf_env *env, ino_t inode)
{
	*seat = (struct bf_seat){.env = env};
	bf_pins_init(&seat->pins, inode);
}

int bf_seat_meet(struct bf_seat *seat, uint32_t *prog_id)
{
	struct bf_device *device = bf_env_device(seat->env);
	int err = 0;

	*prog_id = 0;
	if (device && device != seat->device)
		err = bf_device_ns_get(device, &seat->flags, prog_id);
	if (!err)
		seat->device = device;
	return err;
}

int bf_seat_open(struct bf_seat *seat, uint32_t *prog_id, bool *moving, struct bf_why *why)
{
	uint32_t link_id = 0;
	int err;

	seat->device = NULL;
	bf_pins_close(&seat->pins);
	err = bf_seat_meet(seat, prog_id);
	if (err)
		return bf_why(why, err, "the module cannot be asked: %s", strerror(-err));
	err = bf_pins_open(&seat->pins);
	if (!err)
		err = bf_pins_current(&seat->pins, &link_id);
	if (err && err != -ENOENT)
		return bf_why(why, err, "cannot open the pins in %s: %s", seat->pins.dir,
			      strerror(-err));
	*moving = *prog_id ? seat->flags & BPFILTER_NS_MOVING : bf_pins_is_moving(&seat->pins);
	if (!*prog_id)
		*prog_id = link_id;
	return 0;
}

static int make_links(struct bf_seat *seat, struct bf_why *why)
{
	bool fresh = seat->pins.switch_fd < 0;
	struct bf_kernel kernel;
	int err;

	bf_env_kernel(seat->env, &kernel);
	err = bf_pins_make(&seat->pins, &kernel, why);
	if (err || !seat->device)
		return err;
	err = set_flags(seat, seat->flags | BPFILTER_NS_OWNED);
	if (err && fresh)
		bf_pins_remove(&seat->pins);
	return err ? bf_why(why, err, "the module cannot be told: %s", strerror(-err)) : 0;
}

int bf_seat_make(struct bf_seat *seat, enum bf_attach attach, struct bf_why *why)
{
	int err;

	if (attach == BF_ATTACH_LINK)
		return make_links(seat, why);
	err = set_flags(seat, seat->flags | BPFILTER_NS_OWNED | BPFILTER_NS_HOOK);
	return err ? bf_why(why, err, "the module cannot make its hooks: %s", strerror(-err)) : 0;
}

int bf_seat_put(struct bf_seat *seat, const struct bf_loaded *loaded)
{
	if (loaded->attach == BF_ATTACH_LINK)
		return bf_pins_switch(&seat->pins, loaded->prog);
	return set_module(seat, seat->flags, loaded->prog, loaded->want);
}

int bf_seat_take(struct bf_seat *seat, enum bf_attach attach)
{
	if (attach == BF_ATTACH_LINK)
		return bf_pins_switch(&seat->pins, -1);
	return set_module(seat, seat->flags, -1, 0);
}

int bf_seat_wait(const struct bf_seat *seat, enum bf_attach attach)
{
	/* The module has waited. */
	if (attach == BF_ATTACH_MODULE)
		return 0;
	return bf_rcu_wait(seat->device);
}

int bf_seat_set_moving(struct bf_seat *seat, enum bf_attach attach, bool moving)
{
	if (attach == BF_ATTACH_LINK)
		return bf_pins_set_moving(&seat->pins, moving);
	return set_flags(seat, moving ? seat->flags | BPFILTER_NS_MOVING
				      : seat->flags & ~BPFILTER_NS_MOVING);
}

int bf_seat_settle(struct bf_seat *seat, const struct bf_loaded *loaded)
{
	uint32_t flags = !loaded			    ? 0
			 : loaded->attach == BF_ATTACH_LINK ? BPFILTER_NS_OWNED
							    : BPFILTER_NS_OWNED | BPFILTER_NS_HOOK;

	if (!seat->device || flags == seat->flags)
		return 0;
	if (flags & BPFILTER_NS_HOOK)
		return set_flags(seat, flags);
	return set_module(seat, flags, -1, 0);
}

void bf_seat_leave(struct bf_seat *seat, enum bf_attach attach)
{
	/* What the module cannot be told now, it is by bf_seat_settle(). */
	if (attach == BF_ATTACH_LINK)
		bf_pins_remove(&seat->pins);
	else if (seat->flags & BPFILTER_NS_HOOK)
		set_module(seat, seat->flags & BPFILTER_NS_OWNED, -1, 0);
}

void bf_seat_remove(struct bf_seat *seat)
{
	bf_pins_remove(&seat->pins);
	bf_seat_settle(seat, NULL);
}

void bf_seat_close(struct bf_seat *seat)
{
	bf_pins_close(&seat->pins);
}
