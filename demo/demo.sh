#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# demo.sh - the whole thing at work, in network namespaces of its own
#
# Called by "make demo", with $BPFILTER set, and $BPFILTER_MODULE to the kernel module if that was built. The
# module is loaded and, in the end, unloaded; one that is loaded already is used and left alone. Where there
# is none, "bpfilter run" does. Exit status 0 if everything was as expected.

set -u

here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../selftests/lib.sh
. "$here/../selftests/lib.sh"

unexpected=()

title() {
	printf '\n=== %s\n' "$*"
}

typed() {
	local ns=$1

	shift
	printf '\n  %s# %s\n' "$ns" "${*//$BPFILTER/bpfilter}"
}

# run NAME WORDS...: show a command as one would type it there, run it, show what it prints.
run() {
	local ns=$1 out rc

	shift
	typed "$ns" "$@"
	out=$(inside "$ns" "$@" 2>&1)
	rc=$?
	[ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/    /'
	[ $rc -eq 0 ] || unexpected+=("\"${*//$BPFILTER/bpfilter}\" ended with status $rc")
}

# packet WHAT allowed|refused PROBE...: send it and compare with what is expected.
packet() {
	local what=$1 want=$2 got=refused

	shift 2
	! "$@" || got=allowed
	printf '    %-52s %s' "$what" "$got"
	if [ $got = "$want" ]; then
		echo
	else
		echo "   <-- should be $want"
		unexpected+=("$what: $got")
	fi
}

# fact TEXT COMMAND...: something that must be true now.
fact() {
	local text=$1

	shift
	if "$@"; then
		printf '    yes: %s\n' "$text"
	else
		printf '    NO:  %s\n' "$text"
		unexpected+=("not true: $text")
	fi
}

packets() {
	packet "ping          client -> host" allowed can_ping client 192.0.2.1
	packet "tcp port 22   client -> host" allowed can_tcp client 192.0.2.1 22
	packet "tcp port 23   client -> host" refused can_tcp client 192.0.2.1 23
	packet "tcp port 22   server -> host (not from the inside)" refused \
		can_tcp server 198.51.100.1 22
	packet "tcp port 80   client -> server" allowed can_tcp client 198.51.100.2 80
	packet "tcp port 3306 client -> server" refused can_tcp client 198.51.100.2 3306
	packet "udp port 5000 client -> server" allowed can_udp client 198.51.100.2 5000 server
	packet "udp port 5001 client -> server" refused can_udp client 198.51.100.2 5001 server
	packet "ping          server -> client" refused can_ping server 192.0.2.2
	packet "ping          from 192.0.2.66, which is blocked" refused blocked_ping
}

blocked_ping() {
	inside client ping -q -n -c 1 -W 1 -I 192.0.2.66 198.51.100.2 >/dev/null
}

# The packets that a rule has counted: CHAIN, and words of the rule's line.
rule_packets() {
	inside host "${via[@]}" iptables-legacy -L "$1" -v -n -x |
		awk -v w="$2" 'index($0, w) { print $1; exit }'
}

# --- how iptables gets to bpfilter -------------------------------------------------------------

# What a command has in front of it: nothing with the module, "bpfilter run --" without.
via=("$BPFILTER" run --)
# loaded: by us; there: before us; none.
kernel_module=none
why_not=
excluded=

# With a helper whose files are all in our scratch folder, and not for the machine's own namespace, which is
# none of our business.
load() {
	local m

	module_helper
	for m in $(modinfo -F depends "$1" | tr , ' '); do
		modprobe -q "$m"
	done
	excluded=$(stat -L -c %i /proc/1/ns/net)
	# So that lab_end unloads it.
	BPFILTER_THROUGH=module
	if why_not=$(insmod "$1" "helper=$T/helper" "exclude=$excluded" 2>&1); then
		kernel_module=loaded
	else
		BPFILTER_THROUGH=
	fi
}

unload() {
	module_unload >/dev/null 2>&1 || unexpected+=("the module cannot be unloaded")
	BPFILTER_THROUGH=
}

# A call that the module has to start the helper for.
helper_works() {
	inside host iptables-legacy -S >/dev/null && [ -n "$(helper_pids)" ]
}

choose() {
	if module_is_loaded; then
		excluded=$(module_get exclude)
		kernel_module=there
		# Its helper is the machine's.
		export BPFILTER_RUN_DIR=/run/bpfilter BPFILTER_PIN_DIR=/sys/fs/bpf/bpfilter
	elif [ ! -e /proc/modules ]; then
		why_not="this kernel cannot load modules"
	elif [ ! -e "$1" ]; then
		why_not="it was not built"
		[ -e "/lib/modules/$(uname -r)/build" ] || why_not+=" for want of linux-headers-$(uname -r)"
	else
		load "$1"
		if [ $kernel_module = loaded ] && ! helper_works; then
			unload
			kernel_module=none
			why_not="it cannot start its helper, see dmesg"
		fi
	fi
	[ $kernel_module = none ] || via=()
}

# The kernel's own table in a namespace. With the module, every call gets there only where the module is
# told to keep out.
kernel_rules() {
	local rc

	[ $kernel_module = none ] || module_set exclude "$(inode "$1")"
	inside "$1" iptables-legacy -S
	rc=$?
	[ $kernel_module = none ] || module_set exclude "$excluded"
	return $rc
}

# However the demo ends.
clean_up() {
	if [ $kernel_module = there ]; then
		module_set exclude "$excluded"
		# Or the helper would find out only after a while that the namespace is gone.
		inside host "$BPFILTER" detach >/dev/null 2>&1
	fi
	lab_end
}

BPFILTER_THROUGH=
lab_begin
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM HUP
trap clean_up EXIT
lab_client_host_server
ip -n "$lab-client" addr add 192.0.2.66/24 dev to-host
for port in 22 23; do serve_tcp host $port; done
for port in 80 3306; do serve_tcp server $port; done
for port in 5000 5001; do serve_udp server $port; done
choose "${BPFILTER_MODULE:-}"

cat <<END
Three machines, each a network namespace:

    client 192.0.2.2 ---- host, a router with a firewall ---- server 198.51.100.2

Everything here happens inside them; your own network is not touched.

END
case $kernel_module in
loaded)
	cat <<-END
		With the kernel module: ${BPFILTER_MODULE#"$PWD/"} is loaded until the demo ends, and answers
		every iptables-legacy in these machines (it is told to keep out of your own network).
	END
	;;
there)
	echo "With the kernel module, which is loaded already and stays so."
	;;
