#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A helper that was started below "ip netns exec", which gives a mount namespace of its own: what it pins stays when it is
# killed, in the usual directories, whether it may look at process 1 or not.
#
# In a mount and a process namespace of its own, so that these directories are nobody else's.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# As process 1, with a /run and a /sys/fs/bpf of its own. $1: may others look at it, seen or hidden?
main() {
	mount -t tmpfs tmpfs /run && mkdir -p /run/netns && mount -t sysfs sysfs /sys &&
		mount -t bpf bpf /sys/fs/bpf || exit 4
	export XTABLES_LOCKFILE=/run/xtables.lock
	ip netns add "$name" && ip -n "$name" link set lo up || exit 4
	[ "$1" = seen ] || mount -t tmpfs tmpfs /proc/1 || exit 4
	"$0" inner
	for p in $(pgrep -x bpfilter); do
		kill "$p"
	done
}

helpers() {
	pgrep -x bpfilter -a | awk '/ umh /{ print $1 }'
}

inner() {
	if ! readlink /proc/1/ns/mnt >/dev/null; then
		echo "process 1 cannot be looked at"
	fi
	# shellcheck disable=SC2016
	ip netns exec "$name" "$BPFILTER" run -- sh -c \
		'iptables-legacy -A INPUT -s 127.0.0.9 -j DROP; ping -c 1 -W 1 -I 127.0.0.9 127.0.0.1' >/dev/null 2>&1
	helpers | xargs -r kill -9
	for _ in {1..50}; do
		[ -n "$(helpers)" ] || break
		sleep 0.1
	done
	ip netns exec "$name" ping -c 1 -W 1 -I 127.0.0.9 127.0.0.1 >/dev/null 2>&1 && echo "it does not filter any more"
	ip netns exec "$name" "$BPFILTER" run -- iptables-legacy -S INPUT
	ip netns exec "$name" "$BPFILTER" run -- iptables-legacy -L INPUT -vnx | awk '/DROP.*127.0.0.9/{ print $1 " packets" }'
}

case ${1:-} in
main)
	shift
	main "$@"
	exit
	;;
inner)
	inner
	exit
	;;
esac

[ "$(id -u)" = 0 ] || skip_all "needs root"
unset BPFILTER_RUN_DIR BPFILTER_PIN_DIR
export BPFILTER name=bf$$
want="-P INPUT ACCEPT
-A INPUT -s 127.0.0.9/32 -j DROP
2 packets"

apart() {
	unshare --mount --propagation private --pid --fork --kill-child --mount-proc --net --cgroup "$0" main "$@"
}

same "the filter, its rules and its counters outlive the helper" "$want" "$(apart seen 2>&1)"
same "and where process 1 may not be looked at" "process 1 cannot be looked at
$want" "$(apart hidden 2>&1)"
tap_end
