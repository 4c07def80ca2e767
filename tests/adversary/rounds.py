"""A cluster with an adversary: round after round something breaks while work goes on, and after
each round every byte is looked at."""

import os
import random
import signal
import subprocess
import time
import uuid

import disks
import faults
import harness
import load
import scratch
from by_hand import ServersByHand
from cluster_under_test import wait_for
from other_process import OtherProcess
from relay import Relay

DISK_MB = 1500


class Rounds(ServersByHand):
    CHUNKSERVERS = {1: ["t1"], 2: ["t1"], 3: ["t1"]}
    INITIAL_TARGETS = 3
    METASERVER = ['session-timeout = "10s"']

    def setUp(self):
        super().setUp()
        self.relays, self.disks = {}, {}
        self.kinds, self.left_out = faults.possible()
        if not self.left_out:
            # What is unmounted here must be unmounted in the servers' namespaces too (command()).
            subprocess.run(["mount", "--bind", self.home, self.home], check=True)
            subprocess.run(["mount", "--make-rshared", self.home], check=True)
            for number in self.CHUNKSERVERS:
                self.disks[number] = disks.Disk(self.at(f"disk{number}"), self.at(f"cs{number}"),
                                                DISK_MB)
                os.makedirs(self.at(f"cs{number}", "t1"), exist_ok=True)
                self.new_boot_id(number)

    # --- the cluster -------------------------------------------------------------------------------
    def addresses(self, number):
        """Behind relays: others come through one, and it reaches the metaserver through another.
        A relay has the port of who stands behind it, on an address of its own."""
        port = self.port + 10 + number
        self.relays[f"data{number}"] = Relay(f"127.0.1.{number}:{port}", f"127.0.0.1:{port}")
        self.relays[f"control{number}"] = Relay(f"127.0.2.{number}:{self.port + 1}",
                                                f"127.0.0.1:{self.port + 1}")
        return [f"port = {port}", f'advertise = "127.0.1.{number}"',
                f'metaserver = "127.0.2.{number}:{self.port + 1}"']

    def new_boot_id(self, number):
        with open(self.at(f"boot-id{number}"), "w") as file:
            file.write(f"{uuid.uuid4()}\n")

    def command(self, name, executable):
        command = super().command(name, executable)
        number = int(name[-1]) if name[-1].isdigit() else None
        if number not in self.disks:
            return command
        script = (f'mount --bind {self.at(f"boot-id{number}")} /proc/sys/kernel/random/boot_id && '
                  'exec "$@"')
        return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, "sh", *command]

    def begin(self):
        self.start_all()
        self.relays["client"] = Relay(f"127.0.3.1:{self.port}", f"127.0.0.1:{self.port}")
        self.mount()
        second = self.at("mnt2")
        os.makedirs(second)
        self.run_command("mount", f"127.0.3.1:{self.port}", second, "-o",
                         f"key={self.at('keys/cluster.key')},log_file={self.at('mount2.log')}")
        self.folders = [self.at("mnt"), second]
        self.workers = []
        for i, folder in enumerate(self.folders):
            worker = OtherProcess()
            self.addCleanup(worker.stop)
            self.workers.append(worker)
            worker.call(load.begin, os.path.join(folder, f"load{i}"), self.at("mode"),
                        f"load{harness.seed()}.{i}")

    def stop_all(self):
        self.set_mode("stop")
        for folder in ("mnt", "mnt2"):
            if os.path.ismount(self.at(folder)):
                self.run_command("umount", "--lazy", self.at(folder), check=False)
        codes = super().stop_all()
        for relay in self.relays.values():
            relay.stop()
        self.relays = {}
        for disk in self.disks.values():
            disk.unmount()
        self.disks = {}
        return codes

    def signal(self, name, number):
        self.servers[name].send_signal(number)

    def kill(self, name):
        self.servers[name].kill()
        self.servers.pop(name).wait()

    def cut_power(self, numbers):
        for number in numbers:
            self.kill(f"chunk-server{number}")
        for number in numbers:
            self.disks[number].cut_power()
            self.new_boot_id(number)

    def client_pid(self):
        def find():
            return next((pid for pid, argv in scratch.processes_naming(self.folders[1])
                         if argv[1:2] == ["mount-client"]), None)
        return wait_for(find, 30, "the client of the second mount")

    def kill_client(self):
        os.kill(self.client_pid(), signal.SIGKILL)

    def evict_client(self):
        clients = self.admin("client", "ls")
        victim = next(each for each in clients if each["mountpoint"] == self.folders[1])
        self.run_command("client", "evict", str(victim["session"]), *self.cluster_arguments())

    def heal(self):
        for relay in self.relays.values():
            relay.tell("pass")
        for disk in self.disks.values():
            disk.free()
        for name in ["meta-server"] + [f"chunk-server{n}" for n in self.CHUNKSERVERS]:
            if name in self.servers:
                self.assertIsNone(self.servers[name].poll(), f"{name} has ended\n{self.output()}")
            else:
                self.start(name, f"penstock-{'metaserver' if name[0] == 'm' else 'chunkserver'}")
        wait_for(lambda: self.run_command("status", *self.cluster_arguments(),
                                          check=False).returncode == 0, 60, "the metaserver", 0.5)
        self.run_command("repair", "status", "--wait", "--timeout", "110",
                         *self.cluster_arguments())

    def scrub(self):
        """Every copy is looked at; how many were bad. None may be left bad."""
        report = self.admin("scrub", "start", "--wait", "--timeout", "110")
        self.assertEqual(len(report), len(self.CHUNKSERVERS), report)
        for target in report:
            self.assertEqual((target["repaired"], target["lost"]), (target["found"], 0), target)
        return sum(target["found"] for target in report)

    def set_mode(self, mode):
        with open(self.at("mode.new"), "w") as file:
            file.write(mode)
        os.rename(self.at("mode.new"), self.at("mode"))

    # --- a round -----------------------------------------------------------------------------------
    def one_round(self, number, generator):
        fault = generator.choice(self.kinds)(self, generator)
        began = time.monotonic()
        self.set_mode(fault.mode)
        for worker in self.workers:
            worker.start(load.run)
        time.sleep(generator.uniform(0.2, 1.5))
        fault.hurt()
        self.heal()
        time.sleep(generator.uniform(0.2, 1.0))
        self.set_mode("stop")
        counts = [worker.result(180) for worker in self.workers]
        self.set_mode("strict")
        for i, worker in enumerate(self.workers):
            folders = [os.path.join(folder, f"load{i}") for folder in self.folders]
            worker.start(load.settle, fault.lost, folders[i:] + folders[:i])
        for worker in self.workers:
            worker.result(180)
        found = self.scrub()
        operations, errors = (sum(each) for each in zip(*counts))
        print(f"round {number}: {fault}, {time.monotonic() - began:.1f} s, "
              f"{operations} operations, {errors} errors so far" +
              (f", {found} bad copies repaired" if found else ""), flush=True)

    def run_rounds(self, count, first=0):
        """Round `first` of a seed is the same however many went before it."""
        print(f"[seed {harness.seed()}]", flush=True)
        if self.left_out:
            print(f"left out, since {self.left_out}: full disks and power cuts", flush=True)
        self.begin()
        for number in range(first, first + count):
            self.one_round(number, random.Random(f"chaos{harness.seed()}.{number}"))
        self.assertEqual(self.scrub(), 0, "bad copies after the last round")
