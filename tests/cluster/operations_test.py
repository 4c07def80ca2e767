"""What an operator asks for and sets: `penstock config` and `penstock events`."""

import json
import os
import signal
import subprocess
import threading

import harness
from cluster_under_test import program, wait_for
from harness import write_synced


class SettingsTest(harness.ClusterTest):
    def config(self, *arguments, check=True):
        return self.cluster.penstock("config", *arguments, "--cluster", self.cluster.dir,
                                     check=check)

    def value(self, name):
        return self.config("get", name).stdout.strip()

    def test_settings_change_at_once_and_stay(self):
        listed = {s["name"]: s for s in self.cluster.admin("config", "ls")}
        self.assertEqual(listed["repair.after"]["value"], "10m")
        self.assertFalse(listed["repair.after"]["is_set"])
        self.config("set", "repair.after", "90m")
        self.config("set", "repair.after", "90m")  # safe to repeat
        changed = self.cluster.admin("config", "set", "sync.rate", "64MiB/s")
        self.assertEqual((changed["value"], changed["before"]), ("64MiB/s", "200MiB/s"))
        self.cluster.kill("metaserver")
        self.cluster.up()
        self.assertEqual(self.value("repair.after"), "1h30m")
        self.assertEqual(self.value("sync.rate"), "64MiB/s")
        self.assertIn("the default", self.config("unset", "repair.after").stdout)
        self.assertEqual(self.value("repair.after"), "10m")
        # Until the servers are back, a shorter time is refused because of that.
        wait_for(lambda: "--fence-after" in self.config("set", "offline.after", "3s",
                                                        check=False).stderr, 20, "the servers")
        for wrong, reason in ((("set", "repair.aftr", "5m"), "did you mean repair.after"),
                              (("set", "repair.after", "soon"), "1s to 30d"),
                              (("set", "offline.after", "3s"), "--fence-after"),
                              (("get", "nothing"), "penstock config ls")):
            refused = self.config(*wrong, check=False)
            self.assertEqual(refused.returncode, 1, wrong)
            self.assertIn(reason, refused.stderr)
        self.assertEqual(self.config("set", "repair.after", check=False).returncode, 2)

    def test_the_reserve_reaches_the_disks(self):
        free = min(t["free_bytes"] for t in self.cluster.targets())
        self.config("set", "space.reserve", f"{free + (64 << 30)}B")
        wait_for(lambda: all(t["free_bytes"] == 0 for t in self.cluster.targets()), 20,
                 "full targets")
        with self.assertRaises(OSError):
            write_synced(self.path("f"), b"x" * (1 << 20))
        self.config("unset", "space.reserve")
        wait_for(lambda: all(t["free_bytes"] > 0 for t in self.cluster.targets()), 20, "free targets")
        wait_for(lambda: self.writes("g"), 20, "a write")

    def writes(self, name):
        try:
            write_synced(self.path(name), b"x" * (1 << 20))
        except OSError:
            return False
        return True


