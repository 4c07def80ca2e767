"""Chunkservers that die and come back: work goes on, and every copy is whole again afterwards."""

import os
import random
import threading
import time

import harness
from cluster_under_test import wait_for
from harness import read_file, write_synced

CHUNK = 4 << 20


class Prober(threading.Thread):
    """Does something again and again; remembers the longest time that it took, and any error."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work = work
        self.longest_s = 0.0
        self.done = 0
        self.error = None
        self.ending = threading.Event()
        self.start()

    def run(self):
        while not self.ending.is_set():
            start = time.monotonic()
            try:
                self.work(self.done)
            except Exception as error:  # pylint: disable=broad-except
                self.error = error
                return
            self.longest_s = max(self.longest_s, time.monotonic() - start)
            self.done += 1
            self.ending.wait(0.02)

    def stop(self):
        self.ending.set()
        self.join(120)
        assert not self.is_alive(), "a call does not end"
        if self.error:
            raise self.error


class FailureTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        self.random = random.Random(f"failure{seed}")
        self.cluster.up()
        self.wait_until_in_sync()

    def groups(self):
        return self.cluster.admin("group", "ls")

    def all_in_sync(self):
        def is_whole(group):
            members = group["members"]
            return len(members) == self.replication and all(
                member["state"] == "in_sync" for member in members)
        return all(is_whole(group) for group in self.groups())

    def wait_until_in_sync(self):
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")
        self.assertTrue(self.all_in_sync())

    def make_files(self, count=40):
        """Files of many sizes, each with chunks on other groups."""
        files = {}
        for i in range(count):
            size = self.random.choice([100, 5000, 100_000, CHUNK, CHUNK + 1, 2 * CHUNK + 77])
            files[f"f{i}"] = self.random.randbytes(size)
            write_synced(self.path(f"f{i}"), files[f"f{i}"])
        return files

    def expect(self, files, when):
        for name, data in files.items():
            self.assertEqual(read_file(self.path(name)), data, f"{name} {when}")

    def kill_and_watch(self, victims, files):
        """Kills chunkservers; reads and writes go on within the promised times."""
        names = sorted(files)

        def read(i):
            name = names[i % len(names)]
            fd = os.open(self.path(name), os.O_RDONLY)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                self.assertEqual(os.pread(fd, len(files[name]) + 1, 0), files[name], name)
            finally:
                os.close(fd)

        written = {}

        def write(i):
            data = random.Random(i).randbytes(50_000 + i)
            write_synced(self.path(f"new{i % 50}"), data)
            written[f"new{i % 50}"] = data

        readers, writer = Prober(read), Prober(write)
        wait_for(lambda: readers.done > 5 and writer.done > 5, 30, "work before the fault")
        for victim in victims:
            self.cluster.kill_chunkserver(victim)
        before = (readers.done, writer.done)
        wait_for(lambda: readers.error or writer.error or
                 (readers.done > before[0] + 100 and writer.done > before[1] + 50),
                 120, "work after the fault")
        readers.stop()
        writer.stop()
        print(f"[longest read {readers.longest_s:.1f} s, write {writer.longest_s:.1f} s] ", end="")
        files.update(written)

    def kill_and_return(self, victims):
        files = self.make_files()
        ids = {self.cluster.target_of(victim) for victim in victims}
        self.kill_and_watch(victims, files)
        wait_for(lambda: not ids & self.cluster.members_of_all_groups(), 30, "groups without the dead")
        for name in self.random.sample(sorted(files), 10):  # what changes while it is away
            if self.random.random() < 0.3:
                os.unlink(self.path(name))
                del files[name]
                continue
            data = bytearray(files[name])
            at = self.random.randrange(len(data))
            data[at:at + 3000] = self.random.randbytes(3000)
            with open(self.path(name), "r+b") as file:
                file.seek(at)
                file.write(data[at:at + 3000])
                file.flush()
                os.fsync(file.fileno())
            files[name] = bytes(data)
        self.expect(files, "while servers are away")
        problems = self.cluster.admin("status").get("problems", [])
        self.assertTrue(any("offline" in problem for problem in problems), problems)
        repair = self.cluster.admin("repair", "status")
        self.assertGreater(repair["groups_below_goal"], 0, repair)
        late = self.cluster.penstock("repair", "status", "--wait", "--timeout", "1", "--cluster",
                                     self.cluster.dir, check=False)
        self.assertEqual(late.returncode, 1, late.stderr)
        self.assertIn("lack copies", late.stderr)
        self.cluster.up()
        self.wait_until_in_sync()
        return files

    def expect_each_server_alone_suffices(self, files):
        """Every copy is whole: whichever one is missing, the others have it all."""
        for number in range(1, self.chunkservers + 1):
            self.cluster.kill_chunkserver(number)
            with open("/proc/sys/vm/drop_caches", "w") as file:  # else the kernel answers
                file.write("1\n")
            self.expect(files, f"without chunkserver {number}")
            self.cluster.up()
            self.wait_until_in_sync()

    def test_one_of_three_dies_and_returns(self):
        files = self.kill_and_return([self.random.randrange(1, 4)])
        self.expect_each_server_alone_suffices(files)


class TripleTest(FailureTest):
    chunkservers = 3
    replication = 3

    def test_one_of_three_dies_and_returns(self):
        """Here two of them."""
        files = self.kill_and_return(self.random.sample([1, 2, 3], 2))
        self.expect_each_server_alone_suffices(files)
