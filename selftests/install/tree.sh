#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tree.sh DIR - make DIR/tree, a small Debian 12 with what builds bpfilter, its module and packages, and
# runs them
#
# Nothing is done if it is there, made by the same script. The archive is the one that this machine already uses.

set -eu

dir=${1:?usage: tree.sh DIR}
mkdir -p "$dir"
dir=$(readlink -f "$dir")

exec 9>"$dir/lock"
flock 9
state=$(sha256sum <"$0")
[ ! -d "$dir/tree" ] || [ "$state" != "$(cat "$dir/state" 2>/dev/null)" ] || exit 0

archive=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
	awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
if [ -z "$archive" ]; then
	# The lists were never fetched: then apt knows addresses, but not whose they are.
	archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -E '/debian/?$' | head -n 1) || true
fi
[ -n "$archive" ] || { echo "tree.sh: apt on this machine has no Debian archive" >&2; exit 1; }

# In a mount namespace of its own: nothing needs to be unmounted, however this ends.
rm -rf "$dir"/{tree,tree.new,state}
unshare --mount --propagation private bash -eu -c '
	debootstrap --variant=minbase bookworm "$1" "$2"
	mount -t proc proc "$1/proc"
	chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C \
		bash -eu -c "
			apt-get -o Dpkg::Use-Pty=0 -qq -y --no-install-recommends install \
				gcc libc6-dev make pkg-config libbpf-dev libnl-3-dev libpcap-dev \
				dkms linux-headers-amd64 kmod openssl man-db bash-completion \
				systemd iptables procps iproute2 iputils-ping \
				build-essential debhelper dh-dkms lintian
			apt-get clean
			# As the package of the kernel itself would have done.
			for k in /lib/modules/*; do depmod \${k##*/}; done
		"
' - "$dir/tree.new" "$archive" >"$dir/log" 2>&1 || {
	cat "$dir/log" >&2
	exit 1
}
mv "$dir/tree.new" "$dir/tree"
echo "$state" >"$dir/state"
