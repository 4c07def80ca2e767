"""Access control lists as programs and two mounts use them."""

import errno
import os
import subprocess
import unittest

import harness
from cluster_under_test import wait_for
from harness import write_file

USER, GROUP = 61010, 62010  # have entries, and need not exist
OTHER = 61020


def reads(uid, directory, name):
    """Whether a user, with GROUP and no other groups, reads a file of the directory."""
    command = ["setpriv", f"--reuid={uid}", f"--regid={GROUP}", "--clear-groups", "cat", name]
    return subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@unittest.skipUnless(os.geteuid() == 0, "acts as several users, so it needs root")
class AclProgramsTest(harness.FileSystemTest):
    def facl(self, path):
        """What getfacl prints of everything below a directory."""
        return subprocess.run(["getfacl", "-R", "-n", "."], cwd=path, check=True, capture_output=True,
                              text=True).stdout

    def make_tree(self):
        source = self.path("source")
        os.makedirs(os.path.join(source, "d", "e"))
        self.shell("setfacl", "-m", f"u:{USER}:rw", "-m", f"g:{GROUP}:r", "d", cwd=source)
        self.shell("setfacl", "-d", "-m", f"u:{USER}:rwx", "-m", "m::rwx", "d/e", cwd=source)
        for name in ("plain", "d/listed", "d/e/inherited"):
            write_file(os.path.join(source, name), name.encode())
        self.shell("setfacl", "-m", f"u:{USER}:r", "-m", "m::r", "d/listed", cwd=source)
        os.chmod(os.path.join(source, "plain"), 0o4711)
        return source

    def test_setfacl_and_getfacl_agree(self):
        write_file(self.path("f"), b"x")
        os.chmod(self.path("f"), 0o640)
        self.shell("setfacl", "-m", f"u:{USER}:rw", "f", cwd=self.root)
        text = self.facl(self.root)
        self.assertIn(f"user:{USER}:rw-\n", text)
        self.assertIn("mask::rw-\n", text)
        self.assertEqual(os.stat(self.path("f")).st_mode & 0o777, 0o660)
        os.chmod(self.path("f"), 0o600)
        self.assertRegex(self.facl(self.root), rf"user:{USER}:rw-\s+#effective:---")
        self.shell("setfacl", "-b", "f", cwd=self.root)
        self.assertNotIn("mask", self.facl(self.root))

    def test_copies_have_the_same_lists(self):
        source = self.make_tree()
        expected = self.facl(source)
        self.assertIn("default:mask::rwx", expected)
        for name in ("cp", "rsync", "tar"):
            os.mkdir(self.path(name))
        self.shell("cp", "-a", source + "/.", self.path("cp"))
        self.shell("rsync", "-aAX", source + "/", self.path("rsync"))
        self.shell("tar", "--acls", "-cf", self.path("archive"), "-C", source, ".")
        self.shell("tar", "--acls", "-xpf", self.path("archive"), "-C", self.path("tar"))
        for name in ("cp", "rsync", "tar"):
            self.assertEqual(self.facl(self.path(name)), expected, name)
        changes = subprocess.run(["rsync", "-aAXni", source + "/", self.path("tar")], check=True,
                                 capture_output=True, text=True).stdout
        self.assertEqual(changes, "")


@unittest.skipUnless(os.geteuid() == 0, "acts as several users, so it needs root")
class AclTwoMountsTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_base = cls.cluster.mount_again("other")

    def other(self, *parts):
        return os.path.join(self.other_base, os.path.relpath(self.root, self.base), *parts)

    def test_a_list_set_at_one_mount_counts_at_the_other(self):
        write_file(self.path("f"), b"secret")
        os.chmod(self.path("f"), 0o640)
        wait_for(lambda: os.path.exists(self.other("f")), 5, "the file at the other mount")
        self.assertFalse(reads(USER, self.other(), "f"))
        self.shell("setfacl", "-m", f"u:{USER}:r", self.path("f"))
        wait_for(lambda: reads(USER, self.other(), "f"), 5, "the new list")
        self.assertFalse(reads(OTHER, self.other(), "f"))
        self.shell("setfacl", "-b", self.path("f"))
        wait_for(lambda: not reads(USER, self.other(), "f"), 5, "the list's end")

    def test_a_list_set_at_one_mount_is_read_at_the_other_at_once(self):
        """Also through a descriptor: the kernel keeps lists, and must be told."""
        def list_at(file):
            try:
                return os.getxattr(file, "system.posix_acl_access")
            except OSError as error:
                return error.errno
        write_file(self.path("f"), b"x")
        wait_for(lambda: os.path.exists(self.other("f")), 5, "the file at the other mount")
        with open(self.other("f"), "rb") as file:
            for permission in ("r", "rw", "x"):
                self.assertEqual(list_at(file.fileno()), errno.ENODATA)
                self.assertEqual(list_at(self.other("f")), errno.ENODATA)
                self.shell("setfacl", "-m", f"u:{USER}:{permission}", self.path("f"))
                expected = list_at(self.path("f"))
                self.assertIsInstance(expected, bytes)
                self.assertEqual(list_at(file.fileno()), expected)
                self.assertEqual(list_at(self.other("f")), expected)
                self.shell("setfacl", "-b", self.path("f"))

    def test_a_default_list_set_at_one_mount_is_inherited_at_the_other(self):
        os.mkdir(self.path("d"))
        self.shell("setfacl", "-d", "-m", f"u:{USER}:rw", self.path("d"))
        wait_for(lambda: os.path.exists(self.other("d")), 5, "the directory at the other mount")
        write_file(self.other("d", "f"), b"x")
        access = os.getxattr(self.path("d", "f"), "system.posix_acl_access")
        self.assertIn(USER.to_bytes(4, "little"), access)
        self.assertErrno(errno.ENODATA, os.getxattr, self.path("d", "f"), "system.posix_acl_default")
