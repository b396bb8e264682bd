#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh install|uninstall - what "make install" and "make uninstall" do
#
# Called in the top folder with, in the environment,
#   B        the folder that bpfilter was built in
#   PREFIX   where it goes: /usr/local, or /usr for packages
#   DESTDIR  a folder to put everything below, to make a package of it. The module's source goes there then,
#            for DKMS, nothing is built or run
#   MODULE   how to install the module: auto, dkms, direct (into /lib/modules) or none
#   KVER     for which kernels ("uname -r"); all that have headers installed if empty

set -eu

what=${1:?usage: install.sh install|uninstall}
: "${B:?}" "${PREFIX:?}" "${DESTDIR=}" "${MODULE:=auto}" "${KVER=}"

# Those of the make that called us are not for the kernel's.
unset MAKEFLAGS MFLAGS MAKELEVEL
version=$(sed -n 's/^#define BPFILTER_RELEASE "\(.*\)"/\1/p' include/bpfilter.h)
sbin=$PREFIX/sbin
# systemd and modprobe look here besides their own folders in /etc, wherever the rest is.
lib=/usr/local/lib
[ "$PREFIX" != /usr ] || lib=/usr/lib
module_sources=(bpfilter_kern.c bpfilter_ask.c bpfilter_ask.h Kbuild include/uapi/bpfilter.h dkms.conf COPYING)
failed=0

say() {
	echo "$what: $*"
}

complain() {
	echo "$what: $*" >&2
	failed=1
}

# Each file: where it is here, its mode, where it goes. What ends in .in is filled in.
files() {
	local page

	for page in docs/*.[1-9]; do
		echo "$page 644 $PREFIX/share/man/man${page##*.}/${page#docs/}"
	done
	cat <<END
$B/bpfilter 755 $sbin/bpfilter
tools/bpfilter.bash-completion 644 $PREFIX/share/bash-completion/completions/bpfilter
packaging/bpfilter.service.in 644 $lib/systemd/system/bpfilter.service
packaging/bpfilter.modprobe.in 644 $lib/modprobe.d/bpfilter.conf
END
}

# Those folders of them that a machine need not have had before, inner ones first.
folders() {
	cat <<END
$PREFIX/share/man/man5
$PREFIX/share/man/man8
$PREFIX/share/bash-completion/completions
$PREFIX/share/bash-completion
$lib/systemd/system
$lib/systemd
$lib/modprobe.d
END
}

install_files() {
	local from mode to

	while read -r from mode to; do
		say "$DESTDIR$to"
		mkdir -p "$DESTDIR${to%/*}"
		case $from in
		*.in)
			sed "s,@sbindir@,$sbin,g" "$from" >"$DESTDIR$to"
			chmod "$mode" "$DESTDIR$to"
			;;
		*) install -m "$mode" "$from" "$DESTDIR$to" ;;
		esac
	done < <(files)
}

remove_folder() {
	[ ! -d "$1" ] || rmdir --ignore-fail-on-non-empty "$1"
}

uninstall_files() {
	local from mode to

	while read -r from mode to; do
		rm -f "$DESTDIR$to"
	done < <(files)
	while read -r to; do
		remove_folder "$DESTDIR$to"
	done < <(folders)
}

# --- the module ----------------------------------------------------------------------------

# The kernels that a module can be built for.
kernels() {
	local build

	for build in /lib/modules/*/build; do
		[ ! -e "$build/Makefile" ] || basename "${build%/build}"
	done
}

copy_source() {
	mkdir -p "$1"
	cp --parents "${module_sources[@]}" "$1"
}

install_dkms() {
	local kernel

	say "/usr/src/bpfilter-$version"
	copy_source "/usr/src/bpfilter-$version"
	dkms add "bpfilter/$version" || return 1
	for kernel in "$@"; do
		dkms install "bpfilter/$version" -k "$kernel" ||
			complain "the module could not be built for $kernel, see above"
	done
}

