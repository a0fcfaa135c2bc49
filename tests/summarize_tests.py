#!/usr/bin/env python3
"""Counts the tests in the JUnit files that CTest wrote: GoogleTest's tests one by one, others by script.

Prints what failed and why tests were skipped; the last line is `N passed, N failed, N skipped`. The exit status
is 1 if any failed or none passed.
"""

import collections
import re
import sys
import xml.etree.ElementTree

VERDICT = re.compile(r"^\[ +(OK|SKIPPED|FAILED) +\] (\S+) \(\d+ ms\)$", re.MULTILINE)
REASON = re.compile(r"Skipped\n(.*)\n\[ +SKIPPED", re.MULTILINE)


def count(case, passed, failed, skipped):
    """Adds the tests of one CTest case to the three lists; `skipped` is keyed by the reason."""
    name, status = case.get("name"), case.get("status")
    output = case.findtext("system-out") or ""
    verdicts = VERDICT.findall(output)
    reasons = REASON.findall(output)
    broken = [f"{name}: {test}" for verdict, test in verdicts if verdict == "FAILED"]
    if status == "fail":
        failed.extend(broken or [f"{name}: a bad exit status, a crash or the time limit"])
    elif status in ("disabled", "notrun") or case.find("skipped") is not None:
        lines = output.strip().splitlines()
        missing = case.find("skipped")
        note = missing.get("message", "") if missing is not None else status
        if status == "notrun" and "SKIP" not in note:
            failed.append(f"{name}: did not run ({note or status})")
            return
        skipped[lines[-1] if lines else note].append(name)
        return
    elif not verdicts:
        passed.append(name)
    passed.extend(test for verdict, test in verdicts if verdict == "OK")
    tests = [test for verdict, test in verdicts if verdict == "SKIPPED"]
    for number, test in enumerate(tests):
        skipped[reasons[number].strip() if number < len(reasons) else "no reason given"].append(test)


def main(paths):
    passed, failed, skipped = [], [], collections.defaultdict(list)
    for path in paths:
        try:
            cases = xml.etree.ElementTree.parse(path).getroot().iter("testcase")
        except (OSError, xml.etree.ElementTree.ParseError) as error:
            failed.append(f"{path}: {error}")
            continue
        for case in cases:
            count(case, passed, failed, skipped)
    for reason, tests in sorted(skipped.items()):
        print(f"skipped {len(tests)} ({reason}): {', '.join(sorted(set(tests))[:4])}"
              + (", ..." if len(set(tests)) > 4 else ""))
    for test in failed:
        print(f"failed {test}")
    print(f"{len(passed)} passed, {len(failed)} failed, {sum(map(len, skipped.values()))} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
