// SPDX-License-Identifier: GPL-2.0
/* Where the program of a namespace sits. See seat.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "device.h"
#include "env.h"
#include "rcu.h"
#include "seat.h"

/* Flags that the module keeps. */
#define NS_STATE (BPFILTER_NS_OWNED | BPFILTER_NS_MOVING | BPFILTER_NS_HOOK)

/* Tell the module. On error it has what it had. */
static int set_module(struct bf_seat *seat, uint32_t flags, const struct bf_at_hooks *run)
{
	int err = seat->device ? bf_device_ns_set(seat->device, flags, run) : -ENODEV;

	if (!err)
		seat->flags = flags & NS_STATE;
	return err;
}

/* Other flags, the same program. */
static int set_flags(struct bf_seat *seat, uint32_t flags)
{
	return flags == seat->flags ? 0 : set_module(seat, flags | BPFILTER_NS_KEEP, NULL);
}

static int put_module(struct bf_seat *seat, const struct bf_loaded *loaded)
{
	const struct bf_at_hooks run = {
		.prog = loaded->prog,
		.asking = loaded->asking,
		.questions = loaded->questions,
		.want = loaded->want,
	};

	return set_module(seat, seat->flags, &run);
}

void bf_seat_init(struct bf_seat *seat, struct bf_env *env, ino_t inode)
{
	*seat = (struct bf_seat){.env = env};
	seat->place = BF_TC;
	bf_pins_init(&seat->pins, inode);
	bf_edge_init(&seat->edge, env, inode);
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
	uint32_t link_id = 0, edge_id = 0;
	int err;

	seat->device = NULL;
	bf_pins_close(&seat->pins);
	err = bf_seat_meet(seat, prog_id);
	if (err)
		return bf_why(why, err, "the module cannot be asked: %s", strerror(-err));
	err = bf_pins_open(&seat->pins);
	if (!err)
		err = bf_pins_current(&seat->pins, &link_id);
	if (err == -ENOENT || !err)
		err = bf_edge_open(&seat->edge, &edge_id);
	if (err)
		return bf_why(why, err, "cannot open the pins in %s: %s", seat->pins.dir,
			      strerror(-err));
	if (edge_id)
		seat->place = seat->edge.place;
	if (link_id)
		bf_seat_guard(seat, false);
	*moving = *prog_id ? seat->flags & BPFILTER_NS_MOVING : bf_pins_is_moving(&seat->pins);
	if (!*prog_id)
		*prog_id = link_id ?: edge_id;
	return 0;
}

int bf_seat_adopt(struct bf_seat *seat, struct bf_loaded *loaded)
{
	uint32_t asking;
	int err;

	if (loaded->attach != BF_ATTACH_MODULE)
		return 0;
	err = bf_device_ns_asks(seat->device, &asking, &loaded->want);
	if (err)
		return err;
	loaded->asking = asking ? bpf_prog_get_fd_by_id(asking) : -1;
	if (asking && loaded->asking < 0)
		return -errno;
	loaded->questions = bf_device_questions_now(seat->device);
	return loaded->questions < 0 && (asking || loaded->questions != -ENOENT) ? loaded->questions
										 : 0;
}

/* The module knows that the table is ours, wherever it is. */
static int own(struct bf_seat *seat)
{
	return seat->device ? set_flags(seat, seat->flags | BPFILTER_NS_OWNED) : 0;
}

static int make_edge(struct bf_seat *seat, struct bf_why *why)
{
	bool fresh = bf_edge_fd(&seat->edge) < 0;
	int err = bf_edge_make(&seat->edge, seat->place, why);

	if (err)
		return err;
	err = own(seat);
	if (err && fresh)
		bf_edge_remove(&seat->edge);
	return err ? bf_why(why, err, "the module cannot be told: %s", strerror(-err)) : 0;
}

static int make_links(struct bf_seat *seat, struct bf_why *why)
{
	bool fresh = seat->pins.switch_fd < 0;
	struct bf_kernel kernel;
	int err;

	bf_env_kernel(seat->env, &kernel);
	err = bf_pins_make(&seat->pins, &kernel, why);
	if (err)
		return err;
	err = own(seat);
	if (err && fresh)
		bf_pins_remove(&seat->pins);
	return err ? bf_why(why, err, "the module cannot be told: %s", strerror(-err)) : 0;
}

