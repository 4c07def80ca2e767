"""Disks that fail: their targets leave their groups, nothing is deleted, and people are told what to do."""

import json
import os
import random
import shutil
import subprocess
import unittest

import harness
from cluster_under_test import ClusterUnderTest, wait_for
from harness import read_file, write_synced


class DisksTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        if harness.is_local():
            raise unittest.SkipTest("needs a cluster")
        cls.cluster = ClusterUnderTest(cls.__name__, chunkservers=2, replication=2,
                                       targets_per_server=2)
        cls.mounted = cls.mount_small_disk()
        try:
            cls.cluster.up()
        except BaseException:
            cls.cluster.remove()
            raise
        cls.base = cls.cluster.mountpoint

    @classmethod
    def mount_small_disk(cls):
        """A file system of its own for one target; "" or why not."""
        target = cls.target_dir(2, 2)
        os.makedirs(target)
        if os.geteuid() != 0:
            return "needs root to mount a file system"
        image = os.path.join(cls.cluster.home, "disk.img")
        with open(image, "wb") as file:
            file.truncate(1500 << 20)
        for command in (["mkfs.ext4", "-q", "-F", "-m", "0", image],
                        ["mount", "-o", "loop,errors=remount-ro", image, target]):
            try:
                done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
            except FileNotFoundError:
                return f"there is no {command[0]}"
            if done.returncode != 0:
                return f"{command[0]}: {done.stderr.strip()}"
        return ""

    @classmethod
    def tearDownClass(cls):
        if cls.cluster:
            cls.cluster.down(check=False)
            if not cls.mounted:
                subprocess.run(["umount", cls.target_dir(2, 2)], check=False)
        super().tearDownClass()

    @classmethod
    def target_dir(cls, server, number):
        return os.path.join(cls.cluster.dir, f"cs{server}", f"t{number}")

    def setUp(self):
        super().setUp()
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        self.random = random.Random(f"disks{seed}{self.id()}")
        self.cluster.up()
        self.wait_until_in_sync()
        self.files = {}
        for i in range(20):
            data = self.random.randbytes(self.random.choice([6000, 50_000, 1 << 20]))
            self.files[f"f{i}"] = data
            write_synced(self.path(f"f{i}"), data)

    def wait_until_in_sync(self):
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")

    def restart(self, server):
        self.cluster.kill_chunkserver(server)
        self.cluster.up()

    def expect_files(self, when):
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("1\n")
        for name, data in self.files.items():
            self.assertEqual(read_file(self.path(name)), data, f"{name} {when}")

    def state_of(self, server, number):
        path = self.target_dir(server, number)
        return next(t for t in self.cluster.targets() if t["path"] == path)["state"]

    def wait_for_state(self, server, number, state):
        wait_for(lambda: self.state_of(server, number) == state, 40,
                 f"target {number} of server {server} to be {state}")

    def problem_with(self, *words):
        def find():
            return next((line for line in self.cluster.admin("status")["problems"]
                         if all(word in line for word in words)), None)
        return wait_for(find, 30, f"a problem with {words}")

    def write_more(self):
        for i in range(20, 26):
            self.files[f"f{i}"] = self.random.randbytes(70_000)
            write_synced(self.path(f"f{i}"), self.files[f"f{i}"])

    def expect_all_well_again(self):
        self.wait_until_in_sync()
        self.assertEqual({t["state"] for t in self.cluster.targets()}, {"online"})
        for server in (1, 2):
            self.cluster.kill_chunkserver(server)
            self.expect_files(f"without server {server}")
            self.cluster.up()
            self.wait_until_in_sync()

    def test_a_directory_that_vanishes_under_a_running_server(self):
        target = self.target_dir(1, 1)
        os.rename(target, target + ".away")
        try:
            self.wait_for_state(1, 1, "failed")
            self.expect_files("while a directory is away")
            self.write_more()
            self.expect_files("written while a directory is away")
            line = self.problem_with(target, "has failed")
            self.assertIn("bring its directory back, then restart the chunkserver", line)
        finally:
            os.rename(target + ".away", target)
        self.restart(1)
        self.expect_all_well_again()

    def test_an_emptied_directory_and_one_of_another_cluster_are_absent(self):
        target = self.target_dir(1, 2)
        self.cluster.kill_chunkserver(1)
        os.rename(target, target + ".away")
        os.mkdir(target)
        try:
            self.cluster.up()
            self.wait_for_state(1, 2, "absent")
            self.problem_with(target, "missing or empty", "restart the chunkserver")
            self.expect_files("while a directory is empty")
            self.assertEqual(os.listdir(target), [])  # it was not formatted
            self.cluster.kill_chunkserver(1)
            shutil.copy(os.path.join(target + ".away", "identity.json"), target)
            self.edit_identity(target, cluster_id="11111111-2222-3333-4444-555555555555")
            self.cluster.up()
            self.wait_for_state(1, 2, "absent")
            self.problem_with(target, "belongs to cluster 11111111")
            self.assertEqual(os.listdir(target), ["identity.json"])
            self.cluster.kill_chunkserver(1)
        finally:
            shutil.rmtree(target)
            os.rename(target + ".away", target)
        self.cluster.up()
        self.expect_all_well_again()

    def edit_identity(self, target, **fields):
        path = os.path.join(target, "identity.json")
        with open(path) as file:
            identity = json.load(file)
        identity.update(fields)
        with open(path, "w") as file:
            json.dump(identity, file)

    def swap(self, server):
        one, two = self.target_dir(server, 1), self.target_dir(server, 2)
        os.rename(one, one + ".x")
        os.rename(two, one)
        os.rename(one + ".x", two)

    def test_swapped_directories_are_not_used(self):
        self.swap(1)  # under the running server, which must write into neither
        self.wait_for_state(1, 1, "failed")
        self.wait_for_state(1, 2, "failed")
        self.write_more()
        self.restart(1)
        self.wait_for_state(1, 1, "absent")
        self.problem_with("another target", "stands in its place")
        self.expect_files("while directories are swapped")
        self.cluster.kill_chunkserver(1)
        self.swap(1)
        self.cluster.up()
        self.expect_all_well_again()

    def test_a_file_system_that_becomes_read_only(self):
        if self.mounted:
            self.skipTest(self.mounted)
        target = self.target_dir(2, 2)
        self.make_read_only(target)
        try:
            self.write_more()
            self.wait_for_state(2, 2, "failed")
            self.problem_with(target, "read-only", "mount it read-write again")
            self.expect_files("while a disk is read-only")
            self.write_more()
        finally:
            self.cluster.kill_chunkserver(2)
            # The threads of a process that was killed end one after the other.
            wait_for(lambda: subprocess.run(["umount", target], stderr=subprocess.DEVNULL,
                                            check=False).returncode == 0, 20, "the unmount")
            image = os.path.join(self.cluster.home, "disk.img")
            subprocess.run(["e2fsck", "-p", image], check=False, stdout=subprocess.DEVNULL)
            subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, target], check=True)
        self.cluster.up()
        self.expect_all_well_again()

    def make_read_only(self, target):
        """As the kernel does after an error of the disk: files that are open for writing stay so."""
        with open("/proc/self/mounts") as file:
            device = next(line.split()[0] for line in file if line.split()[1] == target)
        trigger = f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error"
        try:
            with open(trigger, "w") as file:
                file.write("1\n")
        except OSError as error:
            self.skipTest(f"cannot make it read-only: {error}")
        wait_for(lambda: self.is_read_only(target), 10, "a read-only file system")

    @staticmethod
    def is_read_only(target):
        """Since Linux 6.12 an ext4 says so only in its options, after an error."""
        if os.statvfs(target).f_flag & os.ST_RDONLY:
            return True
        with open("/proc/self/mounts") as file:
            options = next(line.split()[3] for line in file if line.split()[1] == target)
        return bool({"ro", "emergency_ro"} & set(options.split(",")))
