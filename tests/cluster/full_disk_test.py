"""Disks that are full: ENOSPC to the program, nothing lost, and life goes on after a delete."""

import errno
import os
import subprocess
import unittest

import harness
from cluster_under_test import ClusterUnderTest, wait_for
from harness import read_file

MIB = 1 << 20
ROOM_MIB = 120  # of each target above the reserve of 1 GiB


class FullDiskTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        if harness.is_local() or os.geteuid() != 0:
            raise unittest.SkipTest("needs a cluster, and root to mount small disks")
        cls.cluster = ClusterUnderTest(cls.__name__)
        for number in (1, 2, 3):
            target = os.path.join(cls.cluster.dir, f"cs{number}", "t1")
            os.makedirs(target)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={1024 + ROOM_MIB}m", "none", target],
                           check=True)
        cls.cluster.up()
        cls.base = cls.cluster.mountpoint

    def write_synced(self, name, data):
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)

    def fill(self):
        """Writes files until the disks are full; those that were written."""
        written = {}
        for i in range(3 * ROOM_MIB):
            data = os.urandom(4 * MIB)
            try:
                self.write_synced(f"f{i}", data)
            except OSError as error:
                self.assertEqual(errno.errorcode[error.errno], "ENOSPC")
                return written
            written[f"f{i}"] = data
        self.fail("the disks took more than they have")

    def test_full_disks_give_enospc_and_lose_nothing(self):
        written = self.fill()
        self.assertGreater(len(written), 10)
        for name, data in written.items():
            self.assertEqual(read_file(self.path(name)), data, name)
        self.cluster.kill("chunkserver")
        self.cluster.kill("metaserver")
        self.cluster.up()
        for name, data in written.items():
            self.assertEqual(read_file(self.path(name)), data, f"{name} after a restart")
        names = sorted(written)
        for name in names[:len(names) // 2]:
            os.unlink(self.path(name))

        def try_again():
            try:
                self.write_synced("again", b"room" * MIB)
                return True
            except OSError as error:
                self.assertEqual(errno.errorcode[error.errno], "ENOSPC")
                return False
        wait_for(try_again, 60, "room after the delete", every_s=1)
        self.assertEqual(read_file(self.path("again")), b"room" * MIB)
        for name in names[len(names) // 2:]:
            self.assertEqual(read_file(self.path(name)), written[name], name)
