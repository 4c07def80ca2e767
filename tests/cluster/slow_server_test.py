"""A chunkserver that is alive but slow: reads go to other copies, and somebody is told."""

import os
import random
import signal
import threading
import urllib.request

import harness
from cluster_under_test import wait_for
from harness import random_bytes, write_synced

FILES = 40


class Stutter(threading.Thread):
    """Stops a process most of the time, each time too shortly to be taken for dead."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.ending = threading.Event()
        self.start()

    def run(self):
        while not self.ending.wait(0.1):
            os.kill(self.pid, signal.SIGSTOP)
            self.ending.wait(0.6)
            os.kill(self.pid, signal.SIGCONT)

    def end(self):
        self.ending.set()
        self.join(10)


class SlowServerTest(harness.ClusterTest):
    def hedged(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith('penstock_client_hedged_reads_total{faster="other"}'):
                    return float(line.split()[-1])
        self.fail("no metric of hedged reads")

    def test_reads_go_to_other_copies_and_status_names_the_server(self):
        generator = random.Random(harness.seed())
        data = [random_bytes(generator, 100_000) for _ in range(FILES)]
        for i, bytes_of in enumerate(data):
            write_synced(self.path(f"f{i}"), bytes_of)
        port = self.cluster.base_port + 39
        mountpoint = self.cluster.mount_again("reader", options=f"metrics=127.0.0.1:{port}")
        folder = os.path.join(mountpoint, os.path.relpath(self.root, self.base))

        def read_all():
            for i, bytes_of in enumerate(data):
                fd = os.open(os.path.join(folder, f"f{i}"), os.O_RDONLY)
                try:
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    self.assertEqual(os.pread(fd, len(bytes_of), 0), bytes_of)
                finally:
                    os.close(fd)

        def is_named():
            read_all()
            return any("answers slowly" in problem
                       for problem in self.cluster.admin("status").get("problems", []))

        for _ in range(5):
            read_all()  # so that it is known how long reads take
        stutter = Stutter(self.cluster.chunkserver(1))
        try:
            wait_for(is_named, 90, "status to name the slow server")
        finally:
            stutter.end()
        self.assertGreater(self.hedged(port), 0)

        def is_forgiven():
            read_all()
            return not self.cluster.admin("status").get("problems")

        wait_for(is_forgiven, 60, "status without problems")
