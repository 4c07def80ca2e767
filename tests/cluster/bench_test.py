"""bench/run measures what it says, beside a local directory, and leaves nothing behind."""

import json
import os
import subprocess

import harness

RUN = os.path.join(os.path.dirname(__file__), "..", "..", "bench", "run")


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
