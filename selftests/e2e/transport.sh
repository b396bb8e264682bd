#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# transport.sh [CALLS] - the way of a call: from whatever makes it, through "bpfilter run" or the module, to
# the helper and back. CALLS are made by each of many threads at once, and twice as many among signals.
#
# The program "caller" makes calls that iptables does not make. What it prints is compared with what
# it prints where the kernel itself answers.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

calls=${1:-200}
caller=${BUILD:-$(dirname "$BPFILTER")}/selftests/caller
[ -x "$caller" ] || { echo "Bail out! $caller is missing"; exit 1; }
lab_begin
netns plain host other third

# brokers: the processes that answer calls in this laboratory, and the runs that wait.
brokers() {
	local p

	for p in $(pgrep -x bpfilter); do
		tr '\0' ' ' 2>/dev/null <"/proc/$p/cmdline" | grep -q ' run ' || continue
		tr '\0' '\n' 2>/dev/null <"/proc/$p/environ" |
			grep -qxF "BPFILTER_RUN_DIR=$BPFILTER_RUN_DIR" && echo "$p"
	done
}

# soon COMMAND...: it succeeds within five seconds.
soon() {
	local i

	for i in {1..100}; do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

no_brokers() { [ -z "$(brokers)" ]; }

# Nobody waits for an answer any more.
no_calls() {
	if by_module; then
		[ "$(module_get requests)" = 0 ]
	else
		no_brokers
	fi
}

# What a command has in front of it that is to be served.
via=("$BPFILTER" run --)
! by_module || via=()
rules_in() { filtered "$1" iptables-legacy -w -S | grep -c -- '^-A'; }

# --- answers equal the kernel's ------------------------------------------------------------

for what in errors weak-errors threads leaderless "signals $((2 * calls))" "storm $calls" "table filter" \
		"table nat"; do
	# shellcheck disable=SC2086
	same "caller $what: as with the kernel" \
		"$(plain plain timeout 60 "$caller" $what 2>&1)" \
		"$(filtered host timeout 60 "$caller" $what 2>&1)"
done

if plain plain "$caller" compat >"$T/compat" 2>&1; then
	if by_module; then
		same "32-bit calls: a table that ip_tables has is ip_tables'" "$(<"$T/compat")" \
			"$(inside other "$caller" compat 2>/dev/null)"
		inside host iptables-legacy -P INPUT ACCEPT
	fi
	# Only table filter is refused; what concerns others is the kernel's answer.
	same "32-bit calls: table filter does not exist for them" \
		"$(sed 's/\(.*filter\): .*/\1: ENOPROTOOPT/' "$T/compat")" \
		"$(filtered host "$caller" compat 2>/dev/null)"
else
	tap_skip "32-bit calls: table filter does not exist for them" "not on this machine"
fi

# --- which namespace -----------------------------------------------------------------------

filtered host iptables-legacy -A INPUT -s 192.0.2.1 -j DROP
same "a socket counts where it was made, not where its task is" \
	"a socket from where we came: filter: 5 entries, hooks e, 0, 784
a socket from here: filter: 4 entries, hooks e, 0, 632" \
	"$(filtered host "$caller" moved "/run/netns/$lab-other")"
expect "the kernel's own filter table stays empty" kernel_is_empty host

filtered host iptables-legacy -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
same "table nat goes to the kernel" "-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE" \
	"$(inside host iptables-legacy -t nat -S POSTROUTING | grep -- -A)"

# --- who may -------------------------------------------------------------------------------

# How it fails, and what it says.
weak() {
	"$@" setpriv --bounding-set -net_admin --inh-caps -net_admin iptables-legacy -A INPUT -j DROP 2>&1
	echo "status $?"
}
foreign() {
	"$@" unshare -Ur iptables-legacy -A INPUT -j DROP 2>&1
	echo "status $?"
}
same "without CAP_NET_ADMIN: refused, as by the kernel" "$(weak plain plain)" "$(weak filtered host)"
same "root of a user namespace has no say over our namespace, as with the kernel" \
	"$(foreign plain plain)" "$(foreign filtered host)"
same "and over its own it has" "-A INPUT -s 192.0.2.9/32 -j DROP" "$(
	filtered host unshare -Urn sh -c 'iptables-legacy -A INPUT -s 192.0.2.9 -j DROP &&
		iptables-legacy -S INPUT' | grep -- -A)"
same "nothing came of the refused ones" 1 "$(rules_in host)"

# --- many at once --------------------------------------------------------------------------

helper_kill KILL
seq 1 8 | inside host xargs -P 8 -I{} "${via[@]}" iptables-legacy -w -S >/dev/null
same "eight calls at once start one helper" 1 "$(helper_pids | wc -l)"

many=()
for ns in host other third; do
	# shellcheck disable=SC2016
	filtered "$ns" sh -c 'iptables-legacy -F
		seq 1 8 | xargs -P 8 -I{} iptables-legacy -w -A INPUT -s 192.0.2.{} -j DROP' &
	many+=($!)
done
wait "${many[@]}"
for ns in host other third; do
	same "eight callers at once, in three namespaces: $ns" 8 "$(rules_in "$ns")"
done

{
	echo "*filter"
	for i in {1..20000}; do
		echo "-A INPUT -s 10.$((i >> 16)).$((i >> 8 & 255)).$((i & 255))/32 -p tcp -m tcp --dport 22 -j DROP"
	done
	echo COMMIT
} >"$T/large"
expect "a large table is loaded" filtered third iptables-legacy-restore "$T/large"
same "and comes back as it was" "$(grep -- ^-A "$T/large" | md5sum)" \
	"$(filtered third iptables-legacy-save | grep -- ^-A | md5sum)"
filtered third iptables-legacy -F

# --- who dies ------------------------------------------------------------------------------

helper=$(helper_pids)
kill -STOP "$helper"
# shellcheck disable=SC2016
filtered host timeout -k 1 10 bash -c 'iptables-legacy -A INPUT -s 192.0.2.77 -j DROP & sleep 0.2
	for i in 1 2 3; do iptables-legacy -S >/dev/null & sleep 0.1; done
	kill -9 $(jobs -p); wait' >/dev/null 2>&1
expect "callers that are killed while the helper is stopped: nobody waits" soon no_calls
kill -CONT "$helper"
same "and nothing came of theirs" 8 "$(rules_in host)"
same "the helper is the same" "$helper" "$(helper_pids)"

kill -STOP "$helper"
# Not iptables: it would try a second time by itself.
filtered host "$caller" table filter >"$T/waiting" 2>/dev/null &
waiting=$!
sleep 0.5
kill -KILL "$helper"
wait $waiting
same "the helper dies while a get waits: the next one answers it" \
	"table: filter: 12 entries, hooks e, 0, 1848" "$(cat "$T/waiting")"

# Each call succeeds, or says that it should be tried again (4) or that there is nobody to answer (3,
# if helpers are killed faster than they start), and the next one works. The module says so between
# two calls of one iptables, too (1).
again='[34]'
! by_module || again='[134]'
# Killed about as often as one starts, which an emulated machine may take long for.
helper_kill KILL
start=$EPOCHREALTIME
filtered other iptables-legacy -S >/dev/null
end=$EPOCHREALTIME
pause=$(((${end/./} - ${start/./}) / 1000))
note "a call takes $pause ms with the start of a helper"
pause=$((pause > 100 ? pause : 100))
# shellcheck disable=SC2016
filtered other sh -c 'iptables-legacy -F
	i=0
	while i=$((i + 1)) && { [ $i -le 100 ] || [ ! -e "$3" ]; }; do
		iptables-legacy -w -A INPUT -s 198.51.$((i / 256)).$((i % 256)) -j DROP 2>>"$1" || echo $? >>"$2"
		echo $i >"$4"
	done' - "$T/kill.err" "$T/kill.rc" "$T/kill.enough" "$T/kill.calls" &
victim=$!
kills=0
while kill -0 $victim 2>/dev/null; do
	ms=$((pause / 2 + RANDOM % (pause / 2)))
	sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
	# shellcheck disable=SC2046
	kill -9 $(helper_pids) 2>/dev/null && kills=$((kills + 1))
	[ $kills -lt 10 ] || touch "$T/kill.enough"
done
touch "$T/kill.rc"
made=$(cat "$T/kill.calls")
note "$kills kills, $(wc -l <"$T/kill.rc") of $made calls told to try again"
same "the helper is killed again and again: calls succeed or say that there is nobody" "" \
	"$(grep -vx "$again" "$T/kill.rc")"
# A helper that was killed on its way up is not followed by the next one for a second.
soon filtered other iptables-legacy -w -S >/dev/null 2>&1
n=$(rules_in other)
tap $((n < made - $(wc -l <"$T/kill.rc") || n > made)) "and what succeeded is there ($n rules)"

# --- what stays behind ---------------------------------------------------------------------

# Of "bpfilter run" itself.
runs() {
	start=$EPOCHREALTIME
	out=$(filtered host "$caller" daemon "$T/daemon" 2)
	end=$EPOCHREALTIME
	tap $((${end/./} - ${start/./} > 1500000)) "run returns when COMMAND does, whoever stays behind"
	same "its daemon's broker stays" 1 "$(brokers | wc -l)"
	soon test -s "$T/daemon"
	same "and answers" "a daemon: filter: 12 entries, hooks e, 0, 1848" "$(cat "$T/daemon")"
	expect "until the daemon has ended" soon no_brokers
	same "it kept nothing of run's output" "" "$out"

	filtered host sh -c 'trap "exit 9" TERM; touch "$1"; while :; do sleep 0.1; done' - "$T/up" &
	waiting=$!
	soon test -e "$T/up"
	# The broker does not mind.
	mapfile -t pids < <(brokers)
	kill -TERM "${pids[@]}"
	wait $waiting
	same "a signal to run reaches COMMAND" 9 $?
}
by_module || runs

helper=$(helper_pids)
helper_kill TERM
same "the helper ends when told to" "" "$(helper_pids)"
expect_not "and its socket is gone" test -e "$BPFILTER_RUN_DIR/umh.sock"
same "the next call finds the table as it was" 8 "$(rules_in host)"
expect "bpfilter status answers" "$BPFILTER" status
fails_with=$("$BPFILTER" umh 2>&1)
same "a second helper is refused" 124 $?
note "$fails_with"
filtered host "$BPFILTER" status >/dev/null
same "status works below a run" 0 $?

# --- namespaces come and go ----------------------------------------------------------------

helper_kill TERM
in_background "$BPFILTER" umh --foreground --idle=1
soon test -S "$BPFILTER_RUN_DIR/umh.sock"
filtered third iptables-legacy -A INPUT -j AUDIT --type accept
netns gone
filtered gone iptables-legacy -A INPUT -j DROP
gone=$(inode gone)
pinned() { [ -n "$(find "$BPFILTER_PIN_DIR/$gone" -mindepth 1)" ] || at_module_hooks gone; }
expect "what is in force in a namespace is pinned, or with the module" pinned
sleep 2
threads_in() { readlink /proc/"$(helper_pids)"/task/*/ns/net 2>/dev/null | grep -cF "[$(inode "$1")]"; }
same "the helper does not stay where it has nothing to do" 0 "$(threads_in third)"
same "but where the table is ours it does" 1 "$(threads_in host)"
expect "status still knows why the kernel has a table" sh -c \
	'"$BPFILTER" status | grep -q AUDIT'
ip netns del "$lab-gone"
no_gone() { [ ! -e "$BPFILTER_PIN_DIR/$gone" ]; }
expect "a namespace that nobody uses any more is let go" soon no_gone
netns gone
filtered gone iptables-legacy -A INPUT -j DROP
gone=$(inode gone)
helper_kill KILL
ip netns del "$lab-gone"
"$BPFILTER" status >/dev/null
expect "also by the next helper" no_gone

expect "detach gives the table back" inside host "$BPFILTER" detach
same "to the kernel, with its rules" 8 "$(kernel_rules host | grep -c -- ^-A)"

tap_end
