"""What a client may use: bounded memory, and no descriptor more after thousands of operations."""

import os
import random
import resource
import subprocess
import sys

import harness
import scratch
from cluster_under_test import wait_for
from other_process import OtherProcess
from random_operations import RandomOperations

MIB = 1 << 20
# Buffers of requests that are served at once: what a client needs besides its caches.
BUFFERS_BYTES = 32 * MIB


def memory_bytes(pids, field="VmRSS"):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith(field + ":"))
    return total


class ClientMemoryTest(harness.ClusterTest):
    chunkservers = 1
    replication = 1

    def mount_small(self, memory):
        """A mount with little memory, and this test's directory in it."""
        mountpoint = self.cluster.mount_again("small", options=f"memory={memory >> 20}MiB")
        self.addCleanup(self.cluster.unmount, mountpoint)
        self.clients = [pid for pid, argv in scratch.processes_naming(mountpoint)
                        if os.path.basename(argv[0]) == "penstock"]
        self.assertNotEqual(self.clients, [])
        self.at_first = memory_bytes(self.clients)
        self.limit = memory + BUFFERS_BYTES
        return os.path.join(mountpoint, os.path.relpath(self.root, self.base))

    def check_memory(self, after):
        more = memory_bytes(self.clients, "VmHWM") - self.at_first
        print(f"[{after}: +{more >> 20} MiB] ", end="", flush=True)
        self.assertLessEqual(more, self.limit, f"memory in bytes after {after}")

    def test_a_walk_of_many_files_takes_bounded_memory(self):
        folder = self.mount_small(16 * MIB)
        files = 1_000_000 if harness.is_long() else 10_000
        for i in range(files // 1000):
            os.mkdir(os.path.join(folder, str(i)))
            with_slash = os.path.join(folder, str(i), "f")
            for j in range(1000):
                os.mknod(with_slash + str(j))
        self.check_memory(f"the creation of {files} files")
        for _ in range(2):
            found = subprocess.run(["find", folder, "-type", "f", "-size", "0", "-printf", "."],
                                   stdout=subprocess.PIPE, check=True).stdout
            self.assertEqual(len(found), files)
        self.check_memory("two walks")
        self.shell("rm", "-rf", folder + "/", cwd="/", timeout_s=1800)
        self.check_memory("their removal")

    def test_a_large_file_is_written_and_read_in_bounded_memory(self):
        memory = 64 * MIB
        folder = self.mount_small(memory)
        path = os.path.join(folder, "large")
        size = 4 * memory
        block = os.urandom(MIB)
        with open(path, "wb", buffering=0) as file:
            for _ in range(size // MIB):
                file.write(block)
        self.check_memory("writing")
        with open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while data := file.read(MIB):
                self.assertEqual(data, block)
        self.check_memory("reading")

    def test_10000_open_files_take_bounded_memory(self):
        folder = self.mount_small(64 * MIB)
        other = OtherProcess()
        self.addCleanup(other.stop)
        other.call(resource.setrlimit, resource.RLIMIT_NOFILE, (20_000, 20_000))
        other.call(open_many, folder, 10_000)
        self.check_memory("opening 10 000 files")
        self.assertEqual(other.call(use_many), 10_000)
        self.check_memory("writing and reading 10 000 open files")
        wait_for(lambda: self.open_files() >= 10_000, 20, "the open files in the client's report")
        other.call(close_many)
        wait_for(lambda: self.open_files() == 0, 20, "the closed files in the client's report")

    def open_files(self):
        return sum(int(client["open_files"]) for client in self.cluster.admin("client", "ls")
                   if client["mountpoint"].endswith("small"))


many = []


def open_many(folder, count):
    for i in range(count):
        many.append(os.open(os.path.join(folder, f"open{i}"), os.O_RDWR | os.O_CREAT))


def use_many():
    for i, fd in enumerate(many):
        os.pwrite(fd, b"%d" % i * 20, 0)
    return sum(os.pread(fd, 200, 0) == b"%d" % i * 20 for i, fd in enumerate(many))


def close_many():
    while many:
        os.close(many.pop())


class DescriptorsTest(harness.ClusterTest):
    def descriptors(self, kind):
        """{pid: names} of what its processes have open, the stores' own files apart."""
        found = {}
        for pid in self.cluster.processes(kind):
            found[pid] = []
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    name = os.readlink(f"/proc/{pid}/fd/{fd}")
                except OSError:
                    continue  # closed meanwhile
                if not (name.startswith(self.cluster.dir) and os.path.isfile(name.split(" (")[0])):
                    found[pid].append(name.split(":")[0])
        return found

    def operations(self, turn, steps):
        tested, reference = self.path(f"t{turn}"), os.path.join(self.local, f"t{turn}")
        os.mkdir(tested)
        os.mkdir(reference)
        RandomOperations(tested, reference, random.Random(f"fd{harness.seed()}{turn}"),
                         largest=100_000).run(steps)
        # Also processes that end with everything open.
        program = ("import os,sys\n"
                   "k=[open(os.path.join(sys.argv[1],f'{sys.argv[2]}-{i}'),'w+b') for i in range(40)]\n"
                   "for f in k: f.write(b'x'*9000)\n"
                   "os.kill(os.getpid(),9)\n")
        workers = [subprocess.Popen([sys.executable, "-c", program, tested, str(i)])
                   for i in range(8)]
        for worker in workers:
            self.addCleanup(worker.kill)
        self.assertEqual([worker.wait(60) for worker in workers], [-9] * 8)

    def test_thousands_of_operations_leave_no_descriptor_open(self):
        print(f"[seed {harness.seed()}] ", end="", flush=True)
        kinds = ("mount", "metaserver", "chunkserver")
        self.operations(0, 400)  # connections and threads come with the first load
        before = {kind: self.descriptors(kind) for kind in kinds}
        for turn in range(1, 50 if harness.is_long() else 3):
            self.operations(turn, 1000)
        for kind in kinds:
            wait_for(lambda: self.not_more(before[kind], self.descriptors(kind)), 60,
                     f"the {kind} to close what it has opened: {before[kind]} before and "
                     f"{self.descriptors(kind)} now")
        self.shell("rm", "-rf", *[self.path(name) for name in os.listdir(self.root)])
        wait_for(self.nothing_left, 60, "nothing to be held or left of removed files")

    def not_more(self, before, now):
        """Idle connections may be some more: to each peer a pool has a limit of its own."""
        self.assertEqual(sorted(before), sorted(now), "a process was replaced")
        pools = 8 * (1 + self.chunkservers)
        return all(len(now[pid]) <= len(before[pid]) + pools for pid in now)

    def nothing_left(self):
        held = sum(int(client["open_files"]) for client in self.cluster.admin("client", "ls"))
        metaserver = self.cluster.admin("status")["metaserver"]
        return held == 0 and metaserver["orphans"] == 0 and metaserver["contents_to_delete"] == 0
