#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# No helper can be had: a namespace whose table is in eBPF cannot be changed, which is said, and goes on
# filtering; any other is answered by ip_tables. And a helper that nobody but a person has started serves.

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

owned="-A INPUT -p udp -m udp --dport 9 -j DROP"

# What a call ends with when there is nobody: iptables' own status, in time.
fails() {
	local text=$1 rc start=${EPOCHREALTIME/./}

	shift
	inside host timeout -k 1 20 "$@" >"$T/out" 2>"$T/err"
	rc=$?
	case $rc in
	[1-4]) tap 0 "$text: status $rc" ;;
	*) tap 1 "$text: status $rc" ;;
	esac
	note "$(head -n 1 "$T/err") ($(((${EPOCHREALTIME/./} - start) / 1000)) ms)"
}

# filters: udp to port 9 is dropped, to port 10 it is not.
filters() {
	can_udp peer 192.0.2.1 10 host && cannot can_udp peer 192.0.2.1 9 host
}

# nobody WHY: with the helper that there is now, which is none.
nobody() {
	local why=$1 lines

	helper_kill KILL
	lines=$(dmesg | grep -c 'helper cannot be had')
	fails "$why: a rule" iptables-legacy -A INPUT -j DROP
	fails "$why: a list" iptables-legacy -S
	fails "$why: a restore" iptables-legacy-restore "$T/rules"
	expect "$why: filtering goes on" filters
	expect "$why: the kernel's log says it" test "$(dmesg | grep -c 'helper cannot be had')" -gt "$lines"
	same "$why: no request is left" 0 "$(module_get requests)"
	expect "$why: nat is served" inside host iptables-legacy -t nat -S
	expect "$why: another namespace is served" inside other iptables-legacy -A INPUT -p 47 -j DROP
	expect "$why: and shows it" shows other "-A INPUT -p gre -j DROP"
	inside other iptables-legacy -F
}

shows() {
	inside "$1" iptables-legacy -S | grep -qe "$2"
}

# back WHY: and with one that there is again, all is as it was.
back() {
	module_set helper "$T/helper"
	# It is not tried again at once.
	sleep 1.1
	same "$1: with a helper all is as it was" "$owned" "$(inside host iptables-legacy -S | grep -e ^-A)"
	expect "$1: and can be changed" inside host iptables-legacy -A INPUT -s 192.0.2.99 -j DROP
	expect "$1: and changed back" inside host iptables-legacy -D INPUT -s 192.0.2.99 -j DROP
	expect "$1: it is in eBPF" in_ebpf host
	expect "$1: filtering goes on" filters
}

lab_begin
netns host peer other
link host 192.0.2.1/24 peer 192.0.2.2/24
serve_udp host 9
serve_udp host 10
printf '*filter\n-A INPUT -j DROP\nCOMMIT\n' >"$T/rules"

# --- from the beginning ------------------------------------------------------------------------

module_set helper /does/not/exist
expect "none from the beginning: a rule" inside other iptables-legacy -A INPUT -p 50 -j DROP
expect "is with ip_tables" shows other "-A INPUT -p esp -j DROP"
inside other iptables-legacy -F
module_set helper "$T/helper"
sleep 1.1

# shellcheck disable=SC2086
expect "with one: a rule" inside host iptables-legacy $owned
expect "is in eBPF" in_ebpf host
expect "and filters" filters

# --- later -------------------------------------------------------------------------------------

module_set helper /does/not/exist
nobody "a program that is not there"
lines=$(dmesg | grep -c 'helper cannot be had')
SECONDS=0
for i in {1..40}; do
	inside host iptables-legacy -S >/dev/null 2>&1
done
lines=$(($(dmesg | grep -c 'helper cannot be had') - lines))
# Ten in five seconds, of which two are touched by calls that take no time.
tap $((lines > 10 * (SECONDS / 5 + 2))) "40 calls that fail, in $SECONDS s, make $lines lines in the kernel's log"
back "a program that is not there"

module_set helper /bin/false
nobody "a program that fails"
back "a program that fails"

: >"$T/no-program"
module_set helper "$T/no-program"
nobody "a file that is none"
back "a file that is none"

cat >"$T/sleeper" <<END
#!/bin/sh
echo \$\$ >"$T/sleeper.pid"
exec sleep 1000
END
chmod 755 "$T/sleeper"
module_set timeout 1
module_set helper "$T/sleeper"
nobody "a program that sleeps"
expect "which is still starting" test -e "/proc/$(<"$T/sleeper.pid")"

# --- by hand, as a service manager does it -----------------------------------------------------

module_set timeout 60
in_background "$BPFILTER" umh --foreground
by_hand=$!
wait_for helper_pids
same "a helper started by hand serves" "$owned" "$(inside host iptables-legacy -S | grep -e ^-A)"
same "that one, and no other" "$by_hand" "$(helper_pids)"
kill "$(<"$T/sleeper.pid")"
helper_kill TERM
back "one by hand, and then gone"
expect "stop, and unload" module_unload
expect "the kernel has not warned" "$here/kernel_log.sh"
tap_end
