"""Random reads and writes of one file against a model (one_file.py), alone and in parallel."""

import multiprocessing
import random

import harness
from one_file import OneFile


def work(path, seed, steps, largest):
    OneFile(path, random.Random(seed), largest).run(steps)


class OneFileTest(harness.FileSystemTest):
    def test_a_file_holds_what_was_written(self):
        for number in range(harness.rounds()):
            seed = harness.seed() + number
            print(f"[seed {seed}] ", end="", flush=True)
            work(self.path(f"large{number}"), f"large{seed}", 400, 9_000_000)
            work(self.path(f"small{number}"), f"small{seed}", 800, 12_000)

    def test_files_written_in_parallel_do_not_disturb_each_other(self):
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work, args=(self.path(f"file{i}"), f"{i}/{seed}", 200,
                                                      200_000 if i % 2 else 5_000_000))
                   for i in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(300)
        self.assertEqual([worker.exitcode for worker in workers], [0] * len(workers))
