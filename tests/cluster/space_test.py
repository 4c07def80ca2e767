"""What files take: st_blocks, du and df, with holes, truncations and deletions."""

import ctypes
import os
import shutil
import subprocess

import harness
from cluster_under_test import wait_for
from harness import read_file, write_file

MIB = 1 << 20
CHUNK = 4 * MIB
KEEP_SIZE, PUNCH_HOLE = 1, 2


def punch(fd, offset, length):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate(fd, PUNCH_HOLE | KEEP_SIZE, ctypes.c_long(offset), ctypes.c_long(length)):
        raise OSError(ctypes.get_errno(), "fallocate")


class SpaceTest(harness.ClusterTest):
    def taken(self, path):
        return os.stat(path).st_blocks * 512

    def du(self, path):
        return int(subprocess.run(["du", "-s", "--block-size=1", path], check=True,
                                  capture_output=True, text=True).stdout.split()[0])

    def sparse(self, path):
        """1 GiB and 100 bytes long, with 4 MiB and 100 bytes in it."""
        with open(path, "wb", buffering=0) as file:
            os.pwrite(file.fileno(), os.urandom(CHUNK), 256 * MIB)
            os.pwrite(file.fileno(), b"e" * 100, 1 << 30)

    def test_small_files_take_their_bytes_and_empty_ones_none(self):
        for size, taken in ((0, 0), (1, 512), (512, 512), (513, 1024), (4096, 4096)):
            write_file(self.path("f"), b"x" * size)
            self.assertEqual(self.taken(self.path("f")), taken, f"{size} bytes")

    def test_a_file_takes_what_was_written_however_it_is_asked(self):
        data = os.urandom(9 * MIB + 5)
        with open(self.path("f"), "wb", buffering=0) as file:
            file.write(data)
            while_open = os.fstat(file.fileno()).st_blocks * 512
            self.assertGreaterEqual(while_open, len(data))
            self.assertLess(while_open, len(data) + 4096)
            os.fsync(file.fileno())
        self.assertEqual(self.taken(self.path("f")), (len(data) + 511) // 512 * 512)
        other = os.path.join(self.cluster.mount_again("space-other"),
                             os.path.relpath(self.path("f"), self.base))
        wait_for(lambda: os.path.exists(other), 5, "the file at the other mount")
        self.assertEqual(self.taken(other), (len(data) + 511) // 512 * 512)
        write_file(self.path("f"), data[:5000])  # a new content
        self.assertEqual(self.taken(self.path("f")), 5120)

    def test_du_counts_no_holes(self):
        self.sparse(self.path("f"))
        self.assertEqual(os.stat(self.path("f")).st_size, (1 << 30) + 100)
        self.assertEqual(self.taken(self.path("f")), CHUNK + 512)
        self.assertEqual(self.du(self.root), CHUNK + 512)
        with open(self.path("f"), "r+b", buffering=0) as file:
            os.ftruncate(file.fileno(), 300 * MIB)
        self.assertEqual(self.taken(self.path("f")), CHUNK)
        os.truncate(self.path("f"), 258 * MIB)
        self.assertEqual(self.taken(self.path("f")), 2 * MIB)
        os.truncate(self.path("f"), 1 << 40)
        self.assertEqual(self.taken(self.path("f")), 2 * MIB)

    def test_copies_keep_holes(self):
        self.sparse(self.path("f"))
        for mode in ("always", "auto"):
            self.shell("cp", f"--sparse={mode}", self.path("f"), self.path(mode))
            self.assertLessEqual(self.taken(self.path(mode)), CHUNK + CHUNK)
            self.shell("cmp", self.path("f"), self.path(mode))
        self.shell("tar", "-C", self.root, "-cSf", self.path("t.tar"), "f")
        self.assertLess(os.stat(self.path("t.tar")).st_size, 2 * CHUNK)

    def test_whole_chunks_of_a_hole_give_their_room_back(self):
        data = os.urandom(4 * CHUNK)
        with open(self.path("f"), "wb", buffering=0) as file:
            file.write(data)
            os.fsync(file.fileno())
            punch(file.fileno(), CHUNK, CHUNK)
            self.assertEqual(os.fstat(file.fileno()).st_blocks * 512, 3 * CHUNK)
            os.fsync(file.fileno())
            self.assertEqual(os.fstat(file.fileno()).st_blocks * 512, 3 * CHUNK)
            # To the end of a chunk: cut off. In the middle of one: zeros, which are stored.
            punch(file.fileno(), 3 * CHUNK - MIB, MIB)
            punch(file.fileno(), 3 * CHUNK + MIB, MIB)
            self.assertEqual(os.fstat(file.fileno()).st_blocks * 512, 3 * CHUNK - MIB)
            os.pwrite(file.fileno(), data[:CHUNK], CHUNK)
        self.assertEqual(self.taken(self.path("f")), 4 * CHUNK - MIB)
        expected = bytearray(data)
        expected[CHUNK:2 * CHUNK] = data[:CHUNK]
        expected[3 * CHUNK - MIB:3 * CHUNK] = bytes(MIB)
        expected[3 * CHUNK + MIB:3 * CHUNK + 2 * MIB] = bytes(MIB)
        self.assertEqual(read_file(self.path("f")), bytes(expected))

    def test_df_gets_back_what_was_deleted(self):
        def used_chunks():
            return self.cluster.chunk_count()
        before = used_chunks()
        os.mkdir(self.path("d"))
        for i in range(4):
            write_file(self.path(f"d/f{i}"), os.urandom(2 * CHUNK))
        wait_for(lambda: used_chunks() >= before + 8, 30, "the chunks in the targets' reports")
        full = os.statvfs(self.root)
        self.assertGreater(full.f_blocks, full.f_bfree)
        self.assertEqual(self.du(self.path("d")), 8 * CHUNK)
        shutil.rmtree(self.path("d"))
        wait_for(lambda: used_chunks() <= before, 60, "the deletion of the chunks")


if __name__ == "__main__":
    import unittest
    unittest.main()
