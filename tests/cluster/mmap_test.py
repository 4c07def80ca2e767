"""Mapped files: what is mapped, what is read and what is written are one content."""

import mmap
import os
import subprocess
import sys

import harness
from harness import read_file, write_file

CHUNK = 4 << 20


class MmapTest(harness.FileSystemTest):
    def test_a_read_only_map_shows_the_file(self):
        data = os.urandom(CHUNK + 12_345)
        write_file(self.path("f"), data)
        with open(self.path("f"), "rb") as file, mmap.mmap(file.fileno(), 0,
                                                           prot=mmap.PROT_READ) as mapped:
            self.assertEqual(mapped[:], data)

    def test_a_written_map_reaches_the_file_and_other_readers(self):
        data = bytearray(os.urandom(CHUNK + 8192))
        write_file(self.path("f"), data)
        with open(self.path("f"), "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            for offset in (0, 4095, CHUNK - 3, CHUNK + 8000):
                mapped[offset:offset + 6] = data[offset:offset + 6] = b"mapped"
                with open(self.path("f"), "rb") as reader:
                    self.assertEqual(os.pread(reader.fileno(), 6, offset), b"mapped")
            mapped.flush()
        self.assertEqual(read_file(self.path("f")), bytes(data))

    def test_two_processes_share_a_writable_map(self):
        write_file(self.path("f"), bytes(8192))
        program = ("import mmap,sys,time\nf=open(sys.argv[1],'r+b')\nm=mmap.mmap(f.fileno(),0)\n"
                   "for i in range(100):\n"
                   "  while m[0]!=i+1: time.sleep(0.0005)\n"
                   "  m[5000]=i+1\n")
        other = subprocess.Popen([sys.executable, "-c", program, self.path("f")])
        try:
            with open(self.path("f"), "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
                for i in range(100):
                    mapped[0] = i + 1
                    while mapped[5000] != i + 1:
                        self.assertIsNone(other.poll())
            self.assertEqual(other.wait(30), 0)
        finally:
            other.kill()
            other.wait()
        self.assertEqual(read_file(self.path("f"))[5000], 100)

    def test_a_private_map_leaves_the_file_alone(self):
        write_file(self.path("f"), b"original" * 1000)
        with open(self.path("f"), "r+b") as file:
            with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as mapped:
                mapped[0:8] = b"changed!"
        self.assertEqual(read_file(self.path("f")), b"original" * 1000)

    def test_a_map_outlives_close_and_unlink(self):
        write_file(self.path("f"), b"x" * 10_000)
        file = open(self.path("f"), "r+b")
        mapped = mmap.mmap(file.fileno(), 0)
        file.close()
        os.unlink(self.path("f"))
        mapped[100:103] = b"yes"
        mapped.flush()
        self.assertEqual(mapped[99:104], b"xyesx")
        mapped.close()

    def test_a_map_written_without_sync_is_there_after_close(self):
        with open(self.path("f"), "w+b") as file:
            file.truncate(3 * 4096)
            with mmap.mmap(file.fileno(), 0) as mapped:
                mapped[4096:4106] = b"0123456789"
        self.assertEqual(read_file(self.path("f")), bytes(4096) + b"0123456789" + bytes(8182))
