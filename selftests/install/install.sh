#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# "make install" and "make uninstall" in a clean Debian 12, of which a copy is made for this: what is
# installed works, the systemd unit too, and what is uninstalled is gone. With the module by DKMS, without DKMS, without
# headers, and below DESTDIR.
#
# The machine itself is left alone. Needs root, and apt for the first time; $BUILD is where the tree is kept.

set -u
here=$(dirname "$(readlink -f "$0")")
: "${BUILD:?is the folder that it was built in}"
export BPFILTER=${BPFILTER:-$BUILD/bpfilter}
# shellcheck source=../lib.sh
. "$here/../lib.sh"

# shellcheck source=debian.sh
. "$here/debian.sh"
debian_begin "$@"

# The files below a folder of the tree.
files() {
	(cd "$root$1" && find . ! -type d | sed 's/^\.//' | sort)
}

# All but the module's.
plain_files="/usr/local/lib/modprobe.d/bpfilter.conf
/usr/local/lib/systemd/system/bpfilter.service
/usr/local/sbin/bpfilter
/usr/local/share/bash-completion/completions/bpfilter
/usr/local/share/man/man5/bpfilter.conf.5
/usr/local/share/man/man8/bpfilter-detach.8
/usr/local/share/man/man8/bpfilter-explain.8
/usr/local/share/man/man8/bpfilter-replay.8
/usr/local/share/man/man8/bpfilter-run.8
/usr/local/share/man/man8/bpfilter-status.8
/usr/local/share/man/man8/bpfilter-stop.8
/usr/local/share/man/man8/bpfilter-translate.8
/usr/local/share/man/man8/bpfilter-umh.8
/usr/local/share/man/man8/bpfilter.8"
sources="/usr/src/bpfilter-$version/COPYING
/usr/src/bpfilter-$version/Kbuild
/usr/src/bpfilter-$version/bpfilter_ask.c
/usr/src/bpfilter-$version/bpfilter_ask.h
/usr/src/bpfilter-$version/bpfilter_kern.c
/usr/src/bpfilter-$version/dkms.conf
/usr/src/bpfilter-$version/include/uapi/bpfilter.h"

# --- with DKMS ----------------------------------------------------------------------------

expect "make" in_tree make -j2
before=$(snapshot)
expect "make install" in_tree make install
installed=$(new_files)
same "it installs these files, besides the module" \
	"$(printf '%s\n' "$plain_files" "$sources" | sort)" \
	"$(grep -vE '^/(var/lib/dkms|lib/modules|usr/lib/modules)/' <<<"$installed" | sort)"
same "DKMS has built and installed the module" \
	"bpfilter/$version, $kernel, x86_64: installed" "$(in_tree dkms status)"
check_module "DKMS" /usr/local/sbin

same "the command runs" "bpfilter $version" "$(in_tree bpfilter --version)"
same "man renders the manual page without a warning" "" \
	"$(in_tree env MANWIDTH=80 man --warnings=all bpfilter 2>&1 >/dev/null)"
expect "systemd takes the unit as it is" in_tree systemd-analyze verify bpfilter.service
same "and says nothing about it" "" "$(in_tree systemd-analyze verify bpfilter.service 2>&1)"
same "the unit is not enabled" "disabled" "$(in_tree systemctl is-enabled bpfilter.service)"
expect "it can be" in_tree systemctl -q enable bpfilter.service
booted "the unit" unit_in_tree.sh
expect "modprobe -r has tables given back first" grep -qF "/usr/local/sbin/bpfilter stop && /sbin/rmmod" \
	<(in_tree modprobe --showconfig | grep '^remove bpfilter ')
same "bash completes" "status stop" "$(in_tree bash -c '
	. /usr/share/bash-completion/bash_completion
	_completion_loader bpfilter
	COMP_WORDS=(bpfilter st) COMP_CWORD=1
	_bpfilter
	echo ${COMPREPLY[*]}')"

expect "make install again, over it" in_tree make install
same "it is as it was" "$installed" "$(new_files | grep -v /etc/systemd/)"
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"
expect "make uninstall, with nothing there" in_tree make uninstall

# --- below DESTDIR, as for a package -----------------------------------------------------------

expect "make install DESTDIR= PREFIX=/usr" in_tree make install DESTDIR=/tmp/package PREFIX=/usr
same "installs the same files there" \
	"$(printf '%s\n' "${plain_files//\/usr\/local/\/usr}" "$sources" | sort)" "$(files /tmp/package)"
same "nothing elsewhere" "$before" "$(snapshot)"
same "which have the right paths in them" "/usr/sbin/bpfilter" "$(grep -rhoE '/[a-z/]*/sbin/bpfilter' \
	"$root/tmp/package/usr/lib" | sort -u)"
expect "make uninstall DESTDIR=" in_tree make uninstall DESTDIR=/tmp/package PREFIX=/usr
same "removes them" "" "$(files /tmp/package)"

# --- without DKMS ------------------------------------------------------------------------------

mv "$root/usr/sbin/dkms" "$root/tmp/dkms"
before=$(snapshot)
expect "make install, without DKMS" in_tree make install
same "it installs these files" \
	"$(printf '%s\n' "$plain_files" "/usr/lib/modules/$kernel/updates/bpfilter.ko" | sort)" \
	"$(new_files | grep -v '/modules\.[a-z.]*$' | sort)"
check_module "directly" /usr/local/sbin
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"

expect "make install MODULE=none" in_tree make install MODULE=none
same "it installs these files" "$plain_files" "$(new_files)"
expect "make uninstall" in_tree make uninstall
expect_not "MODULE=dkms without DKMS fails" in_tree make install MODULE=dkms
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"

# --- without headers ----------------------------------------------------------------------------

mv "$root/lib/modules/$kernel/build" "$root/tmp/"
before=$(snapshot)
out=$(in_tree make install)
tap $? "make install, without headers"
expect "it says so" grep -q '^install: no module for the running kernel' <<<"$out"
same "it installs these files" "$plain_files" "$(new_files)"
expect "make uninstall" in_tree make uninstall
same "leaves the tree as it was" "$before" "$(snapshot)"

tap_end
