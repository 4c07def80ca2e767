"""The same random sequence on a cluster and on a local directory (random_operations.py)."""

import os
import random

import harness
from random_operations import RandomOperations


class RandomOperationsTest(harness.FileSystemTest):
    STEPS = 2500

    def sequence(self, label, steps, **options):
        for number in range(harness.rounds()):
            seed = harness.seed() + number
            print(f"[{label}: seed {seed}] ", end="", flush=True)
            tested, reference = self.path(f"round{number}"), os.path.join(self.local, str(number))
            os.mkdir(tested)
            os.mkdir(reference)
            operations = RandomOperations(tested, reference, random.Random(f"{label}{seed}"),
                                          **options)
            operations.run(steps)
            yield operations

    def test_files_and_names_behave_as_on_a_local_file_system(self):
        for _ in self.sequence("mixed", self.STEPS):
            pass

    def test_small_files_behave_as_on_a_local_file_system(self):
        for _ in self.sequence("small", self.STEPS, largest=9000):
            pass


class RandomOperationsAcrossRestartsTest(harness.ClusterTest):
    def test_what_was_closed_is_the_same_after_each_restart(self):
        for number in range(harness.rounds()):
            seed = harness.seed() + number
            print(f"[restarts: seed {seed}] ", end="", flush=True)
            tested, reference = self.path(f"round{number}"), os.path.join(self.local, str(number))
            os.mkdir(tested)
            os.mkdir(reference)
            operations = RandomOperations(tested, reference, random.Random(f"restarts{seed}"))
            for kind in ("metaserver", "chunkserver", "metaserver"):
                operations.run(300)  # closes every file and compares
                self.cluster.kill(kind)
                self.cluster.up()
                operations.compare_trees()
            operations.run(200)
