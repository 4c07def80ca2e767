"""The smallest cluster: one chunkserver, one copy; and a wide one."""

import os

import harness
from harness import read_file, write_file


class OneCopyTest(harness.ClusterTest):
    chunkservers = 1
    replication = 1

    def test_it_stores_and_restarts(self):
        data = os.urandom(9 << 20)
        write_file(self.path("f"), data)
        self.cluster.kill("chunkserver")
        self.cluster.up()
        self.assertEqual(read_file(self.path("f")), data)


class ThreeCopiesTest(harness.ClusterTest):
    chunkservers = 4
    replication = 3

    def test_one_server_alone_still_serves_every_chunk_it_holds(self):
        data = os.urandom(9 << 20)
        write_file(self.path("f"), data)
        self.cluster.kill_chunkserver(1)
        self.cluster.kill_chunkserver(3)
        fresh = self.cluster.mount_again("fresh")
        name = os.path.join(fresh, os.path.relpath(self.path("f"), self.base))
        self.assertEqual(read_file(name), data)
        self.cluster.up()
