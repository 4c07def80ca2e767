"""The virtual machine itself: what goes in and comes out, and that nothing stays behind."""

import os
import re
import signal
import subprocess
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
VM = os.path.join(HERE, "vm")


def vm(*arguments, **options):
    return subprocess.run([VM, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300, **options)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def run_directory(pids):
    """The one that QEMU, one of `pids`, was told."""
    for pid in pids:
        with open(f"/proc/{pid}/cmdline") as file:
            found = re.search(r"vm\.directory=(\S+?)\0", file.read())
        if found:
            return found.group(1)
    return None


def wait_for(condition, what, timeout_s=120):
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.1)


class VmTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="penstock-vm-test-", dir="/var/tmp")
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder])

    def test_a_command_has_the_callers_place_and_gives_back_its_status_and_output(self):
        share = os.path.join(self.folder, "share")
        os.mkdir(share)
        script = """
            echo "$PWD $WORD $PENSTOCK_RDMA_VM $1"
            echo complaint >&2
            echo gone > gone
            echo kept > share/kept
            findmnt -n -o FSTYPE /mnt/scratch
            rdma link show | wc -l
            test -c /dev/fuse && exit 7"""
        result = vm("--share", share, "--disk", "64M", "--", "bash", "-c", script, "bash",
                    "two  words", cwd=self.folder, env=dict(os.environ, WORD="a 'word'"))
        self.assertEqual(result.returncode, 7, result.stderr)
        self.assertEqual(result.stdout, f"{self.folder} a 'word' 1 two  words\next4\n2\n")
        self.assertEqual(result.stderr, "complaint\n")
        self.assertEqual(os.listdir(self.folder), ["share"])
        self.assertEqual(os.listdir(share), ["kept"])

    def test_a_killed_run_leaves_nothing(self):
        share = os.path.join(self.folder, "share")
        os.mkdir(share)
        runner = subprocess.Popen([VM, "--share", share, "--", "bash", "-c",
                                   f"echo > {share}/up; sleep 1000"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: os.listdir(share), "the guest")
            started = children(runner.pid)
            directory = run_directory(started)
            self.assertTrue(os.path.isdir(directory))
        finally:
            runner.send_signal(signal.SIGKILL)
            runner.wait()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in started),
                 "the end of its processes")
        wait_for(lambda: not os.path.exists(directory), "the end of its directory")

    def test_a_command_that_takes_too_long_is_ended(self):
        result = vm("--timeout", "20", "--", "bash", "-c", "echo begun; sleep 1000")
        self.assertEqual(result.returncode, 124, result.stderr)
        self.assertEqual(result.stderr, "vm: the time ran out after 20 s\n")

    def test_what_keeps_it_from_running_is_named(self):
        for arguments, word in ((["-m", "100", "--", "true"], "512 MiB"),
                                (["-m", "100000000", "--check"], "MiB are free"),
                                (["--disk", "4", "--", "true"], "no size"),
                                (["--share", "/nonexistent", "--", "true"], "no directory"),
                                ([], "no command")):
            result = vm(*arguments)
            self.assertEqual(result.returncode, 125, arguments)
            self.assertIn(word, result.stderr)
            self.assertNotIn("Traceback", result.stderr)

    def test_a_machine_without_the_tools_is_told_what_to_install(self):
        result = subprocess.run(["/usr/bin/python3", VM, "--check"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={"PATH": self.folder})
        self.assertEqual(result.returncode, 125)
        self.assertIn("missing packages:", result.stderr)
        self.assertIn("qemu-system-x86", result.stderr)


if __name__ == "__main__":
    unittest.main()