none)
	echo "Without the kernel module: $why_not."
	# Says so if it cannot work here.
	inside host "${via[@]}" true || exit
	echo 'So every command is started by "bpfilter run", which answers its iptables calls.'
	;;
esac

title "1. The stock iptables-legacy binary loads a rule set, with bpfilter answering it"
run host iptables-legacy --version
typed host "${via[@]}" "iptables-legacy-restore < demo/rules"
inside host "${via[@]}" iptables-legacy-restore <"$here/rules" ||
	unexpected+=("iptables-legacy-restore failed")
run host "${via[@]}" iptables-legacy -S

title "2. The kernel's own filter table has none of it: without bpfilter in between"
[ $kernel_module = none ] ||
	typed host "echo $(inode host) > $module_parameters/exclude     # the number of this namespace"
typed host iptables-legacy -S
kernel_rules host 2>&1 | sed 's/^/    /'
[ $kernel_module = none ] || typed host "echo $excluded > $module_parameters/exclude"
fact "the kernel's filter table is empty" kernel_is_empty host

title "3. What filters is eBPF, generated for this table and attached to netfilter"
run host "$BPFILTER" status
fact "the table is in eBPF" in_ebpf host

title "4. Packets"
packets

title "5. Every rule counts, and iptables shows it"
run host "${via[@]}" iptables-legacy -L -v -n -x
fact "the rule for port 22 has counted packets" test "$(rule_packets INPUT 'dpt:22')" -gt 0
fact "the blocked address was counted" test "$(rule_packets blocked 192.0.2.66)" -gt 0

title "6. One rule more, at once"
run host "${via[@]}" iptables-legacy -I FORWARD -p tcp --dport 80 -j DROP
packet "tcp port 80   client -> server" refused can_tcp client 198.51.100.2 80
run host "${via[@]}" iptables-legacy -D FORWARD -p tcp --dport 80 -j DROP
packet "tcp port 80   client -> server" allowed can_tcp client 198.51.100.2 80

title "7. A rule that bpfilter cannot translate: the kernel gets the whole table, none is lost"
counted=$(rule_packets to-server 'multiport')
run host "${via[@]}" iptables-legacy -A FORWARD -j CLASSIFY --set-class 1:2
run host "$BPFILTER" status
fact "the kernel's own filter table has the rules now" cannot kernel_is_empty host
fact "and the reason is named" test -n "$(kernel_why host)"
packet "tcp port 80   client -> server" allowed can_tcp client 198.51.100.2 80
packet "tcp port 3306 client -> server" refused can_tcp client 198.51.100.2 3306
echo
echo "    ... and back, when that rule goes:"
run host "${via[@]}" iptables-legacy -D FORWARD -j CLASSIFY --set-class 1:2
fact "the kernel's filter table is empty again" kernel_is_empty host
fact "counters went along (port 80: $counted packets before)" \
	test "$(rule_packets to-server 'multiport')" -gt "$counted"

# The machine's helper is not ours to kill, nor the module that was there before ours to unload.
if [ $kernel_module != there ]; then
	title "8. The helper that answers iptables is killed: filtering goes on without it"
	typed host "kill -9 $(helper_pids | paste -sd' ')"
	helper_kill 9
	packets
	run host "${via[@]}" iptables-legacy -L to-server -v -n -x
fi

if [ $kernel_module = loaded ]; then
	title "9. The module is unloaded: the kernel's ip_tables has all rules, and goes on"
	counted=$(rule_packets to-server 'multiport')
	run host "$BPFILTER" stop
	typed host rmmod bpfilter
	unload
	packets
	run host iptables-legacy -L to-server -v -n -x
	fact "counters went along (port 80: $counted packets before)" \
		test "$(rule_packets to-server 'multiport')" -gt "$counted"
fi

title "Result"
clean_up
if [ ${#unexpected[@]} -eq 0 ]; then
	echo "everything was as expected (${SECONDS} s), and nothing is left behind"
	exit 0
fi
echo "NOT as expected:"
printf '  - %s\n' "${unexpected[@]}"
exit 1
