"""Which reads change atime, where that is seen, and what it costs."""

import os
import time

import harness
from cluster_under_test import wait_for
from harness import read_file, write_file

NS = 10**9
OLD = (1000 * NS, 2000 * NS)  # an atime older than mtime


class AccessTimesTest(harness.ClusterTest):
    def atime(self, path):
        return os.lstat(path).st_atime_ns

    def elsewhere(self, mountpoint, *parts):
        return os.path.join(mountpoint, os.path.relpath(self.root, self.base), *parts)

    def mount(self, name, options=""):
        mountpoint = self.cluster.mount_again(name, options=options)
        wait_for(lambda: os.path.isdir(self.elsewhere(mountpoint)), 5, "the directory there")
        return mountpoint

    def test_a_read_is_seen_at_once_here_and_by_whoever_asks_later(self):
        sizes, seen, began = (10, 4096, 100_000, 5 << 20), {}, time.time_ns()
        for size in sizes:
            path = self.path(f"f{size}")
            write_file(path, b"x" * size)
            os.utime(path, ns=OLD)
            with open(path, "rb", buffering=0) as file:
                # A read that the kernel answers from the pages that were written is seen by nobody.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                file.read(10)
                self.assertGreaterEqual(os.fstat(file.fileno()).st_atime_ns, began - NS)
            seen[size] = self.atime(path)
            self.assertGreaterEqual(seen[size], began - NS)
            self.assertEqual(os.stat(path).st_mtime_ns, OLD[1])
        # A mount that has nothing cached: what others have is not recalled for an atime.
        other = self.mount("atime-other")
        for size in sizes:
            path, there = self.path(f"f{size}"), self.elsewhere(other, f"f{size}")
            self.assertEqual(self.atime(there), seen[size])
            # Newer than the last change and of today: later reads leave it.
            later = time.time_ns() + 60 * NS
            os.utime(path, ns=(later, OLD[1]))
            wait_for(lambda: self.atime(there) == later, 10, "the atime that was set")
            read_file(path)
            read_file(there)
            self.assertEqual(self.atime(path), later)
            self.assertEqual(self.atime(there), later)

    def test_directories_and_links_have_one_too(self):
        os.mkdir(self.path("d"))
        write_file(self.path("d/f"), b"x")
        os.symlink("d/f", self.path("l"))
        for name, use in (("d", os.listdir), ("l", os.readlink)):
            os.utime(self.path(name), ns=OLD, follow_symlinks=False)
            began = time.time_ns()
            use(self.path(name))
            self.assertGreaterEqual(self.atime(self.path(name)), began - NS)

    def test_an_atime_that_is_set_after_a_read_stays(self):
        write_file(self.path("f"), b"abc")
        for turn in range(50):
            os.utime(self.path("f"), ns=(turn * NS, 2000 * NS))
            self.assertEqual(self.atime(self.path("f")), turn * NS)
            read_file(self.path("f"))
        os.utime(self.path("f"), ns=(7 * NS, 2000 * NS))
        other = self.mount("atime-after")
        self.assertEqual(self.atime(self.elsewhere(other, "f")), 7 * NS)
        self.assertEqual(self.atime(self.path("f")), 7 * NS)

    def test_mount_options_say_which_reads_count(self):
        write_file(self.path("f"), b"abc")
        os.mkdir(self.path("d"))
        names = {"noatime": "", "ro": "", "nodiratime": "f", "strictatime": "fd", "relatime": "fd"}
        for option, moved in names.items():
            there = self.mount(f"atime-{option}", option)
            for name in "fd":
                os.utime(self.path(name), ns=OLD)
            wait_for(lambda: self.atime(self.elsewhere(there, "d")) == OLD[0], 10, "the old times")
            read_file(self.elsewhere(there, "f"))
            os.listdir(self.elsewhere(there, "d"))
            for name in "fd":
                found = self.atime(self.elsewhere(there, name))
                self.assertEqual(found > OLD[0], name in moved, f"{option}: {name}")
            self.cluster.unmount(there)

    def test_strictatime_takes_every_read(self):
        there = self.elsewhere(self.mount("atime-strict", "strictatime"), "f")
        write_file(self.path("f"), b"x" * 5000)
        wait_for(lambda: os.path.exists(there), 5, "the file there")
        last = 0
        for _ in range(5):
            with open(there, "rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # else its pages serve
                file.read(1)
            now = self.atime(there)
            self.assertGreater(now, last)
            last = now


if __name__ == "__main__":
    import unittest
    unittest.main()
