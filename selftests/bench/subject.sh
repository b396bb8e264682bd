# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # set by lib.sh

# A namespace between gen and sink, as "bench blast" has it.
subject() {
	local there=02:00:00:00:00:02

	netns "$1"
	ip link add "to-$1" netns "$lab-gen" type veth peer name bench-in netns "$lab-$1" &&
		ip link add "to-$1" netns "$lab-sink" type veth peer name bench-out netns "$lab-$1" &&
		ip -n "$lab-$1" link set bench-in address 02:00:00:00:00:01 up &&
		ip -n "$lab-$1" link set bench-out up &&
		ip -n "$lab-sink" link set "to-$1" address $there up &&
		ip -n "$lab-gen" link set "to-$1" up &&
		ip -n "$lab-$1" addr add 10.255.0.1/24 dev bench-in &&
		ip -n "$lab-$1" addr add 10.255.1.1/24 dev bench-out &&
		ip -n "$lab-$1" route add default via 10.255.1.2 &&
		ip -n "$lab-$1" neigh add 10.255.1.2 lladdr $there dev bench-out nud permanent &&
		inside "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
			net.ipv4.conf.bench-in.rp_filter=0 || exit 1
}
