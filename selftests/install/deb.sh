#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The Debian packages: "make deb" in a clean Debian 12, of which a copy is made for this. What is built is as lintian
# wants it, installs, works when that tree is booted, is upgraded and removed while it filters, and leaves
# nothing behind.

set -u
here=$(dirname "$(readlink -f "$0")")
: "${BUILD:?is the folder that it was built in}"
export BPFILTER=${BPFILTER:-$BUILD/bpfilter}
# shellcheck source=../lib.sh
. "$here/../lib.sh"
# shellcheck source=debian.sh
. "$here/debian.sh"
debian_begin "$@"

# What dpkg, systemd and man keep of every package that there ever was.
records='^/(var/lib/(dpkg|systemd)|var/cache/(debconf|man)|var/log|etc/systemd/system)/|^/etc/ld.so.cache '

# What the packages install, besides what documents them.
packaged="/lib/modprobe.d/bpfilter.conf
/lib/systemd/system/bpfilter.service
/usr/sbin/bpfilter
/usr/share/bash-completion/completions/bpfilter
/usr/share/lintian/overrides/bpfilter
/usr/share/man/man5/bpfilter.conf.5.gz
/usr/share/man/man8/bpfilter-detach.8.gz
/usr/share/man/man8/bpfilter-explain.8.gz
/usr/share/man/man8/bpfilter-replay.8.gz
/usr/share/man/man8/bpfilter-run.8.gz
/usr/share/man/man8/bpfilter-status.8.gz
/usr/share/man/man8/bpfilter-stop.8.gz
/usr/share/man/man8/bpfilter-translate.8.gz
/usr/share/man/man8/bpfilter-umh.8.gz
/usr/share/man/man8/bpfilter.8.gz
/usr/src/bpfilter-$version/Kbuild
/usr/src/bpfilter-$version/bpfilter_ask.c
/usr/src/bpfilter-$version/bpfilter_ask.h
/usr/src/bpfilter-$version/bpfilter_kern.c
/usr/src/bpfilter-$version/dkms.conf
/usr/src/bpfilter-$version/include/uapi/bpfilter.h"

expect "make deb" in_tree make -s deb
debs=("bpfilter_${version}_amd64.deb" "bpfilter-dkms_${version}_all.deb")
expect "builds two packages" in_tree ls "${debs[@]/#/build/deb/}"
same "lintian has nothing to say" "" \
	"$(in_tree sh -c 'exec lintian --allow-root --display-info build/deb/*.changes' 2>&1 | grep -v '^N:')"
# For the upgrade.
expect "a package with a version of one's own" in_tree packaging/deb.sh build/newer "$version+2"

before=$(snapshot)
expect "dpkg -i" in_tree dpkg -i "${debs[@]/#/build/deb/}"
same "it installs these files" "$packaged" \
	"$(in_tree dpkg -L bpfilter bpfilter-dkms | grep -v '/usr/share/doc' | while read -r f; do
		[ -d "$root$f" ] || echo "$f"
	done | sort)"
same "DKMS has built and installed the module" \
	"bpfilter/$version, $kernel, x86_64: installed" "$(in_tree dkms status)"
check_module "package" /usr/sbin
same "the command runs" "bpfilter $version" "$(in_tree bpfilter --version)"
expect "systemd takes the unit as it is" in_tree systemd-analyze verify bpfilter.service
same "the unit is enabled" "enabled" "$(in_tree systemctl is-enabled bpfilter.service)"
booted "installed" deb_in_tree.sh
root=$work/tree
expect "dpkg --purge" in_tree dpkg --purge bpfilter-dkms bpfilter
same "leaves the tree as it was" "$(grep -vE "$records" <<<"$before")" "$(snapshot | grep -vE "$records")"

tap_end
