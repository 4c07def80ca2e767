"""What a writer that died, or lost its session, had written but not published."""

import os
import signal
import unittest

import harness
import scratch
from cluster_under_test import wait_for
from harness import read_file

CHUNK = 4 << 20
HEAD = b"published" * 1000


class DeadWriterTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        self.writer = self.cluster.mount_again(f"writer-{self._testMethodName}")
        self.addCleanup(scratch.unmount, self.writer)

    def on_writer(self, name):
        return os.path.join(self.writer, os.path.relpath(self.path(name), self.base))

    def session_of_writer(self):
        for client in self.cluster.admin("client", "ls"):
            if client["mountpoint"] == self.writer:
                return client["session"]
        return None

    def kill_writer(self):
        """The supervisor first, so that it starts no other client."""
        pids = [pid for pid, argv in scratch.processes_naming(self.writer)]
        self.assertTrue(pids)
        for pid in sorted(pids):
            os.kill(pid, signal.SIGKILL)

    def start_file(self, name):
        """Made here, so that nobody else has it open: a shared file's size follows each write."""
        file = open(self.on_writer(name), "w+b", buffering=0)
        file.write(HEAD)
        os.fsync(file.fileno())
        return file

    def write_beyond(self, file):
        """Whole chunks that reach the servers; the size would follow some seconds later."""
        before = self.cluster.chunk_count()
        file.write(b"\xaa" * (2 * CHUNK + 100))
        wait_for(lambda: self.cluster.chunk_count() >= before + 2, 10, "chunks on the servers")

    def expect_a_hole(self, name):
        """Whoever makes the file longer reads zeros where the dead writer's bytes were."""
        with open(self.path(name), "r+b", buffering=0) as file:  # waits until they are cut off
            os.ftruncate(file.fileno(), 4 * CHUNK)
            os.pwrite(file.fileno(), b"end", 4 * CHUNK)
            os.fsync(file.fileno())
        data = read_file(self.path(name))
        self.assertEqual(data[:len(HEAD)], HEAD)
        self.assertEqual(data[len(HEAD):4 * CHUNK].strip(b"\0"), b"")
        self.assertEqual(data[4 * CHUNK:], b"end")

    def test_the_unpublished_bytes_of_a_dead_writer_are_never_seen(self):
        file = self.start_file("f")  # never closed: its mount will be gone
        session = self.session_of_writer()
        self.write_beyond(file)
        self.kill_writer()
        self.cluster.admin("client", "evict", session)
        self.assertEqual(os.stat(self.path("f")).st_size, len(HEAD), "published after all")
        self.expect_a_hole("f")

    def test_a_writer_whose_session_was_ended_goes_on_in_a_new_one(self):
        with self.start_file("f") as file:
            session = self.session_of_writer()
            self.write_beyond(file)
            self.cluster.admin("client", "evict", session)
            wait_for(lambda: self.session_of_writer() != session, 30, "another session")
            with self.assertRaises(OSError):
                os.fsync(file.fileno())  # the bytes are lost, and that is said once
            for i in range(50):
                os.pwrite(file.fileno(), bytes([i]) * 100_000, 3 * CHUNK + i * 100_000)
            os.fsync(file.fileno())
        data = read_file(self.path("f"))
        self.assertEqual(len(data), 3 * CHUNK + 50 * 100_000)
        self.assertEqual(data[:len(HEAD)], HEAD)
        self.assertEqual(data[len(HEAD):3 * CHUNK].strip(b"\0"), b"")
        for i in range(50):
            at = 3 * CHUNK + i * 100_000
            self.assertEqual(data[at:at + 100_000], bytes([i]) * 100_000, f"block {i}")


if __name__ == "__main__":
    unittest.main()
