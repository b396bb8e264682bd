#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel had nothing to complain about: to be run last. A warning or an oops would mean that
# bpfilter, or a test, made it do something that it should not have been made to do.

set -u

# Bits of "tainted": 7 an oops, 9 a warning.
tainted=$(</proc/sys/kernel/tainted)
echo 1..1
if [ $((tainted & (1 << 7 | 1 << 9))) -eq 0 ]; then
	echo "ok 1 - no warning and no oops in the kernel's log"
	exit 0
fi
dmesg | grep -A 40 -E 'WARNING:|BUG:|Oops|cut here' | head -n 200 | sed 's/^/# /'
echo "not ok 1 - no warning and no oops in the kernel's log"
exit 1
