"""Servers that stop, cleanly and not, and what is still there afterwards."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time

import harness
import scratch
from cluster_under_test import wait_for
from harness import describe_tree, first_difference, read_file, write_file, write_synced
from other_process import OtherProcess

CHUNK = 4 << 20


def start_a_program(fd):
    os.set_inheritable(fd, True)
    subprocess.run(["/bin/true"], close_fds=False, check=True)


class RestartTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.up()  # a test may have left something stopped

    def expect(self, expected, after):
        self.assertEqual(first_difference(expected, describe_tree(self.path("tree"))), "", after)

    def test_trees_survive_the_restart_of_every_server(self):
        harness.write_tree(self.path("tree"), random.Random(3))
        expected = describe_tree(self.path("tree"))
        mount = self.cluster.processes("mount")
        for number in (signal.SIGTERM, signal.SIGKILL):
            for kind in ("metaserver", "chunkserver"):
                self.cluster.kill(kind, number)
                self.cluster.up()
                self.expect(expected, f"after signal {number} to the {kind}")
            self.cluster.kill("metaserver", number)
            self.cluster.kill("chunkserver", number)
            self.cluster.up()
            self.expect(expected, f"after signal {number} to all servers")
        self.assertEqual(self.cluster.processes("mount"), mount, "the mount must live through all")

    def test_trees_survive_down_and_up(self):
        harness.write_tree(self.path("tree"), random.Random(4))
        expected = describe_tree(self.path("tree"))
        self.cluster.down()
        self.assertFalse(os.path.ismount(self.base))
        for kind in ("metaserver", "chunkserver", "mount"):
            self.assertEqual(self.cluster.processes(kind), [])
        self.cluster.up()
        self.assertTrue(os.path.ismount(self.base))
        self.expect(expected, "after down and up")

    def test_the_death_of_the_mount_process_is_mended_by_up(self):
        write_file(self.path("f"), b"before" * 1000)
        self.cluster.kill("mount")
        self.cluster.up()
        self.assertEqual(read_file(self.path("f")), b"before" * 1000)

    def test_fsynced_files_survive_kill_of_everything_at_once(self):
        data = {}
        for i, size in enumerate((10, 4096, 5000, CHUNK + 7, 3 * CHUNK)):
            data[f"f{i}"] = os.urandom(size)
            with open(self.path(f"f{i}"), "wb") as file:
                file.write(data[f"f{i}"])
                file.flush()
                os.fsync(file.fileno())
        for kind in ("metaserver", "chunkserver", "mount"):
            self.cluster.kill(kind)
        self.cluster.up()
        for name, content in data.items():
            self.assertEqual(read_file(self.path(name)), content, name)

    def other_process(self):
        other = OtherProcess()
        self.addCleanup(other.stop)
        return other

    def test_an_open_file_is_read_and_written_across_restarts(self):
        other = self.other_process()
        fd = other.call(os.open, self.path("f"), os.O_RDWR | os.O_CREAT)
        other.call(os.pwrite, fd, b"a" * 10_000, 0)
        self.cluster.kill("metaserver")
        self.cluster.up()
        other.call(os.pwrite, fd, b"b" * 10_000, 10_000)
        self.cluster.kill("chunkserver")
        self.cluster.up()
        other.call(os.pwrite, fd, b"c" * CHUNK, 20_000)
        other.call(os.fsync, fd)
        self.assertEqual(other.call(os.pread, fd, 30_000, 0),
                         b"a" * 10_000 + b"b" * 10_000 + b"c" * 10_000)
        other.call(os.close, fd)
        self.assertEqual(os.stat(self.path("f")).st_size, 20_000 + CHUNK)

    def test_an_unlinked_open_file_survives_a_metaserver_restart(self):
        other = self.other_process()
        fd = other.call(os.open, self.path("f"), os.O_RDWR | os.O_CREAT)
        other.call(os.pwrite, fd, b"x" * 100_000, 0)
        other.call(os.fsync, fd)
        other.call(os.unlink, self.path("f"))
        self.cluster.kill("metaserver")
        self.cluster.up()
        time.sleep(15)  # longer than the grace after which orphans nobody holds are reclaimed
        self.assertEqual(other.call(os.pread, fd, 200_000, 0), b"x" * 100_000)


class DeathWhileWorkingTest(harness.ClusterTest):
    WRITER = ("import os,sys\nfolder=sys.argv[1]\ni=0\n"
              "while True:\n"
              "  data=(f'{i} '*(1+i*37%3000)).encode()\n"
              "  p=os.path.join(folder,f'f{i}')\n"
              "  with open(p,'wb') as f: f.write(data)\n"
              "  if i%3==0: os.rename(p,p+'.r')\n"
              "  if i%7==6: os.unlink(os.path.join(folder,f'f{i}' + ('.r' if i%3==0 else '')))\n"
              "  print(i,flush=True)\n"
              "  i+=1\n")

    def run_writer_and_kill(self, kind, times):
        folder = self.path("work")
        os.mkdir(folder)
        writer = subprocess.Popen([sys.executable, "-c", self.WRITER, folder],
                                  stdout=subprocess.PIPE, text=True)
        acknowledged = []

        def collect():
            for line in writer.stdout:
                acknowledged.append(int(line))
        reader = threading.Thread(target=collect)
        reader.start()
        try:
            for _ in range(times):
                count = len(acknowledged)
                wait_for(lambda: len(acknowledged) > count + 40 or writer.poll() is not None, 60,
                         "the writer's progress")
                self.assertIsNone(writer.poll(), "the writer met an error")
                self.cluster.kill(kind)
                self.cluster.up()
            count = len(acknowledged)
            wait_for(lambda: len(acknowledged) > count + 20, 60, "progress after the last restart")
        finally:
            writer.kill()
            writer.wait()
            reader.join()
        self.check(folder, acknowledged[-1])

    def check(self, folder, last):
        names = set(os.listdir(folder))
        for i in range(last + 1):
            name = f"f{i}.r" if i % 3 == 0 else f"f{i}"
            if i % 7 == 6:
                self.assertNotIn(name, names)
                continue
            self.assertIn(name, names, "an acknowledged file is lost")
            self.assertEqual(read_file(os.path.join(folder, name)),
                             (f"{i} " * (1 + i * 37 % 3000)).encode(), name)

    def test_no_acknowledged_file_is_lost_when_the_metaserver_dies(self):
        self.run_writer_and_kill("metaserver", 4)

    def test_no_acknowledged_file_is_lost_when_all_chunkservers_die(self):
        self.run_writer_and_kill("chunkserver", 3)


class DeathOfTheClientTest(harness.ClusterTest):
    TRUNCATER = ("import os,sys\nsize=os.stat(sys.argv[1]).st_size\n"
                 "while True:\n"
                 "  for cut in (size//2+3,5<<20|77,size): os.truncate(sys.argv[1],cut)\n")

    def kill_mount(self, mountpoint):
        for pid, argv in scratch.processes_naming(mountpoint):
            if os.path.basename(argv[0]) == "penstock":
                os.kill(pid, signal.SIGKILL)
        scratch.unmount(mountpoint)
        self.cluster.extra_mounts.remove(mountpoint)

    def test_a_file_whose_truncating_client_died_is_whole_and_can_be_written(self):
        data = bytes(range(256)) * (9 * 4096)
        kept = (5 << 20) | 77
        for turn in range(3):
            mountpoint = self.cluster.mount_again(f"doomed{turn}")
            path = os.path.join(mountpoint, os.path.relpath(self.path(f"f{turn}"), self.base))
            wait_for(lambda: os.path.isdir(os.path.dirname(path)), 5, "the directory")
            write_file(path, data)
            worker = subprocess.Popen([sys.executable, "-c", self.TRUNCATER, path],
                                      stderr=subprocess.DEVNULL)
            time.sleep(0.5 + 0.1 * turn)
            self.kill_mount(mountpoint)
            worker.wait()
            found = read_file(self.path(f"f{turn}"))
            same = min(len(found), len(data) // 2 + 3, kept)
            self.assertIn(len(found), (len(data), len(data) // 2 + 3, kept))
            self.assertEqual(found[:same], data[:same])
            rest = found[same:] if found != data else b""  # killed before the first cut
            self.assertEqual(rest.count(0), len(rest), "cut bytes came back")
            with open(self.path(f"f{turn}"), "r+b") as file:
                file.write(b"mine")
            self.assertEqual(read_file(self.path(f"f{turn}"))[:8], b"mine" + data[4:8])


class StoppedChunkserverTest(harness.ClusterTest):
    def setUp(self):
        super().setUp()
        self.cluster.up()

    def drop_caches(self):
        os.sync()
        try:
            with open("/proc/sys/vm/drop_caches", "w") as file:
                file.write("3")
        except OSError:
            pass

    def test_reads_go_on_from_the_other_copy(self):
        data = os.urandom(12 * CHUNK)
        write_file(self.path("big"), data)
        for i in range(50):
            write_file(self.path(f"small{i}"), data[i:i + 20_000])
        for which in (1, 2, 3):
            self.cluster.kill_chunkserver(which)
            self.drop_caches()
            started = time.monotonic()
            self.assertEqual(read_file(self.path("big")), data)
            for i in range(50):
                self.assertEqual(read_file(self.path(f"small{i}")), data[i:i + 20_000])
            self.assertLess(time.monotonic() - started, 60)
            self.cluster.up()

    def test_reads_go_on_past_a_frozen_server(self):
        data = os.urandom(12 * CHUNK)
        write_file(self.path("big"), data)
        self.drop_caches()
        pid = self.cluster.chunkserver(1)
        os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            self.assertEqual(read_file(self.path("big")), data)
            self.assertLess(time.monotonic() - started, 60)
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_writes_wait_and_go_on_when_it_comes_back(self):
        other = OtherProcess()
        self.addCleanup(other.stop)
        data = os.urandom(12 * CHUNK)
        write_file(self.path("f"), data[:CHUNK])
        dead = self.cluster.target_of(2)
        self.cluster.kill_chunkserver(2)
        other.start(write_synced, self.path("f"), data)
        if other.finished(within_s=4):  # only once the groups go on without it
            self.assertNotIn(dead, self.cluster.members_of_all_groups(), "the write did not wait")
        self.cluster.up()
        other.result(90)
        self.drop_caches()
        self.assertEqual(read_file(self.path("f")), data)

    def test_a_write_that_could_not_be_done_is_an_error_at_fsync_and_close(self):
        mountpoint = self.cluster.mount_again("hasty", options="io_timeout=3s")
        path = os.path.join(mountpoint, os.path.relpath(self.path("f"), self.base))
        for last in (os.fsync, os.close):
            other = OtherProcess()
            self.addCleanup(other.stop)
            fd = other.call(os.open, path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            self.cluster.kill("chunkserver")
            other.call(os.pwrite, fd, b"x" * 10_000, 0)
            # A child that closes what it inherited must not take the error from its parent.
            other.call(start_a_program, fd)
            self.cluster.up()
            try:
                other.call(last, fd)
                self.assertEqual(read_file(path), b"x" * 10_000, f"lost, and {last.__name__} is OK")
            except OSError as error:
                self.assertEqual(error.errno, errno.EIO)
            other.stop()
        self.cluster.unmount(mountpoint)


class ReclaimTest(harness.ClusterTest):
    def test_space_comes_back_after_unlink(self):
        self.assertEqual(self.cluster.chunk_count(), 0)
        for i in range(40):
            write_file(self.path(f"f{i}"), os.urandom(5000 + i * 100_000))
        with open(self.path("kept"), "w+b", buffering=0) as kept:
            kept.write(os.urandom(100_000))
            os.fsync(kept.fileno())
            wait_for(lambda: self.cluster.chunk_count() >= 82, 20, "the chunks in the heartbeats")
            for name in os.listdir(self.root):
                os.unlink(self.path(name))
            wait_for(lambda: self.cluster.chunk_count() == 2, 60, "all but the open file reclaimed")
            self.assertEqual(len(os.pread(kept.fileno(), 200_000, 0)), 100_000)
        wait_for(lambda: self.cluster.chunk_count() == 0, 60, "the open file reclaimed")
        wait_for(lambda: self.nothing_left_to_do(), 60, "orphans and deletions to be worked off")

    def nothing_left_to_do(self):
        metaserver = self.cluster.admin("status")["metaserver"]
        return metaserver["orphans"] == 0 and metaserver["contents_to_delete"] == 0

    def test_space_comes_back_after_truncation(self):
        path = self.path("f")
        write_file(path, os.urandom(5 * CHUNK))
        wait_for(lambda: self.cluster.chunk_count() == 10, 20, "ten copies of chunks")
        os.truncate(path, CHUNK + 1)
        wait_for(lambda: self.cluster.chunk_count() == 4, 60, "the cut chunks to go")
        write_file(path, b"")
        wait_for(lambda: self.cluster.chunk_count() == 0, 60, "the emptied file's chunks to go")
