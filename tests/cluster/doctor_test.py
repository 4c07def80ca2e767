"""`penstock doctor` on a real machine with a real cluster."""

import json

import harness
from cluster_under_test import wait_for


class DoctorTest(harness.ClusterTest):
    def examine(self, *arguments):
        result = self.cluster.penstock("doctor", "--json", *arguments, check=False)
        findings = json.loads(result.stdout)
        problems = [f for f in findings if f["level"] == "problem"]
        self.assertEqual(result.returncode, 1 if problems else 0, result.stderr)
        for finding in findings:
            self.assertEqual(finding["fix"] == "", finding["level"] == "ok", finding)
        return findings

    def levels(self, findings, check):
        return {f["level"] for f in findings if f["check"] == check}

    def test_a_healthy_cluster_and_one_with_a_dead_server(self):
        findings = self.examine("--cluster", self.cluster.dir)
        for check in ("kernel", "fuse", "metaserver", "clock", "versions", "status", "certificate",
                      "ports", "network"):
            self.assertEqual(self.levels(findings, check), {"ok"}, check)
        self.assertEqual(self.levels(findings, "metadata"), {"warning"})
        self.assertIn("warning", self.levels(findings, "disk"))  # all targets on one
        self.cluster.kill_chunkserver(1)
        wait_for(lambda: self.cluster.admin("status")["problems"], 30, "a problem", every_s=0.5)
        findings = self.examine("--cluster", self.cluster.dir)
        self.assertEqual(self.levels(findings, "status"), {"problem"})
        self.assertIn("problem", self.levels(findings, "ports"))
        self.cluster.kill("metaserver")
        findings = self.examine("--cluster", self.cluster.dir)
        self.assertEqual(self.levels(findings, "metaserver"), {"problem"})
        text = self.cluster.penstock("doctor", "--cluster", self.cluster.dir, check=False).stdout
        self.assertIn("penstock up", text)
        self.cluster.up()

    def test_without_a_cluster_it_looks_at_the_machine(self):
        env = dict(self.cluster.env, XDG_STATE_HOME="/nonexistent", HOME="/nonexistent")
        result = self.cluster.penstock("doctor", "--json", check=False, env=env)
        findings = json.loads(result.stdout)
        self.assertEqual(self.levels(findings, "cluster"), {"ok"})
        self.assertEqual(self.levels(findings, "metadata"), set())
        result = self.cluster.penstock("doctor", "--json", "--cluster", "/nowhere/at/all",
                                       check=False)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.levels(json.loads(result.stdout), "cluster"), {"problem"})
