"""The mount outlives its client: what goes on, what fails and how, after the client died."""

import errno
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
from cluster_under_test import wait_for
from lock_process import LockProcess
from harness import read_file, write_file

CHUNK = 4 << 20


def has_resend():
    """Linux 6.9 and later hand out again what a dead client left unanswered."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int(minor)) >= (6, 9)


class SupervisorTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        self.supervisor = wait_for(self.one_supervisor, 10, "one supervisor")

    def kill(self):
        return self.cluster.kill_client()

    def one_supervisor(self):
        pids = self.cluster.processes("supervisor")
        return pids if len(pids) == 1 else None

    def expect_the_supervisor(self):
        # A client is a second one for the moment between fork and exec.
        wait_for(lambda: self.cluster.processes("supervisor") == self.supervisor, 10,
                 "the one supervisor")

    def test_what_was_open_goes_on(self):
        data = os.urandom(2 * CHUNK + 5)
        write_file(self.path("read"), data)
        write_file(self.path("gone"), data)
        os.mkdir(self.path("names"))
        names = {f"n{i}" for i in range(2000)}
        for name in names:
            write_file(self.path("names", name), b"")
        with open(self.path("read"), "rb", buffering=0) as reading, \
                open(self.path("gone"), "rb", buffering=0) as gone, \
                open(self.path("synced"), "w+b", buffering=0) as synced, \
                os.scandir(self.path("names")) as listing:
            os.unlink(self.path("gone"))
            self.assertEqual(reading.read(1000), data[:1000])
            synced.write(data)
            os.fsync(synced.fileno())
            seen = {next(listing).name for _ in range(100)}
            self.kill()
            self.assertEqual(os.pread(reading.fileno(), len(data), 0), data)
            self.assertEqual(os.pread(gone.fileno(), len(data), 0), data)
            self.assertEqual(os.fstat(gone.fileno()).st_nlink, 0)
            seen |= {entry.name for entry in listing}
            self.assertEqual(seen, names)
            os.pwrite(synced.fileno(), b"more", len(data))
            os.fsync(synced.fileno())
        self.assertEqual(read_file(self.path("synced")), data + b"more")
        self.expect_the_supervisor()

    def test_an_unlinked_open_file_lives_on_through_several_clients(self):
        with open(self.path("f"), "w+b", buffering=0) as file:
            file.write(b"x" * 100_000)
            os.fsync(file.fileno())
            os.unlink(self.path("f"))
            for _ in range(3):
                self.kill()
                self.assertEqual(os.pread(file.fileno(), 100_000, 0), b"x" * 100_000)
                time.sleep(1.2)  # heartbeats of the new client say what is open

    def test_written_bytes_that_died_with_the_client_are_told_once(self):
        first = os.open(self.path("f"), os.O_RDWR | os.O_CREAT)
        os.write(first, b"a" * 5000)
        os.fsync(first)
        second = os.open(self.path("f"), os.O_RDWR)
        clean = os.open(self.path("clean"), os.O_RDWR | os.O_CREAT)
        os.write(first, b"b" * 5000)  # in the client's memory only
        self.kill()
        self.assertErrno(errno.EIO, os.fsync, first)
        os.fsync(first)
        self.assertErrno(errno.EIO, os.write, second, b"c")
        os.write(second, b"c")
        os.fsync(clean)
        third = os.open(self.path("f"), os.O_RDWR)
        os.fsync(third)  # opened after the loss
        # Nothing but what was synced, also where the kernel had the lost bytes in its cache.
        wait_for(lambda: os.pread(first, 20_000, 0) == b"c" + b"a" * 4999, 10, "what was synced")
        wait_for(lambda: os.fstat(first).st_size == 5000, 10, "the size of it")
        for fd in (first, second, third, clean):
            os.close(fd)

    def test_a_close_tells_of_lost_bytes(self):
        fd = os.open(self.path("f"), os.O_WRONLY | os.O_CREAT)
        os.write(fd, b"b" * 5000)
        self.kill()
        self.assertErrno(errno.EIO, os.close, fd)

    def test_bytes_that_were_closed_or_published_are_no_loss(self):
        other_mount = self.cluster.mount_again("other")
        self.addCleanup(self.cluster.unmount, other_mount)
        kept = os.open(self.path("kept"), os.O_RDWR | os.O_CREAT)
        other = os.open(self.path("kept"), os.O_WRONLY)
        os.write(other, b"k" * 70_000)
        os.close(other)
        aged = os.open(self.path("aged"), os.O_RDWR | os.O_CREAT)
        os.write(aged, b"a" * 70_000)
        seen = os.path.join(other_mount, os.path.relpath(self.path("aged"), self.base))
        wait_for(lambda: len(read_file(seen)) == 70_000, 30, "old bytes to be sent by themselves")
        time.sleep(2.5)  # the client notes once a second what it would not lose any more
        self.kill()
        for fd, byte in ((kept, b"k"), (aged, b"a")):
            os.fsync(fd)
            self.assertEqual(os.pread(fd, 70_001, 0), byte * 70_000)
            os.close(fd)

    @unittest.skipUnless(has_resend(), "this kernel gives unanswered requests up")
    def test_a_request_under_way_is_carried_out_once(self):
        """A server that is stopped keeps mutations waiting; the client dies meanwhile."""
        os.mkdir(self.path("d"))
        meta = self.cluster.processes("metaserver")[0]
        calls = [("os.mkdir", self.path("new")), ("os.rmdir", self.path("d")),
                 ("os.symlink", "t", self.path("link")),
                 ("os.rename", self.path("from"), self.path("to"))]
        write_file(self.path("from"), b"1")
        for stopped_first in (True, False):
            if not stopped_first:
                os.rmdir(self.path("new"))
                os.mkdir(self.path("d"))
                os.unlink(self.path("link"))
                os.rename(self.path("to"), self.path("from"))
            os.kill(meta, signal.SIGSTOP)
            errors = []

            def call(name, *arguments):
                try:
                    getattr(os, name[3:])(*arguments)
                except OSError as error:
                    errors.append((name, error))
            threads = [threading.Thread(target=call, args=c) for c in calls]
            for thread in threads:
                thread.start()
            time.sleep(0.5)  # they wait for the metaserver now
            if not stopped_first:
                os.kill(meta, signal.SIGCONT)
            self.kill()
            if stopped_first:
                os.kill(meta, signal.SIGCONT)
            for thread in threads:
                thread.join(60)
            self.assertEqual(errors, [])
            self.assertEqual(sorted(os.listdir(self.root)), ["link", "new", "to"])

    def test_kills_under_load(self):
        """Names come and go while the client dies again and again; each answer must be true."""
        rounds = 8 * harness.rounds()
        stop = threading.Event()
        problems = []

        def work(number):
            base = self.path(f"w{number}")
            os.mkdir(base)
            turn = 0
            while not stop.is_set():
                turn += 1
                try:
                    self.one_turn(os.path.join(base, f"t{turn}"), turn)
                except (OSError, AssertionError) as error:
                    problems.append((number, turn, repr(error)))
                    return
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(rounds):
                self.kill()
                self.cluster.wait_until_served()
                time.sleep(0.2)
        finally:
            stop.set()
            for thread in threads:
                thread.join(120)
        self.assertFalse(any(thread.is_alive() for thread in threads), "somebody hangs")
        self.assertEqual(problems, [])
        self.expect_the_supervisor()

    def one_turn(self, base, turn):
        """Everything must go through; only bytes that were not closed may be reported as lost."""
        os.mkdir(base)
        data = f"{base} ".encode() * (1 + turn % 400)
        for name in ("a", "b"):
            for _ in range(50):
                try:
                    write_file(os.path.join(base, name), data)
                    break
                except OSError as error:
                    if error.errno != errno.EIO:
                        raise
            else:
                raise AssertionError("lost again and again")
        os.rename(os.path.join(base, "a"), os.path.join(base, "c"))
        os.symlink("c", os.path.join(base, "s"))
        os.link(os.path.join(base, "b"), os.path.join(base, "l"))
        if sorted(os.listdir(base)) != ["b", "c", "l", "s"]:
            raise AssertionError(f"names {os.listdir(base)}")
        for name in ("c", "s", "l"):
            if read_file(os.path.join(base, name)) != data:
                raise AssertionError(f"content of {name}")
        if turn % 2:
            shutil.rmtree(base)

    def test_a_tree_is_copied_while_the_client_dies(self):
        source = os.path.join(self.local, "tree")
        harness.write_tree(source, random.Random(7), files=150, large=False)
        expected = harness.describe_tree(source)
        copying = subprocess.Popen(["cp", "-a", source, self.path("copy")],
                                   stderr=subprocess.PIPE, text=True)
        kills = 0
        while copying.poll() is None:
            self.kill()
            kills += 1
            self.cluster.wait_until_served()
            time.sleep(0.1)
        said = copying.stderr.read()
        copying.stderr.close()
        self.assertGreater(kills, 0)
        # What cp had written and not closed may be lost, and then it says so: no other error.
        for line in said.splitlines():
            self.assertIn("Input/output error", line)
        self.assertEqual(copying.returncode != 0, said != "")
        told = {name for name in expected if f"{self.path('copy')}/{name}'" in said}
        for name in list(told):
            told |= set(expected[name][-1])  # its other names
        found = harness.describe_tree(self.path("copy"))
        self.assertEqual(harness.first_difference(
            {name: fact for name, fact in expected.items() if name not in told},
            {name: fact for name, fact in found.items() if name not in told}), "")

    def test_restart_by_the_verb_loses_nothing(self):
        with open(self.path("f"), "w+b", buffering=0) as file:
            file.write(b"not synced" * 1000)
            before = self.cluster.client_of(self.cluster.mountpoint)
            said = self.cluster.penstock("restart", self.cluster.mountpoint).stdout
            after = self.cluster.client_of(self.cluster.mountpoint)
            self.assertNotEqual(after, before)
            self.assertIn(str(after), said)
            os.fsync(file.fileno())
            self.assertEqual(os.pread(file.fileno(), 20_000, 0), b"not synced" * 1000)
        self.expect_the_supervisor()

    def test_restart_by_the_verb_under_a_steady_writer_loses_nothing(self):
        with open(self.path("f"), "wb", buffering=0) as file:
            stop = threading.Event()
            problems, written = [], 0

            def write():
                nonlocal written
                while not stop.is_set():
                    try:
                        file.write(b"steady" * 100)
                        written += 600
                    except OSError as error:
                        problems.append(error)
                        return
                    time.sleep(0.001)
            writer = threading.Thread(target=write)
            writer.start()
            try:
                for _ in range(3):
                    self.cluster.penstock("restart", self.cluster.mountpoint)
                    time.sleep(0.3)
            finally:
                stop.set()
                writer.join(60)
            self.assertEqual(problems, [])
            os.fsync(file.fileno())
        self.assertEqual(read_file(self.path("f")), b"steady" * (written // 6))

    def test_clients_are_one_session(self):
        def sessions():
            listing = self.cluster.admin("client", "ls")
            return [c.get("session_id", c.get("sessionId"))
                    for c in (listing["clients"] if isinstance(listing, dict) else listing)]
        before = sessions()
        self.kill()
        os.listdir(self.root)
        self.assertEqual(sessions(), before)


class OtherNodesTest(harness.ClusterTest):
    """What a client that died leaves to those on other nodes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_base = cls.cluster.mount_again("other")

    def setUp(self):
        super().setUp()
        write_file(self.path("f"), b"x" * 100)
        self.other = os.path.join(self.other_base, os.path.relpath(self.path("f"), self.base))
        wait_for(lambda: os.path.exists(self.other), 10, "the file at the other mount")

    def at(self, path):
        process = LockProcess(path)
        self.addCleanup(process.stop)
        return process

    def kill_client(self):
        self.cluster.kill_client()
        self.cluster.wait_until_served()

    def test_locks_outlive_the_client_and_then_the_metaserver(self):
        for kind in ("fcntl", "ofd", "flock"):
            with self.subTest(kind):
                holder, other = self.at(self.path("f")), self.at(self.other)
                self.assertEqual(holder.lock(kind), "ok")
                self.kill_client()
                self.cluster.kill("metaserver")
                self.cluster.up()
                self.assertEqual(other.lock(kind), "busy")
                # Closing any descriptor ends a process's locks of the file, the last one the others.
                holder.stop()
                wait_for(lambda: other.lock(kind) == "ok", 10, f"the end of {kind}")
                other.stop()

    def test_a_wait_that_nobody_waits_any_more_is_not_granted(self):
        for kind in ("fcntl", "flock"):
            with self.subTest(kind):
                waiter, holder, next_one = (self.at(self.path("f")), self.at(self.other),
                                            self.at(self.other))
                self.assertEqual(holder.lock(kind), "ok")
                waiter.wait(kind)
                self.waits(1)
                self.kill_client()
                waiter.stop()
                self.waits(0)
                holder.stop()
                wait_for(lambda: next_one.lock(kind) == "ok", 10, "the lock for the next one")
                next_one.stop()

    def waits(self, number):
        def count():
            listing = self.cluster.admin("client", "ls")
            clients = listing["clients"] if isinstance(listing, dict) else listing
            return sum(int(client.get("locks_waiting", 0)) for client in clients) == number
        wait_for(count, 15, f"{number} waits")

    def test_a_shared_file_is_written_on_after_a_client_died_in_its_turn(self):
        for _ in range(5):
            writer = subprocess.Popen(
                ["python3", "-c", "import os, sys\n"
                 "fd = os.open(sys.argv[1], os.O_WRONLY)\n"
                 "while True: os.pwrite(fd, b'w' * 5000, 0)", self.path("f")],
                stderr=subprocess.DEVNULL)
            fd = os.open(self.other, os.O_WRONLY)
            try:
                for _ in range(20):
                    os.pwrite(fd, b"o" * 5000, 0)
                self.cluster.kill_client()
                writer.kill()
                begun = time.monotonic()
                os.pwrite(fd, b"e" * 5000, 0)
                os.ftruncate(fd, 4000)
                self.assertLess(time.monotonic() - begun, 30)
            finally:
                os.close(fd)
                writer.kill()
                writer.wait(60)
            self.assertEqual(read_file(self.other), b"e" * 4000)

    def test_pages_of_a_hung_and_then_killed_client_are_not_shown(self):
        with open(self.path("f"), "rb", buffering=0) as reading:
            self.assertEqual(os.pread(reading.fileno(), 200, 0), b"x" * 100)
            hung = self.cluster.client_of(self.cluster.mountpoint)
            os.kill(hung, signal.SIGSTOP)
            try:
                write_file(self.other, b"n" * 50)  # waits for the end of the leases
            finally:
                self.kill_client()
            wait_for(lambda: os.pread(reading.fileno(), 200, 0) == b"n" * 50, 20, "the new bytes")
        self.assertEqual(read_file(self.path("f")), b"n" * 50)