int bf_seat_make(struct bf_seat *seat, enum bf_attach attach, struct bf_why *why)
{
	int err;

	if (attach == BF_ATTACH_LINK)
		return make_links(seat, why);
	if (attach == BF_ATTACH_TC)
		return make_edge(seat, why);
	err = set_flags(seat, seat->flags | BPFILTER_NS_OWNED | BPFILTER_NS_HOOK);
	return err ? bf_why(why, err, "the module cannot make its hooks: %s", strerror(-err)) : 0;
}

int bf_seat_put(struct bf_seat *seat, const struct bf_loaded *loaded)
{
	if (loaded->attach == BF_ATTACH_LINK)
		return bf_pins_switch(&seat->pins, loaded->prog);
	if (loaded->attach == BF_ATTACH_TC)
		return bf_edge_put(&seat->edge, loaded);
	return put_module(seat, loaded);
}

int bf_seat_take(struct bf_seat *seat, enum bf_attach attach)
{
	if (attach == BF_ATTACH_LINK)
		return bf_pins_switch(&seat->pins, -1);
	if (attach == BF_ATTACH_TC)
		return bf_edge_take(&seat->edge);
	return set_module(seat, seat->flags, NULL);
}

int bf_seat_guard(struct bf_seat *seat, bool on)
{
	struct bf_kernel kernel;
	int err = 0;

	if (on) {
		bf_env_kernel(seat->env, &kernel);
		err = bf_edge_guard(&seat->edge, true);
		err = err ?: bf_rcu_wait(bf_env_rcu(seat->env), seat->device);
		err = err ?: bf_pins_guard(&seat->pins, &kernel, true);
	}
	if (err || !on) {
		/* What looks for tags ends before they do. */
		bf_pins_guard(&seat->pins, NULL, false);
		bf_edge_guard(&seat->edge, false);
	}
	return err;
}

int bf_seat_wait(const struct bf_seat *seat, enum bf_attach attach)
{
	/* The module has waited. */
	if (attach == BF_ATTACH_MODULE)
		return 0;
	return bf_rcu_wait(bf_env_rcu(seat->env), seat->device);
}

int bf_seat_set_moving(struct bf_seat *seat, enum bf_attach attach, bool moving)
{
	if (attach != BF_ATTACH_MODULE)
		return bf_pins_set_moving(&seat->pins,
					  attach == BF_ATTACH_TC ? seat->edge.about : -1, moving);
	return set_flags(seat, moving ? seat->flags | BPFILTER_NS_MOVING
				      : seat->flags & ~BPFILTER_NS_MOVING);
}

int bf_seat_settle(struct bf_seat *seat, const struct bf_loaded *loaded)
{
	uint32_t flags = !loaded			      ? 0
			 : loaded->attach == BF_ATTACH_MODULE ? BPFILTER_NS_OWNED | BPFILTER_NS_HOOK
							      : BPFILTER_NS_OWNED;

	if (!seat->device || flags == seat->flags)
		return 0;
	if (flags & BPFILTER_NS_HOOK)
		return set_flags(seat, flags);
	return set_module(seat, flags, NULL);
}

void bf_seat_leave(struct bf_seat *seat, enum bf_attach attach)
{
	/* What the module cannot be told now, it is by bf_seat_settle(). */
	if (attach == BF_ATTACH_LINK)
		bf_pins_remove(&seat->pins);
	else if (attach == BF_ATTACH_TC)
		bf_edge_remove(&seat->edge);
	else if (seat->flags & BPFILTER_NS_HOOK)
		set_module(seat, seat->flags & BPFILTER_NS_OWNED, NULL);
}

void bf_seat_remove(struct bf_seat *seat)
{
	bf_edge_remove(&seat->edge);
	bf_pins_remove(&seat->pins);
	bf_seat_settle(seat, NULL);
}

void bf_seat_close(struct bf_seat *seat)
{
	bf_edge_close(&seat->edge);
	bf_pins_close(&seat->pins);
}
