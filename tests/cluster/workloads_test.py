"""Programs that are made to wear file systems out and to check every byte: stress-ng, fio, bonnie++,
fs_mark, dbench."""

import os
import re

import harness
from program_group import run_group

# By class: those that work on files of the directory that they are given, with sizes that keep the
# run short. What is about /proc, namespaces or descriptors alone (bind-mount, eventfd, ...) is not
# this file system's.
STRESSORS = {
    "names": ["dentry", "dir", "dirdeep", "dirmany", "filename", "getdent", "link", "mknod", "rename",
              "symlink", "touch", "chdir"],
    "attributes": ["access", "chattr", "chmod", "chown", "fcntl", "file-ioctl", "fstat", "handle",
                   "inode-flags", "utime", "xattr"],
    "data": ["copy-file", "fallocate", "fiemap", "fpunch", "fsize", "hdd", "io", "iomix", "open",
             "sync-file", "verity"],
    "locks": ["dnotify", "dup", "fanotify", "flock", "inotify", "lease", "locka", "lockf",
              "lockofd"],
}
SIZES = ["--chdir-dirs", "64", "--dir-dirs", "64", "--dentries", "128", "--dirdeep-inodes", "256",
         "--copy-file-bytes", "128M", "--fallocate-bytes", "16M", "--hdd-bytes", "16M",
         "--iomix-bytes", "16M", "--sync-file-bytes", "8M"]


class StressTest(harness.FileSystemTest):
    SECONDS = 3

    def failed_stressors(self, names, folder):
        """The stressors that met an error, with the first one's words."""
        os.makedirs(folder, exist_ok=True)
        command = ["stress-ng", "--temp-path", folder, "--verify", "--timeout",
                   str(20 if harness.is_long() else self.SECONDS), *SIZES]
        for name in names:
            command += [f"--{name}", "1"]
        code, output = run_group(command, folder, timeout_s=300)
        failed = {}
        for name, words in re.findall(r"fail:\s+\[\d+\] ([a-z-]+): (.*)", output):
            failed.setdefault(name, words)
        self.assertIsNotNone(code, f"{names} did not end\n{output[-3000:]}")
        if code == 2 and not failed:
            failed["unnamed"] = output[-2000:]
        self.assertIn(code, (0, 2, 3, 4), output[-3000:])  # 3, 4: cannot run here
        return failed

    def run_stressors(self, names):
        failed = self.failed_stressors(names, self.path("stress"))
        if failed:  # what the local disk fails at too is not ours
            there = self.failed_stressors(names, os.path.join(self.local, "stress"))
            failed = {name: words for name, words in failed.items() if name not in there}
        self.assertEqual(failed, {})
        self.assertEqual(os.listdir(self.path("stress")), [], "stress-ng removes all that it makes")

    def test_stress_of_names(self):
        self.run_stressors(STRESSORS["names"])

    def test_stress_of_attributes(self):
        self.run_stressors(STRESSORS["attributes"])

    def test_stress_of_data(self):
        self.run_stressors(STRESSORS["data"])

    def test_stress_of_locks_and_watches(self):
        self.run_stressors(STRESSORS["locks"])


class FioTest(harness.FileSystemTest):
    """Writes with a checksum in every block and reads all back."""

    JOBS = {
        "sequential": "rw=write bs=128k",
        "random": "rw=randwrite bs=4k",
        "unaligned": "rw=randwrite bsrange=512-70k bs_unaligned=1 norandommap=1",
        "rewritten": "rw=randwrite bs=16k overwrite=1 loops=2",
        "mapped": "rw=randwrite bs=4k ioengine=mmap",
        "mapped in order": "rw=write bs=64k ioengine=mmap fsync=16",
        "direct": "rw=randwrite bs=4k direct=1",
        "direct in order": "rw=write bs=1m direct=1 ioengine=libaio iodepth=8",
        "synced": "rw=randwrite bs=8k fsync=16 size=2m",
        "o_sync": "rw=write bs=32k sync=1 size=2m",
        "two jobs": "rw=randwrite bs=8k numjobs=2 ioengine=psync",
        "vectors": "rw=write bs=64k ioengine=vsync iodepth=8",
        "asynchronous": "rw=randwrite bs=16k ioengine=libaio iodepth=16",
        "preallocated": "rw=write bs=32k fallocate=posix",
        "many files": "rw=randwrite bs=4k nrfiles=40 file_service_type=random size=4m",
        "trimmed sizes": "rw=randwrite bs=3k filesize=7m",
    }

    def test_fio_reads_back_what_it_wrote(self):
        size = "256m" if harness.is_long() else "12m"
        lines = ["[global]", f"directory={self.root}", f"size={size}", "ioengine=psync", "verify=crc32c",
                 "do_verify=1", "verify_fatal=1", "verify_state_save=0", "randrepeat=1", "thread",
                 f"randseed={harness.seed()}", "group_reporting", "invalidate=1"]
        for name, options in self.JOBS.items():
            lines += [f"[{name.replace(' ', '-')}]", "stonewall", *options.split()]
        job_file = os.path.join(self.local, "jobs.fio")
        with open(job_file, "w") as file:
            file.write("\n".join(lines) + "\n")
        code, output = run_group(["fio", "--output-format=terse", job_file], self.local, timeout_s=600)
        self.assertEqual(code, 0, f"seed {harness.seed()}\n{output[-3000:]}")
        done = [line.split(";")[2] for line in output.splitlines() if line.count(";") > 20]
        self.assertEqual(done, [name.replace(" ", "-") for name in self.JOBS])


class BenchmarksTest(harness.FileSystemTest):
    """Benchmarks as programs: they must end without an error, and leave what they say they leave."""

    def program(self, *command, timeout_s=300):
        code, output = run_group(list(command), self.root, timeout_s)
        self.assertEqual(code, 0, f"{' '.join(command)}\n{output[-3000:]}")
        return output

    def test_bonnie(self):
        user = ["-u", "root"] if os.geteuid() == 0 else []
        size, files = (512, "16") if harness.is_long() else (32, "1:9000:10:4")
        self.program("bonnie++", "-q", "-d", self.root, "-s", f"{size}M", "-r", f"{size // 2}M",
                     "-n", files, "-f", *user)
        self.assertEqual(os.listdir(self.root), [])

    def test_fs_mark(self):
        for method in range(7):  # no sync, and six orders of fsync and sync
            folder = self.path(f"method{method}")
            os.mkdir(folder)
            # Its directories have 40 bytes at most: relative ones.
            self.program("fs_mark", "-d", f"method{method}", "-k", "-n", "60", "-t", "2", "-s", "5000", "-S",
                         str(method), "-D", "4", "-l", os.path.join(self.local, "log"))
            sizes = [os.path.getsize(os.path.join(path, name))
                     for path, _, names in os.walk(folder) for name in names]
            self.assertEqual(sizes, [5000] * 120)

    def test_dbench(self):
        output = self.program("dbench", "-D", self.root, "-c", "/usr/share/dbench/client.txt", "-t",
                              "60" if harness.is_long() else "4", "2")
        self.assertIn("Throughput", output)
        self.assertNotRegex(output, r"\] .* failed|ERROR|expected to write")
