# SPDX-License-Identifier: GPL-2.0
"""runner.py one|all LOG FILE... - iptables' own iptables-test.py, of the current folder, on these test lists

"one": each rule is the only one; "all": the rules of a list are in one table, where the list allows it.

With the legacy binaries that are installed, in the namespace that it is called in. That program writes what it does
to a file of one name for all, and several of it run here at a time: LOG is used instead.
"""
import importlib.util
import sys

spec = importlib.util.spec_from_file_location("iptables_test", "iptables-test.py")
test = importlib.util.module_from_spec(spec)
spec.loader.exec_module(test)
if sys.argv[1] == "one":
    test.fast_run_possible = lambda name: False
test.LOGFILE = sys.argv[2]
sys.argv[1:3] = ["--host", "--legacy", "--no-netns"]
test.main()
