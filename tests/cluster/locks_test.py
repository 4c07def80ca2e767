"""Locks of two mounts of one cluster: flock, fcntl's of processes and of open file descriptions."""

import os
import signal
import subprocess
import sys
import time

import harness
import scratch
from cluster_under_test import wait_for
from harness import read_file, write_file
from lock_process import EXCLUSIVE, KINDS, NONE, SHARED, LockProcess

SOON = 10  # seconds: for what happens at once, on a busy machine


class LocksTest(harness.ClusterTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_base = cls.cluster.mount_again("other")

    def setUp(self):
        super().setUp()
        self.started = []

    def tearDown(self):
        for process in self.started:
            process.stop()
        super().tearDown()

    def at(self, path):
        process = LockProcess(path)
        self.started.append(process)
        return process

    def other(self, name):
        return os.path.join(self.other_base, os.path.relpath(self.root, self.base), name)

    def make(self, name, data):
        write_file(self.path(name), data)
        wait_for(lambda: os.path.exists(self.other(name)), SOON, f"{name} at the other mount")

    def pair(self, name="f"):
        """A process on each mount, with the same new file open."""
        self.make(name, b"x" * 100)
        return self.at(self.path(name)), self.at(self.other(name))

    def waiting(self, where, counted):
        """So many waits at the metaserver."""
        def count():
            clients = self.cluster.admin("client", "ls")
            listing = clients["clients"] if isinstance(clients, dict) else clients
            return sum(int(client.get("locks_waiting", 0)) for client in listing) == counted
        wait_for(count, SOON, where)

    def test_locks_of_one_mount_exclude_those_of_the_other(self):
        for kind in KINDS:
            with self.subTest(kind):
                one, two = self.pair(kind)
                self.assertEqual(one.lock(kind, EXCLUSIVE), "ok")
                self.assertEqual(two.lock(kind, SHARED), "busy")
                self.assertEqual(one.lock(kind, SHARED), "ok")
                self.assertEqual(two.lock(kind, SHARED), "ok")
                self.assertEqual(one.lock(kind, EXCLUSIVE), "busy")
                self.assertEqual(one.unlock(kind), "ok")
                self.assertEqual(two.lock(kind, EXCLUSIVE), "ok")

    def test_ranges_conflict_only_where_they_overlap(self):
        for kind in ("fcntl", "ofd"):
            with self.subTest(kind):
                one, two = self.pair(kind)
                self.assertEqual(one.lock(kind, EXCLUSIVE, 10, 20), "ok")
                self.assertEqual(one.unlock(kind, 15, 5), "ok")
                for start, length, answer in ((0, 10, "ok"), (10, 1, "busy"), (15, 5, "ok"),
                                              (14, 2, "busy"), (29, 0, "busy"), (30, 0, "ok")):
                    self.assertEqual(two.lock(kind, SHARED, start, length), answer, (start, length))

    def test_who_waits_gets_the_lock_when_the_other_mount_lets_go(self):
        for kind in KINDS:
            with self.subTest(kind):
                one, two = self.pair(kind)
                self.assertEqual(one.lock(kind), "ok")
                two.wait(kind)
                self.waiting("the wait", 1)
                self.assertFalse(two.finished(0.3))
                self.assertEqual(one.unlock(kind), "ok")
                self.assertEqual(two.result(SOON), "ok")
                self.assertEqual(one.lock(kind), "busy")

    def test_a_signal_ends_a_wait(self):
        for kind in KINDS:
            with self.subTest(kind):
                one, two = self.pair(kind)
                two.raise_on(signal.SIGUSR1)
                self.assertEqual(one.lock(kind), "ok")
                two.wait(kind)
                self.waiting("the wait", 1)
                os.kill(two.pid, signal.SIGUSR1)
                self.assertEqual(two.result(SOON), "EINTR")
                self.waiting("the end of the wait", 0)
                self.assertEqual(one.unlock(kind), "ok")
                self.assertEqual(one.lock(kind), "ok")  # nobody else was given it

    def test_a_wait_goes_on_after_a_signal_that_only_was_noted(self):
        one, two = self.pair()
        two.note_on(signal.SIGUSR1)
        self.assertEqual(one.lock("fcntl"), "ok")
        two.wait("fcntl")
        for _ in range(5):
            self.waiting("the wait", 1)
            os.kill(two.pid, signal.SIGUSR1)
        self.assertFalse(two.finished(0.3))
        self.assertEqual(one.unlock("fcntl"), "ok")
        self.assertEqual(two.result(SOON), "ok")

    def test_a_waiting_process_can_be_killed_and_gets_nothing(self):
        for kind in KINDS:
            with self.subTest(kind):
                one, two = self.pair(kind)
                self.assertEqual(one.lock(kind), "ok")
                two.wait(kind)
                self.waiting("the wait", 1)
                two.kill()
                self.waiting("the end of the wait", 0)
                self.assertEqual(one.unlock(kind), "ok")
                self.assertEqual(one.lock(kind), "ok")

    def test_a_killed_process_leaves_its_locks(self):
        for kind in KINDS:
            with self.subTest(kind):
                one, two = self.pair(kind)
                self.assertEqual(one.lock(kind), "ok")
                two.wait(kind)
                self.waiting("the wait", 1)
                one.kill()
                self.assertEqual(two.result(SOON), "ok")

    def test_a_circle_of_waits_over_two_mounts_is_refused(self):
        one, two = self.pair()
        self.assertEqual(one.lock("fcntl", EXCLUSIVE, 0, 1), "ok")
        self.assertEqual(two.lock("fcntl", EXCLUSIVE, 1, 1), "ok")
        one.wait("fcntl", EXCLUSIVE, 1, 1)
        self.waiting("the first wait", 1)
        two.wait("fcntl", EXCLUSIVE, 0, 1)
        self.assertEqual(two.result(SOON), "EDEADLK")
        two.unlock("fcntl")
        self.assertEqual(one.result(SOON), "ok")

    def test_waits_of_open_file_descriptions_are_not_refused(self):
        one, two = self.pair()
        self.assertEqual(one.lock("ofd", EXCLUSIVE, 0, 1), "ok")
        self.assertEqual(two.lock("ofd", EXCLUSIVE, 1, 1), "ok")
        one.wait("ofd", EXCLUSIVE, 1, 1)
        self.waiting("the first wait", 1)
        two.wait("ofd", EXCLUSIVE, 0, 1)
        self.waiting("the second wait", 2)
        one.kill()
        self.assertEqual(two.result(SOON), "ok")

    def test_any_close_ends_the_locks_of_a_process_only(self):
        for kind, free in (("fcntl", "ok"), ("ofd", "busy"), ("flock", "busy")):
            with self.subTest(kind):
                one, two = self.pair(kind)
                one.open("again", self.path(kind))
                self.assertEqual(one.lock(kind), "ok")
                one.close("again")
                self.assertEqual(two.lock(kind), free)

    def test_the_last_close_ends_the_locks_of_an_open_file(self):
        for kind in ("ofd", "flock"):
            with self.subTest(kind):
                one, two = self.pair(kind)
                one.dup("f", "copy")
                self.assertEqual(one.lock(kind), "ok")
                one.close("f")
                self.assertEqual(two.lock(kind), "busy")
                one.close("copy")
                two.wait(kind)  # the kernel tells of the last close a moment later
                self.assertEqual(two.result(SOON), "ok")

    def test_the_lock_in_the_way_is_told(self):
        one, two = self.pair()
        self.assertEqual(one.lock("fcntl", EXCLUSIVE, 10, 20), "ok")
        near = self.at(self.path("f"))
        self.assertEqual(near.getlk(SHARED, 0, 100), (EXCLUSIVE, os.SEEK_SET, 10, 20, one.pid))
        # The number of a process of another node says nothing here.
        self.assertEqual(two.getlk(SHARED, 0, 100), (EXCLUSIVE, os.SEEK_SET, 10, 20, 0))
        self.assertEqual(two.getlk(SHARED, 30, 100)[0], NONE)

    def test_a_counter_under_a_lock_loses_nothing(self):
        program = ("import fcntl,sys\n"
                   "for i in range(50):\n"
                   "  with open(sys.argv[1],'r+') as lock:\n"
                   "    fcntl.{how}(lock,fcntl.LOCK_EX)\n"
                   "    with open(sys.argv[2]) as f: n=int(f.read())\n"
                   "    with open(sys.argv[2],'w') as f: f.write(str(n+1))\n")
        for how in ("flock", "lockf"):
            with self.subTest(how):
                self.make(how, b"")
                self.make(how + "-n", b"0")
                runs = [subprocess.Popen([sys.executable, "-c", program.format(how=how), at(how),
                                          at(how + "-n")]) for at in (self.path, self.other) * 2]
                self.assertEqual([run.wait(120) for run in runs], [0] * 4)
                self.assertEqual(read_file(self.path(how + "-n")), b"200")

    def test_locks_and_waits_outlive_a_restart_of_the_metaserver(self):
        one, two = self.pair()
        self.assertEqual(one.lock("fcntl", EXCLUSIVE, 0, 10), "ok")
        self.assertEqual(one.lock("flock", SHARED), "ok")
        two.wait("fcntl", EXCLUSIVE, 5, 1)
        self.waiting("the wait", 1)
        self.cluster.kill("metaserver")
        self.cluster.up()
        self.waiting("the wait, after the restart", 1)
        three = self.at(self.other("f"))
        self.assertEqual(three.lock("fcntl", SHARED, 0, 1), "busy")
        self.assertEqual(three.lock("flock", EXCLUSIVE), "busy")
        self.assertEqual(three.lock("fcntl", EXCLUSIVE, 50, 1), "ok")
        self.assertEqual(one.unlock("fcntl"), "ok")
        self.assertEqual(two.result(SOON), "ok")

    def test_a_waiting_process_can_be_killed_while_the_metaserver_hangs(self):
        one, two = self.pair()
        self.assertEqual(one.lock("flock"), "ok")
        two.wait("flock")
        self.waiting("the wait", 1)
        metaserver = self.cluster.processes("metaserver")[0]
        os.kill(metaserver, signal.SIGSTOP)
        try:
            began = time.monotonic()
            two.kill()
            self.assertLess(time.monotonic() - began, 8)
        finally:
            os.kill(metaserver, signal.SIGCONT)
        self.waiting("the end of the wait", 0)
        self.assertEqual(one.unlock("flock"), "ok")
        three = self.at(self.other("f"))
        three.wait("flock")
        self.assertEqual(three.result(SOON), "ok")

    def test_a_killed_mount_leaves_its_locks_when_its_session_ends(self):
        one, two = self.pair()
        before = set(self.cluster.processes("mount"))
        mountpoint = self.cluster.mount_again("victim")
        pids = [pid for pid in self.cluster.processes("mount") if pid not in before]
        path = os.path.join(mountpoint, os.path.relpath(self.path("f"), self.base))
        holder = self.at(path)
        self.assertEqual([holder.lock(kind) for kind in ("fcntl", "flock")], ["ok", "ok"])
        try:
            for pid in pids:  # the supervisor first
                os.kill(pid, signal.SIGKILL)
            self.assertEqual(one.lock("fcntl"), "busy")
            one.wait("fcntl")
            two.wait("flock")
            self.assertEqual(one.result(60), "ok")
            self.assertEqual(two.result(60), "ok")
        finally:
            scratch.unmount(mountpoint)
            self.cluster.extra_mounts.remove(mountpoint)
