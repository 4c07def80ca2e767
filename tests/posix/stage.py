#!/usr/bin/python3
"""The suite as tests/run calls it: on a local directory, then on a mounted cluster of its own."""

import argparse
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster"))

import scratch  # noqa: E402
from cluster_under_test import ClusterUnderTest  # noqa: E402


def run_suite(directory, only, *options):
    """[passed, failed, skipped] of the suite on a directory; prints all but what is well."""
    counts = os.path.join(scratch.root(), "counts")
    if os.path.exists(counts):
        os.unlink(counts)
    command = [sys.executable, os.path.join(HERE, "run"), directory, "--only", only, "--counts", counts, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if not line.startswith(("ok ", "known ")):
            print(line, end="", flush=True)
    process.wait()
    if not os.path.exists(counts):
        return [0, 1, 0]
    with open(counts) as file:
        return [int(number) for number in file.read().split()]


def on_mount(only):
    cluster = ClusterUnderTest("posix")
    try:
        cluster.up()
        counts = run_suite(cluster.mountpoint, only, "--strict", "--known", os.path.join(HERE, "known_failures"))
        if counts[1]:
            print(cluster.log_tails())
        return counts
    finally:
        cluster.remove()


def on_local_directory(only):
    directory = os.path.join(scratch.root(), "local")
    os.mkdir(directory)
    return run_suite(directory, only)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="NAME", default="", help="cases whose name contains NAME")
    parser.add_argument("--counts", metavar="FILE", help="write 'passed failed skipped' here")
    arguments = parser.parse_args()
    total = [0, 0, 1]
    if os.geteuid() != 0:
        print("skipped: the suite acts as several users, so it needs root")
    elif not os.path.exists("/dev/fuse"):
        print("skipped: there is no /dev/fuse (modprobe fuse)")
    else:
        scratch.end_with_parent()
        os.umask(0o022)
        total = [0, 0, 0]
        for where, run in (("a local directory", on_local_directory), ("a mounted cluster", on_mount)):
            print(f"== posix on {where}", flush=True)
            total = [sum(pair) for pair in zip(total, run(arguments.only))]
    if arguments.counts:
        with open(arguments.counts, "w") as file:
            file.write("{} {} {}\n".format(*total))
    return 0 if total[1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
