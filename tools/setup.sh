#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# setup.sh demo|check|check-vm BUILD-DIR - install the Debian packages that building and running need
#
# Done once: leaves a stamp in BUILD-DIR. Needs neither the network nor root when nothing is
# missing.

set -eu

what=${1:?usage: setup.sh demo|check|check-vm BUILD-DIR}
build=${2:?usage: setup.sh demo|check|check-vm BUILD-DIR}

# What the binary and the demo need.
packages=(gcc libc6-dev make pkg-config libbpf-dev libnl-3-dev
	  iptables iproute2 iputils-ping netcat-openbsd procps util-linux)
# What the tests need besides: the harness, captures, nat and conntrack to look at.
[ "$what" = demo ] ||
	packages+=(linux-source-6.1 xz-utils libpcap-dev nftables conntrack ipset nfacct)
# What virtual machines need: the emulator, what makes an initramfs, and what judges the module's style.
[ "$what" != check-vm ] ||
	packages+=(qemu-system-x86 cpio kmod binutils debian-archive-keyring perl)

die() {
	echo "setup: $*" >&2
	exit 1
}

# demo and check both end in namespaces and eBPF; say so before anything is built.
[ "$(id -u)" = 0 ] || die "this needs root, for network namespaces and eBPF: sudo make $what"

stamp=$build/.setup-$what
[ "$stamp" -nt "$0" ] && exit 0

missing=()
if command -v dpkg-query >/dev/null; then
	for p in "${packages[@]}"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q ' installed$' ||
			missing+=("$p")
	done
else
	die "this is not Debian: install what corresponds to ${packages[*]}, then touch $stamp"
fi

if [ ${#missing[@]} -gt 0 ]; then
	echo "setup: installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	get=(apt-get -o Dpkg::Use-Pty=0 -qq -y --no-install-recommends)
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	# The package lists may be absent or out of date: try, update, try again.
	"${get[@]}" install "${missing[@]}" >"$log" 2>&1 || {
		"${get[@]}" update >"$log" 2>&1 &&
			"${get[@]}" install "${missing[@]}" >"$log" 2>&1
	} || {
		cat "$log" >&2
		die "apt-get could not install ${missing[*]}: see above"
	}
fi
mkdir -p "$build"
touch "$stamp"
