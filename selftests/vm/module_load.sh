#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module_load.sh [ROUNDS] - the module is loaded and unloaded while four processes list, append, delete and
# restore all the time: no call fails but with an errno of those that are documented, none hangs,
# and every table is always what the calls have made of it, with ip_tables or in eBPF

set -u
here=$(dirname "$(readlink -f "$0")")
export BPFILTER_THROUGH=module
# shellcheck source=../lib.sh
. "$here/../lib.sh"

rounds=${1:-60}
churn=${BUILD:?}/selftests/churn

# What a call may fail with while helpers and modules come and go: EINTR, EAGAIN, ENODEV, ENOPROTOOPT,
# ETIMEDOUT. iptables makes them 3 (when it reads the table), 4 (EAGAIN), or 1.
allowed=4,11,19,92,110:1,3,4

# Some table has moved to eBPF, for the module is in use now.
owned() {
	local i

	for i in {1..100}; do
		[ "$(lsmod | awk '$1 == "bpfilter" { print $3 }')" -lt 2 ] || return 0
		sleep 0.05
	done
	return 1
}

# Plainly, where nothing is owned; each call that is under way uses it.
rmmod_plain() {
	local i

	for i in {1..100}; do
		! rmmod bpfilter 2>/dev/null || return 0
	done
	return 1
}

refused=0 plain=0 stopped=0
took=(0 0 0 0)

# One round: loaded when it begins and ends.
round() {
	case $(($1 % 4)) in
	0) # With tables in eBPF: it is refused, and nothing happens.
		owned || return
		! rmmod bpfilter 2>/dev/null || return
		refused=$((refused + 1))
		module_unload || return
		stopped=$((stopped + 1))
		module_load "helper=$T/helper"
		;;
	1) # In the middle of whatever it is.
		module_unload || return
		stopped=$((stopped + 1))
		module_load helper=/bin/false
		;;
	2)
		rmmod_plain || return
		plain=$((plain + 1))
		module_load helper=/bin/false
		;;
	3)
		rmmod_plain || return
		plain=$((plain + 1))
		module_load "helper=$T/helper"
		;;
	esac
}

lab_begin
netns a b c d
for ns in a b c d; do
	inside $ns iptables-legacy -S >/dev/null
done
XTABLES_LOCKFILE=$T/lock "$churn" --limit=10000 --allow=$allowed --every=100 --pause=5000 \
	"/run/netns/$lab-"{a,b,c,d} >"$T/churn" 2>&1 &
pid=$!
lab_jobs+=("$pid")

for ((i = 0; i < rounds; i++)); do
	start=${EPOCHREALTIME/./}
	round $i
	rc=$?
	took[i % 4]=$((took[i % 4] + ${EPOCHREALTIME/./} - start))
	if [ $rc -ne 0 ]; then
		note "round $i" "$(lsmod | grep bpfilter)" "$(dmesg | tail -n 5)" \
			"$(tail -n 20 "$T/run/umh.log")"
		break
	fi
done
tap $((i < rounds)) "$i of $rounds rounds: $stopped times stopped and unloaded, $plain times just unloaded"
note "the four kinds of rounds took ${took[*]} us"
tap $((refused == 0)) "refused $refused times while tables were in eBPF"
module_unload
expect_not "it is gone" module_is_loaded
kill -TERM $pid
wait $pid
tap_from callers cat "$T/churn"
expect "the kernel has not warned" "$here/kernel_log.sh"
tap_end
