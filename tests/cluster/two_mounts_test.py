"""Two mounts of one cluster, as two nodes: what one closed, the other's next open sees."""

import errno
import os
import subprocess
import sys
import time

import harness
from cluster_under_test import wait_for
from harness import read_file, write_file


class TwoMountsTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_base = cls.cluster.mount_again("other")

    def other(self, *parts):
        return os.path.join(self.other_base, os.path.relpath(self.root, self.base), *parts)

    def wait_for_name(self, path):
        wait_for(lambda: os.path.lexists(path), 5, f"{path} at the other mount")

    def test_what_one_closes_the_others_next_open_sees(self):
        for size in (10, 4096, 5000, 100_000, 5 << 20):
            for turn in range(6):
                data = os.urandom(size)
                writer, reader = (self.path, self.other) if turn % 2 else (self.other, self.path)
                if turn == 0:
                    self.wait_for_name(self.other())
                write_file(writer(f"f{size}"), data)
                if turn == 0:
                    self.wait_for_name(reader(f"f{size}"))
                self.assertEqual(read_file(reader(f"f{size}")), data, f"size {size} turn {turn}")

    def test_what_one_fsyncs_the_other_reads_while_it_is_open(self):
        self.wait_for_name(self.other())
        with open(self.path("f"), "wb", buffering=0) as file:
            for turn in range(5):
                file.write(b"line\n" * 1000)
                os.fsync(file.fileno())
                self.wait_for_name(self.other("f"))
                self.assertEqual(len(read_file(self.other("f"))), 5000 * (turn + 1))

    def test_names_arrive_within_the_timeout(self):
        write_file(self.path("a"), b"a")
        self.wait_for_name(self.other("a"))
        os.rename(self.path("a"), self.path("b"))
        wait_for(lambda: os.listdir(self.other()) == ["b"], 5, "the rename at the other mount")
        os.unlink(self.other("b"))
        wait_for(lambda: os.listdir(self.root) == [], 5, "the unlink at the first mount")
        self.assertErrno(errno.ENOENT, os.stat, self.path("b"))

    def test_a_file_unlinked_at_the_other_mount_stays_readable_where_it_is_open(self):
        self.wait_for_name(self.other())
        for size in (100, 300_000):
            data = os.urandom(size)
            write_file(self.path("f"), data)
            self.wait_for_name(self.other("f"))
            with open(self.other("f"), "rb", buffering=0) as file:
                time.sleep(2)  # a heartbeat tells the metaserver of the open file
                os.unlink(self.path("f"))
                time.sleep(14)
                self.assertEqual(os.pread(file.fileno(), size + 1, 0), data)

    def test_appends_of_two_mounts_after_each_other_all_stay(self):
        self.wait_for_name(self.other())
        write_file(self.path("log"), b"")
        self.wait_for_name(self.other("log"))
        for i in range(40):
            with open((self.path if i % 2 else self.other)("log"), "ab") as file:
                file.write(b"x" * 200 + b"\n")
        self.assertEqual(read_file(self.path("log")), (b"x" * 200 + b"\n") * 40)

    def test_a_small_file_that_grows_here_keeps_what_was_written_there(self):
        self.wait_for_name(self.other())
        write_file(self.path("f"), b"old " * 25)
        self.wait_for_name(self.other("f"))
        with open(self.path("f"), "r+b", buffering=0) as here:
            with open(self.other("f"), "r+b", buffering=0) as there:
                there.write(b"new " * 25)
            os.pwrite(here.fileno(), b"end", 6000)
        self.assertEqual(read_file(self.other("f")), b"new " * 25 + bytes(5900) + b"end")

    def test_what_is_written_after_the_other_mounts_truncation_stays(self):
        self.wait_for_name(self.other())
        write_file(self.path("f"), os.urandom(100_000))
        self.wait_for_name(self.other("f"))
        fd = os.open(self.path("f"), os.O_WRONLY)
        os.pwrite(fd, b"before" * 1000, 0)
        write_file(self.other("f"), b"")
        self.assertEqual(os.fstat(fd).st_size, 0)
        data = os.urandom(4 << 20)
        os.pwrite(fd, data, 5)
        os.close(fd)
        self.assertEqual(read_file(self.other("f")), bytes(5) + data)

    def test_both_mounts_write_one_open_file(self):
        """Every write is seen by both once it has returned, whatever its place and size."""
        self.wait_for_name(self.other())
        expected = bytearray()
        with open(self.path("f"), "w+b", buffering=0) as here, \
                open(self.other("f"), "r+b", buffering=0) as there:
            for turn in range(30):
                writer, reader = (here, there) if turn % 2 else (there, here)
                at = (turn * 7919) % 9000
                data = bytes([turn + 1]) * (turn * 200 + 1)
                os.pwrite(writer.fileno(), data, at)
                expected.extend(bytes(max(0, at + len(data) - len(expected))))
                expected[at:at + len(data)] = data
                for file in (reader, writer):
                    self.assertEqual(os.fstat(file.fileno()).st_size, len(expected), f"turn {turn}")
                    self.assertEqual(os.pread(file.fileno(), 1 << 20, 0), expected, f"turn {turn}")

    def test_stat_asks_the_other_mount_what_it_has_written(self):
        self.wait_for_name(self.other())
        with open(self.path("f"), "wb", buffering=0) as file:
            for size in (10, 5000, 70_000):
                file.write(b"x" * (size - file.tell()))
                self.assertEqual(os.stat(self.other("f")).st_size, size)

    def test_two_mounts_create_in_one_directory(self):
        self.wait_for_name(self.other())
        program = ("import os,sys\nfor i in range(300):\n"
                   "  with open(os.path.join(sys.argv[1],f'{sys.argv[2]}-{i}'),'xb') as f: f.write(b'x'*i*30)\n")
        both = [subprocess.Popen([sys.executable, "-c", program, folder, name])
                for folder, name in ((self.root, "one"), (self.other(), "two"))]
        self.assertEqual([process.wait(120) for process in both], [0, 0])
        for folder in (self.root, self.other()):
            wait_for(lambda: len(os.listdir(folder)) == 600, 5, "all names on both")
            for name in os.listdir(folder):
                self.assertEqual(len(read_file(os.path.join(folder, name))),
                                 30 * int(name.split("-")[1]))

    def test_exactly_one_of_two_exclusive_creates_wins(self):
        self.wait_for_name(self.other())
        program = ("import os,sys,time\nwon=0\nwhile time.time()<float(sys.argv[2]): pass\n"
                   "for i in range(100):\n"
                   "  try: os.close(os.open(f'{sys.argv[1]}/x{i}',os.O_CREAT|os.O_EXCL|os.O_WRONLY)); won+=1\n"
                   "  except FileExistsError: pass\nprint(won)\n")
        start = str(time.time() + 1)
        both = [subprocess.Popen([sys.executable, "-c", program, folder, start],
                                 stdout=subprocess.PIPE, text=True)
                for folder in (self.root, self.other())]
        won = [int(process.communicate(timeout=60)[0]) for process in both]
        self.assertEqual(sum(won), 100, won)

    def test_a_subdirectory_can_be_mounted(self):
        os.makedirs(self.path("sub/dir"))
        write_file(self.path("sub/dir/f"), b"below")
        inside = "/" + os.path.relpath(self.path("sub"), self.base)
        mountpoint = self.cluster.mount_again("subdir", subdir=inside)
        try:
            self.assertEqual(os.listdir(mountpoint), ["dir"])
            self.assertEqual(read_file(os.path.join(mountpoint, "dir/f")), b"below")
            self.assertEqual(os.stat(mountpoint + "/..").st_ino, os.stat(self.cluster.home).st_ino)
        finally:
            self.cluster.unmount(mountpoint)
        self.assertFalse(os.path.ismount(mountpoint))