class ListingTest(harness.ClusterTest):
    def test_servers_and_one_group(self):
        servers = self.cluster.admin("server", "ls")
        self.assertEqual([(s["state"], s["targets"]) for s in servers], [("online", 1)] * 3)
        shown = [self.cluster.admin("group", "show", name) for name in ("default/5", "1/5", "5")]
        self.assertEqual([group["group"] for group in shown], [5, 5, 5])
        members = shown[0]["members"]
        self.assertEqual([m["state"] for m in members], ["in_sync"] * 2)
        self.assertEqual(sorted(m["target"] for m in members), sorted(shown[0]["basis"]))
        self.assertEqual({m["on"]["state"] for m in members}, {"online"})
        text = self.cluster.penstock("group", "show", "5", "--cluster", self.cluster.dir).stdout
        self.assertIn("healthy", text)
        for name, reason in (("99999", "penstock group ls"), ("gold/5", "gold"), ("x", "default/17")):
            refused = self.cluster.penstock("group", "show", name, "--cluster", self.cluster.dir,
                                            check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(reason, refused.stderr)


class EventsTest(harness.ClusterTest):
    def kinds(self, *more):
        return [event["kind"] for event in self.cluster.admin("events", *more)]

    def follow(self, *more):
        follower = subprocess.Popen([program(), "events", "--follow", "--cluster", self.cluster.dir,
                                     *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=self.cluster.env, text=True)
        end = threading.Timer(240, follower.kill)  # so that a read from it ends
        end.daemon = True
        end.start()
        self.addCleanup(follower.communicate)
        self.addCleanup(follower.kill)
        self.addCleanup(end.cancel)
        return follower

    def test_what_happens_is_told_kept_and_followed(self):
        self.assertIn("class.made", self.kinds("--since", "1d"))
        follower = self.follow("--json", "--limit", "1")
        json.loads(follower.stdout.readline())  # it follows
        self.cluster.kill_chunkserver(2)
        wait_for(lambda: "server.left" in self.kinds(), 30, "the loss of a server")
        self.cluster.up()
        wait_for(lambda: {"server.back", "repair.ended"} <= set(self.kinds()), 60, "its return")
        second = self.cluster.mount_again("second")
        self.cluster.unmount(second)
        self.cluster.penstock("config", "set", "repair.after", "20m", "--cluster", self.cluster.dir)
        # Changes of groups are summed up over a few seconds.
        told = wait_for(lambda: {"setting.changed", "groups.changed"} <= set(self.kinds())
                        and self.cluster.admin("events"), 20, "a changed setting")
        for event in told:
            self.assertIn(event["severity"], ("info", "warning", "error"), event)
            self.assertTrue(event["text"], event)
        numbers = [event["number"] for event in told]
        self.assertEqual(numbers, sorted(set(numbers)))
        wanted = {"server.joined", "target.added", "groups.formed", "server.left", "repair.begun",
                  "groups.changed", "server.back", "target.in_sync", "repair.ended",
                  "client.connected", "client.left", "setting.changed", "metaserver.started"}
        self.assertEqual(wanted - {event["kind"] for event in told}, set())
        # The follower has heard the same, and ends without a word.
        heard = []
        while "setting.changed" not in [event["kind"] for event in heard]:
            heard.append(json.loads(follower.stdout.readline()))
        follower.send_signal(signal.SIGINT)
        rest, errors = follower.communicate(timeout=20)
        self.assertEqual((follower.returncode, errors), (0, ""), rest)
        by_number = {event["number"]: event for event in told}
        self.assertEqual([by_number[event["number"]] for event in heard], heard)
        self.cluster.kill("metaserver")
        self.cluster.up()
        kept = self.cluster.admin("events", "--limit", "1000")
        self.assertEqual(kept[:len(told)], told)
        text = self.cluster.penstock("events", "--limit", "3", "--cluster", self.cluster.dir).stdout
        self.assertEqual(len(text.splitlines()), 3, text)

    def test_following_goes_on_over_a_restart_of_the_metaserver(self):
        follower = self.follow("--limit", "1")
        follower.stdout.readline()
        self.cluster.kill("metaserver")
        self.cluster.up()
        wait_for(lambda: "metaserver.started" in follower.stdout.readline(), 30, "the start")
        follower.send_signal(signal.SIGTERM)
        follower.communicate(timeout=20)
        self.assertEqual(follower.returncode, 0)

    def test_an_evicted_client_is_told_and_fenced(self):
        mountpoint = self.cluster.mount_again("evicted")
        session = next(client["session"] for client in self.cluster.admin("client", "ls")
                       if os.path.basename(client["mountpoint"]) == "evicted")
        self.cluster.penstock("client", "evict", session, "--cluster", self.cluster.dir)
        wait_for(lambda: {"client.evicted", "client.fenced"} <= set(self.kinds()), 30, "the fence")
        self.cluster.unmount(mountpoint)
        bad = self.cluster.penstock("events", "--since", "yesterday", check=False)
        self.assertEqual(bad.returncode, 2)
        self.assertIn("--since", bad.stderr)
