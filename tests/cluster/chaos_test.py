"""Work goes on and stays right while servers are killed and started again and again."""

import os
import random
import signal
import time

import harness
from one_file import OneFile
from other_process import OtherProcess
from random_operations import RandomOperations


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

    def kill_until_done(self, worker):
        deadline, kills = time.monotonic() + 240, 0
        while not worker.finished(within_s=self.random.uniform(0.2, 1.5)):
            self.assertLess(time.monotonic(), deadline, "the work does not end")
            self.kill_something()
            time.sleep(self.random.uniform(0, 0.5))
            self.cluster.up()
            kills += 1
        worker.result()
        self.assertGreater(kills, 0)

    def test_random_operations_meet_no_error_while_servers_die(self):
        worker = OtherProcess()
        self.addCleanup(worker.stop)
        tested, reference = self.path("tested"), os.path.join(self.local, "reference")
        os.mkdir(tested)
        os.mkdir(reference)
        worker.start(run_random_operations, tested, reference, f"mixed{self.seed}", 1500)
        self.kill_until_done(worker)

    def test_one_file_stays_right_while_servers_die(self):
        worker = OtherProcess()
        self.addCleanup(worker.stop)
        worker.start(run_one_file, self.path("file"), f"file{self.seed}", 400)
        self.kill_until_done(worker)
