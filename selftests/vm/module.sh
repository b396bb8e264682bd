#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module.sh [-s] 6.1|6.12|7.2 DIR - build the module for Debian's kernel of that version
#
# DIR receives bpfilter.ko, and the log of the build; nothing is done if it is there, from the same
# source. With Debian's compiler and headers for that kernel, from $VM_CACHE ($BUILD/vm unless set),
# where kernel.sh puts them first. Every warning is an error. -s: let sparse look at the source besides.
# Needs root, for chroot.

set -eu

here=$(dirname "$(readlink -f "$0")")
top=$(readlink -f "$here/../..")
cache=${VM_CACHE:-${BUILD:?}/vm}
check=0
if [ "${1:-}" = -s ]; then
	check=1
	shift
fi
version=${1:?usage: module.sh [-s] 6.1|6.12|7.2 DIR}
dir=${2:?usage: module.sh [-s] 6.1|6.12|7.2 DIR}

sources=(bpfilter_kern.c bpfilter_ask.c bpfilter_ask.h Kbuild include/uapi/bpfilter.h)

"$here/kernel.sh" "$version" "$cache/$version"
tree=$(readlink -f "$cache/$version/tree")
release=$(<"$cache/$version/release")

mkdir -p "$dir"
dir=$(readlink -f "$dir")
exec 9>"$dir/lock"
flock 9
state=$(cd "$top" && echo "$release $check" && sha256sum "${sources[@]}" selftests/vm/module.sh)
[ -f "$dir/bpfilter.ko" ] && [ "$state" = "$(cat "$dir/state" 2>/dev/null)" ] && exit 0

rm -rf "$dir"/{src,state,bpfilter.ko}
mkdir "$dir/src"
(cd "$top" && cp --parents "${sources[@]}" "$dir/src")

# In a mount namespace of its own: nothing needs to be unmounted, however this ends. /proc is for
# objtool. The arrays of structures with a flexible end are in the kernel's own ip_tables.h.
rc=0
unshare --mount --propagation private bash -eu -c '
	mount -t proc proc "$1/proc"
	mount --rbind /dev "$1/dev"
	mount -t tmpfs tmpfs "$1/tmp"
	mount --bind "$2" "$1/build"
	exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin LC_ALL=C \
		make -C "/usr/src/linux-headers-$3" M=/build W=1 C="$4" CF=-Wno-flexible-array-array modules
' - "$tree" "$dir/src" "$release" "$check" >"$dir/log" 2>&1 || rc=$?

if [ "$rc" -ne 0 ] || grep -qiE '(warning|error):' "$dir/log"; then
	tail -n 60 "$dir/log" >&2
	echo "module.sh: the module does not build for $release, or not without a warning" >&2
	exit 1
fi
mv "$dir/src/bpfilter.ko" "$dir/"
echo "$state" >"$dir/state"
