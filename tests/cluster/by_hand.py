"""Servers started by hand, each with a --config file, as on several machines: for tests."""

import json
import os
import signal
import subprocess
import unittest
import uuid

import harness
import scratch
from cluster_under_test import program, wait_for
from harness import read_file, write_file


class ServersByHand(unittest.TestCase):
    METASERVER = []  # more lines of its configuration
    CHUNKSERVERS = {1: ["t1", "t2"], 2: ["t1"]}  # and their targets
    INITIAL_TARGETS = 3

    def setUp(self):
        if harness.is_local():
            self.skipTest("needs a cluster")
        self.home = os.path.join(scratch.root(), type(self).__name__)
        self.port = scratch.free_base_port()
        self.cluster_id = str(uuid.uuid4())
        self.servers = {}
        for folder in ("", "meta", "mnt"):
            os.makedirs(os.path.join(self.home, folder), exist_ok=True)
        for number, targets in self.CHUNKSERVERS.items():
            for target in targets:
                os.makedirs(self.at(f"cs{number}", target), exist_ok=True)
        self.addCleanup(scratch.clean, self.home)
        self.addCleanup(self.stop_all)
        self.run_command("key", "init", self.at("keys"))

    def at(self, *parts):
        return os.path.join(self.home, *parts)

    def run_command(self, *arguments, check=True):
        result = subprocess.run([program(), *arguments], stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        if check:
            self.assertEqual(result.returncode, 0, f"{arguments}: {result.stdout}{result.stderr}")
        return result

    def cluster_arguments(self):
        return ["--cluster", f"127.0.0.1:{self.port}", "--keys", self.at("keys")]

    def admin(self, *arguments):
        """An admin verb with --json, parsed."""
        return json.loads(
            self.run_command(*arguments, "--json", *self.cluster_arguments()).stdout)

    def config(self, name, lines):
        common = [f'cluster-id = "{self.cluster_id}"', f'key-file = "{self.at("keys/cluster.key")}"',
                  f'tls-ca = "{self.at("keys/ca.crt")}"', f'tls-cert = "{self.at("keys/server.crt")}"',
                  f'tls-key = "{self.at("keys/server.key")}"', f'log-file = "{self.at(name)}.log"']
        write_file(self.at(f"{name}.conf"), ("\n".join(common + lines) + "\n").encode())

    def command(self, name, executable):
        """What is run for a server: for tests that start it in another way."""
        return [program(executable), "--config", self.at(f"{name}.conf")]

    def start(self, name, executable):
        with open(self.at(f"{name}.out"), "ab") as output:
            self.servers[name] = subprocess.Popen(
                self.command(name, executable), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output)

    def addresses(self, number):
        """The lines of a chunkserver's configuration that say where it and the metaserver are."""
        return [f"port = {self.port + 10 + number}", f'metaserver = "127.0.0.1:{self.port + 1}"']

    def start_all(self):
        self.config("meta-server", [f'dir = "{self.at("meta")}"', f"port = {self.port}",
                                    f"grpc-port = {self.port + 1}", "replication = 2",
                                    'chunk-size = "1MiB"',
                                    f"initial-targets = {self.INITIAL_TARGETS}", *self.METASERVER])
        self.start("meta-server", "penstock-metaserver")
        for number, targets in self.CHUNKSERVERS.items():
            listed = ", ".join(f'"{self.at(f"cs{number}", target)}"' for target in targets)
            self.config(f"chunk-server{number}", [
                f'dir = "{self.at(f"cs{number}")}"', *self.addresses(number),
                f"target = [{listed}]", 'reserve = "64MiB"'])
            self.start(f"chunk-server{number}", "penstock-chunkserver")

    def stop_all(self):
        for server in self.servers.values():
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
        codes = {}
        for name, server in self.servers.items():
            try:
                codes[name] = server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                codes[name] = server.wait()
        self.servers = {}
        return codes

    def output(self):
        return "".join(read_file(self.at(name)).decode(errors="replace")[-1500:]
                       for name in sorted(os.listdir(self.home)) if name.endswith((".out", ".log")))

    def mount(self):
        def attempt():
            self.assertTrue(all(s.poll() is None for s in self.servers.values()), self.output())
            return self.run_command("mount", f"127.0.0.1:{self.port}", self.at("mnt"), "-o",
                                    f"key={self.at('keys/cluster.key')},log_file={self.at('mount.log')}",
                                    check=False).returncode == 0
        wait_for(attempt, 60, "the mount: " + self.output(), every_s=0.5)
