"""Backup and restore of the metadata, with chunkservers that went on meanwhile."""

import json
import os
import random
import shutil
import unittest

import harness
from cluster_under_test import ClusterUnderTest, wait_for
from harness import read_file, write_file

MIB = 1 << 20


class BackupTest(unittest.TestCase):
    def setUp(self):
        if harness.is_local():
            self.skipTest("needs a cluster")
        self.cluster = ClusterUnderTest(type(self).__name__)
        self.addCleanup(self.cluster.remove)
        self.cluster.up()
        self.generator = random.Random(f"backup{harness.seed()}")

    def at(self, name):
        return os.path.join(self.cluster.mountpoint, name)

    def write(self, name, size):
        data = self.generator.randbytes(size)
        write_file(self.at(name), data)
        return data

    def lose_the_metaserver(self):
        self.cluster.kill("metaserver")
        shutil.rmtree(os.path.join(self.cluster.dir, "meta"))

    def refused(self, *arguments):
        result = self.cluster.penstock(*arguments, check=False)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        return result.stderr

    def check_file(self, backup):
        shown = json.loads(self.cluster.penstock("backup", "show", backup, "--json").stdout)
        self.assertEqual(shown["cluster_id"], self.cluster.admin("status")["cluster_id"])
        self.assertGreater(shown["records"], 100)
        with open(backup, "rb") as file:
            data = bytearray(file.read())
        place = self.generator.randrange(len(data))
        data[place] ^= 1 << self.generator.randrange(8)
        damaged = backup + ".damaged"
        write_file(damaged, bytes(data))
        self.refused("backup", "show", damaged)
        self.assertIn("exists", self.refused("backup", "create", backup, "--cluster",
                                             self.cluster.dir))

    def test_a_lost_metaserver_comes_back_from_its_backup(self):
        print(f"[seed {harness.seed()}] ", end="", flush=True)
        files = {f"f{i}": self.write(f"f{i}", size)
                 for i, size in enumerate([10, 4096, 5000, 300_000, 5 * MIB, 9 * MIB] * 5)}
        backup = os.path.join(self.cluster.home, "backup")
        self.cluster.penstock("backup", "create", backup, "--cluster", self.cluster.dir)
        self.check_file(backup)
        # The cluster goes on, and then the metaserver's disk is lost.
        for i in range(20):
            self.write(f"later{i}", 200_000)
        changed = self.write("f4", 5 * MIB)  # a new content: the old one is deleted some time later
        os.truncate(self.at("f5"), 9 * MIB + 100)
        self.cluster.penstock("umount", self.cluster.mountpoint)
        self.lose_the_metaserver()
        self.cluster.penstock("backup", "restore", backup, self.cluster.dir)
        self.assertIn("empty directory only",
                      self.refused("backup", "restore", backup, self.cluster.dir))
        self.cluster.penstock("up", self.cluster.dir)
        problems = "\n".join(self.cluster.admin("status")["problems"])
        self.assertIn("penstock backup finish", problems)
        wait_for(lambda: self.cluster.admin("backup", "finish", "--dry-run")["missing"] == [], 60,
                 "all chunkservers to say what they hold", every_s=0.3)
        self.assertTrue(self.cluster.admin("backup", "finish")["formed"])
        self.cluster.penstock("repair", "status", "--wait", "--timeout", "120", "--cluster",
                              self.cluster.dir)
        self.cluster.up()
        names = set(os.listdir(self.cluster.mountpoint))
        self.assertEqual(names, set(files))
        for name, data in files.items():
            if name == "f4":
                continue  # its content was replaced: old, or lost as after a deletion
            self.assertEqual(read_file(self.at(name)), data, name)
        self.assertNotEqual(read_file(self.at("f4")), changed)
        # Life goes on, and no new content meets an old one.
        for i in range(20):
            data = self.write(f"new{i}", 2 * MIB)
            self.assertEqual(read_file(self.at(f"new{i}")), data)


if __name__ == "__main__":
    unittest.main()
