"""`mount -t penstock` and an fstab line, in a mount namespace of their own."""

import os
import subprocess
import unittest

import harness
from cluster_under_test import program
from harness import read_file, write_file


class SystemMountTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("mount(8) needs root")
        super().setUpClass()

    def run_script(self, script):
        result = subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-c", script],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=120,
                                env=self.cluster.env)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout

    def prelude(self):
        """/sbin becomes an overlay of the real one with our helper in it; gone with the namespace."""
        self.mountpoint = os.path.join(self.cluster.home, "system")
        layers = os.path.join(self.cluster.home, "layers")
        for folder in (self.mountpoint, layers):
            os.makedirs(folder, exist_ok=True)
        return (f"set -e\nmount -t tmpfs none {layers}\nmkdir {layers}/upper {layers}/work\n"
                f"ln -s {program('mount.penstock')} {layers}/upper/mount.penstock\n"
                f"mount -t overlay -o lowerdir=/usr/sbin,upperdir={layers}/upper,"
                f"workdir={layers}/work none /usr/sbin\n"
                f"KEY={self.cluster.dir}/keys/cluster.key\nMNT={self.mountpoint}\n"
                f"ADDRESS=127.0.0.1:{self.cluster.base_port}\n")

    def test_mount_t_penstock(self):
        write_file(self.path("f"), b"through mount(8)")
        relative = os.path.relpath(self.path("f"), self.base)
        output = self.run_script(self.prelude() + (
            "mount -t penstock -o key=$KEY,noatime,log_file=$MNT.log $ADDRESS $MNT\n"
            f"cat $MNT/{relative}\necho\nfindmnt -no FSTYPE,SOURCE $MNT\numount $MNT\n"
            "findmnt $MNT && exit 1 || true\n"))
        self.assertIn("through mount(8)", output)
        self.assertIn("penstock", output.splitlines()[1])

    def test_an_fstab_line(self):
        write_file(self.path("f"), b"through fstab")
        relative = os.path.relpath(self.path("f"), self.base)
        output = self.run_script(self.prelude() + (
            "OPTIONS=key=$KEY,_netdev,nofail,ro,log_file=$MNT.log\n"
            f"echo \"$ADDRESS $MNT penstock $OPTIONS 0 0\" > {self.local}/fstab\n"
            f"mount --bind {self.local}/fstab /etc/fstab\nmount $MNT\ncat $MNT/{relative}\n"
            "echo\ntouch $MNT/new 2>/dev/null && exit 1\numount $MNT\n"))
        self.assertIn("through fstab", output)

    def test_a_wrong_key_or_address_says_so(self):
        key = os.path.join(self.local, "wrong.key")
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(os.urandom(32).hex() + "\n")
        mountpoint = os.path.join(self.cluster.home, "never")
        os.makedirs(mountpoint, exist_ok=True)
        address = f"127.0.0.1:{self.cluster.base_port}"
        result = self.cluster.penstock("mount", address, mountpoint, "-o", f"key={key}", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("key", result.stderr)
        result = self.cluster.penstock("mount", "127.0.0.1:1", mountpoint, "-o",
                                       f"key={self.cluster.dir}/keys/cluster.key", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("127.0.0.1:1", result.stderr)
        self.assertFalse(os.path.ismount(mountpoint))
