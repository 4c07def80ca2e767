"""`penstock fsck`: quiet on a busy clean cluster, and planted damage of every kind is found."""

import json
import os
import random
import signal
import subprocess
import threading

import harness
from cluster_under_test import program, wait_for
from harness import read_file, write_file
from random_operations import RandomOperations

MIB = 1 << 20


class FsckTest(harness.ClusterTest):
    def fsck(self, *options, expect):
        result = self.cluster.penstock("fsck", "--json", "--cluster", self.cluster.dir, *options,
                                       check=False, timeout_s=300)
        self.assertIn(result.returncode, (expect, 2), result.stdout + result.stderr)
        report = json.loads(result.stdout) if result.stdout else {}
        self.assertEqual(result.returncode, expect, f"{report} {result.stderr}")
        return report

    def kinds(self, report):
        counts = {}
        for problem in report["problems"]:
            counts[problem["kind"]] = counts.get(problem["kind"], 0) + 1
        return counts

    def damage(self, *words):
        result = subprocess.run([program("penstock-damage"), *map(str, words)], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=60, check=False)
        self.assertIn(result.returncode, (0, 3), result.stdout)
        return result.returncode == 0

    def meta(self, *words):
        self.assertTrue(self.damage("meta", os.path.join(self.cluster.dir, "meta", "db"), *words))

    def drop_chunk(self, content, targets):
        """Of the first chunk, on so many of the targets that have it."""
        dropped = 0
        for number in (1, 2, 3):
            if dropped < targets:
                dropped += self.damage("chunk", os.path.join(self.cluster.dir, f"cs{number}", "t1"),
                                       "drop", content, 0)
        self.assertEqual(dropped, targets)

    def file(self, name, size):
        data = os.urandom(size)
        write_file(self.path(name), data)
        return data

    def inode(self, name):
        return os.stat(self.path(name)).st_ino

    def content(self, name):
        shown = self.cluster.penstock("stat", self.path(name), "--json").stdout
        return int(json.loads(shown)["layout"]["content"], 16)

    def stop_servers(self):
        self.cluster.kill("metaserver", signal.SIGTERM)
        self.cluster.kill("chunkserver", signal.SIGTERM)

    def settled(self):
        """The background work of earlier tests is done."""
        wait_for(lambda: self.cluster.admin("status")["contents_to_delete"] == 0, 90,
                 "deletions to end", every_s=0.5)
        self.cluster.penstock("repair", "status", "--wait", "--timeout", "120", "--cluster",
                              self.cluster.dir)

    def test_a_busy_clean_cluster_has_no_problem(self):
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        tested, reference = self.path("busy"), os.path.join(self.local, "busy")
        os.mkdir(tested)
        os.mkdir(reference)
        stop = threading.Event()
        failed = []

        def work():
            operations = RandomOperations(tested, reference, random.Random(f"fsck{seed}"))
            try:
                while not stop.is_set():
                    operations.run(50, compare_every=1000)
            except Exception as error:  # shown by the test
                failed.append(error)
        worker = threading.Thread(target=work)
        worker.start()
        try:
            for _ in range(4):
                self.fsck(expect=0)
        finally:
            stop.set()
            worker.join()
        self.assertEqual(failed, [])
        report = self.fsck(expect=0)
        self.assertGreater(report["chunks"], 0)

    def test_planted_damage_is_found_and_mended(self):
        for i in range(8):
            self.file(f"f{i}", 300_000)
        os.mkdir(self.path("d"))
        self.file("d/inside", 100)
        os.link(self.path("f0"), self.path("linked"))
        kept = read_file(self.path("f7"))
        root = os.stat(self.base).st_ino
        inode = {name: self.inode(name) for name in ("f0", "f1", "f2", "f3", "f5", "d", "d/inside")}
        content = {name: self.content(name) for name in ("f4", "f6")}
        self.settled()
        self.fsck(expect=0)
        self.stop_servers()
        self.meta("set", inode["f0"], "nlink", 7)              # wrong counts
        self.meta("set", inode["d"], "size", 9)                # of a directory, too
        self.meta("drop-name", root, "f1")                     # nameless (and the root's entries)
        self.meta("add-name", inode["d"], "nowhere", 1 << 40 | 123456)  # dangling
        self.meta("add-orphan", inode["f2"])                   # a file with a name is to be deleted
        self.meta("add-counters", 5, 7000)
        self.meta("drop-name", root, "f3")
        self.meta("drop-inode", inode["f3"])                   # its chunks are leaked
        self.drop_chunk(content["f4"], 1)                      # one copy lacks it
        self.meta("set", inode["f5"], "size", 1000)            # chunks behind its end
        self.drop_chunk(content["f6"], 2)                      # gone from every member
        self.cluster.up()
        self.cluster.penstock("repair", "status", "--wait", "--timeout", "120", "--cluster",
                              self.cluster.dir)
        expected = {"wrong_counts": 3, "nameless_inode": 1, "dangling_name": 1,
                    "wrong_orphan_record": 1, "wrong_dataset_counters": 1, "leaked_chunks": 1,
                    "copies_differ": 1, "chunks_beyond_size": 1, "missing_data": 1}
        self.assertEqual(self.kinds(self.fsck(expect=1)), expected)
        repaired = self.fsck("--repair", expect=1)
        self.assertEqual(self.kinds(repaired), expected)
        left = [p for p in repaired["problems"] if not p["repaired"]]
        self.assertEqual([p["kind"] for p in left], ["missing_data"], left)
        lost = self.path("lost+found", f"inode-{inode['f1']}")
        self.assertEqual(len(read_file(lost)), 300_000)
        os.unlink(self.path("f6"))  # a person's part
        self.settled()

        def clean():
            result = self.cluster.penstock("fsck", "--cluster", self.cluster.dir, check=False)
            return result.returncode == 0
        wait_for(clean, 120, "a clean fsck", every_s=2)
        self.assertEqual(os.stat(self.path("f0")).st_nlink, 2)
        self.assertEqual(os.listdir(self.path("d")), ["inside"])
        self.assertEqual(len(read_file(self.path("f2"))), 300_000)
        self.assertEqual(read_file(self.path("f7")), kept)


if __name__ == "__main__":
    import unittest
    unittest.main()
