#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The demo succeeds, in less than a minute, and leaves nothing behind: also when it is interrupted. With
# $BPFILTER_MODULE set it loads and unloads that module.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

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
expect "and says so" grep -q '^everything was as expected' "$T/out"
expect "in less than 60 s ($took s)" test "$took" -lt 60
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
