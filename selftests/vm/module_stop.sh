#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The life of the helper with the module: started by a call, found by a module that comes later, killed, told to
# stop, with tables that can and that cannot go back to ip_tables.

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

add() {
	inside "$1" iptables-legacy -A INPUT -s "$2" -j DROP
}

rules() {
	inside "$1" iptables-legacy -S | grep -e ^-A
}

# Whoever is exempt from the module sees ip_tables' own table.
kernels() {
	as_kernel "$1" iptables-legacy -S | grep -e ^-A
}

as_kernel() {
	local rc

	module_set exclude "$(inode "$1")"
	inside "$@"
	rc=$?
	module_set exclude 0
	return $rc
}

helpers() {
	helper_pids | wc -l
}

fails_with() {
	local wanted=$1 text=$2 out

	shift 2
	out=$("$@" 2>&1)
	same "$text: status" "$wanted" $?
	note "$out"
}

lab_begin
netns a b c
links=
# Linux 6.4
printf '6.4\n%s\n' "$(uname -r)" | sort -VC && links=yes
mkdir "$T/other"

# --- started by a call
same "nobody has a helper yet" 0 "$(helpers)"
expect "the first call starts one" add a 192.0.2.1
same "it is one" 1 "$(helpers)"
expect "its table is in eBPF" in_ebpf a
same "and is shown" "-A INPUT -s 192.0.2.1/32 -j DROP" "$(rules a)"
same "ip_tables has none of it" "" "$(kernels a)"
expect "status says that the module is served" grep -q '^module.*serv' <("$BPFILTER" status)
expect "--device finds it served" "$BPFILTER" umh --device
expect "so it does with nothing open" bash -c '"$BPFILTER" umh --device <&- >&- 2>&-'
same "still one helper" 1 "$(helpers)"
expect "a second helper goes without" env BPFILTER_RUN_DIR="$T/other" "$BPFILTER" status
expect "and says so" grep -q "open in another process" "$T/other/umh.log"
expect "\"run\" with that one only starts its command" env BPFILTER_RUN_DIR="$T/other" \
	"$BPFILTER" run -- true
BPFILTER_RUN_DIR=$T/other helper_kill TERM

# --- killed
helper_kill KILL
same "killed, the helper is gone" 0 "$(helpers)"
same "the next call is answered" "-A INPUT -s 192.0.2.1/32 -j DROP" "$(rules a)"
same "by another helper" 1 "$(helpers)"
expect "which changes the table" add a 192.0.2.2
expect "and others" add b 192.0.2.3
helper_kill TERM
same "another, after an end" 2 "$(rules a | wc -l)"

# --- run
same "\"run\" returns what COMMAND does" 7 "$("$BPFILTER" run -- sh -c 'exit 7'; echo $?)"
same "and 127 if there is none" 127 "$("$BPFILTER" run -- /does/not/exist 2>/dev/null; echo $?)"
same "below \"run\" too" 2 "$(inside a "$BPFILTER" run -- "$BPFILTER" run -- iptables-legacy -S |
	grep -c -e ^-A)"
expect "anybody may run" setpriv --reuid=65534 --clear-groups "$BPFILTER" run -- true

# --- stop, refused
expect "c becomes ours" add c 192.0.2.4
expect "it is" in_ebpf c
expect "and gets rules in ip_tables" as_kernel c iptables-legacy -A OUTPUT -d 192.0.2.9 -j DROP
fails_with 125 "stop refuses what would be lost" "$BPFILTER" stop
expect "everything is as it was: a" in_ebpf a
expect "everything is as it was: c" in_ebpf c
expect "a can be changed" add a 192.0.2.5
same "and has it" 3 "$(rules a | wc -l)"
expect_not "the module cannot be unloaded" rmmod bpfilter

# --- stop
fails_with 0 "stop --force" "$BPFILTER" stop --force
same "no helper is left" 0 "$(helpers)"
same "a is ip_tables'" 3 "$(rules a | wc -l)"
same "b is ip_tables'" 1 "$(rules b | wc -l)"
same "c has what ip_tables had" "-A OUTPUT -d 192.0.2.9/32 -j DROP" "$(rules c)"
same "nobody was started for that" 0 "$(helpers)"
same "no request is left" 0 "$(module_get requests)"
same "nothing is pinned" "" "$(ls "$T/bpf/bpfilter")"
expect "the module can be unloaded" rmmod bpfilter
fails_with 0 "nothing to stop then" "$BPFILTER" stop

# --- the helper first, then the module
if [ -n "$links" ]; then
	expect "a table by a helper without the module" inside a "$BPFILTER" run -- \
		iptables-legacy -A INPUT -s 192.0.2.6 -j DROP
else
	inside a iptables-legacy -A INPUT -s 192.0.2.6 -j DROP
fi
pid=$(helper_pids)
if [ -n "$links" ]; then
	note "its threads wait for ip_tables when the module comes: not for themselves"
	for _ in 1 2; do
		inside c "$BPFILTER" run -- sh -c "until [ -e '$T/enough' ]; do
			iptables-legacy -S >/dev/null
		done" &
	done
	sleep 1
fi
expect "the module is loaded again" module_load "helper=$T/helper"
SECONDS=0
same "the table is known" 4 "$(rules a | wc -l)"
expect "without delay" test $SECONDS -lt 20
touch "$T/enough"
wait
[ -z "$links" ] || same "to the same helper" "$pid" "$(helper_pids)"
expect "it can be changed" add a 192.0.2.7
expect "it is in eBPF" in_ebpf a
helper_kill TERM
fails_with 0 "stop with nobody there" "$BPFILTER" stop
same "a is ip_tables'" 5 "$(rules a | wc -l)"
expect "b moves again after a stop, with a helper" "$BPFILTER" umh --device
expect "when it is changed" add b 192.0.2.8
expect "it has" in_ebpf b

# --- changes during stops
note "changes while it stops and starts"
for round in {1..5}; do
	"$BPFILTER" umh --device
	for ns in a b; do
		for i in {1..3}; do add $ns "198.51.100.$i" || echo "failed: $ns $i"; done &
	done >>"$T/changes" 2>&1
	sleep "0.$round"
	"$BPFILTER" stop || echo "stop failed: $?"
	wait
done >>"$T/stops" 2>&1
note "$(cat "$T/stops")"
expect_not "no stop fails" grep failed "$T/stops"
same "no change fails" "" "$(cat "$T/changes")"
same "none is lost: a" $((5 + 15)) "$(rules a | wc -l)"
same "none is lost: b" $((2 + 15)) "$(rules b | wc -l)"
expect "the kernel has not warned" "$here/kernel_log.sh"
tap_end
