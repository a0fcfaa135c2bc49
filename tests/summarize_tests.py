#!/usr/bin/env python3
"""Counts the tests in the JUnit files that CTest wrote: those of GoogleTest and pytest one by one, others by script.

Prints what failed and why tests were skipped; the last line is `N passed, N failed, N skipped`. The exit status
is 1 if any failed or none passed.
"""

import collections
import re
import sys
import xml.etree.ElementTree

GOOGLETEST = re.compile(r"^\[ +(OK|SKIPPED|FAILED) +\] (\S+) \(\d+ ms\)$", re.MULTILINE)
GOOGLETEST_REASON = re.compile(r"Skipped\n(.*)\n\[ +SKIPPED", re.MULTILINE)
PYTEST = re.compile(r"^(PASSED|FAILED|ERROR) \S*?([^/\s]+_test\.py::.+?)(?: - .*)?$", re.MULTILINE)
PYTEST_SKIP = re.compile(r"^SKIPPED \[(\d+)\] \S+?([^/\s]+):\d+: (.*)$", re.MULTILINE)


def single_tests(output):
    """(verdict, test, reason) of the tests that a case's output tells of."""
    reasons = [reason.strip() for reason in GOOGLETEST_REASON.findall(output)]
    for verdict, test in GOOGLETEST.findall(output):
        reason = "no reason given"
        if verdict == "SKIPPED" and reasons:
            reason = reasons.pop(0)
        yield {"OK": "PASSED"}.get(verdict, verdict), test, reason
    for verdict, test in PYTEST.findall(output):
        yield {"ERROR": "FAILED"}.get(verdict, verdict), test, ""
    for count, file, reason in PYTEST_SKIP.findall(output):
        yield from [("SKIPPED", file, reason)] * int(count)


def count(case, passed, failed, skipped):
    """Adds the tests of one CTest case to the three lists; `skipped` is keyed by the reason."""
    name, status, missing = case.get("name"), case.get("status"), case.find("skipped")
    output = case.findtext("system-out") or ""
    tests = list(single_tests(output))
    for verdict, test, reason in tests:
        if verdict == "PASSED":
            passed.append(test)
        elif verdict == "SKIPPED":
            skipped[reason].append(name)
        else:
            failed.append(f"{name}: {test}")
    if status == "fail":
        if not any(verdict == "FAILED" for verdict, _, _ in tests):
            failed.append(f"{name}: a bad exit status, a crash or the time limit")
    elif missing is not None or status in ("disabled", "notrun"):
        note = missing.get("message", "") if missing is not None else status
        if status == "notrun" and "SKIP" not in note:
            failed.append(f"{name}: did not run ({note or status})")
        elif not tests:
            lines = output.strip().splitlines()
            skipped[lines[-1] if lines else note].append(name)
    elif not tests:
        passed.append(name)


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
