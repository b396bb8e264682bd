#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# persist.sh [KILLS] - the helper killed at random moments during replaces
#
# Three tables that differ in INPUT and in FORWARD: two for eBPF, one small and one large, and one
# for the kernel. After each kill -9 what is in force is one of the two tables concerned, in both
# chains; the next call of iptables works and shows the same table, and packets agree.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

kills=${1:-${KILLS:-40}}

# table NUMBER: accepts port 1000 and 1000+NUMBER in INPUT, 2000 and 2000+NUMBER in FORWARD.
table() {
	local i

	echo '*filter'
	echo ':INPUT DROP [0:0]'
	echo ':FORWARD DROP [0:0]'
	echo ':OUTPUT ACCEPT [0:0]'
	echo ':pad - [0:0]'
	echo '-A INPUT -p icmp -j ACCEPT'
	echo '-A INPUT -i lo -j ACCEPT'
	echo "-A INPUT -p udp -m multiport --dports 1000,$((1000 + $1)) -j ACCEPT"
	echo "-A FORWARD -p udp -m multiport --dports 2000,$((2000 + $1)) -j ACCEPT"
	case $1 in
	1) echo '-A INPUT -m conntrack --ctstate INVALID -j DROP' ;;
	2) for ((i = 0; i < 1500; i++)); do
		echo "-A pad -s 10.$((i % 7)).$((i / 256)).$((i % 256))/32 -p tcp -j DROP"
	   done ;;
	3) echo '-A FORWARD -p tcp -j CLASSIFY --set-class 1:2' ;;
	esac
	echo COMMIT
}

# What passes now: " 0 1 0 1" where table 1 is in force in both chains. Every table lets port 0 pass, and
# it comes last: when it has arrived in both places, so has all that passes. It may be lost.
probe() {
	local port i in='' forward=''

	inside server nft reset counters table ip probe >/dev/null
	inside host nft reset counters table ip probe >/dev/null
	for port in 1 2 3 0; do
		echo x >"/dev/udp/192.0.2.1/100$port"
		echo x >"/dev/udp/198.51.100.2/200$port"
	done
	for ((i = 0; i < 50; i++)); do
		sleep 0.02
		in=$(passed host 100)
		forward=$(passed server 200)
		[[ $in != *" 0"* || $forward != *" 0"* ]] || break
	done
	echo "$in$forward"
}

# Those of the ports PREFIX0 to PREFIX3 whose packets arrived.
passed() {
	inside "$1" nft list counters table ip probe | awk '
		/counter p/ { name = substr($2, 2) }
		/packets/ { if ($2) list = list " " name }
		END { print list }'
}

counters() {
	local port

	echo 'table ip probe {'
	for port in 0 1 2 3; do
		echo "counter p$port { packets 0 bytes 0 }"
	done
	echo "chain in { type filter hook input priority 100;"
	for port in 0 1 2 3; do
		echo "udp dport $1$port counter name p$port"
	done
	printf '}\n}\n'
}

lab_begin
lab_client_host_server
for n in 1 2 3; do
	table $n >"$T/table-$n"
	netns kernel
	plain kernel iptables-legacy-restore <"$T/table-$n"
	rules[n]=$(kernel_rules kernel)
	ip netns del "$lab-kernel"
done
counters 100 | inside host nft -f -
counters 200 | inside server nft -f -

# The probes come from the client: this function runs there, so that a probe costs no process.
export -f probe passed inside
export lab T

from_client() {
	inside client bash -c probe
}

restore() {
	filtered host iptables-legacy-restore <"$T/table-$1"
}

restore 1 || exit 1
same "the first table is in force" " 0 1 0 1" "$(from_client)"
start=${EPOCHREALTIME/./}
restore 2 && restore 3 && restore 1
took=$(((${EPOCHREALTIME/./} - start) / 3))
note "a replace takes $((took / 1000)) ms"

force=1 neither=0 mixed=0 lied=0 back=0 unusable=0 new=0 old=0 moving=0

