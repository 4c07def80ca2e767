"""How many metadata calls things cost: nothing may be slow by design."""

import os
import subprocess
import unittest

import harness
from cluster_under_test import wait_for
from counting_proxy import CountingProxy
from harness import read_file, write_file

LOOKUP, GETATTR, SETATTR, CREATE = 32, 33, 34, 35


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
        root = self.mount("walker")

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
        self.assertEqual(self.cost(walk), {})

    def test_a_cold_read_of_a_file_costs_one_metadata_call(self):
        sizes = {"inline": 1000, "chunk": 100_000, "chunks": 9 << 20}
        for name, size in sizes.items():
            write_file(self.path(name), b"x" * size)
        self.wait_for_writers()
        root = self.mount("reader")
        os.stat(root)  # the directories on the way
        for name, size in sizes.items():
            def read():
                self.assertEqual(len(read_file(os.path.join(root, name))), size)
            calls = self.cost(read)
            if name == "chunks":
                calls.pop(GETATTR, None)  # a slow reader's kernel asks at the end whether it grew
            self.assertEqual(calls, {LOOKUP: 1}, name)

    @unittest.skipUnless(os.geteuid() == 0, "acts as another user, so it needs root")
    def test_a_cold_read_by_another_than_the_owner_costs_no_more(self):
        names = [f"f{i}" for i in range(100)]
        for name in names:
            write_file(self.path(name), b"x" * 1000)
        root = self.mount("guest")

        def read(name):
            # The shell changes the directory: before exec, this process and its proxy stand still.
            script = 'cd "$0" && exec setpriv --reuid=61010 --regid=62010 --clear-groups cat "$1"'
            subprocess.run(["sh", "-c", script, root, name], check=True, stdout=subprocess.DEVNULL)

        # Once it is known that the writer has closed them, and the directories' lists have been read.
        wait_for(lambda: self.cost(lambda: read(names.pop())) == {LOOKUP: 1}, 30, "a read for one call")

    def test_an_empty_file_create_costs_one_metadata_call(self):
        root = self.mount("creator")
        os.stat(root)
        for i in range(10):
            def create():
                os.close(os.open(os.path.join(root, f"f{i}"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            calls = self.cost(create)
        # The create itself is one; the kernel asks for the directory's attributes, which the create
        # before changed, and looks the name up first. Leases will answer those two at the client.
        self.assertEqual(calls.get(CREATE), 1)
        self.assertLessEqual(sum(calls.values()), 3, calls)

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
