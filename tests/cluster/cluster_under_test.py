"""A real cluster for one test: `penstock up` on a directory and a port block of its own."""

import json
import os
import shutil
import signal
import subprocess
import time

import scratch

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def bin_dir():
    chosen = os.environ.get("PENSTOCK_BIN")
    return chosen if chosen else os.path.join(REPOSITORY, "build", "bin")


def program(name="penstock"):
    return os.path.join(bin_dir(), name)


def wait_for(condition, timeout_s=30, what="the condition", every_s=0.05):
    """Waits until condition() is true and returns its value; fails after timeout_s."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(every_s)


class ClusterUnderTest:
    def __init__(self, name, chunkservers=3, replication=2, targets_per_server=1, mount=True):
        self.name = name
        self.home = os.path.join(scratch.root(), name)
        self.dir = os.path.join(self.home, "cluster")
        self.mountpoint = os.path.join(self.home, "mnt") if mount else None
        self.extra_mounts = []
        self.base_port = scratch.free_base_port()
        self.chunkservers = chunkservers
        self.options = ["--chunkservers", str(chunkservers), "--replication", str(replication),
                        "--targets-per-server", str(targets_per_server),
                        "--base-port", str(self.base_port)]
        os.makedirs(self.home, exist_ok=True)
        self.env = dict(os.environ, XDG_STATE_HOME=os.path.join(self.home, "state"))
        self.env.pop("PENSTOCK_CLUSTER", None)

    # --- the command -----------------------------------------------------------------------------
    def penstock(self, *arguments, check=True, timeout_s=120, env=None):
        """Runs the penstock command; a CompletedProcess with text output."""
        result = subprocess.run([program(), *arguments], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                timeout=timeout_s, env=env or self.env)
        if check and result.returncode != 0:
            raise AssertionError(f"penstock {' '.join(arguments)} ended with {result.returncode}\n"
                                 f"{result.stdout}{result.stderr}{self.log_tails()}")
        return result

    def admin(self, *arguments):
        """An admin verb with --json, parsed."""
        return json.loads(self.penstock(*arguments, "--json", "--cluster", self.dir).stdout)

    def up(self, *more):
        arguments = ["up", self.dir, *self.options]
        if self.mountpoint:
            arguments += ["--mount", self.mountpoint]
        return self.penstock(*arguments, *more)

    def down(self, *more, check=True):
        for mountpoint in self.extra_mounts:
            self.penstock("umount", mountpoint, check=False)
        self.extra_mounts = []
        return self.penstock("down", self.dir, *more, check=check)

    def mount_again(self, name, subdir="", options=""):
        """A second mount of the same cluster, as another node would have."""
        mountpoint = os.path.join(self.home, name)
        os.makedirs(mountpoint, exist_ok=True)
        address = f"127.0.0.1:{self.base_port}" + (f":{subdir}" if subdir else "")
        # Not in /var/log/penstock, where a test has no business.
        option = (f"key={self.dir}/keys/cluster.key,log_file={self.home}/{os.path.basename(name)}.log"
                  + (f",{options}" if options else ""))
        self.penstock("mount", address, mountpoint, "-o", option)
        self.extra_mounts.append(mountpoint)
        return mountpoint

    def unmount(self, mountpoint):
        self.penstock("umount", mountpoint)
        if mountpoint in self.extra_mounts:
            self.extra_mounts.remove(mountpoint)

    # --- its processes ---------------------------------------------------------------------------
    def processes(self, kind):
        """Pids of 'metaserver', 'chunkserver' or 'mount', oldest first.

        A mount has a supervisor and a client, which the supervisor starts again: 'mount' is both,
        supervisors first, so that nobody is started again while both are killed; 'supervisor' and
        'client' are one of them."""
        wanted = {"metaserver": "penstock-metaserver", "chunkserver": "penstock-chunkserver",
                  "mount": "penstock", "supervisor": "penstock", "client": "penstock"}[kind]
        pids = []
        for pid, argv in scratch.processes_naming(self.home):
            try:
                executable = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            is_client = len(argv) > 1 and argv[1] == "mount-client"
            if executable.replace(" (deleted)", "") == wanted \
                    and is_client != {"supervisor": True, "client": False}.get(kind):
                pids.append((is_client, pid))
        return [pid for _, pid in sorted(pids)]

    def client_of(self, mountpoint):
        """Pid of the client that serves a mount; None while there is none."""
        for pid in self.processes("client"):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if mountpoint in file.read().decode().split("\0"):
                        return pid
            except OSError:
                continue
        return None

    def kill_client(self, mountpoint=None, number=signal.SIGKILL):
        """Ends the client of one mount and returns its pid; the supervisor starts another."""
        pid = wait_for(lambda: self.client_of(mountpoint or self.mountpoint), 30, "a client")
        os.kill(pid, number)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), 30, f"the end of client {pid}")
        return pid

    def wait_until_served(self, mountpoint=None):
        """A client answers there. statfs is never answered by the kernel alone."""
        subprocess.run(["stat", "-f", mountpoint or self.mountpoint], check=True, timeout=60,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def chunkserver(self, number):
        """Pid of chunkserver `number` (1..N), told by its directory on the command line."""
        for pid, argv in scratch.processes_naming(os.path.join(self.dir, f"cs{number}")):
            if os.path.basename(argv[0]) == "penstock-chunkserver":
                return pid
        return None

    def kill(self, kind, number=signal.SIGKILL):
        """Ends every process of one kind and waits until they are gone."""
        pids = self.processes(kind)
        assert pids, f"no {kind} is running"
        for pid in pids:
            os.kill(pid, number)
        wait_for(lambda: not set(pids) & set(self.processes(kind)), 30, f"the end of {kind} {pids}")

    def kill_chunkserver(self, which, number=signal.SIGKILL):
        pid = self.chunkserver(which)
        assert pid, f"chunkserver {which} is not running"
        os.kill(pid, number)
        wait_for(lambda: self.chunkserver(which) != pid, 30, f"the end of chunkserver {which}")

    # --- what tests look at ----------------------------------------------------------------------
    def chunk_count(self):
        return sum(int(target.get("chunks", 0)) for target in self.targets())

    def targets(self):
        listing = self.admin("target", "ls")
        return listing["targets"] if isinstance(listing, dict) else listing

    def target_of(self, number):
        """Id of the first target of chunkserver `number`."""
        folder = os.path.join(self.dir, f"cs{number}") + os.sep
        return next(target["target"] for target in self.targets()
                    if target["path"].startswith(folder))

    def members_of_all_groups(self):
        return {member["target"] for group in self.admin("group", "ls")
                for member in group["members"]}

    def log_tails(self, lines=25):
        text = []
        folder = os.path.join(self.dir, "logs")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            try:
                with open(os.path.join(folder, name), errors="replace") as file:
                    tail = file.readlines()[-lines:]
            except OSError:
                continue
            text.append(f"--- {name} (the last {len(tail)} lines)\n{''.join(tail)}")
        return "\n" + "".join(text) if text else ""

    def keep_logs(self, folder):
        source = os.path.join(self.dir, "logs")
        if os.path.isdir(source):
            shutil.copytree(source, os.path.join(folder, self.name), dirs_exist_ok=True)

    def remove(self):
        """Stops everything and removes the directory, whatever state it is in."""
        try:
            if os.path.isdir(self.dir) and os.path.exists(program()):
                self.down("--wipe", check=False)
        except (subprocess.TimeoutExpired, OSError):
            pass
        scratch.clean(self.home)