# is_whole PASSED NEXT: is it what the table in force lets pass, or the next one, in both chains?
is_whole() {
	[ "$1" = " 0 $force 0 $force" ] || [ "$1" = " 0 $2 0 $2" ]
}

one_kill() {
	local next=$1 third=$((6 - force - $1)) pids moment now shown n

	mapfile -t pids < <(helper_pids)
	moment=$((RANDOM * RANDOM % (took * 5 / 4)))
	restore "$next" >"$T/restore" 2>&1 &
	sleep "$(printf '0.%06d' "$moment")"
	kill -9 "${pids[@]}" 2>/dev/null
	now=$(from_client)
	if [[ $force$next == *3* && $now != *$third* ]] && ! is_whole "$now" "$next"; then
		# Killed in the middle of a move between ip_tables and eBPF: packets that were held
		# are lost, and for as long as a new helper takes to start both tables are asked, so that
		# nothing passes that either of them drops.
		moving=$((moving + 1))
		wait $!
		for _ in {1..20}; do
			now=$(from_client)
			! is_whole "$now" "$next" || break
			sleep 0.05
		done
	fi
	is_whole "$now" "$next" || {
		note "after $moment us, $force to $next: passed INPUT, FORWARD:$now"
		mixed=$((mixed + 1))
	}
	wait $!
	shown=$(filtered host iptables-legacy -S 2>"$T/err") || {
		note "$(cat "$T/err")"
		unusable=$((unusable + 1))
	}
	for n in "$force" "$next" 0; do
		[ "$n" = 0 ] || [ "$shown" != "${rules[n]}" ] || break
	done
	if [ "$n" = 0 ]; then
		note "after $moment us, $force to $next: iptables shows neither"
		neither=$((neither + 1))
		restore "$force"
		return
	fi
	if [ "$now" = " 0 $next 0 $next" ] && [ "$n" = "$force" ]; then
		note "after $moment us, $force to $next: the new table was in force, then the old one"
		back=$((back + 1))
	fi
	now=$(from_client)
	[ "$now" = " 0 $n 0 $n" ] || {
		note "after $moment us, $force to $next: table $n is shown, passed:$now"
		lied=$((lied + 1))
	}
	if [ "$n" = "$next" ]; then
		new=$((new + 1))
	else
		old=$((old + 1))
	fi
	force=$n
}

for ((k = 0; k < kills; k++)); do
	next=$(((force + RANDOM % 2) % 3 + 1))
	one_kill $next
done
note "$kills kills: the new table $new times, the old one $old times;" \
	"$moving times it was moving between ip_tables and eBPF"
tap $((mixed > 0)) "$kills kills: filtering went on, with one of the two tables, whole"
tap $((neither > 0)) "$kills kills: iptables shows one of the two tables, whole"
tap $((unusable > 0)) "$kills kills: the next call of iptables works"
tap $((lied > 0)) "$kills kills: what is shown is what filters"
tap $((back > 0)) "$kills kills: a table that was in force stays"

# --- with no helper at all, and after it -----------------------------------------------------

restore 1
inside client ping -q -c 3 -i 0.01 192.0.2.1 >/dev/null
helper_kill 9
same "filtering goes on with no helper" " 0 1 0 1" "$(from_client)"
inside client ping -q -c 2 -i 0.01 192.0.2.1 >/dev/null
same "the next helper shows what was counted before and between" 5 \
	"$(filtered host iptables-legacy -L INPUT 1 -v -n -x | awk '{ print $1 }')"
same "and the same rules" "${rules[1]}" "$(filtered host iptables-legacy -S)"
expect "the kernel's table is empty" kernel_is_empty host
helper_kill TERM
same "filtering goes on after an orderly end" " 0 1 0 1" "$(from_client)"

# --- a namespace that is gone ----------------------------------------------------------------

pins_of() {
	find "$BPFILTER_PIN_DIR" -mindepth 1 -path "*$1*"
}

