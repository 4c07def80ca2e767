"""A whole cluster over RDMA: ordinary work, a chunkserver that dies, a device that goes away.

Run by tests/rdma/run.py in the virtual machine, where rxe0 is the device of 10.77.0.1.
"""

import os
import random
import subprocess
import threading
import time
import unittest

import harness
from cluster_under_test import ClusterUnderTest, wait_for
from harness import write_file

HOST = "10.77.0.1"
DEVICE, INTERFACE = "rxe0", "rdma0"
MIB = 1 << 20


def drop_caches():
    os.sync()
    write_file("/proc/sys/vm/drop_caches", b"3")


class Work(threading.Thread):
    """Writes files, syncs them, reads them back cold and compares, until stop(); no call may fail."""

    def __init__(self, folder, generator):
        super().__init__(daemon=True)
        self.folder = folder
        self.generator = generator
        self.kept = {}
        self.rounds = 0
        self.longest_s = 0.0
        self.error = None
        self.ending = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                begun = time.monotonic()
                self.round()
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                self.rounds += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def round(self):
        name = os.path.join(self.folder, f"work{self.rounds % 20}")
        self.kept[name] = self.generator.randbytes(self.generator.choice([3000, 70_000, MIB]))
        harness.write_synced(name, self.kept[name])
        self.check(self.generator.choice(list(self.kept)))

    def check(self, name):
        fd = os.open(name, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            data = os.pread(fd, len(self.kept[name]) + 1, 0)
        finally:
            os.close(fd)
        if data != self.kept[name]:
            raise AssertionError(f"{name} has other bytes than were written")

    def await_rounds(self, count, what):
        """So many more rounds, all of them without an error."""
        goal = self.rounds + count
        wait_for(lambda: self.error or self.rounds >= goal, 120, f"work {what}")
        if self.error:
            raise self.error

    def stop(self):
        self.ending.set()
        self.join(120)
        if self.is_alive():
            raise AssertionError("a call does not end")
        if self.error:
            raise self.error
        for name in self.kept:
            self.check(name)


class RdmaClusterTest(harness.ClusterTest):
    transport = "auto"
    chunkservers = 2

    @classmethod
    def setUpClass(cls):
        if "PENSTOCK_RDMA_VM" not in os.environ:
            raise unittest.SkipTest("needs the devices of tests/rdma/vm")
        cls.cluster = ClusterUnderTest(cls.__name__, cls.chunkservers, cls.replication)
        try:
            # The guest is emulated, perhaps on a busy machine.
            cls.cluster.penstock("up", cls.cluster.dir, *cls.cluster.options, "--mount",
                                 cls.cluster.mountpoint, "--host", HOST, "--transport",
                                 cls.transport, "--timeout", "300", timeout_s=330)
        except BaseException:
            cls.cluster.remove()
            raise
        cls.base = cls.cluster.mountpoint

    def setUp(self):
        super().setUp()
        print(f"[seed {harness.seed()}] ", end="", flush=True)
        self.random = random.Random(f"rdma{harness.seed()}")
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")

    def transports(self):
        """{peer: (transport, reason)} of the mount's connections, as `penstock status` has them."""
        clients = self.cluster.admin("status")["clients"]
        return {peer["peer"]: (peer["transport"], peer["reason"])
                for client in clients for peer in client["transports"]}

    def await_transport(self, wanted, timeout_s):
        """Until the metaserver and every chunkserver are reached by that transport, and so named."""
        def reached():
            found = self.transports()
            return len(found) == 1 + self.chunkservers and \
                all(transport == wanted for transport, _ in found.values())
        try:
            wait_for(reached, timeout_s, f"{wanted} everywhere", every_s=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.transports()}") from None
        return self.transports()

    def copy_and_verify(self):
        source = os.path.join(self.local, "tree")
        harness.write_tree(source, self.random, directories=4, files=20, large=False)
        write_file(os.path.join(source, "large"), self.random.randbytes(9 * MIB + 5))
        self.shell("cp", "-a", source, self.path("tree"), timeout_s=120)
        drop_caches()
        self.assertEqual(harness.first_difference(harness.describe_tree(source),
                                                  harness.describe_tree(self.path("tree"))), "")


class RdmaOnlyTest(RdmaClusterTest):
    transport = "rdma"

    def test_ordinary_work_goes_over_rdma_and_status_says_so(self):
        self.copy_and_verify()
        found = self.await_transport("rdma", 30)
        self.assertEqual({reason for _, reason in found.values()}, {""})
        text = self.cluster.penstock("status", "--cluster", self.cluster.dir).stdout
        self.assertIn("metaserver rdma x", text)
        self.assertNotIn("metaserver tcp", text)


class RdmaOrTcpTest(RdmaClusterTest):
    def test_a_chunkserver_dies_and_comes_back(self):
        work = Work(self.root, self.random)
        work.await_rounds(20, "before the fault")
        self.await_transport("rdma", 60)
        self.cluster.kill_chunkserver(1)
        work.await_rounds(20, "with one chunkserver")
        self.cluster.up()
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")
        work.await_rounds(20, "after its return")
        self.await_transport("rdma", 90)
        work.stop()
        print(f"[longest round {work.longest_s:.1f} s] ", end="", flush=True)

    def test_a_device_that_goes_is_replaced_by_tcp_and_used_again_when_it_is_back(self):
        work = Work(self.root, self.random)
        work.await_rounds(5, "before the fault")
        self.await_transport("rdma", 60)
        # It waits until every program has let the device go.
        subprocess.run(["rdma", "link", "delete", DEVICE], check=True, timeout=60)
        work.await_rounds(20, "without a device")
        found = self.await_transport("tcp", 30)
        self.assertNotIn("", {reason for _, reason in found.values()})
        print(f"[reasons {sorted({reason for _, reason in found.values()})}] ", end="", flush=True)
        subprocess.run(["rdma", "link", "add", DEVICE, "type", "rxe", "netdev", INTERFACE],
                       check=True, timeout=60)
        self.await_transport("rdma", 120)
        work.await_rounds(20, "with the device again")
        work.stop()
        print(f"[longest round {work.longest_s:.1f} s] ", end="", flush=True)
