"""The `penstock` command against a real cluster."""

import glob
import json
import os
import subprocess
import time

import harness
from cluster_under_test import ClusterUnderTest, bin_dir, program, wait_for
from harness import read_file, write_file


class CommandTest(harness.ClusterTest):
    def test_every_listing_has_json_and_a_table(self):
        for verb in (["status"], ["target", "ls"], ["group", "ls"], ["client", "ls"]):
            parsed = self.cluster.admin(*verb)
            self.assertTrue(parsed, verb)
            table = self.cluster.penstock(*verb, "--cluster", self.cluster.dir).stdout
            self.assertGreaterEqual(len(table.splitlines()), 2, verb)

    def test_status_tells_servers_targets_groups_and_clients(self):
        status = self.cluster.admin("status")
        self.assertEqual(len(status["servers"]), 3)
        self.assertEqual(len(status["targets"]), 3)
        wait_for(lambda: self.cluster.admin("client", "ls"), 10, "the client")
        self.assertIn(self.cluster.mountpoint, json.dumps(self.cluster.admin("client", "ls")))
        self.assertIn("tcp", json.dumps(self.cluster.admin("client", "ls")))
        self.assertIn("healthy", json.dumps(status["groups"]))

    def test_version_and_help_everywhere(self):
        self.assertRegex(self.cluster.penstock("version").stdout, r"\d+\.\d+")
        for verb in ([], ["up"], ["down"], ["mount"], ["umount"], ["status"], ["target"],
                     ["target", "ls"], ["group", "ls"], ["client", "ls"], ["stat"], ["key"],
                     ["repair", "status"]):
            self.assertIn("--help", self.cluster.penstock(*verb, "--help").stdout, verb)
        for name in ("penstock-metaserver", "penstock-chunkserver"):
            output = subprocess.run([program(name), "--help"], stdout=subprocess.PIPE, text=True,
                                    stdin=subprocess.DEVNULL, check=True).stdout
            self.assertIn("--port", output)
            self.assertIn("--config", output)

    def test_the_cluster_is_found_by_option_environment_and_memory(self):
        address = f"127.0.0.1:{self.cluster.base_port}"
        self.cluster.penstock("status", "--cluster", self.cluster.dir)
        self.cluster.penstock("status")  # the one started last
        self.cluster.penstock("status", env=dict(self.cluster.env, PENSTOCK_CLUSTER=self.cluster.dir,
                                                 XDG_STATE_HOME="/nonexistent"))
        nowhere = self.cluster.penstock("status", check=False, env=dict(
            self.cluster.env, XDG_STATE_HOME="/nonexistent", HOME="/nonexistent"))
        self.assertNotEqual(nowhere.returncode, 0)
        self.assertIn("--cluster", nowhere.stderr)
        missing = self.cluster.penstock("status", "--cluster", "/nonexistent", check=False)
        self.assertNotEqual(missing.returncode, 0)
        self.assertIn("/nonexistent", missing.stderr)
        self.assertIn(":", address)

    def test_stat_tells_layout_copies_and_checksums(self):
        path = self.path("f")
        write_file(path, os.urandom(9 << 20))
        text = json.dumps(self.cluster.admin("stat", path))
        self.assertEqual(text.count('"checksum_ok": true'), 6, text)  # 3 chunks, 2 copies
        write_file(self.path("small"), b"inline")
        self.assertIn("inline", json.dumps(self.cluster.admin("stat", self.path("small"))))
        os.symlink("f", self.path("link"))
        self.cluster.penstock("stat", self.root, "--cluster", self.cluster.dir)
        bad = self.cluster.penstock("stat", self.path("none"), "--cluster", self.cluster.dir,
                                    check=False)
        self.assertNotEqual(bad.returncode, 0)

    def test_up_again_changes_nothing(self):
        before = [self.cluster.processes(kind) for kind in ("metaserver", "chunkserver", "mount")]
        self.cluster.up()
        self.assertEqual(before, [self.cluster.processes(kind)
                                  for kind in ("metaserver", "chunkserver", "mount")])

    def test_up_with_other_options_is_refused(self):
        for options in (["--replication", "1"], ["--base-port", "7999"]):
            result = self.cluster.penstock("up", self.cluster.dir, *options, check=False)
            self.assertNotEqual(result.returncode, 0, options)
            self.assertIn(options[0].strip("-"), result.stderr)
        self.assertEqual(len(self.cluster.admin("target", "ls")["targets"]
                             if isinstance(self.cluster.admin("target", "ls"), dict)
                             else self.cluster.admin("target", "ls")), 3)

    def test_unknown_verbs_and_options_fail_with_usage(self):
        for arguments in (["frobnicate"], ["up"], ["status", "--nonsense"], ["mount"]):
            result = self.cluster.penstock(*arguments, check=False)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertTrue(result.stderr, arguments)

    def test_keys_are_private(self):
        for path in glob.glob(os.path.join(self.cluster.dir, "keys", "*.key")):
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)


