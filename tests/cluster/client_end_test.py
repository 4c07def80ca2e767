"""The end of a client, in order and by `kill -9`, and what others find afterwards."""

import fcntl
import mmap
import os
import signal
import subprocess
import sys

import harness
import scratch
from cluster_under_test import program, wait_for
from harness import read_file, write_file
from other_process import OtherProcess

HOLDER = r"""
import fcntl, os, sys
folder = sys.argv[1]
def opened(name):
    return os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT)
flocked, record, description, unlinked = map(opened, ('flock', 'fcntl', 'ofd', 'unlinked'))
fcntl.flock(flocked, fcntl.LOCK_EX)
fcntl.lockf(record, fcntl.LOCK_EX, 100, 50)
fcntl.fcntl(description, 37, __import__('struct').pack('hhlli4x', fcntl.F_WRLCK, 0, 0, 0, 0))
os.pwrite(unlinked, b'x' * 100_000, 0)
os.fsync(unlinked)
os.unlink(os.path.join(folder, 'unlinked'))
print('ready', flush=True)
sys.stdin.readline()
"""


class ClientEndTest(harness.ClusterTest):
    def mount(self, name, options=""):
        mountpoint = self.cluster.mount_again(name, options=options)
        self.addCleanup(self.forget, mountpoint)
        return mountpoint

    def forget(self, mountpoint):
        if mountpoint in self.cluster.extra_mounts:
            self.cluster.penstock("umount", "--lazy", mountpoint, check=False)
            self.cluster.extra_mounts.remove(mountpoint)

    def inside(self, mountpoint, *parts):
        """This test's directory as another mount shows it."""
        folder = os.path.join(mountpoint, os.path.relpath(self.root, self.base))
        wait_for(lambda: os.path.isdir(folder), 5, "the directory on the other mount")
        return os.path.join(folder, *parts)

    def clients(self, mountpoint):
        """Every process that serves the mount, whatever watches over it included."""
        return [pid for pid, argv in scratch.processes_naming(mountpoint)
                if os.path.basename(argv[0]) == "penstock"]

    def kill_clients(self, mountpoint):
        victims = self.clients(mountpoint)
        self.assertNotEqual(victims, [])
        for number in (signal.SIGSTOP, signal.SIGKILL):  # none can start another one meanwhile
            for pid in victims:
                os.kill(pid, number)
        wait_for(lambda: not self.clients(mountpoint), 20, "the end of the client")

    def in_process(self):
        other = OtherProcess()
        self.addCleanup(other.stop)
        return other

    def mounted(self, mountpoint):
        return mountpoint in scratch.mounts_below(mountpoint)

    def test_a_mount_whose_client_was_killed_is_mounted_again_at_once(self):
        mountpoint = self.mount("again")
        write_file(self.inside(mountpoint, "f"), b"before" * 1000)
        link = os.path.join(self.cluster.home, "link to again")
        os.symlink(mountpoint, link)
        for path in (mountpoint, link):
            self.kill_clients(mountpoint)
            with self.assertRaises(OSError):
                os.statvfs(mountpoint)  # the kernel knows the attributes for a while
            self.mount_at(path)
            self.assertEqual(scratch.mounts_below(mountpoint), [mountpoint])
            self.assertEqual(read_file(self.inside(mountpoint, "f")), b"before" * 1000)

    def mount_at(self, path):
        self.cluster.penstock("mount", f"127.0.0.1:{self.cluster.base_port}", path, "-o",
                              f"key={self.cluster.dir}/keys/cluster.key,log_file={self.local}/log")

    def test_a_mount_whose_client_was_killed_amid_its_users_is_mounted_again(self):
        mountpoint = self.mount("used")
        other = self.in_process()
        other.call(os.chdir, self.inside(mountpoint))
        fd = other.call(os.open, "f", os.O_RDWR | os.O_CREAT)
        other.call(os.pwrite, fd, b"x" * 100_000, 0)
        other.call(os.fsync, fd)
        self.kill_clients(mountpoint)
        with self.assertRaises(OSError):
            other.call(os.fsync, fd)  # says so, and does not hang
        self.mount_at(mountpoint)
        self.assertEqual(read_file(self.inside(mountpoint, "f")), b"x" * 100_000)

    def test_nothing_stays_locked_or_held_after_the_end_of_its_session(self):
        mountpoint = self.mount("doomed")
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, self.inside(mountpoint)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        self.assertEqual(holder.stdout.readline(), "ready\n")
        self.kill_clients(mountpoint)
        for name, lock in (("flock", fcntl.flock), ("fcntl", fcntl.lockf), ("ofd", fcntl.lockf)):
            with open(self.path(name), "r+b") as file:
                wait_for(lambda: self.takes(lock, file), 60, f"the {name} of a dead client to end")
                file.write(b"mine")
        for name in ("flock", "fcntl", "ofd"):
            self.assertEqual(read_file(self.path(name)), b"mine")
            os.truncate(self.path(name), 2)
            os.unlink(self.path(name))
        # The reclaimer takes what only the dead had open (within five minutes, when silent).
        if harness.is_long():
            wait_for(lambda: self.cluster.admin("status")["metaserver"]["orphans"] == 0, 400,
                     "the unlinked file of a dead client to be reclaimed", every_s=1)

    def takes(self, lock, file):
        try:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            return False

    def test_umount_and_sigterm_write_everything_back(self):
        data = os.urandom((9 << 20) + 5)
        for name, end in (("lazily", self.unmount_lazily), ("terminated", self.terminate)):
            mountpoint = self.mount(name)
            other = self.in_process()
            fd = other.call(os.open, self.inside(mountpoint, name), os.O_RDWR | os.O_CREAT)
            other.call(os.pwrite, fd, data, 0)
            mapped = self.inside(mountpoint, name + " mapped")
            write_file(mapped, bytes(10_000))
            other.call(write_to_map, mapped)
            end(mountpoint, other, fd)
            self.assertFalse(self.mounted(mountpoint))
            wait_for(lambda: not self.clients(mountpoint), 60, f"the end of the client, {name}")
            self.cluster.extra_mounts.remove(mountpoint)
            self.assertEqual(read_file(self.path(name)), data, name)
            self.assertEqual(read_file(self.path(name + " mapped")), b"m" * 5000 + bytes(5000))
            self.cluster.unmount(self.mount(name))  # nothing is left that would be in the way

    def unmount_lazily(self, mountpoint, other, fd):
        busy = self.cluster.penstock("umount", mountpoint, check=False)
        self.assertNotEqual(busy.returncode, 0)
        self.assertIn(str(other.process.pid), busy.stderr)
        lazily = subprocess.Popen([program(), "umount", "--lazy", mountpoint], env=self.cluster.env,
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(lazily.wait)
        self.addCleanup(lazily.kill)
        wait_for(lambda: not self.mounted(mountpoint), 20, "the mount to be detached")
        self.assertIsNone(lazily.poll(), "umount does not wait for the open file")
        other.call(os.close, fd)
        self.assertEqual(lazily.wait(60), 0)

    def terminate(self, mountpoint, other, fd):
        for pid in self.clients(mountpoint):
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.clients(mountpoint), 60, "the client to end after SIGTERM")
        with self.assertRaises(OSError):
            other.call(os.pwrite, fd, b"y", 0)


def write_to_map(path):
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:5000] = b"m" * 5000
