"""Metrics of every program against docs/operate/metrics.md, and the alert rules in deploy/."""

import glob
import os
import re
import shutil
import subprocess
import unittest
import urllib.request

from by_hand import ServersByHand
from cluster_under_test import REPOSITORY, wait_for
from harness import read_file, write_synced

PROMETHEUS = os.path.join(REPOSITORY, "deploy", "prometheus")


def page():
    with open(os.path.join(REPOSITORY, "docs", "operate", "metrics.md"), encoding="utf-8") as file:
        return set(re.findall(r"^\| `(penstock_\w+)`", file.read(), re.MULTILINE))


class ScrapeTest(ServersByHand):
    CHUNKSERVERS = {1: ["t1"], 2: ["t1"]}
    INITIAL_TARGETS = 2

    def config(self, name, lines):
        self.metrics = getattr(self, "metrics", {})
        self.metrics[name] = self.port + 20 + len(self.metrics)
        super().config(name, lines + [f'metrics = "127.0.0.1:{self.metrics[name]}"'])

    def scrape(self, port):
        """{name or name{labels}: value}, and the kinds of the metrics by name."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
            text = answer.read().decode()
        kinds = dict(re.findall(r"^# TYPE (penstock_\w+) (\w+)", text, re.MULTILINE))
        values = dict(re.findall(r"^(penstock_\S+) (\S+)$", text, re.MULTILINE))
        return {name: float(value) for name, value in values.items()}, kinds

    def test_what_is_served_is_what_the_page_explains(self):
        self.start_all()
        mount_port = self.port + 30
        wait_for(lambda: self.run_command(
            "mount", f"127.0.0.1:{self.port}", self.at("mnt"), "-o",
            f"key={self.at('keys/cluster.key')},log_file={self.at('mount.log')},"
            f"metrics=127.0.0.1:{mount_port}", check=False).returncode == 0, 60, "the mount",
                 every_s=0.5)
        write_synced(self.at("mnt", "f"), b"x" * (3 << 20))
        self.run_command("umount", self.at("mnt"))
        self.run_command("mount", f"127.0.0.1:{self.port}", self.at("mnt"), "-o",
                         f"key={self.at('keys/cluster.key')},log_file={self.at('mount.log')},"
                         f"metrics=127.0.0.1:{mount_port}")
        self.assertEqual(len(read_file(self.at("mnt", "f"))), 3 << 20)  # not from the page cache
        served = {}
        for name, port in list(self.metrics.items()) + [("mount", mount_port)]:
            if name.startswith("chunk"):  # sampled every second
                wait_for(lambda port=port: any(
                    value > 0 for key, value in self.scrape(port)[0].items()
                    if key.startswith("penstock_chunkserver_target_chunks")), 10, "a sample")
            values, kinds = self.scrape(port)
            served.update(kinds)
            for metric, kind in kinds.items():
                self.assertEqual(metric.endswith("_total"), kind == "counter", metric)
                self.assertEqual(metric.endswith("_seconds") and kind == "histogram",
                                 kind == "histogram", metric)
            self.look_at(name, values)
        self.assertEqual(set(served) - page(), set(), "served, but not on the page")
        self.assertEqual(page() - set(served), set(), "on the page, but not served")
        with open(os.path.join(PROMETHEUS, "alerts.yml"), encoding="utf-8") as file:
            used = set(re.findall(r"penstock_\w+", file.read()))
        unknown = {name for name in used if re.sub(r"_(bucket|sum|count)$", "", name) not in served}
        self.assertEqual(unknown, set(), "alerts on what nobody serves")
        self.run_command("umount", self.at("mnt"))

    def look_at(self, name, values):
        """What the work above must have left."""
        def count(beginning, label):
            return sum(value for key, value in values.items()
                       if key.startswith(beginning) and label in key)
        if name == "meta-server":
            self.assertGreater(count("penstock_rpc_request_seconds_count", 'method="lookup"'), 0)
            self.assertEqual(values['penstock_metaserver_groups{state="healthy"}'], 1024)
            self.assertEqual(values['penstock_metaserver_servers{state="online"}'], 2)
            self.assertEqual(values['penstock_metaserver_clients{state="live"}'], 1)
        elif name == "mount":
            self.assertGreater(count("penstock_client_request_seconds_count", 'op="read"'), 0)
            self.assertGreater(count("penstock_client_connections", 'transport="tcp"'), 0)
        else:
            self.assertGreater(count("penstock_chunkserver_target_write_seconds_count", ""), 0)
            self.assertGreater(count("penstock_chunkserver_target_barrier_seconds_count", ""), 0)
            self.assertGreater(count("penstock_chunkserver_target_chunks", ""), 0)
            self.assertGreater(values["penstock_chunkserver_lease_seconds"], 0)
            self.assertEqual(values["penstock_chunkserver_registered"], 1)


class AlertRulesTest(unittest.TestCase):
    def test_promtool_accepts_the_examples(self):
        promtool = shutil.which("promtool")
        if promtool is None:
            self.skipTest("promtool is not installed (Debian package prometheus)")
        for kind, name in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
            result = subprocess.run([promtool, "check", kind, os.path.join(PROMETHEUS, name)],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    timeout=60)
            self.assertEqual(result.returncode, 0, result.stdout)
        self.assertEqual(len(glob.glob(os.path.join(PROMETHEUS, "*.yml"))), 2)
