#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Docker in two worlds, one with the kernel's ip_tables and one below "bpfilter run": the daemon starts, publishes ports,
# makes networks, is restarted, containers come and go. After each step, the same iptables -S, and what can be reached
# from where, address by address and port by port. The filter table is in eBPF, nat is with the kernel.
#
# Each world is client -- host. Needs root, and apt for the first time; the machine's own Docker, if any, is left alone. $BUILD
# is where the packages are unpacked.

set -u
here=$(dirname "$(readlink -f "$0")")
: "${BUILD:?is the folder that it was built in}"
# shellcheck source=../lib.sh
. "$here/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v apt-get >/dev/null || skip_all "needs apt"
root=$(readlink -f "$BUILD")/docker/root

# In namespaces of its own: control groups, mounts and processes end with it.
if [ "${1:-}" != inside ]; then
	"$here/fetch.sh" "$BUILD/docker" || {
		tap 1 "Debian's Docker can be fetched, see above"
		tap_end
	}
	exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private "$0" inside
fi

# Control groups where a daemon looks for them: a hierarchy for each controller that has one, else the unified one.
mount_cgroups() {
	local name hierarchy _

	mount -t tmpfs tmpfs /sys/fs/cgroup || return 1
	while read -r name hierarchy _; do
		[ "$hierarchy" != 0 ] || continue
		mkdir "/sys/fs/cgroup/$name"
		mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" || return 1
	done < <(grep -v '^#' /proc/cgroups)
	[ -n "$(ls /sys/fs/cgroup)" ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
}

remove_cgroups() {
	find /sys/fs/cgroup -depth -type d -path "*/bpfilter-test-$$*" -exec rmdir {} + 2>/dev/null
}

# daemon WORLD HOW: start it, with the iptables that it finds first being the legacy one.
daemon() {
	local ns=host-$1 how=$2 d=$T/docker-$1

	mkdir -p "$d"
	PATH=$T/bin:$root/usr/sbin:$root/usr/bin:$PATH LD_LIBRARY_PATH=$libs \
		"$how" "$ns" dockerd --data-root "$d/data" --exec-root "$d/exec" --pidfile "$d/pid" \
		-H "unix://$d/sock" --storage-driver vfs --cgroup-parent "/bpfilter-test-$$" \
		--userland-proxy=false --ip6tables=false --dns 192.0.2.2 >>"$d/log" 2>&1 </dev/null &
	lab_jobs+=($!)
	within 30 docker "$1" info >/dev/null 2>&1
}

stop_daemon() {
	local pid

	pid=$(cat "$T/docker-$1/pid")
	kill "$pid"
	within 20 test ! -e "/proc/$pid"
}

docker() {
	local world=$1

	shift
	# The command needs no namespace: the daemon's socket is a file.
	env HOME="$T" LD_LIBRARY_PATH="$libs" "$root/usr/bin/docker" -H "unix://$T/docker-$world/sock" "$@"
}

# container WORLD NAME OPTION...: it listens on ports 80 and 81.
container() {
	local world=$1 name=$2

	shift 2
	docker "$world" run -d --name "$name" --init=false "$@" box sh -c \
		'busybox httpd -p 81 && exec busybox httpd -f -p 80' >/dev/null
}

# Can a connection be made? From a namespace of ours, or from a container.
open_from() {
	timeout 2 "${@:3}" bash -c ": </dev/tcp/$1/$2" 2>/dev/null && echo open || echo no
}

# reach WORLD: every address and port from everywhere.
reach() {
	local world=$1 from to port pid

	for from in client host $(docker "$world" ps --format '{{.Names}}' | sort); do
		case $from in
		client | host) pid=/run/netns/$lab-$from-$world ;;
		*) pid=/proc/$(docker "$world" inspect -f '{{.State.Pid}}' "$from")/ns/net ;;
		esac
		for to in 192.0.2.1 192.0.2.2 172.17.0.{1,2,3} 172.31.{1,2}.{1,2,3}; do
			for port in 80 81 8080 8081 8082 7777; do
				echo "$from $to:$port $(open_from "$to" $port nsenter --net="$pid")" &
			done
		done
		wait
	done | sort
}

# step TEXT [FILTER]: both worlds are alike.
step() {
	local want table filter=${2:-cat}

	for table in filter nat; do
		same "$1: iptables -t $table -S" "$(plain host-k iptables-legacy -t $table -S | $filter)" \
			"$(filtered host-b iptables-legacy -t $table -S | $filter)"
	done
	reach b >"$T/reach-b" &
	reach k >"$T/reach-k"
	wait $!
	want=$(cat "$T/reach-k")
	same "$1: $(wc -l <<<"$want") connections, $(grep -c 'open$' <<<"$want") of which are open" "$want" \
		"$(cat "$T/reach-b")"
	expect "$1: the filter table is in eBPF" kernel_is_empty host-b
	expect "$1: status says so" in_ebpf host-b
}

# both COMMAND WORLD... in both worlds, the world being put after the first word.
both() {
	local text="$*"

	expect "$text (kernel)" "$1" k "${@:2}"
	expect "$text (bpfilter)" "$1" b "${@:2}"
}

lab_begin
if ! mount_cgroups; then
	tap_skip "docker" "control groups cannot be mounted here"
	tap_end
fi
trap 'remove_cgroups; lab_end' EXIT
libs=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
mkdir "$T/bin" "$T/box" "$T/box/bin"
ln -s "$(type -P iptables-legacy)" "$T/bin/iptables"
cp "$root/bin/busybox" "$T/box/bin"
ln -s busybox "$T/box/bin/sh"
for world in k b; do
	netns client-$world host-$world
	link client-$world 192.0.2.2/24 host-$world 192.0.2.1/24
	for net in 172.17.0.0/16 172.31.0.0/16; do
		ip -n "$lab-client-$world" route add $net via 192.0.2.1
	done
	serve_tcp client-$world 7777
	serve_tcp host-$world 7777
done

expect "the daemon starts (kernel)" daemon k plain
expect "the daemon starts (bpfilter)" daemon b filtered
for world in k b; do
	tar -C "$T/box" -c . | docker $world import - box >/dev/null
done
step "daemon"

for i in 1 2; do
	both docker network create --subnet 172.31.$i.0/24 -o com.docker.network.bridge.name=br-$i net-$i
done
both docker network create --subnet 172.31.3.0/24 --internal -o com.docker.network.bridge.name=br-3 net-3
both container web -p 8080:80
both container one --network net-1 --ip 172.31.1.2 -p 8081:80
both container neighbour --network net-1 --ip 172.31.1.3
both container two --network net-2 --ip 172.31.2.2 -p 8082:81
step "containers"

both docker network connect --ip 172.31.2.3 net-2 neighbour
both docker restart -t 0 one
both docker stop -t 0 two
step "a container more in a network, one restarted, one stopped"

for world in k b; do
	expect "the daemon ends ($world)" stop_daemon $world
done
daemon k plain
daemon b filtered
both docker start one two
# It takes up networks in any order.
step "the daemon restarted" sort

both docker rm -f web one two neighbour
both docker network rm net-1 net-2 net-3
step "all removed"
for world in k b; do
	expect "the daemon ends ($world)" stop_daemon $world
done
tap_end