class MountEndTest(harness.ClusterTest):
    """The ways in which a mount ends, each on a mount of its own."""

    def setUp(self):
        super().setUp()
        self.mountpoint = self.cluster.mount_again(self._testMethodName)
        self.client = self.cluster.client_of(self.mountpoint)
        with open(f"/proc/{self.client}/stat") as stat:
            self.supervisor = int(stat.read().rsplit(")", 1)[1].split()[1])

    def gone(self, pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    def expect_end(self):
        for pid in (self.client, self.supervisor):
            wait_for(lambda: self.gone(pid), 30, f"the end of {pid}")
        self.assertFalse(os.path.ismount(self.mountpoint))
        self.cluster.extra_mounts.remove(self.mountpoint)

    def test_penstock_umount(self):
        self.cluster.penstock("umount", self.mountpoint)
        self.expect_end()

    def test_umount(self):
        write_file(os.path.join(self.mountpoint, "f-umount"), b"x" * 10)
        self.shell("umount", self.mountpoint, cwd="/")
        self.expect_end()
        self.assertEqual(read_file(os.path.join(self.base, "f-umount")), b"x" * 10)

    def test_sigterm_to_the_supervisor(self):
        os.kill(self.supervisor, signal.SIGTERM)
        self.expect_end()

    def test_sigterm_to_the_client(self):
        os.kill(self.client, signal.SIGTERM)
        self.expect_end()

    def test_umount_while_there_is_no_client(self):
        os.kill(self.client, signal.SIGKILL)
        self.cluster.penstock("umount", self.mountpoint)
        self.expect_end()

    def test_the_client_serves_on_without_a_supervisor(self):
        os.kill(self.supervisor, signal.SIGKILL)
        wait_for(lambda: self.gone(self.supervisor), 30, "the end of the supervisor")
        write_file(os.path.join(self.mountpoint, "f-orphan"), b"x" * 10)
        self.cluster.penstock("umount", self.mountpoint)
        self.expect_end()
        self.assertEqual(read_file(os.path.join(self.base, "f-orphan")), b"x" * 10)

    def test_a_client_that_never_serves_again_is_given_up(self):
        """Users get ENOTCONN then, not what lies below the mountpoint, and nobody hangs."""
        last = 0

        def given_up():
            nonlocal last
            if self.gone(self.supervisor):
                return True
            now = self.cluster.client_of(self.mountpoint)
            if now is not None and now != last:
                last = now
                try:
                    os.kill(now, signal.SIGALRM)  # as if it died by itself, and no core
                except OSError:
                    pass
            return False
        wait_for(given_up, 120, "the supervisor to give up", every_s=0.005)
        self.assertErrno(errno.ENOTCONN, os.listdir, self.mountpoint)
        said = self.cluster.penstock("umount", self.mountpoint).stdout
        self.assertIn("died", said)
        self.cluster.extra_mounts.remove(self.mountpoint)
