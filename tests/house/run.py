#!/usr/bin/python3
"""Checks of the house itself: who includes whom, a README a folder, formatting. Needs no build."""

import argparse
import os
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", metavar="FILE", help="write 'passed failed skipped' here")
    arguments = parser.parse_args()
    suite = unittest.defaultTestLoader.discover(HERE, pattern="*_test.py")
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    if arguments.counts:
        with open(arguments.counts, "w") as file:
            file.write(f"{passed} {failed} {len(result.skipped)}\n")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