# What is in force in a namespace stays without a helper: by pins, or since the module has it.
stays() {
	[ -n "$(pins_of "$(inode "$1")")" ] || at_module_hooks "$1"
}

wait_gone() {
	local i

	for ((i = 0; i < $2 * 10; i++)); do
		[ -n "$(pins_of "$1")" ] || return 0
		sleep 0.1
	done
	pins_of "$1"
	return 1
}

# What status says of one.
status_of() {
	"$BPFILTER" status | sed -n "/^$lab-$1 /,/^\$/p"
}

keeps_spare() {
	status_of "$1" | grep -q 'kept a while for the next replace'
}

wait_no_spare() {
	local i

	for ((i = 0; i < $2 * 10; i++)); do
		keeps_spare "$1" || return 0
		sleep 0.1
	done
	return 1
}

# One that does not wait half a minute before it looks.
helper_kill TERM
in_background "$BPFILTER" umh --foreground --idle=2
wait_for helper_pids
netns gone
filtered gone iptables-legacy -P INPUT DROP
ino=$(inode gone)
expect "pins bear the number of their namespace" stays gone
filtered gone iptables-legacy -A INPUT -p tcp --dport 1 -j ACCEPT
before=$(filtered gone iptables-legacy -S)
filtered gone iptables-legacy -A INPUT -p tcp --dport 2 -j ACCEPT
filtered gone iptables-legacy -D INPUT -p tcp --dport 2 -j ACCEPT
expect "a rule more and less is the program of before" grep -q 'of data alone' <(status_of gone)
expect "which takes memory" keeps_spare gone
expect "for a while" wait_no_spare gone 10
same "the table stays" "$before" "$(filtered gone iptables-legacy -S)"
ip netns del "$lab-gone"
expect "they are gone soon after their namespace" wait_gone "$ino" 5
netns gone
filtered gone iptables-legacy -P INPUT DROP
ino=$(inode gone)
helper_kill 9
ip netns del "$lab-gone"
filtered host iptables-legacy -S >/dev/null
expect "also when it went while there was no helper" wait_gone "$ino" 45
expect "those of other namespaces are not" stays host

# --- what the helper keeps for itself --------------------------------------------------------

# Kilobytes that are its own: not what it has of files, and not the maps of programs.
own_memory() {
	awk '/^[0-9a-f]+-/ { map = /bpf-map/ } /^Private_Dirty/ && !map { kb += $2 } END { print kb }' \
		"/proc/$(helper_pids)/smaps"
}

# rests BEFORE KB: within some seconds it has not more than so many in addition.
rests() {
	local i

	for i in {1..80}; do
		[ $(($(own_memory) - $1)) -gt "$2" ] || break
		sleep 0.1
	done
	note "$1 KB before, $(own_memory) now"
	[ "$i" -lt 80 ]
}

# A table on its way takes 10 MB, which is given back; trees are kept for the table in force alone. The table is 2 MB.
helper_kill TERM
netns large
filtered large iptables-legacy -P INPUT ACCEPT
if grep -q libasan "/proc/$(helper_pids)/maps"; then
	tap_skip "a helper at rest" "a sanitizer has memory of its own"
else
	sleep 4
	before=$(own_memory)
	awk 'BEGIN {
		srand(1)
		print "*filter\n:INPUT ACCEPT [0:0]"
		for (i = 0; i < 10000; i++)
			printf "-A INPUT -s 10.%d.%d.%d -p tcp --dport %d -j DROP\n", rand() * 256, rand() * 256, rand() * 256, rand() * 65536
		print "COMMIT"
	}' >"$T/large"
	filtered large iptables-legacy-restore <"$T/large"
	expect "a helper at rest has little of a large table" rests "$before" 920
	filtered large iptables-legacy -A INPUT -s 10.0.0.1 -j DROP
	expect "and not more after a change" rests "$before" 1150
fi

tap_end
