"""Three mounts of one cluster, as three nodes: litmus tests and checked random operations.

What each test promises stands in tests/coherence; a failure prints the seed and the calls around
the violation. A regular run makes 10^5 rounds; `--rounds N` makes N times as many.
"""

import os
import re
import subprocess
import unittest

import harness
from cluster_under_test import program, wait_for

# By what a round costs; together 10^5.
ROUNDS = {
    "message-passing": 500,
    "store-buffering": 2000,
    "create-unlink": 4000,
    "mkdir-rmdir": 3000,
    "readdir": 1500,
    "hard-links": 4000,
    "attributes": 4000,
    "truncate": 500,
    "rename": 300,
    "exchange": 2500,
    "save-by-rename": 150,
    "append": 100,
    "disjoint-writers": 150,
    "growth": 1500,
    "size-then-read": 300,
    "open-in-order": 100,
    "lock-handover": 80,
    "unlinked-open": 150,
    "exclusive-create": 500,
    "linearizable": 3000,
    "open": 75000,
}
SUMMARY = re.compile(r"^(\S+): (\d+) rounds, .* rounds/s$", re.MULTILINE)


# Again with names kept in directories that several nodes change (leases.contested), each change told
# to those who keep them.
KEPT_NAMES = {
    "create-unlink": 2000,
    "mkdir-rmdir": 1500,
    "readdir": 1500,
    "rename": 300,
    "exchange": 1500,
    "save-by-rename": 150,
    "exclusive-create": 500,
    "linearizable": 1500,
    "open": 20000,
}


class LitmusTests(harness.FileSystemTest):
    nodes = 3
    rounds = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bases = [cls.base]
        for number in range(2, cls.nodes + 1):
            cls.bases.append(cls.base if harness.is_local()
                             else cls.cluster.mount_again(f"node{number}"))
        cls.rounds_made = 0

    @classmethod
    def tearDownClass(cls):
        print(f"{cls.rounds_made} rounds of coherence in all")
        super().tearDownClass()

    def folders(self):
        """The test's directory as each node sees it."""
        inside = os.path.relpath(self.root, self.base)
        folders = [os.path.join(base, inside) for base in self.bases]
        for folder in folders:
            wait_for(lambda: os.path.isdir(folder), 5, folder)
        return folders

    def run_litmus(self, name):
        rounds = self.rounds[name] * harness.rounds()
        seed = harness.seed()
        print(f"[{rounds} rounds, seed {seed}] ", end="", flush=True)
        # A slow machine makes fewer rounds, and says how many; the whole stays within minutes.
        limit_s = (180 if name == "open" else 45) * harness.rounds()
        result = subprocess.run(
            [program("penstock-coherence"), name, "--nodes", ",".join(self.folders()),
             "--rounds", str(rounds), "--seconds", str(limit_s), "--seed", str(seed)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=limit_s + 120)
        if result.returncode == 3 and harness.is_local():
            self.skipTest(result.stdout)
        self.assertEqual(result.returncode, 0, "\n" + result.stdout)
        made = int(SUMMARY.search(result.stdout).group(2))
        type(self).rounds_made += made
        self.assertGreater(made, 0, result.stdout)
        if made < rounds:
            print(f"[only {made} rounds in {limit_s} s: this machine is slow] ", end="", flush=True)


def litmus_test(name):
    def test(self):
        self.run_litmus(name)
    return test


def litmus_tests(rounds):
    return {"rounds": rounds,
            **{"test_" + name.replace("-", "_"): litmus_test(name) for name in rounds}}


class CoherenceTest(LitmusTests):
    locals().update(litmus_tests(ROUNDS))

    def test_a_regular_run_has_enough_rounds(self):
        self.assertGreaterEqual(sum(ROUNDS.values()), 100_000)
        listed = subprocess.run([program("penstock-coherence"), "list"], stdout=subprocess.PIPE,
                                text=True, check=True).stdout
        self.assertEqual(sorted(line.split()[0] for line in listed.splitlines()), sorted(ROUNDS))


class KeptNamesTest(LitmusTests):
    locals().update(litmus_tests(KEPT_NAMES))

    @classmethod
    def setUpClass(cls):
        if harness.is_local():
            raise unittest.SkipTest("of the cluster's setting leases.contested")
        super().setUpClass()
        cls.cluster.penstock("config", "set", "leases.contested", "0", "--cluster", cls.cluster.dir)


if __name__ == "__main__":
    unittest.main()
