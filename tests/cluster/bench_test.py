"""The benchmarks measure what they say and leave nothing behind."""

import json
import os
import subprocess
import unittest

import harness
import scratch

BENCH = os.path.join(os.path.dirname(__file__), "..", "..", "bench")
RUN = os.path.join(BENCH, "run")


class BenchTest(harness.ClusterTest):
    def bench(self, *arguments):
        return subprocess.run([RUN, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=300)

    def test_it_measures_both_places_in_turns(self):
        result = self.bench(self.root, "--local", self.local, "--quick", "--only", "list",
                            "--json", "-")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual(report["places"]["measured"]["file_system"], "fuse.penstock")
        for place in ("measured", "local"):
            values = report["results"][place]["list with stat, cold"]
            self.assertEqual(len(values), 2)
            self.assertEqual(report["best"][place]["list with stat, cold"], max(values))
            self.assertGreater(min(values), 0)
        self.assertEqual(os.listdir(self.root) + os.listdir(self.local), [])

    def test_what_it_cannot_measure_is_named(self):
        for arguments, word in ((["/nonexistent"], "/nonexistent"),
                                ([self.root, "--only", "frobnicate"], "frobnicate"),
                                ([self.root, "--repeat", "0"], "--repeat"),
                                ([], "name a directory")):
            result = self.bench(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(word, result.stderr)
            self.assertNotIn("Traceback", result.stderr)


class RebalanceBenchTest(unittest.TestCase):
    """Of a cluster that the benchmark starts itself. How fast it is, is not for a test to say."""

    def bench(self, *arguments):
        return subprocess.run([os.path.join(BENCH, "rebalance"), *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=600)

    def setUp(self):
        if harness.is_local():
            self.skipTest("needs a cluster")

    def test_an_empty_target_is_filled_while_reads_go_on(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
            self.skipTest("small disks need root and loop devices")
        place = os.path.join(scratch.root(), "bench")
        os.makedirs(place)
        result = self.bench("--quick", "--dir", place, "--json", "-")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual(report["outcome"], "done", report)
        self.assertLessEqual(report["spread_percent"], 5, report)
        self.assertEqual(len(report["used_percent"]), 4)
        self.assertGreater(report["bytes_arrived"], 0)
        self.assertLess(report["bytes_arrived"], report["bytes_stored"])
        for phase in ("before", "meanwhile", "after"):
            times = report["reads"][phase]
            self.assertGreater(times["count"], 0, phase)
            self.assertLessEqual(times["p50_ms"], times["p99_ms"], phase)
        self.assertGreater(report["p99_ratio"], 0)
        self.assertEqual(os.listdir(place), [])

    def test_what_it_cannot_measure_is_named(self):
        for arguments, word in ((["--size", "1"], "--size"), (["--disk", "100"], "--disk")):
            result = self.bench(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn(word, result.stderr)
