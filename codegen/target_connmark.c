// SPDX-License-Identifier: GPL-2.0
/*
 * -j CONNMARK, as xt_connmark.c has it; revision 1 knows no shifts, and revision 0 left the kernel in 2.6.36. It is an
 * effect, which the kernel's own target carries out in its turn; rules that follow see both marks in the key.
 */
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_connmark.h>

#include "match.h"

/* Later ones have a place in the kernel, which does nothing then. */
static bool is_known(uint8_t mode)
{
	return mode == XT_CONNMARK_SET || mode == XT_CONNMARK_SAVE || mode == XT_CONNMARK_RESTORE;
}

static void change_key(struct bf_rule *r, const struct xt_connmark_tginfo2 *info)
{
	int bits = info->shift_dir == D_SHIFT_RIGHT ? -info->shift_bits : info->shift_bits;

	switch (info->mode) {
	case XT_CONNMARK_SET:
		bf_set_mark(r, BF_CT_MARK, ~info->ctmask, info->ctmark);
		if (bits)
			bf_shift_mark(r, BF_CT_MARK, bits);
		break;
	case XT_CONNMARK_SAVE:
		bf_set_mark(r, BF_CT_MARK, ~info->ctmask, 0);
		bf_mix_mark(r, BF_CT_MARK, info->nfmask, bits);
		break;
	default:
		bf_set_mark(r, BF_MARK, ~info->nfmask, 0);
		bf_mix_mark(r, BF_MARK, info->ctmask, bits);
		break;
	}
}

static void connmark_compile_2(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_connmark_tginfo2 *info = data;
	struct bf_effect effect;
	int end;

	if (!is_known(info->mode))
		return;
	end = bf_label(r);
	bf_eq(r, BF_CT_STATE, XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_UNTRACKED, 0, false,
	      end);
	change_key(r, info);
	if (r->late_marks) {
		memset(&effect, 0, sizeof(effect));
		effect.kind = BF_EFFECT_CONNMARK;
		effect.connmark.ctmark = info->ctmark;
		effect.connmark.ctmask = info->ctmask;
		effect.connmark.nfmask = info->nfmask;
		effect.connmark.shift_dir = info->shift_dir;
		effect.connmark.shift_bits = info->shift_bits;
		effect.connmark.mode = info->mode;
		bf_effect(r, &effect);
	}
	bf_label_here(r, end);
}

static void connmark_compile_1(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_connmark_tginfo1 *info = data;
	const struct xt_connmark_tginfo2 shifted = {
		.ctmark = info->ctmark,
		.ctmask = info->ctmask,
		.nfmask = info->nfmask,
		.mode = info->mode,
	};

	connmark_compile_2(r, e, &shifted);
}

/* What only older kernels take. */
static int connmark_check_2(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			    struct bf_why *why)
{
	const struct xt_connmark_tginfo2 *info = data;

	if (info->shift_bits > 31 || info->shift_dir > D_SHIFT_RIGHT)
		return bf_why(why, BF_NOT_TRANSLATABLE,
			      "CONNMARK: a shift by %u bits in direction %u", info->shift_bits,
			      info->shift_dir);
	return 0;
}

const struct bf_target bf_target_connmark_1 = {
	.name = "CONNMARK",
	.revision = 1,
	.size = sizeof(struct xt_connmark_tginfo1),
	.conntrack = true,
	.connection_marks = true,
	.compile = connmark_compile_1,
};

const struct bf_target bf_target_connmark_2 = {
	.name = "CONNMARK",
	.revision = 2,
	.size = sizeof(struct xt_connmark_tginfo2),
	.conntrack = true,
	.connection_marks = true,
	.options =
		"--set-mark, --set-xmark, --and-mark, --or-mark, --xor-mark, --save-mark, --restore-mark, "
		"--mask, --ctmask, --nfmask, --left-shift-mark and --right-shift-mark up to 31",
	.check = connmark_check_2,
	.compile = connmark_compile_2,
};
