"""Finding suites, running their cases, counting and reporting. What a suite needs stands in
suites.py; how its cases are judged, in the module of its handler."""

import argparse
import collections
import json
import os
import sys
from pathlib import Path

import suites
from driver import DriverError, DriverFailed, DriverMissing, Drivers
from properties import Case, Unjudged
from verdict import failed, set_aside

REPOSITORY = Path(__file__).resolve().parents[2]

# What a suite calls a case that is not a plain requirement of an RFC.
ADVISORY_FLAGS = ("contested", "legacy", "implementation", "linter")
# Rules of an RFC that another one has replaced ("rules" of a case): as good as the flag "legacy".
REPLACED_RULES = ("rfc7489",)

# Failures that are printed for each suite; the report has all.
FAILURES_SHOWN = 10


def is_advisory(case):
    return (any(case.get(flag) for flag in ADVISORY_FLAGS)
            or case.get("rules") in REPLACED_RULES)


class Suite:
    """One suite's cases and its counts."""

    def __init__(self, name, path):
        self.name = name
        self.path = path
        self.run = self.passed = self.failed = self.advisory = 0
        self.advisory_differs = []
        self.set_aside = collections.Counter()
        self.failures = []

    def load(self):
        with open(self.path / "cases.json", encoding="utf-8") as file:
            return json.load(file)

    def count(self, case, verdict):
        if verdict.aside:
            self.set_aside[verdict.aside] += 1
            return
        self.run += 1
        difference = {"id": str(case.get("id", "")), "got": verdict.got, "want": verdict.want}
        if is_advisory(case):
            self.advisory += 1
            if not verdict.passed:
                self.advisory_differs.append(difference)
        elif verdict.passed:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append(difference)

    def report(self):
        return {"suite": self.name, "run": self.run, "passed": self.passed, "failed": self.failed,
                "advisory": self.advisory, "set_aside": dict(self.set_aside),
                "failures": self.failures, "advisory_differs": self.advisory_differs}

    def lines(self):
        if self.run == 0 and len(self.set_aside) == 1:
            reason, count = next(iter(self.set_aside.items()))
            yield f"{self.name}: {count} set aside: {reason}"
            return
        yield (f"{self.name}: {self.run} run, {self.passed} passed, {self.failed} failed, "
               f"{self.advisory} advisory, {sum(self.set_aside.values())} set aside")
        if self.advisory_differs:
            yield f"  {len(self.advisory_differs)} of the advisory cases differ"
        for case in self.advisory_differs[:FAILURES_SHOWN]:
            yield f"  differs {case['id']}: got {case['got']}; would be {case['want']}"
        if len(self.advisory_differs) > FAILURES_SHOWN:
            yield f"  and {len(self.advisory_differs) - FAILURES_SHOWN} more that differ"
        for reason, count in sorted(self.set_aside.items()):
            yield f"  set aside {count}: {reason}"
        for failure in self.failures[:FAILURES_SHOWN]:
            yield f"  FAILED {failure['id']}: got {failure['got']}; want {failure['want']}"
        if len(self.failures) > FAILURES_SHOWN:
            yield f"  and {len(self.failures) - FAILURES_SHOWN} more"


def find_suites(data):
    """The suites of a data folder, by name: every SUBJECT/NAME that has a cases.json."""
    return [Suite(f"{file.parent.parent.name}/{file.parent.name}", file.parent)
            for file in sorted(data.glob("*/*/cases.json"))]


def judge(handler, case):
    """
    The verdict on one case. A driver that ends, hangs or complains is a failure of ours; a case of a
    form that the handler does not know says nothing of us, and is set aside with what is odd in it.
    """
    try:
        return handler.judge(Case(case))
    except DriverMissing:
        raise
    except (DriverFailed, DriverError) as error:
        return failed(f"{type(error).__name__}: {error}", "an answer")
    except Unjudged as property_:
        return set_aside(str(property_))
    except Exception as error:
        return set_aside(f"a form that the runner does not know ({type(error).__name__}: {error})")


def make_handler(entry, drivers, content, path):
    """The handler of a suite, or a verdict for all its cases where the suite cannot be read."""
    try:
        return entry.handler(drivers, content, path), None
    except DriverMissing:
        raise
    except Exception as error:
        return None, set_aside("a suite of a form that the runner does not know "
                               f"({type(error).__name__}: {error})")


def run_suite(suite, table, drivers):
    """Runs all cases of one suite."""
    content = suite.load()
    cases = content["cases"]
    entry = table.find(suite.name)
    if entry.handler is None:
        suite.set_aside[entry.reason] += len(cases)
        return
    handler, verdict = make_handler(entry, drivers, content, suite.path)
    for case in cases:
        suite.count(case, verdict or judge(handler, case))


def data_folder(given):
    """The folder of the data; it may not exist."""
    if given is not None:
        return given
    named = os.environ.get("POSTERN_CONFORMANCE")
    return Path(named) if named else REPOSITORY.parent / "shared" / "conformance"


def build_folder(given):
    return given or Path(os.environ.get("POSTERN_BUILD") or REPOSITORY / "build")


def write_report(path, chosen):
    report = {"suites": [suite.report() for suite in chosen]}
    path.write_text(json.dumps(report, indent=1, ensure_ascii=True) + "\n", encoding="ascii")


def choose(found, names):
    """The suites that were asked for; all, when nothing was. Raises KeyError for an unknown one."""
    by_name = {suite.name: suite for suite in found}
    return [by_name[name] for name in names] if names else found


def parse_arguments(arguments, description):
    parser = argparse.ArgumentParser(
        prog="tests/conformance/run", description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--report", type=Path)
    parser.add_argument("--build", type=Path)
    return parser.parse_args(arguments)


def run_all(chosen, table, drivers):
    for suite in chosen:
        run_suite(suite, table, drivers)
        for line in suite.lines():
            print(line, flush=True)


def main(arguments, description="", table=suites.TABLE):
    options = parse_arguments(arguments, description)
    data = data_folder(options.data)
    if not data.is_dir():
        print(f"conformance: no data at {data}; nothing was run (give --data or set "
              "POSTERN_CONFORMANCE)")
        if options.report:
            write_report(options.report, [])
        return 0
    try:
        chosen = choose(find_suites(data), options.suite)
    except KeyError as missing:
        print(f"conformance: there is no suite {missing} below {data}", file=sys.stderr)
        return 2
    with Drivers(build_folder(options.build)) as drivers:
        try:
            run_all(chosen, table, drivers)
        except DriverMissing as missing:
            print(f"conformance: {missing}", file=sys.stderr)
            return 2
    if options.report:
        write_report(options.report, chosen)
    total = sum(suite.failed for suite in chosen)
    print(f"{len(chosen)} suites, {sum(suite.run for suite in chosen)} cases run, {total} failed")
    return 1 if total else 0
