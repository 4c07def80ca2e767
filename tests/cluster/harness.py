"""The base classes of the whole-cluster tests.

`FileSystemTest` gives a test `self.root`, an empty directory on a mounted cluster of its own class,
or, with `run.py --local DIR`, on a plain local directory: what holds for the file system must hold
there too, which keeps the tests honest. `ClusterTest` is for tests that need the cluster itself.
"""

import hashlib
import os
import random
import subprocess
import sys
import unittest

import scratch
from cluster_under_test import ClusterUnderTest

_settings = {"local": None, "seed": None, "rounds": 1, "logs": None, "long": False}


def configure(**settings):
    _settings.update(settings)


def rounds():
    return _settings["rounds"]


def seed():
    if _settings["seed"] is None:
        _settings["seed"] = random.SystemRandom().randrange(1 << 32)
    return _settings["seed"]


def is_local():
    return _settings["local"] is not None


def is_long():
    """With run.py --long: sizes and cases that take too much time for every run."""
    return _settings["long"]


class FileSystemTest(unittest.TestCase):
    cluster = None
    chunkservers = 3
    replication = 2
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if is_local():
            cls.base = os.path.join(_settings["local"], cls.__name__)
            os.makedirs(cls.base)
            return
        cls.cluster = ClusterUnderTest(cls.__name__, cls.chunkservers, cls.replication)
        try:
            cls.cluster.up()
        except BaseException:
            cls.cluster.remove()
            raise
        cls.base = cls.cluster.mountpoint

    @classmethod
    def tearDownClass(cls):
        if cls.cluster:
            cls.cluster.remove()
        else:
            subprocess.run(["rm", "-rf", cls.base], check=False)

    def setUp(self):
        self.root = os.path.join(self.base, self._testMethodName)
        self.local = os.path.join(scratch.root(), "local", type(self).__name__,
                                  self._testMethodName)
        os.makedirs(self.root)
        os.makedirs(self.local)

    def tearDown(self):
        failed = self.failed()
        if failed and self.cluster:
            sys.stderr.write(self.cluster.log_tails())
            if _settings["logs"]:
                self.cluster.keep_logs(_settings["logs"])
        subprocess.run(["rm", "-rf", self.local], check=False)
        if not failed and (is_local() or os.path.ismount(self.base)):
            subprocess.run(["rm", "-rf", self.root], check=False, timeout=120)

    def failed(self):
        """True once this test has failed (unittest keeps that to itself)."""
        result = self._outcome.result
        broken = getattr(result, "failures", []) + getattr(result, "errors", [])
        return any(test is self or getattr(test, "test_case", None) is self for test, _ in broken) \
            or sys.exc_info()[0] is not None

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def assertErrno(self, number, function, *arguments, **named):
        with self.assertRaises(OSError) as caught:
            function(*arguments, **named)
        self.assertEqual(os.strerror(caught.exception.errno), os.strerror(number))

    def shell(self, *command, cwd=None, timeout_s=300, env=None):
        """Runs a program that must succeed; its output."""
        result = subprocess.run(command, cwd=cwd or self.root, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=timeout_s, env=env)
        output = result.stdout.decode(errors="replace")
        self.assertEqual(result.returncode, 0, f"{' '.join(command)}\n{output[-3000:]}")
        return output


class ClusterTest(FileSystemTest):
    """Needs a real cluster: left out with --local."""

    @classmethod
    def setUpClass(cls):
        if is_local():
            raise unittest.SkipTest("needs a cluster")
        super().setUpClass()


def random_bytes(generator, size):
    return generator.randbytes(size)


def write_file(path, data):
    with open(path, "wb") as file:
        file.write(data)


def write_synced(path, data):
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def write_tree(path, generator, directories=8, files=60, large=True):
    """A tree of every kind and size that matters; the sizes straddle the limits of inline and chunk."""
    sizes = [0, 1, 100, 4095, 4096, 4097, 65536, 100_000, 1 << 20]
    if large:
        sizes += [(4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9_000_000]
    folders = [path]
    os.makedirs(path, exist_ok=True)
    for i in range(directories):
        folder = os.path.join(generator.choice(folders), f"dir {i} \u00fc")
        os.mkdir(folder)
        folders.append(folder)
    for i in range(files):
        size = sizes[i] if i < len(sizes) else generator.randrange(0, 50_000)
        name = os.path.join(generator.choice(folders), f"file{i}")
        write_file(name, generator.randbytes(size))
        os.chmod(name, generator.choice([0o600, 0o644, 0o755, 0o4711]))
        os.utime(name, ns=(generator.randrange(1 << 60), generator.randrange(1 << 60)))
        if i % 9 == 0:
            os.setxattr(name, "user.color", b"blue\0green")
        if i % 11 == 0:
            os.link(name, os.path.join(generator.choice(folders), f"link{i}"))
        if i % 13 == 0:
            os.symlink(f"../{i}", os.path.join(generator.choice(folders), f"symlink{i}"))
    with open(os.path.join(path, "sparse"), "wb") as file:
        file.truncate(20 << 20)
        file.seek(10 << 20)
        file.write(b"in the middle")
    os.mkfifo(os.path.join(path, "fifo"))


def describe_tree(path, times=True):
    """Everything below `path` that must survive: {relative name: facts}."""
    facts = {}
    names = {}  # of the hard links of one inode
    for folder, directories, files in os.walk(path):
        for name in directories + files:
            full = os.path.join(folder, name)
            info = os.lstat(full)
            relative = os.path.relpath(full, path)
            fact = [oct(info.st_mode), info.st_uid, info.st_gid]
            kind = info.st_mode & 0o170000
            if kind == 0o100000:
                fact += [info.st_nlink, info.st_size, sha256(full)]
                fact += [info.st_mtime_ns] if times else []
                fact.append({key: os.getxattr(full, key) for key in sorted(os.listxattr(full))
                             if key.startswith("user.")})
                fact.append(names.setdefault(info.st_ino, []))
                names[info.st_ino].append(relative)
            elif kind == 0o120000:
                fact.append(os.readlink(full))
            facts[relative] = fact
    for same in names.values():
        same.sort()
    return facts


def first_difference(left, right):
    """A short account of how two descriptions differ, '' when they don't."""
    lines = []
    for name in sorted(set(left) | set(right)):
        if left.get(name) != right.get(name):
            lines.append(f"{name}: {left.get(name)} / {right.get(name)}")
    return "\n".join(lines[:10]) + (f"\n... {len(lines)} differ" if len(lines) > 10 else "")
