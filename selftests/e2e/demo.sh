#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The demo succeeds, soon enough, and leaves nothing behind: also when it is interrupted. With
# $BPFILTER_THROUGH=module, the module is given to the demo, which loads and unloads it.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

export BPFILTER_MODULE=
limit=60
if by_module; then
	# In an emulated machine.
	limit=180
	BPFILTER_MODULE=$(modinfo -n bpfilter)
	# It is the demo that loads it.
	BPFILTER_THROUGH=
fi
lab_begin
# All that the demo makes is named after a folder that it makes here.
mkdir "$T/tmp"
export TMPDIR=$T/tmp

# What there is that no running script owns.
snapshot() {
	local ns

	ls -A "$T/tmp"
	for ns in $(ip netns list | grep -oE '^bf.{6}-[a-z]+'); do
		[ -d "${T%/*}/bpfilter.${ns:2:6}" ] || echo "$ns"
	done
	grep "$T/tmp" /proc/mounts
	ls -A /run/bpfilter /sys/fs/bpf 2>/dev/null
	ls -d /sys/module/bpfilter 2>/dev/null
	for p in $(pgrep -x bpfilter); do
		tr '\0' '\n' 2>/dev/null <"/proc/$p/environ" | grep "^BPFILTER_RUN_DIR=$T/tmp/"
	done
}

before=$(snapshot)
SECONDS=0
"$here/../../demo/demo.sh" >"$T/out" 2>&1
rc=$?
took=$SECONDS
[ $rc -eq 0 ] || note "$(cat "$T/out")"
tap $rc "the demo succeeds"
[ -z "$BPFILTER_MODULE" ] || expect "with the module" grep -q '^With the kernel module: ' "$T/out"
expect "and says so" grep -q '^everything was as expected' "$T/out"
expect "in less than $limit s ($took s)" test "$took" -lt $limit
same "it leaves nothing behind" "$before" "$(snapshot)"

# Interrupted as by Ctrl-C, which every process in the foreground gets. Job control, so that the signal is
# not ignored.
set -m
for after in 0.3 2 6; do
	"$here/../../demo/demo.sh" >"$T/out" 2>&1 &
	sleep $after
	kill -INT -- -$!
	wait $!
	same "interrupted after $after s: status" 130 $?
	same "interrupted after $after s: nothing left behind" "$before" "$(snapshot)"
done
tap_end
