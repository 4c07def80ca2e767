#!/usr/bin/python3
"""Runs the tests that need real RDMA verbs: inside `vm`, since most machines have no device.

First those of the virtual machine itself, on the host; then, in one guest, the transport tests (the
program test_transport) over the soft RDMA device and the cluster tests, on the scratch disk.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
VM = os.path.join(HERE, "vm")
# A whole cluster with a mount, its files and the programs' pages.
GUEST = ["-m", "3072", "--disk", "6G"]
TIMEOUT_S = 900  # it takes 4 min; a busy machine emulates slowly
SERVER, CLIENT = "10.77.0.1", "10.77.0.2"
COUNTS = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="WORD", default="", help="tests whose name contains WORD")
    parser.add_argument("--seed", type=int, help="of the random tests (printed by each)")
    parser.add_argument("--require", action="store_true",
                        help="a machine that cannot run the guest is a failure")
    parser.add_argument("--logs", metavar="DIR", help="keep the logs of failing tests here")
    parser.add_argument("--counts", metavar="FILE", help="write 'passed failed skipped' here")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def bin_dir():
    return os.environ.get("PENSTOCK_BIN") or os.path.join(REPOSITORY, "build", "bin")


def watch(command, env=None):
    """Runs a command and passes its output on; (status, the output)."""
    lines = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          errors="replace", cwd=REPOSITORY, env=env) as process:
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        except BaseException:  # a signal
            process.terminate()
            raise
    return process.returncode, "".join(lines)


def own_counts(status, output):
    """(passed, failed, skipped) that a program of ours printed last; one failure if it did not."""
    found = COUNTS.findall(output)
    passed, failed, skipped = map(int, found[-1]) if found else (0, 0, 0)
    return passed, max(failed, 1 if status else 0), skipped


def catch_counts(status, output):
    """(passed, failed, skipped) from the last lines of Catch's console reporter."""
    every = re.search(r"All tests passed \(.* in (\d+) test cases?\)", output)
    if every and status == 0:
        return int(every.group(1)), 0, 0
    if "No tests ran" in output or "No test cases matched" in output:
        return 0, 0, 0
    some = re.search(r"test cases: *\d+ *\|(?: *(\d+) passed \|)? *(\d+) failed", output)
    if some:
        return int(some.group(1) or 0), int(some.group(2)), 0
    return 0, 1, 0  # it died


def add(left, right):
    return tuple(map(sum, zip(left, right)))


def transport_tests(arguments):
    env = dict(os.environ, PENSTOCK_TEST_RDMA=f"{SERVER} {CLIENT}")
    command = [os.path.join(bin_dir(), "test_transport"), "--durations", "yes"]
    if arguments.only:
        command.insert(1, f"*{arguments.only}*")
    return catch_counts(*watch(command, env))


def cluster_tests(arguments):
    env = dict(os.environ, PENSTOCK_TEST_DIR="/mnt/scratch", PENSTOCK_BIN=bin_dir())
    command = ["/usr/bin/python3", "tests/cluster/run.py", "--folder",
               os.path.join(HERE, "cluster"), "--only", arguments.only]
    if arguments.seed is not None:
        command += ["--seed", str(arguments.seed)]
    if arguments.logs:
        command += ["--logs", arguments.logs]
    return own_counts(*watch(command, env))


def inside(arguments):
    """In the guest: everything, and the sum of it in the last line."""
    total = (0, 0, 0)
    for part in (transport_tests, cluster_tests):
        begun = time.monotonic()
        total = add(total, part(arguments))
        print(f"[{part.__name__.replace('_', ' ')}: {time.monotonic() - begun:.0f} s]", flush=True)
    print("{} passed, {} failed, {} skipped".format(*total))
    return 0


def outside(arguments):
    """On the host; (passed, failed, skipped)."""
    check = subprocess.run([VM, *GUEST, "--check"], stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(check.stdout, end="", flush=True)
    if check.returncode != 0:
        print(f"rdma: {'failed' if arguments.require else 'skipped'}, this machine cannot run it")
        return (0, 1, 0) if arguments.require else (0, 0, 1)
    counts = own_counts(*watch(["/usr/bin/python3", "tests/cluster/run.py", "--folder", HERE,
                                "--only", arguments.only]))
    command = [VM, *GUEST, "--timeout", str(TIMEOUT_S)]
    if arguments.logs:
        os.makedirs(arguments.logs, exist_ok=True)
        command += ["--share", arguments.logs]
    command += ["--", "/usr/bin/python3", os.path.abspath(__file__), "--inside", *sys.argv[1:]]
    return add(counts, own_counts(*watch(command)))


def main():
    arguments = parse_arguments()
    if arguments.logs:
        arguments.logs = os.path.abspath(arguments.logs)
    if arguments.inside:
        return inside(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    counts = outside(arguments)
    if arguments.counts:
        with open(arguments.counts, "w") as file:
            file.write("{} {} {}\n".format(*counts))
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
