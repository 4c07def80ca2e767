"""A chunkserver that stays away: another target takes its place, and its old copies go."""

import random

import harness
from by_hand import ServersByHand
from cluster_under_test import wait_for
from harness import read_file, write_file


class ReplacementTest(ServersByHand):
    METASERVER = ['repair-after = "3s"']
    CHUNKSERVERS = {1: ["t1"], 2: ["t1"], 3: ["t1"], 4: ["t1"]}
    INITIAL_TARGETS = 4

    def members(self):
        return {member["target"] for group in self.admin("group", "ls")
                for member in group["members"]}

    def target_of(self, number):
        return next(target for target in self.admin("target", "ls")
                    if target["path"] == self.at(f"cs{number}", "t1"))

    def expect_whole(self):
        self.admin("repair", "status", "--wait", "--timeout", "120")
        for group in self.admin("group", "ls"):
            states = [member["state"] for member in group["members"]]
            self.assertEqual(states, ["in_sync"] * 2, group)

    def test_another_target_takes_the_place_and_the_old_copies_go(self):
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        generator = random.Random(f"replacement{seed}")
        self.start_all()
        self.mount()
        files = {}
        for i in range(30):
            files[f"f{i}"] = generator.randbytes(generator.choice([5000, 100_000, 3 << 20]))
            write_file(self.at("mnt", f"f{i}"), files[f"f{i}"])
        wait_for(lambda: len(self.admin("target", "ls")) == 4, 30, "four targets")
        number = generator.randrange(1, 5)
        lost = self.target_of(number)["target"]
        self.assertIn(lost, self.members())
        server = self.servers.pop(f"chunk-server{number}")
        server.kill()
        server.wait()
        wait_for(lambda: lost not in self.members(), 30, "groups without it", every_s=0.5)
        self.expect_whole()
        self.assertNotIn(lost, self.members())
        for name in generator.sample(sorted(files), 10):  # what is old there must not come back
            files[name] = generator.randbytes(len(files[name]))
            write_file(self.at("mnt", name), files[name])
        self.start(f"chunk-server{number}", "penstock-chunkserver")
        wait_for(lambda: self.target_of(number)["state"] == "online", 30, "its return")
        wait_for(lambda: self.target_of(number)["chunks"] == 0, 60, "its old copies to go",
                 every_s=0.5)
        self.assertNotIn(lost, self.members())
        self.run_command("umount", self.at("mnt"))
        self.mount()
        for name, data in files.items():
            self.assertEqual(read_file(self.at("mnt", name)), data, name)
        self.run_command("umount", self.at("mnt"))
