"""File handles (open_by_handle_at): they name an inode whether or not the kernel remembers it."""

import errno
import os
import sys
import unittest

import harness
from harness import write_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "posix"))
import syscalls  # noqa: E402


@unittest.skipUnless(os.geteuid() == 0, "handles are for root")
class HandlesTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Its kernel inodes are its own, so it knows nothing that it was not asked for.
        cls.other = os.open(cls.cluster.mount_again("other"), os.O_RDONLY | os.O_DIRECTORY)

    @classmethod
    def tearDownClass(cls):
        os.close(cls.other)
        super().tearDownClass()

    def open(self, handle, flags=os.O_RDONLY):
        return syscalls.open_by_handle(self.other, handle, flags)

    def test_a_file_is_opened_that_the_kernel_never_looked_up(self):
        os.makedirs(self.path("a", "b"))
        write_file(self.path("a", "b", "f"), b"content")
        fd = self.open(syscalls.name_to_handle(self.path("a", "b", "f")), os.O_RDWR)
        self.assertEqual(os.read(fd, 99), b"content")
        os.pwrite(fd, b"C", 0)
        os.close(fd)
        with open(self.path("a", "b", "f"), "rb") as file:
            self.assertEqual(file.read(), b"Content")

    def test_a_directory_is_opened_with_its_way_to_the_root(self):
        os.makedirs(self.path("a", "b", "c"))
        write_file(self.path("a", "b", "c", "f"), b"x")
        fd = self.open(syscalls.name_to_handle(self.path("a", "b", "c")), os.O_RDONLY | os.O_DIRECTORY)
        self.assertEqual(os.listdir(fd), ["f"])
        self.assertTrue(os.readlink(f"/proc/self/fd/{fd}").endswith("/a/b/c"))
        self.assertEqual(os.stat("../..", dir_fd=fd).st_ino, os.stat(self.path("a")).st_ino)
        os.close(fd)
        self.assertTrue(os.listdir(self.other))  # the mount's root is unharmed

    def test_a_special_file_and_a_link_have_handles(self):
        os.mkfifo(self.path("p"))
        os.symlink("p", self.path("l"))
        for name in ("p", "l"):
            fd = self.open(syscalls.name_to_handle(self.path(name)), os.O_PATH)
            self.assertEqual(os.fstat(fd).st_ino, os.lstat(self.path(name)).st_ino)
            os.close(fd)

    def test_a_removed_inode_is_stale(self):
        write_file(self.path("f"), b"x")
        os.mkdir(self.path("d"))
        handles = [syscalls.name_to_handle(self.path(name)) for name in ("f", "d")]
        os.unlink(self.path("f"))
        os.rmdir(self.path("d"))
        for handle in handles:
            self.assertErrno(errno.ESTALE, self.open, handle)
