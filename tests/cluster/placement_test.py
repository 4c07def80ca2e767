"""Targets are drained, removed and added, and the data spread anew, while a verified load runs."""

import os
import random
import threading

import harness
from cluster_under_test import wait_for
from harness import read_file, write_synced

CHUNK = 4 << 20


class VerifiedLoad(threading.Thread):
    """Writes files and reads others back, every byte compared, until it is stopped."""

    def __init__(self, folder, seed):
        super().__init__(daemon=True)
        self.folder = folder
        self.random = random.Random(seed)
        self.files = {}
        self.rounds = 0
        self.error = None
        self.ending = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                self.one_round()
                self.rounds += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def one_round(self):
        name = f"load{self.random.randrange(40)}"
        kind = self.random.random()
        if kind < 0.1 and name in self.files:
            os.unlink(os.path.join(self.folder, name))
            del self.files[name]
        elif kind < 0.5:
            self.files[name] = self.random.randbytes(self.random.choice([5000, 70_000, CHUNK + 9]))
            write_synced(os.path.join(self.folder, name), self.files[name])
        elif self.files:
            name = self.random.choice(sorted(self.files))
            path = os.path.join(self.folder, name)
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
            assert read_file(path) == self.files[name], f"{name} has other bytes"

    def stop(self):
        self.ending.set()
        self.join(120)
        assert not self.is_alive(), "the load does not end"
        if self.error:
            raise self.error


class PlacementTest(harness.ClusterTest):
    chunkservers = 4

    def setUp(self):
        super().setUp()
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        self.random = random.Random(f"placement{seed}")
        self.seed = seed
        self.first = None  # the target of chunkserver 1

    def command(self, *arguments, check=True):
        return self.cluster.penstock(*arguments, "--cluster", self.cluster.dir, check=check,
                                     timeout_s=300)

    def target(self, number):
        return next((t for t in self.cluster.targets() if t["target"] == number), None)

    def groups_of(self, number):
        return [group for group in self.cluster.admin("group", "ls")
                if any(member["target"] == number for member in group["members"])]

    def expect_whole(self):
        self.cluster.admin("repair", "status", "--wait", "--timeout", "120")
        for group in self.cluster.admin("group", "ls"):
            states = [member["state"] for member in group["members"]]
            self.assertEqual(states, ["in_sync"] * 2, group)

    def expect_files(self, files, when):
        for name, data in files.items():
            self.assertEqual(read_file(self.path(name)), data, f"{name} {when}")

    def test_drain_remove_add_and_rebalance_under_load(self):
        self.expect_whole()
        self.first = self.cluster.target_of(1)
        files = {}
        for i in range(30):
            files[f"f{i}"] = self.random.randbytes(self.random.choice([6000, 300_000, CHUNK + 77]))
            write_synced(self.path(f"f{i}"), files[f"f{i}"])
        load = VerifiedLoad(self.root, self.seed)
        wait_for(lambda: load.rounds > 3, 60, "the load")
        self.drain_first()
        self.assertIsNone(load.error)
        self.remove_first()
        self.add_and_rebalance()
        before = load.rounds
        wait_for(lambda: load.error or load.rounds > before + 10, 60, "the load to go on")
        load.stop()
        print(f"[{load.rounds} rounds] ", end="")
        files.update(load.files)
        self.expect_files(files, "after all of it")
        self.expect_each_server_alone_can_be_missing(files)

    def drain_first(self):
        first = str(self.first)
        refused = self.command("target", "remove", first, check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"penstock target drain {first}", refused.stderr)
        dry = self.cluster.admin("target", "drain", first, "--dry-run")
        self.assertEqual(dry["groups"], len(self.groups_of(self.first)))
        self.assertFalse(self.target(self.first)["draining"])
        self.cluster.admin("target", "drain", first)
        self.assertIn("is being drained", str(self.cluster.admin("status")["problems"]))
        self.cluster.penstock("target", "drain", first, "--wait", "--timeout", "240", "--cluster",
                              self.cluster.dir, timeout_s=300)
        self.assertEqual(self.groups_of(self.first), [])
        self.assertEqual(self.target(self.first)["service"], "drained")
        wait_for(lambda: self.target(self.first)["chunks"] == 0, 120, "its copies to go",
                 every_s=0.5)
        self.expect_whole()

    def remove_first(self):
        first = str(self.first)
        self.command("target", "remove", first, "--dry-run")
        self.assertIsNotNone(self.target(self.first))
        said = self.command("target", "remove", first).stdout
        self.assertIn("cs1 served nothing else and was stopped", said)
        self.command("target", "remove", first)  # again
        self.assertIsNone(self.target(self.first))
        self.assertIsNone(self.cluster.chunkserver(1))
        self.assertNotIn("offline", str(self.cluster.admin("status")["problems"]))
        self.cluster.options = ["--base-port", str(self.cluster.base_port)]

    def add_and_rebalance(self):
        folder = os.path.join(self.cluster.home, "new-disk")
        added = self.cluster.admin("target", "add", folder)
        self.assertEqual(self.cluster.admin("target", "add", folder)["target"], added["target"])
        number = added["target"]
        self.assertEqual(added["groups"], 0)
        status = self.cluster.admin("status")
        self.assertTrue(status["rebalance"]["unbalanced"], status["rebalance"])
        dry = self.cluster.admin("rebalance", "start", "--dry-run")
        self.assertTrue(all(move["to"] == number for move in dry["moves"]), dry["moves"])
        self.cluster.penstock("rebalance", "start", "--wait", "--timeout", "240", "--cluster",
                              self.cluster.dir, timeout_s=300)
        ended = self.cluster.admin("rebalance")
        self.assertFalse(ended["running"] or ended["unbalanced"], ended)
        held = {t["target"]: t["groups"] for t in self.cluster.targets()}
        heads = {t["target"]: t["groups_head"] for t in self.cluster.targets()}
        self.assertLess(max(held.values()) - min(held.values()), 0.06 * max(held.values()), held)
        self.assertGreater(heads[number], 0.3 * held[number], heads)
        self.expect_whole()

    def expect_each_server_alone_can_be_missing(self, files):
        numbers = [n for n in range(1, 6) if self.cluster.chunkserver(n)]
        self.assertEqual(len(numbers), 4)
        for number in numbers:
            self.cluster.kill_chunkserver(number)
            with open("/proc/sys/vm/drop_caches", "w") as file:  # else the kernel answers
                file.write("1\n")
            self.expect_files(files, f"without chunkserver {number}")
            self.cluster.up()
            self.expect_whole()