install_direct() {
	local kernel dir

	for kernel in "$@"; do
		dir=$(mktemp -d)
		copy_source "$dir"
		if make -C "/lib/modules/$kernel/build" M="$dir" modules; then
			say "/lib/modules/$kernel/updates/bpfilter.ko"
			install -D -m 644 "$dir/bpfilter.ko" "/lib/modules/$kernel/updates/bpfilter.ko"
			depmod "$kernel"
		else
			complain "the module could not be built for $kernel, see above"
		fi
		rm -rf "$dir"
	done
}

have_dkms() {
	[ "$MODULE" != direct ] && command -v dkms >/dev/null
}

install_module() {
	local -a kernels

	[ "$MODULE" != none ] || return 0
	if [ -n "$DESTDIR" ]; then
		say "$DESTDIR/usr/src/bpfilter-$version (source of the module, for DKMS)"
		copy_source "$DESTDIR/usr/src/bpfilter-$version"
		return
	fi
	uninstall_module
	read -ra kernels <<<"${KVER:-$(kernels | paste -sd' ')}"
	if have_dkms; then
		install_dkms "${kernels[@]}"
	elif [ "$MODULE" = dkms ]; then
		complain "there is no dkms: apt install dkms"
	else
		install_direct "${kernels[@]}"
	fi
	# What a person may have expected.
	if [[ " ${kernels[*]} " == *" $(uname -r) "* ]]; then
		return
	elif [ ! -e /proc/modules ]; then
		say "no module for the running kernel, which cannot load any: \"bpfilter run\" works without"
	else
		say "no module for the running kernel, $(uname -r), for want of its headers: apt install" \
			"linux-headers-$(uname -r), and make install again; \"bpfilter run\" works without"
	fi
}

# All versions of it that were installed.
uninstall_module() {
	local v ko

	if [ -n "$DESTDIR" ]; then
		rm -rf "$DESTDIR/usr/src/bpfilter-$version"
		return
	fi
	if command -v dkms >/dev/null; then
		for v in $(dkms status -m bpfilter | sed 's,^bpfilter[/\,] *\([^\,:]*\).*,\1,' | sort -u); do
			dkms remove "bpfilter/$v" --all
			rm -rf "/usr/src/bpfilter-$v"
		done
	fi
	for ko in /lib/modules/*/updates/bpfilter.ko; do
		[ -e "$ko" ] || continue
		rm "$ko"
		remove_folder "${ko%/*}"
		ko=${ko%/updates/*}
		depmod "${ko##*/}"
	done
}

# --- what runs -----------------------------------------------------------------------------

reload_systemd() {
	[ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

disable_unit() {
	if [ -z "$DESTDIR" ] && command -v systemctl >/dev/null; then
		systemctl --quiet disable bpfilter.service 2>/dev/null || true
	fi
}

# Without the command nobody could get at the tables that are in eBPF: they go back to ip_tables first.
stop_running() {
	[ -z "$DESTDIR" ] || return 0
	[ -d /sys/module/bpfilter ] || [ -S /run/bpfilter/umh.sock ] ||
		[ -d /sys/fs/bpf/bpfilter ] || return 0
	if ! "$sbin/bpfilter" stop; then
		echo "uninstall: bpfilter is at work and cannot be stopped, so nothing was removed. Look" \
			"into \"bpfilter status\"; \"bpfilter stop --force\" stops it in any case" >&2
		exit 1
	fi
	[ ! -d /sys/module/bpfilter ] || rmmod bpfilter
	remove_folder /sys/fs/bpf/bpfilter
}

case $what in
install)
	install_files
	install_module
	reload_systemd
	[ -n "$DESTDIR" ] || [ ! -d /sys/module/bpfilter ] ||
		say "what runs is the former one still, until \"modprobe -r bpfilter && modprobe bpfilter\""
	;;
uninstall)
	stop_running
	disable_unit
	uninstall_module
	uninstall_files
	reload_systemd
	;;
*)
	echo "usage: install.sh install|uninstall" >&2
	exit 2
	;;
esac
exit $failed
