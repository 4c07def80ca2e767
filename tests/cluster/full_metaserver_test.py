"""The metaserver's disk is full: ENOSPC for what adds, all else goes on, and it mends by itself."""

import errno
import json
import os
import signal
import subprocess

from by_hand import ServersByHand
from cluster_under_test import wait_for
from harness import read_file, write_file

MIB = 1 << 20
RESERVE_MIB = 64


class FullMetaserverTest(ServersByHand):
    METASERVER = [f'reserve = "{RESERVE_MIB}MiB"']
    CHUNKSERVERS = {1: ["t1"], 2: ["t1"]}
    INITIAL_TARGETS = 2

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root to mount a small disk")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640m", "none", self.at("meta")],
                                 stderr=subprocess.PIPE, text=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"cannot mount a small disk here: {mounted.stderr.strip()}")

    def admin(self, *arguments):
        return json.loads(self.run_command(*arguments, "--json", "--cluster",
                                           f"127.0.0.1:{self.port}", "--keys",
                                           self.at("keys")).stdout)

    def fill(self, leave_bytes):
        """Takes all of the disk but so many bytes."""
        with open(self.at("meta", "ballast"), "ab", buffering=0) as file:
            while True:
                disk = os.statvfs(self.at("meta"))
                size = disk.f_bavail * disk.f_frsize - leave_bytes
                try:
                    if size <= 0 or file.write(bytes(min(size, MIB))) == 0:
                        return
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
                    return

    def free(self):
        os.unlink(self.at("meta", "ballast"))

    def refused(self, name):
        try:
            write_file(self.at("mnt", name), b"x")
        except OSError as error:
            self.assertEqual(errno.errorcode[error.errno], "ENOSPC")
            return True
        os.unlink(self.at("mnt", name))
        return False

    def accepted(self, name):
        return not self.refused(name)

    def expect_readable(self, files):
        for name, data in files.items():
            self.assertEqual(read_file(self.at("mnt", name)), data, name)

    def test_a_full_metadata_disk_is_read_only_until_there_is_room(self):
        self.start_all()
        self.mount()
        files = {f"f{i}": os.urandom(size) for i, size in enumerate([10, 4000, 70_000, 3 * MIB] * 3)}
        for name, data in files.items():
            write_file(self.at("mnt", name), data)
        self.assertFalse(self.admin("status")["read_only"])
        # Below the reserve: names are read-only, reads and deletions go on.
        self.fill(RESERVE_MIB * MIB // 2)
        wait_for(lambda: self.refused("new"), 20, "ENOSPC")
        for change in (lambda: os.mkdir(self.at("mnt", "d")),
                       lambda: os.rename(self.at("mnt", "f0"), self.at("mnt", "g0")),
                       lambda: os.link(self.at("mnt", "f0"), self.at("mnt", "l0"))):
            with self.assertRaises(OSError) as caught:
                change()
            self.assertEqual(caught.exception.errno, errno.ENOSPC)
        self.expect_readable(files)
        os.unlink(self.at("mnt", "f3"))
        os.truncate(self.at("mnt", "f7"), 1000)
        del files["f3"]
        files["f7"] = files["f7"][:1000]
        self.expect_readable(files)
        status = self.admin("status")
        self.assertTrue(status["read_only"])
        self.assertIn("names are read-only (ENOSPC) until space is freed", status["problems"][0])
        self.free()
        wait_for(lambda: self.accepted("new"), 20, "room again")
        self.assertFalse(self.admin("status")["read_only"])
        # To the last byte: what cannot be logged is refused, and nothing ends or is lost.
        self.fill(0)
        wait_for(lambda: self.refused("new"), 20, "ENOSPC")
        for _ in range(30):
            try:
                os.unlink(self.at("mnt", "f11"))
                del files["f11"]
                break
            except OSError as error:
                self.assertEqual(errno.errorcode[error.errno], "ENOSPC")
        self.expect_readable(files)
        self.assertIsNone(self.servers["meta-server"].poll())
        self.free()
        wait_for(lambda: self.accepted("new"), 30, "room again")
        write_file(self.at("mnt", "after"), b"after")
        files["after"] = b"after"
        # Nothing acknowledged is lost, whatever was in the log and in memory.
        server = self.servers.pop("meta-server")
        server.send_signal(signal.SIGKILL)
        server.wait()
        self.start("meta-server", "penstock-metaserver")
        self.assertEqual(set(os.listdir(self.at("mnt"))), set(files))
        self.expect_readable(files)
        self.run_command("umount", self.at("mnt"))
