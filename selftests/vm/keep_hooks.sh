#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Keep a hook of nf_tables at each of the netfilter hooks, in the machine's own namespace, which nothing is sent
# through. The kernel patches its code when the first hook of all namespaces comes and the last goes, and QEMU's
# translation on another processor at times runs what was there for a moment, an int3: see vm.sh.

nft -f - <<'END'
table ip keep_hooks {
	chain prerouting { type filter hook prerouting priority 300; }
	chain input { type filter hook input priority 300; }
	chain forward { type filter hook forward priority 300; }
	chain output { type filter hook output priority 300; }
	chain postrouting { type filter hook postrouting priority 300; }
}
END
rc=$?
echo 1..1
[ $rc -eq 0 ] || printf 'not '
echo "ok 1 - the hooks stay"
exit $rc