class UpTest(harness.ClusterTest):
    def test_a_mountpoint_that_cannot_be_is_not_remembered(self):
        refused = self.cluster.penstock("up", self.cluster.dir, "--mount", "/proc/nowhere",
                                        check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("/proc/nowhere", refused.stderr)
        self.cluster.penstock("up", self.cluster.dir)

    def test_a_refused_up_leaves_nothing(self):
        new = os.path.join(self.local, "new")
        refused = self.cluster.penstock("up", new, "--base-port", str(self.cluster.base_port),
                                        check=False)
        self.assertIn("penstock-metaserver (pid", refused.stderr)
        self.assertFalse(os.path.exists(new))
        os.mkdir(new)  # somebody's own
        self.cluster.penstock("up", new, "--base-port", str(self.cluster.base_port), check=False)
        self.assertEqual(os.listdir(new), [])

    def test_names_with_spaces_symlinks_and_without_a_slash(self):
        other = ClusterUnderTest("names", chunkservers=1, replication=1, mount=False)
        try:
            place, link = os.path.join(other.home, "real place"), os.path.join(other.home, "link")
            os.mkdir(place)
            os.symlink("real place", link)
            home = os.path.join(other.home, "my cluster")
            up = ["up", home, "--chunkservers", "1", "--base-port", str(other.base_port),
                  "--mount", link]
            for _ in range(2):
                output = other.penstock(*up).stdout
            self.assertTrue(os.path.ismount(place))
            other.penstock("umount", link)
            mount = subprocess.run([program(), "mount", "my cluster", place, "-o",
                                    f"log_file={other.home}/mount.log"], cwd=other.home,
                                   env=other.env, stderr=subprocess.PIPE, text=True)
            self.assertEqual(mount.returncode, 0, mount.stderr)
            # What `up` tells to type can be pasted.
            stop = [line for line in output.splitlines() if line.startswith("stop it")][0]
            subprocess.run(stop.removeprefix("stop it"), shell=True, check=True, env=other.env,
                           stdout=subprocess.DEVNULL)
            self.assertFalse(os.path.ismount(place))
            other.penstock("down", home, "--wipe")
            self.assertFalse(os.path.exists(home))
        finally:
            other.remove()


class FlippedBitTest(harness.ClusterTest):
    def test_a_flipped_bit_is_detected_and_never_served(self):
        pattern = bytes(range(256)) * 8192  # 2 MiB, easy to find in a slab
        data = b"PENSTOCK-FLIP-ME" + pattern
        write_file(self.path("f"), data)
        with open(self.path("f"), "rb+") as file:
            os.fsync(file.fileno())
        target = self.flip(b"PENSTOCK-FLIP-ME")
        report = self.cluster.penstock("stat", self.path("f"), "--json", "--cluster",
                                       self.cluster.dir, check=False)
        self.assertRegex(report.stdout, r'"checksum_ok":\s*false', f"flipped in {target}")
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
        for _ in range(8):
            fresh = self.cluster.mount_again("fresh")
            name = os.path.join(fresh, os.path.relpath(self.path("f"), self.base))
            self.assertEqual(read_file(name), data)
            self.cluster.unmount(fresh)

    def flip(self, needle):
        for path in sorted(glob.glob(self.cluster.dir + "/cs*/t*/**", recursive=True)):
            if not os.path.isfile(path) or "/index" in path or path.endswith((".sst", ".log")):
                continue
            content = read_file(path)
            at = content.find(needle)
            if at < 0:
                continue
            with open(path, "r+b") as file:
                file.seek(at + 1000)
                byte = content[at + 1000]
                file.write(bytes([byte ^ 1]))
                os.fsync(file.fileno())
            return path
        self.fail("the bytes lie in no slab file")


class DownTest(harness.ClusterTest):
    def test_down_stops_and_wipe_removes(self):
        cluster = ClusterUnderTest("down", chunkservers=2)
        try:
            cluster.up()
            write_file(os.path.join(cluster.mountpoint, "f"), b"x" * 100_000)
            cluster.down()
            self.assertFalse(os.path.ismount(cluster.mountpoint))
            cluster.down()  # idempotent
            cluster.up()
            self.assertEqual(read_file(os.path.join(cluster.mountpoint, "f")), b"x" * 100_000)
            cluster.down("--wipe")
            self.assertFalse(os.path.exists(os.path.join(cluster.dir, "meta")))
            for kind in ("metaserver", "chunkserver", "mount"):
                self.assertEqual(cluster.processes(kind), [])
        finally:
            cluster.remove()

    def test_down_of_a_foreign_directory_touches_nothing(self):
        folder = os.path.join(self.local, "mine")
        os.mkdir(folder)
        write_file(os.path.join(folder, "precious"), b"x")
        result = self.cluster.penstock("down", folder, "--wipe", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(os.listdir(folder), ["precious"])
        refused = self.cluster.penstock("up", folder, "--base-port", str(self.cluster.base_port + 20),
                                        check=False)
        if refused.returncode == 0:
            self.cluster.penstock("down", folder)
        self.assertEqual(read_file(os.path.join(folder, "precious")), b"x")

    def test_a_busy_port_is_named(self):
        other = ClusterUnderTest("busy", chunkservers=1, replication=1)
        try:
            result = other.penstock("up", other.dir, "--base-port", str(self.cluster.base_port),
                                    check=False)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(str(self.cluster.base_port), result.stderr)
            self.assertEqual(other.processes("metaserver"), [])
        finally:
            other.remove()

    def test_umount_waits_until_everything_is_written(self):
        mountpoint = self.cluster.mount_again("second")
        data = os.urandom(20 << 20)
        write_file(os.path.join(mountpoint, "late"), data)
        self.cluster.unmount(mountpoint)
        self.assertFalse(os.path.ismount(mountpoint))
        deadline = time.monotonic() + 5
        while not os.path.exists(os.path.join(self.base, "late")) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(read_file(os.path.join(self.base, "late")), data)

    def test_programs_are_all_there(self):
        for name in ("penstock", "penstock-metaserver", "penstock-chunkserver", "mount.penstock"):
            self.assertTrue(os.access(os.path.join(bin_dir(), name), os.X_OK), name)
