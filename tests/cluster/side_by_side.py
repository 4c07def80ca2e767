"""Runs several files of tests at the same time, each in a process of its own.

What a file prints is kept and printed whole when it has ended. The processes end, cleaned up, with
this one (scratch.end_with_parent).
"""

import os
import subprocess
import sys
import tempfile
import time

# They take longest, so they start first.
FIRST = ("coherence_test", "coherence_faults_test", "restart_test", "client_end_test",
         "client_limits_test", "failure_test", "replacement_test", "chaos_test")


def in_order(files):
    """By name, but the longest first."""
    rank = {name: i for i, name in enumerate(FIRST)}
    return sorted(files, key=lambda name: (rank.get(name, len(FIRST)), name))


class _OneFile:
    def __init__(self, command, directory, name):
        self.name = name
        self.counts = os.path.join(directory, name + ".counts")
        self.output = open(os.path.join(directory, name + ".out"), "w+")
        self.process = subprocess.Popen(
            command + ["--file", name, "--jobs", "1", "--counts", self.counts],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)

    def finish(self):
        """Prints what it said; (passed, failed, skipped), a failure too when it was cut short."""
        with self.output:
            self.output.seek(0)
            print(f"--- {self.name}")
            for line in self.output:
                sys.stdout.write(line)
        try:
            with open(self.counts) as file:
                passed, failed, skipped = map(int, file.read().split())
        except (OSError, ValueError):
            passed, failed, skipped = 0, 0, 0
        if self.process.returncode != 0 and failed == 0:
            print(f"{self.name}: ended with {self.process.returncode} before its tests did")
            failed = 1
        sys.stdout.flush()
        return passed, failed, skipped


def run(command, files, jobs):
    """Runs `command --file NAME` for every name of `files`; the sums of their counts."""
    waiting = in_order(files)
    running = []
    sums = (0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="penstock-test-output-") as directory:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_OneFile(command, directory, waiting.pop(0)))
            ended = [one for one in running if one.process.poll() is not None]
            for one in ended:
                running.remove(one)
                sums = tuple(a + b for a, b in zip(sums, one.finish()))
            if not ended:
                time.sleep(0.05)
    return sums
