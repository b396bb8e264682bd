#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# deb.sh DIR [VERSION] - build the Debian packages: DIR/bpfilter_*.deb and DIR/bpfilter-dkms_*.deb
#
# Called in the top folder. Only what git would commit is copied, if this is a clone. VERSION is for a package
# that differs from the release by something of one's own, such as 0.1.0+site1.

set -euo pipefail

dir=${1:?usage: deb.sh DIR [VERSION]}
version=$(sed -n 's/^#define BPFILTER_RELEASE "\(.*\)"/\1/p' include/bpfilter.h)
package=${2:-$version}

for tool in dpkg-buildpackage dh; do
	command -v $tool >/dev/null || {
		echo "deb: there is no $tool: apt install build-essential debhelper dh-dkms pkg-config libbpf-dev" \
			"libnl-3-dev libpcap-dev" >&2
		exit 1
	}
done

mkdir -p "$dir"
dir=$(readlink -f "$dir")
work=$(mktemp -d "$dir/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
source=$work/bpfilter-$package
rm -f "$dir"/bpfilter{,-dkms,-dbgsym}_*.{deb,buildinfo,changes}
mkdir "$source"
if [ -e .git ] && command -v git >/dev/null; then
	git ls-files -z -c -o --exclude-standard | tar -c --null -T - | tar -C "$source" -x
else
	tar -c --exclude=./.git --exclude='./build*' . | tar -C "$source" -x
fi

cd "$source"
mv packaging/debian debian
sed -i "1s/($version)/($package)/" debian/changelog
grep -q "^bpfilter ($package) " debian/changelog || {
	echo "deb: packaging/debian/changelog begins with another version than $version" >&2
	exit 1
}
dpkg-buildpackage --build=binary --no-sign
mv "$work"/*.{deb,buildinfo,changes} "$dir"
ls "$dir"/*.deb
