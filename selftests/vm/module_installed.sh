#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What "make install" installs, at work: "modprobe -r" gives tables back first, a service manager's helper takes the
# place of the module's, and the path of the helper can be set as any other parameter.

set -u
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=../lib.sh
. "$here/../lib.sh"

conf=/usr/local/lib/modprobe.d/bpfilter.conf
[ -e $conf ] || skip_all "there is no $conf"

lab_begin
# The helper's own places, not the laboratory's.
unset BPFILTER_RUN_DIR BPFILTER_PIN_DIR
module_is_loaded && skip_all "the module is loaded"
netns host
trap 'modprobe -r bpfilter; export BPFILTER_RUN_DIR=$T/run; lab_end' EXIT
rule="-A INPUT -s 192.0.2.1/32 -j DROP"

rules() {
	inside host iptables-legacy -S 2>/dev/null | grep -e ^-A
}

is_the_helper() {
	[ "$(pgrep -x bpfilter)" = "$1" ]
}

expect "modprobe -r, with nothing loaded" modprobe -r bpfilter
expect "modprobe" modprobe bpfilter
same "the helper is the one that is installed" /usr/local/sbin/bpfilter "$(module_get helper)"
# shellcheck disable=SC2086
expect "a rule" inside host iptables-legacy $rule
expect "is in eBPF" in_ebpf host
expect_not "rmmod is refused" rmmod bpfilter

old=$(pgrep -x bpfilter)
bpfilter umh --foreground --replace 2>"$T/log" &
new=$!
failed=0
for i in {1..20}; do
	[ "$(rules)" = "$rule" ] || failed=$((failed + 1))
done
same "another helper takes its place: no call fails" 0 $failed
expect "it has" within 10 is_the_helper $new
expect "the other one has ended" test ! -e "/proc/$old"
kill $new
wait $new
same "it ends" 0 $?

echo /nonexistent >"$module_parameters/helper"
expect_not "without a helper there is an error" inside host iptables-legacy -S
same "which is known" "No such device" "$(inside host iptables-legacy -S 2>&1 |
	sed -n "s/.*can't initialize iptables table .filter.: //p")"
echo /usr/local/sbin/bpfilter >"$module_parameters/helper"
# It is not tried again at once.
sleep 1.2
same "with one, the rule is there" "$rule" "$(rules)"

expect "modprobe -r" modprobe -r bpfilter
expect_not "the module is gone" module_is_loaded
expect "the helper too" test -z "$(pgrep -x bpfilter)"
same "ip_tables has the rule" "$rule" "$(rules)"
tap_end
