#!/usr/bin/python3
"""Runs the whole-cluster tests, each file after the other, each class on a cluster of its own."""

import argparse
import glob
import importlib
import os
import sys
import time
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import harness  # noqa: E402
import scratch  # noqa: E402
import side_by_side  # noqa: E402


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.started = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        unittest.TestResult.addSuccess(self, test)
        self.passed = getattr(self, "passed", 0) + 1
        self.stream.writeln(f"ok ({time.monotonic() - self.started:.1f} s)")
        self.stream.flush()


def all_tests(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from all_tests(item)
        else:
            yield item


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="WORD", help="tests whose name contains WORD")
    parser.add_argument("--local", metavar="DIR", help="run on a local directory, not on a cluster")
    parser.add_argument("--seed", type=int, help="of the random tests (printed by each)")
    parser.add_argument("--rounds", type=int, default=1, help="of the random tests (1)")
    parser.add_argument("--long", action="store_true",
                        help="also what takes too long for every run, and larger sizes")
    parser.add_argument("--logs", metavar="DIR", help="keep the logs of failing tests here")
    parser.add_argument("--list", action="store_true", help="print the tests' names")
    parser.add_argument("--file", metavar="NAME", help="only the tests of NAME.py")
    parser.add_argument("--folder", metavar="DIR", default=HERE, type=os.path.abspath,
                        help="where the tests lie (this folder)")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time (1)")
    parser.add_argument("--counts", metavar="FILE", help="write 'passed failed skipped' here")
    return parser.parse_args()


def load(folder, word, file):
    suite = unittest.TestSuite()
    for path in sorted(glob.glob(os.path.join(folder, f"{file or '*_test'}.py"))):
        module = importlib.import_module(os.path.basename(path)[:-3])
        suite.addTests(test for test in all_tests(
            unittest.defaultTestLoader.loadTestsFromModule(module)) if word in test.id())
    return suite


def files_of(suite):
    return {test.id().split(".")[0] for test in all_tests(suite)}


def run_here(suite):
    """In this process, one after the other; (passed, failed, skipped)."""
    runner = unittest.TextTestRunner(verbosity=2, resultclass=Result, stream=sys.stdout)
    result = runner.run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    for test, reason in result.skipped:
        print(f"skipped {test}: {reason}")
    return getattr(result, "passed", 0), failed, len(result.skipped)


def main():
    arguments = parse_arguments()
    sys.path.insert(0, arguments.folder)
    suite = load(arguments.folder, arguments.only or "", arguments.file)
    if arguments.list:
        print("\n".join(test.id() for test in all_tests(suite)))
        return 0
    scratch.end_with_parent()
    os.umask(0o022)
    files = files_of(suite)
    if arguments.jobs > 1 and len(files) > 1 and not arguments.local:
        counts = side_by_side.run([sys.executable] + sys.argv, files, arguments.jobs)
    else:
        harness.configure(local=arguments.local and os.path.abspath(arguments.local),
                          seed=arguments.seed, rounds=arguments.rounds, logs=arguments.logs,
                          long=arguments.long)
        counts = run_here(suite)
    if arguments.counts:
        with open(arguments.counts, "w") as file:
            file.write("{} {} {}\n".format(*counts))
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 0 if counts[1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
