"""How many metadata calls things cost: nothing may be slow by design."""

import os
import socket
import subprocess
import unittest
import urllib.request

import harness
import scratch
from cluster_under_test import wait_for
from counting_proxy import CountingProxy
from harness import read_file, write_file

LOOKUP, GETATTR, SETATTR, CREATE = 32, 33, 34, 35
READDIR = 45


class CallsTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        self.proxy = CountingProxy(self.cluster.base_port)
        self.addCleanup(self.proxy.close)

    def mount(self, name, options="noatime"):
        mountpoint = os.path.join(self.cluster.home, name)
        os.makedirs(mountpoint, exist_ok=True)
        self.cluster.penstock("mount", f"127.0.0.1:{self.proxy.port}", mountpoint, "-o",
                              f"key={self.cluster.dir}/keys/cluster.key,{options},log_file={mountpoint}.log")
        self.cluster.extra_mounts.append(mountpoint)
        self.addCleanup(self.cluster.unmount, mountpoint)
        return os.path.join(mountpoint, os.path.relpath(self.root, self.base))

    def cost(self, function):
        self.proxy.reset()
        function()
        return self.proxy.counted()

    def wait_for_writers(self):
        """Until the metaserver knows that what was written is closed: it may be cached from then on."""
        def closed():
            return all(client["open_files_write"] == 0 for client in self.cluster.admin("client", "ls"))
        wait_for(closed, 30, "the word that all is closed")

    def test_a_second_walk_with_stat_costs_no_metadata_call(self):
        for folder in range(8):
            os.makedirs(self.path(f"d{folder}/sub"))
            for number in range(20):
                write_file(self.path(f"d{folder}/sub/f{number}"), b"x" * 100)
            os.symlink("sub/f1", self.path(f"d{folder}/link"))
        self.wait_for_writers()
        port = scratch.free_base_port()
        root = self.mount("walker", f"noatime,metrics=127.0.0.1:{port}")

        def walk():
            seen = 0
            for folder, directories, files in os.walk(root):
                os.stat(folder)
                for name in files + directories:
                    os.lstat(os.path.join(folder, name))
                    seen += 1
            self.assertEqual(seen, 8 * 23)

        def open_all():
            for folder in range(8):
                for number in range(20):
                    self.assertEqual(read_file(os.path.join(root, f"d{folder}/sub/f{number}")), b"x" * 100)
        walk()
        self.assertEqual(self.cost(walk), {})
        open_all()  # the bytes of small files came along with their records
        self.assertEqual(self.cost(open_all), {})
        # The client's own metrics say the same.
        before = self.metrics(port)
        self.assertGreater(self.metadata_calls(before), 0)
        self.assertEqual(self.cost(walk), {})
        after = self.metrics(port)
        self.assertEqual(self.metadata_calls(after), self.metadata_calls(before))
        # The mount's root, the test's folder, and each folder in it.
        self.assertEqual(after["penstock_client_leases"], 18)
        self.assertGreater(after["penstock_client_cache_valid_seconds"], 0)

    def metrics(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def metadata_calls(self, metrics):
        return sum(value for name, value in metrics.items()
                   if name.startswith("penstock_client_metadata_calls_total"))

    def test_a_busy_metrics_address_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as busy:
            address = f"127.0.0.1:{busy.getsockname()[1]}"
            with self.assertRaises(AssertionError) as error:
                self.mount("deaf", f"metrics={address}")
            self.assertIn(f"metrics cannot be served at {address}", str(error.exception))

    def test_a_cold_read_of_a_file_costs_one_metadata_call(self):
        sizes = {"inline": 1000, "chunk": 100_000, "chunks": 9 << 20}
        for name, size in sizes.items():
            write_file(self.path(name), b"x" * size)
        self.wait_for_writers()
        for name, size in sizes.items():
            root = self.mount(f"reader-{name}")
            os.stat(root)  # the directories on the way

            def read():
                self.assertEqual(len(read_file(os.path.join(root, name))), size)
            calls = self.cost(read)
            if name == "chunks":
                calls.pop(GETATTR, None)  # a slow reader's kernel asks at the end whether it grew
            self.assertEqual(calls, {LOOKUP: 1}, name)

    @unittest.skipUnless(os.geteuid() == 0, "acts as another user, so it needs root")
    def test_a_cold_read_by_another_than_the_owner_costs_no_more(self):
        # A directory each: of one that is used more its listing would be read ahead.
        folders = [f"d{i}" for i in range(100)]
        for folder in folders:
            os.mkdir(self.path(folder))
            write_file(self.path(folder, "f"), b"x" * 1000)
        root = self.mount("guest")
        os.listdir(root)

        def read(folder):
            # The shell changes the directory: before exec, this process and its proxy stand still.
            script = 'cd "$0" && exec setpriv --reuid=61010 --regid=62010 --clear-groups cat f'
            subprocess.run(["sh", "-c", script, os.path.join(root, folder)], check=True,
                           stdout=subprocess.DEVNULL)

        # Once it is known that the writer has closed them, and the directories on the way are known.
        wait_for(lambda: self.cost(lambda: read(folders.pop())) == {LOOKUP: 1}, 30,
                 "a read for one call")

    def test_files_opened_by_name_cost_one_listing(self):
        """As a DataLoader with an index of paths does, and an import that tries names."""
        names = [f"f{i:04}" for i in range(1500)]
        for name in names:
            write_file(self.path(name), b"x" * 10)
        self.wait_for_writers()
        root = self.mount("loader")
        for name in names[:3]:
            read_file(os.path.join(root, name))
        wait_for(lambda: self.proxy.counted().get(READDIR, 0) >= 3, 10, "the listing")
        # The answer to the last page may not be here yet.
        wait_for(lambda: not self.cost(lambda: self.absent(os.path.join(root, "no-such"))), 10,
                 "an absent name known without a call")

        def open_all():
            for name in names:
                self.assertEqual(read_file(os.path.join(root, name)), b"x" * 10)
                self.absent(os.path.join(root, name + ".idx"))
        self.assertEqual(self.cost(open_all), {})

    def absent(self, path):
        self.assertFalse(os.path.exists(path))

    def test_an_empty_file_create_costs_one_metadata_call(self):
        root = self.mount("creator")
        os.stat(root)
        numbers = iter(range(1000))

        def create():
            os.close(os.open(os.path.join(root, f"f{next(numbers)}"),
                             os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        for _ in range(10):
            self.assertEqual(self.cost(create).get(CREATE), 1)
        # The create itself is one; the kernel asks for the directory's attributes, which the create
        # before changed, and looks the name up first. More while the directory is contested: the
        # other mount has just made it.
        wait_for(lambda: sum(self.cost(create).values()) <= 3, 10, "a create for three calls")

    def test_listing_a_directory_with_attributes_costs_few_calls(self):
        for i in range(500):
            write_file(self.path(f"f{i}"), b"x")
        root = self.mount("lister")
        os.stat(root)

        def walk():
            self.assertEqual(len(os.listdir(root)), 500)
        self.assertLessEqual(sum(self.cost(walk).values()), 20)


if __name__ == "__main__":
    unittest.main()
