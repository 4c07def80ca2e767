"""Damaged copies: found by readers and by `penstock scrub`, and repaired from the other copy."""

import errno
import glob
import json
import os
import random

import disk_faults
import harness
from cluster_under_test import wait_for
from harness import read_file, write_synced

CHUNK = 4 << 20


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w") as file:  # else the kernel answers
        file.write("1\n")


class ScrubTest(harness.ClusterTest):
    chunkservers = 2
    replication = 2

    def setUp(self):
        super().setUp()
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        self.random = random.Random(f"scrub{seed}{self.id()}")
        self.cluster.up()
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")

    def target_dir(self, number):
        return os.path.join(self.cluster.dir, f"cs{number}", "t1")

    def info_of(self, number):
        return next(target for target in self.cluster.targets()
                    if target["path"] == self.target_dir(number))

    def make_files(self, count=30):
        files = {}
        for i in range(count):
            size = self.random.choice([5000, 60_000, 300_000, CHUNK, CHUNK + 77])
            if i < 8:
                size = CHUNK  # flipped bits meet several chunks, whatever the seed
            files[f"f{i}"] = self.random.randbytes(size)
            write_synced(self.path(f"f{i}"), files[f"f{i}"])
        return files

    def expect(self, files, when):
        drop_caches()
        for name, data in files.items():
            self.assertEqual(read_file(self.path(name)), data, f"{name} {when}")

    def scrub(self, *more):
        return self.cluster.admin("scrub", "start", "--wait", "--timeout", "100", *more)

    def expect_one_alone_suffices(self, number, files):
        """Every copy on chunkserver `number` is right."""
        other = 3 - number
        self.cluster.kill_chunkserver(other)
        self.expect(files, f"without chunkserver {other}")
        self.cluster.up()
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")

    def test_flipped_bits_are_found_and_repaired(self):
        files = self.make_files()
        report = self.scrub()
        self.assertEqual([target["found"] for target in report], [0, 0], report)
        self.assertTrue(all(target["chunks_done"] > 20 for target in report), report)
        number = self.random.choice([1, 2])
        flipped = disk_faults.flip_in_slabs(self.target_dir(number), self.random, 25)
        report = self.scrub()
        mine = next(target for target in report if target["path"] == self.target_dir(number))
        self.assertGreater(mine["found"], 5, flipped)
        self.assertEqual(mine["repaired"], mine["found"], mine)
        self.assertEqual({finding["outcome"] for finding in mine["findings"]}, {"repaired"})
        self.assertTrue(all(finding["content"] for finding in mine["findings"]))
        self.assertEqual(sum(target["found"] for target in report), mine["found"])
        text = self.cluster.penstock("scrub", "report", "--cluster", self.cluster.dir).stdout
        self.assertIn(f"{mine['found']} found", text)
        self.expect_one_alone_suffices(number, files)
        report = self.scrub("--target", str(mine["target"]))
        self.assertEqual(report[0]["found"], 0, report)

    def test_a_damaged_index_is_found_and_made_anew(self):
        files = self.make_files()
        self.scrub()  # what is in the log goes to table files
        number = self.random.choice([1, 2])
        self.cluster.kill_chunkserver(number)
        path = self.flip_in_largest_table(number)
        self.cluster.up()
        self.expect(files, f"with a bit flipped in {path}")
        self.cluster.penstock("scrub", "start", "--wait", "--timeout", "100", "--cluster",
                              self.cluster.dir, check=False)

        def told():
            """By the scrub, or the start noticed it and did what is to be done."""
            info = self.info_of(number)
            rebuilt = os.path.exists(os.path.join(self.target_dir(number), "index.damaged"))
            return info["state"] == "failed" or rebuilt
        wait_for(told, 60, f"the damage in {path} to be found")
        if self.info_of(number)["state"] == "failed":
            # A reader or the scrub has met the damage; people are told alike.
            problems = self.cluster.admin("status")["problems"]
            self.assertTrue(any("index" in line and "restart the chunkserver" in line
                                for line in problems), problems)
            self.expect(files, "while the target is out")
            self.cluster.kill_chunkserver(number)
            self.cluster.up()
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")
        self.assertEqual(self.info_of(number)["state"], "online")
        self.expect_one_alone_suffices(number, files)
        self.assertEqual(sum(target["found"] for target in self.scrub()), 0)

    def flip_in_largest_table(self, number):
        """One that is small may be merged into another before it is looked at."""
        paths = glob.glob(os.path.join(self.target_dir(number), "index", "*.sst"))
        path = max(sorted(paths), key=os.path.getsize)
        disk_faults.flip_bit(path, self.random.randrange(os.path.getsize(path) // 2), self.random)
        return path

    def test_a_reader_gets_the_right_bytes_and_the_copy_is_repaired(self):
        files = self.make_files(10)
        for number in (1, 2):
            disk_faults.flip_in_slabs(self.target_dir(number), self.random, 4)
            before = self.info_of(number)["repaired_chunks"]
            # Which copy a reader asks is its own choice, and some bits lie where no byte is stored.
            self.expect(files, "while copies are bad")
            self.scrub()
            info = wait_for(lambda: self.info_of(number) if
                            self.info_of(number)["damaged_chunks"] == 0 else None, 60, "the repair")
            self.assertGreaterEqual(info["repaired_chunks"], before)
            self.assertEqual(info["lost_chunks"], 0)
        self.expect(files, "after the repair")

    def test_with_every_copy_bad_nothing_is_deleted_and_status_says_so(self):
        data = self.random.randbytes(CHUNK)
        write_synced(self.path("f"), data)
        for number in (1, 2):
            self.break_chunk(number, data)
        drop_caches()
        told = self.cluster.penstock("scrub", "start", "--wait", "--timeout", "100", "--json",
                                     "--cluster", self.cluster.dir, check=False)
        self.assertEqual(told.returncode, 1, told.stderr)
        self.assertIn("no good one", told.stderr)
        report = json.loads(told.stdout)
        self.assertEqual([target["lost"] for target in report], [1, 1], report)
        self.assertErrno(errno.EIO, self.read_cold, "f")
        problems = wait_for(lambda: [line for line in self.cluster.admin("status")["problems"]
                                     if "scrub report" in line], 30, "a problem in the status")
        self.assertIn("1 chunks are damaged", problems[0])
        # Both records are still there: a chunk that is nowhere would be read as zeros.
        # Heartbeats tell it.
        wait_for(lambda: [self.info_of(number)["lost_chunks"] for number in (1, 2)] == [1, 1], 30,
                 "both copies to count as lost")
        self.assertErrno(errno.EIO, self.read_cold, "f")
        # Written anew the file is well again.
        write_synced(self.path("f"), data[::-1])
        self.assertEqual(self.read_cold("f"), data[::-1])
        wait_for(lambda: self.info_of(1)["lost_chunks"] == 0, 60, "the end of the problem")

    def break_chunk(self, number, data):
        folder = os.path.join(self.target_dir(number), "slabs")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                at = file.read().find(data[:4096])
            if at >= 0:
                disk_faults.flip_bit(os.path.join(folder, name), at + 100_000, self.random)
                return
        self.fail(f"chunkserver {number} has no such bytes")

    def read_cold(self, name):
        fd = os.open(self.path(name), os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            return os.pread(fd, CHUNK, 0)
        finally:
            os.close(fd)

    def test_it_goes_on_after_a_restart_and_refuses_what_makes_no_sense(self):
        self.make_files(20)
        self.cluster.penstock("scrub", "start", "--max-rate", "3MiB", "--cluster", self.cluster.dir)

        def running():
            status = self.cluster.admin("scrub", "status")
            # One that is ordered and not begun counts as running, too.
            begun = all(t["running"] and t["chunks_done"] > 0 and
                        t["max_bytes_per_second"] == 3 << 20 for t in status)
            return status if begun else None
        before = wait_for(running, 60, "a scrub under way")
        order = before[0]["order"]
        self.cluster.kill("chunkserver")
        self.cluster.up()
        after = wait_for(running, 60, "the scrub after the restart")
        self.assertEqual([target["order"] for target in after], [order] * 2)
        self.scrub()  # in place of the slow one
        late = self.cluster.penstock("scrub", "start", "--target", "77", "--cluster",
                                     self.cluster.dir, check=False)
        self.assertEqual(late.returncode, 1)
        self.assertIn("target ls", late.stderr)
