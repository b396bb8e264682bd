# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0
#
# debian.sh - sourced by what fetches from Debian's archive
#
# Needs no root and changes nothing outside of $apt, which is set by the script that sources this, as $suites is for
# that: apt works in folders of its own there, and checks signatures as ever. The archive is the one that this
# machine already uses, whatever it is.

die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# suites_of VERSION: where Debian has that kernel, in the order in which to try.
suites_of() {
	case $1 in
	6.1) suites=(bookworm) ;;
	6.12) suites=(trixie bookworm-backports) ;;
	7.2) suites=(sid) ;;
	*) die "no suite of Debian is known to have Linux $1: 6.1, 6.12 or 7.2" ;;
	esac
}

find_archive() {
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"

	archive=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
		awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
	if [ -z "$archive" ]; then
		# The lists were never fetched: then apt knows addresses, but not whose they are.
		archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
			grep -E '/debian/?$' | head -n 1) || true
	fi
	[ -n "$archive" ] || die "apt on this machine has no Debian archive: apt-get indextargets"
}

# apt_in SUITE COMMAND...: an apt command that knows of this suite only.
apt_in() {
	local command=$2

	"$command" -o Dir::State="$apt/$1" -o Dir::State::lists="$apt/$1/lists" \
		-o Dir::State::status="$apt/$1/status" -o Dir::Cache="$apt/$1/cache" \
		-o Dir::Etc::sourcelist="$apt/$1/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::Etc::preferencesparts=- -o APT::Architecture=amd64 \
		-o APT::Sandbox::User=root -o APT::Update::Error-Mode=any -q=2 "${@:3}"
}

# read_lists SUITE: what there is in it.
read_lists() {
	mkdir -p "$apt/$1/lists/partial" "$apt/$1/cache/archives/partial"
	: >"$apt/$1/status"
	echo "deb [signed-by=$keyring] $archive $1 main" >"$apt/$1/sources.list"
	if ! apt_in "$1" apt-get update >"$apt/log" 2>&1; then
		echo "${0##*/}: $archive, suite $1, answers:" >&2
		sed 's/^/    /' "$apt/log" >&2
		return 1
	fi
}
