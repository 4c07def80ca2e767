"""A mount with -o ro reads everything and changes nothing: EROFS, as each function's page says."""

import errno
import os
import stat

import harness
from cluster_under_test import wait_for
from harness import read_file, write_file


class ReadOnlyTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_base = cls.cluster.mount_again("other", options="ro")

    def setUp(self):
        super().setUp()
        write_file(self.path("f"), b"content")
        os.mkdir(self.path("d"))
        os.symlink("f", self.path("l"))
        os.mkfifo(self.path("p"))
        self.other = os.path.join(self.other_base, os.path.relpath(self.root, self.base))
        wait_for(lambda: os.path.lexists(os.path.join(self.other, "p")), 5, "the names at the other mount")
        self.here = os.getcwd()
        os.chdir(self.other)

    def tearDown(self):
        os.chdir(self.here)
        super().tearDown()

    def test_what_is_there_is_read(self):
        self.assertEqual(read_file("f"), b"content")
        self.assertEqual(sorted(os.listdir(".")), ["d", "f", "l", "p"])
        self.assertEqual(os.readlink("l"), "f")
        self.assertTrue(os.statvfs(".").f_flag & os.ST_RDONLY)
        os.close(os.open("f", os.O_RDONLY | os.O_CREAT))
        os.close(os.open("p", os.O_RDWR))  # its bytes do not go to the file system

    def test_nothing_is_changed(self):
        changes = {
            "chmod": lambda: os.chmod("f", 0o600), "chown": lambda: os.lchown("l", 1, 1),
            "link": lambda: os.link("f", "g"), "mkdir": lambda: os.mkdir("g"),
            "mkfifo": lambda: os.mkfifo("g"), "mknod": lambda: os.mknod("g", stat.S_IFREG),
            "create": lambda: os.open("g", os.O_CREAT | os.O_RDONLY),
            "open for writing": lambda: os.open("f", os.O_WRONLY),
            "open for both": lambda: os.open("f", os.O_RDWR),
            "open to truncate": lambda: os.open("f", os.O_RDONLY | os.O_TRUNC),
            "rename": lambda: os.rename("f", "g"), "rmdir": lambda: os.rmdir("d"),
            "symlink": lambda: os.symlink("x", "g"), "truncate": lambda: os.truncate("f", 0),
            "unlink": lambda: os.unlink("f"), "utime": lambda: os.utime("f"),
            "setxattr": lambda: os.setxattr("f", "user.a", b"1")}
        for name, change in changes.items():
            with self.subTest(name):
                self.assertErrno(errno.EROFS, change)
        self.assertErrno(errno.EEXIST, os.mkdir, "d")
        self.assertErrno(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        self.assertEqual(read_file(self.path("f")), b"content")
