"""Work goes on and stays right while servers are killed and started again and again."""

import os
import random
import signal
import time

import harness
from one_file import OneFile
from other_process import OtherProcess
from random_operations import RandomOperations


KILLS = 10  # in each test, at least
POINTS = 60  # of the metaserver alone, at most


def run_random_operations(tested, reference, seed, steps):
    RandomOperations(tested, reference, random.Random(seed)).run(steps)


def run_one_file(path, seed, steps):
    OneFile(path, random.Random(seed), 6_000_000).run(steps)


class ChaosTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        self.random = random.Random(f"chaos{seed}")
        self.seed = seed

    def kill_something(self):
        number = self.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        victim = self.random.choice(["metaserver", "metaserver", "one", "one", "chunkserver"])
        if victim == "one":
            self.cluster.kill_chunkserver(self.random.randrange(1, 4), number)
        else:
            self.cluster.kill(victim, number)

    def kill_during(self, worker, start_batch):
        """Kills servers while the worker works; a worker that is done early gets another batch."""
        deadline, kills, batch = time.monotonic() + 240, 0, 0
        start_batch(batch)
        while not worker.finished(within_s=self.random.uniform(0.2, 1.5)) or kills < KILLS:
            self.assertLess(time.monotonic(), deadline, f"the work does not end; {kills} kills")
            if worker.finished():
                worker.result()
                batch += 1
                start_batch(batch)
            self.kill_something()
            time.sleep(self.random.uniform(0, 0.5))
            self.cluster.up()
            kills += 1
        worker.result()

    def test_random_operations_meet_no_error_while_servers_die(self):
        worker = OtherProcess()
        self.addCleanup(worker.stop)

        def start_batch(number):
            tested = self.path(f"tested{number}")
            reference = os.path.join(self.local, f"reference{number}")
            os.mkdir(tested)
            os.mkdir(reference)
            worker.start(run_random_operations, tested, reference, f"mixed{self.seed}.{number}", 1500)
        self.kill_during(worker, start_batch)

    def test_nothing_acknowledged_is_lost_when_the_metaserver_dies_at_any_point(self):
        """Killed within milliseconds of whatever it does, and looked at through a mount that has
        seen none of it: no cache of the working client hides a loss."""
        worker = OtherProcess()
        self.addCleanup(worker.stop)
        tested, reference = self.path("points"), os.path.join(self.local, "points")
        os.mkdir(tested)
        os.mkdir(reference)
        worker.start(run_random_operations, tested, reference, f"points{self.seed}", 1500)
        kills = 0
        while kills < POINTS and not worker.finished(
                within_s=self.random.choice([0.001, 0.02, 0.2, 0.7])):
            self.cluster.kill("metaserver")
            self.cluster.up()
            kills += 1
        worker.result(240)
        self.cluster.kill("metaserver")  # the last operations count, too
        self.cluster.up()
        other = self.cluster.mount_again("fresh")
        self.addCleanup(self.cluster.unmount, other)
        expected = harness.describe_tree(reference, times=False)
        self.assertTrue(expected)
        there = os.path.join(other, os.path.relpath(tested, self.base))
        found = harness.describe_tree(there, times=False)
        self.assertEqual(harness.first_difference(expected, found), "", f"after {kills} kills")

    def test_one_file_stays_right_while_servers_die(self):
        worker = OtherProcess()
        self.addCleanup(worker.stop)

        def start_batch(number):
            worker.start(run_one_file, self.path(f"file{number}"), f"file{self.seed}.{number}", 400)
        self.kill_during(worker, start_batch)
