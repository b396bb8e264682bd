#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fetch.sh DIR - unpack Debian's Docker below DIR/root, without installing it: a package that is installed starts its daemon,
# which would change the machine's own rules
#
# Nothing is done if it is there, made by the same script.

set -eu

dir=${1:?usage: fetch.sh DIR}
packages=(docker.io containerd runc tini busybox-static libseccomp2 libdevmapper1.02.1)

mkdir -p "$dir"
dir=$(readlink -f "$dir")
exec 9>"$dir/lock"
flock 9
state=$(sha256sum <"$0")
[ "$state" != "$(cat "$dir/state" 2>/dev/null)" ] || exit 0

rm -rf "$dir"/{root,debs,state}
mkdir "$dir/debs"
cd "$dir/debs"
log=$dir/log
apt-get -qq download "${packages[@]}" >"$log" 2>&1 ||
	{ apt-get -qq update && apt-get -qq download "${packages[@]}"; } >"$log" 2>&1 || {
	cat "$log" >&2
	exit 1
}
for deb in *.deb; do
	dpkg -x "$deb" "$dir/root"
done
rm -rf "$dir/debs"
echo "$state" >"$dir/state"
