"""Servers that hang (SIGSTOP): whoever waits for them can still be ended."""

import ctypes
import mmap
import os
import signal
import subprocess
import sys

import harness
from cluster_under_test import wait_for
from harness import write_file

# Says when it begins and whether the call came back; waits for a line before it, so that the server
# hangs by then. `prepare` may open files.
PROGRAM = """
import ctypes, fcntl, mmap, os, signal, sys
path = sys.argv[1]
{prepare}
print('ready', flush=True)
sys.stdin.readline()
{call}
print('done', flush=True)
"""

OPEN = "f = os.open(path, os.O_RDWR)"
DIRTY = OPEN + "; os.pwrite(f, b'x' * 300_000, 0)"

# What waits for the metaserver, and what for the chunkservers: {name: (before, the call)}.
META_CALLS = {
    "stat": ("", "os.stat(path)"),
    "stat of an absent name": ("", "os.path.exists(path + 'absent')"),
    "open": ("", "os.open(path, os.O_RDONLY)"),
    "create": ("", "os.open(path + 'new', os.O_RDWR | os.O_CREAT)"),
    "mkdir": ("", "os.mkdir(path + 'folder')"),
    "unlink": ("", "os.unlink(path)"),
    "rename": ("", "os.rename(path, path + 'renamed')"),
    "listing": ("", "os.listdir(os.path.dirname(path))"),
    "getxattr": (OPEN, "os.getxattr(f, 'user.a')"),
    "chmod": (OPEN, "os.fchmod(f, 0o600)"),
    "truncate": (OPEN, "os.ftruncate(f, 1)"),
    "statvfs": ("", "os.statvfs(path)"),
    "fsync": (DIRTY, "os.fsync(f)"),
    "close": (DIRTY, "os.close(f)"),
    "end with dirty files": (DIRTY, "os.kill(os.getpid(), signal.SIGKILL)"),
}
LOCK_CALLS = {
    "flock": (OPEN, "fcntl.flock(f, fcntl.LOCK_EX)"),
    "fcntl lock": (OPEN, "fcntl.lockf(f, fcntl.LOCK_EX)"),
}
DIRECT = "f = os.open(path, os.O_RDWR | os.O_DIRECT); m = mmap.mmap(-1, 1 << 20)"
CHUNK_CALLS = {
    "read": (OPEN, "os.pread(f, 1 << 20, 2 << 20)"),
    "direct read": (DIRECT, "os.preadv(f, [m], 2 << 20)"),
    "read of a map": (OPEN + "; m = mmap.mmap(f, 0, prot=mmap.PROT_READ)", "m[2 << 20]"),
    "sendfile": (OPEN + "; r, w = os.pipe()", "os.sendfile(w, f, 1 << 20, 1000)"),
    "many writes": (OPEN, "for i in range(80): os.pwrite(f, b'y' * (1 << 20), i << 20)"),
    "fsync": (DIRTY, "os.fsync(f)"),
    "close": (DIRTY, "os.close(f)"),
    "truncate": (OPEN, "os.ftruncate(f, (1 << 20) + 5)"),
    "msync": (OPEN + "; m = mmap.mmap(f, 0); m[5] = 7", "m.flush()"),
    "copy_file_range": (OPEN, "os.copy_file_range(f, f, 1 << 20, 0, 2 << 20)"),
    "end with dirty files": (DIRTY, "os.kill(os.getpid(), signal.SIGKILL)"),
}


class HungServerTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base = cls.cluster.mount_again("small", options="memory=64MiB")  # writers wait soon

    def setUp(self):
        super().setUp()
        self.stopped = []
        self.addCleanup(self.let_go_on)

    def stop(self, kind):
        for pid in self.cluster.processes(kind):
            os.kill(pid, signal.SIGSTOP)
            self.stopped.append(pid)

    def let_go_on(self):
        while self.stopped:
            os.kill(self.stopped.pop(), signal.SIGCONT)

    def start(self, name, prepare, call):
        """A process that is about to make the call on a file of its own."""
        path = self.path("file of " + name)
        write_file(path, os.urandom(3 << 20))
        os.setxattr(path, "user.a", b"b")
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            wait_for(lambda: self.is_uncached(file), 20, "the kernel to let go of the pages")
        return self.start_on(path, prepare, call)

    def is_uncached(self, file):
        """Linux lets pages go as it likes: those that it is still busy with stay."""
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(file.fileno()).st_size
        resident = (ctypes.c_ubyte * ((size + 4095) // 4096))()
        with mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE,
                       prot=mmap.PROT_READ | mmap.PROT_WRITE) as mapped:
            address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), resident) != 0:
                raise OSError(ctypes.get_errno(), "mincore")
        return not any(page & 1 for page in resident)

    def start_on(self, path, prepare, call):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(prepare=prepare, call=call), path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def begin(self, processes):
        for process in processes.values():
            process.stdin.write("go\n")
            process.stdin.flush()
        for name, process in processes.items():
            wait_for(lambda: self.waits(process), 20, f"{name} to wait for its server")

    def waits(self, process):
        """In a system call (or ended: what needs no server may)."""
        try:
            with open(f"/proc/{process.pid}/wchan") as file:
                where = file.read()
        except OSError:
            return True
        return process.poll() is not None or where not in ("0", "", "pipe_read", "anon_pipe_read")

    def end_while_hung(self, kinds, calls, number):
        """All calls wait at once for stopped servers; each process ends by the signal."""
        processes = {name: self.start(name, *call) for name, call in calls.items()}
        for kind in kinds:
            self.stop(kind)
        self.begin(processes)
        for process in processes.values():
            if process.poll() is None:
                process.send_signal(number)
        left = dict(processes)

        def all_ended():
            for name in [name for name, process in left.items() if process.poll() is not None]:
                del left[name]
            return not left
        try:
            wait_for(all_ended, 20, "the end of those that wait")
        except AssertionError:
            where = {}
            for name, process in left.items():
                with open(f"/proc/{process.pid}/wchan") as file:
                    where[name] = file.read()
            self.fail(f"signal {number} did not end these, waiting for {kinds}: {where}")
        finally:
            self.let_go_on()
        waited = [name for name, process in processes.items() if "done" not in process.stdout.read()]
        return waited

    def check_sound(self):
        """Afterwards the file system works, and nothing of those processes is left locked."""
        write_file(self.path("after"), b"y" * 10_000)
        for name in os.listdir(self.root):
            if os.path.isfile(self.path(name)):
                with open(self.path(name), "r+b") as file:
                    file.read()
                    file.write(b"z")

    def test_kill_ends_whoever_waits_for_the_metaserver(self):
        waited = self.end_while_hung(["metaserver"], META_CALLS, signal.SIGKILL)
        self.assertIn("mkdir", waited)  # a stat may be answered from what is cached
        self.assertIn("fsync", waited)
        self.check_sound()

    def test_kill_ends_whoever_waits_for_chunkservers(self):
        waited = self.end_while_hung(["chunkserver"], CHUNK_CALLS, signal.SIGKILL)
        self.assertIn("read", waited)
        self.assertIn("close", waited)
        self.check_sound()

    def test_kill_ends_whoever_asks_for_a_lock(self):
        self.end_while_hung(["metaserver", "chunkserver"], LOCK_CALLS, signal.SIGKILL)
        self.check_sound()

    def test_interrupt_ends_readers_and_lookers(self):
        # Linux waits for a page of its cache until it is there or the process is killed, on every
        # file system: a handled signal cannot end that, one without a handler does.
        unhandled = "; signal.signal(signal.SIGINT, signal.SIG_DFL)"
        calls = {"mkdir": META_CALLS["mkdir"], "fsync": CHUNK_CALLS["fsync"],
                 "statvfs": META_CALLS["statvfs"], "read": (OPEN + unhandled, CHUNK_CALLS["read"][1])}
        waited = self.end_while_hung(["metaserver", "chunkserver"], calls, signal.SIGINT)
        self.assertEqual(sorted(waited), sorted(calls))
        self.check_sound()

    def test_a_waiting_lock_ends_by_a_signal(self):
        for name, (prepare, call) in LOCK_CALLS.items():
            holder = self.start(name, prepare, call + "; print('locked', flush=True); "
                                "sys.stdin.readline()")
            holder.stdin.write("go\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline(), "locked\n")
            for number in (signal.SIGINT, signal.SIGKILL):
                waiter = self.start_on(self.path("file of " + name), prepare, call)
                self.begin({name: waiter})
                waiter.send_signal(number)
                wait_for(lambda: waiter.poll() is not None, 20, f"the end of a waiter for {name}")
                self.assertNotIn("done", waiter.stdout.read())
            heir = self.start_on(self.path("file of " + name), prepare, call)
            self.begin({name: heir})
            holder.kill()
            self.assertEqual(heir.stdout.readline(), "done\n", "the lock of the dead is not given on")
