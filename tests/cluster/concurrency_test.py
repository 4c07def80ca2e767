"""Many processes on the same names at once: errors are allowed, a wrong tree is not."""

import os
import stat
import subprocess
import sys

import harness
from harness import read_file

# Each worker runs random operations on few shared names; every errno that a race can give is
# accepted, a content that nobody wrote is not.
WORKER = r"""
import errno, os, random, sys
root, seed, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
r = random.Random(seed)
allowed = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EINVAL,
           errno.EPERM, errno.ELOOP, errno.EBUSY}
if len(sys.argv) > 4:
    allowed.add(errno.ESTALE)  # another node removed what this one had just looked up
def name():
    return os.path.join(root, *[r.choice('AB') for _ in range(r.randrange(3))], r.choice('abcdAB'))
def create():
    with open(name(), 'wb') as f: f.write(bytes([r.randrange(256)]) * r.choice([10, 4000, 9000, 200000]))
def read():
    with open(name(), 'rb') as f: f.read()
def append():
    with open(name(), 'ab') as f: f.write(b'x' * 100)
ops = [create]*5 + [read]*3 + [append]*2 + [lambda: os.mkdir(name())]*3 + [
    lambda: os.rename(name(), name())]*5 + [lambda: os.link(name(), name())]*2 + [
    lambda: os.unlink(name())]*3 + [lambda: os.rmdir(name())]*2 + [
    lambda: os.listdir(os.path.dirname(name())), lambda: os.symlink('a', name()),
    lambda: os.truncate(name(), r.choice([0, 50, 5000])), lambda: os.chmod(name(), 0o755)]
for step in range(steps):
    try:
        r.choice(ops)()
    except OSError as e:
        if e.errno not in allowed:
            print('step', step, e, flush=True)
            sys.exit(1)
"""


class ConcurrencyTest(harness.FileSystemTest):
    def run_workers(self, roots, steps=1500, extra=()):
        seed = harness.seed()
        print(f"[seed {seed}] ", end="", flush=True)
        workers = [subprocess.Popen([sys.executable, "-c", WORKER, root, f"{seed}/{i}", str(steps),
                                     *extra],
                                    stdout=subprocess.PIPE, text=True)
                   for i, root in enumerate(roots)]
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
        self.assertEqual([worker.returncode for worker in workers], [0] * len(workers), outputs)

    def check(self, root):
        """Every name can be used, and link counts are those of the names there are."""
        names = {}
        for folder, directories, files in os.walk(root):
            subdirectories = 0
            for name in directories + files:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                subdirectories += stat.S_ISDIR(info.st_mode)
                if stat.S_ISREG(info.st_mode):
                    names.setdefault(info.st_ino, (info, []))[1].append(path)
                    self.assertEqual(len(read_file(path)), info.st_size, path)
            self.assertEqual(os.stat(folder).st_nlink, 2 + subdirectories, folder)
        for info, paths in names.values():
            self.assertEqual(info.st_nlink, len(paths), paths)

    def test_processes_on_the_same_names_leave_a_sound_tree(self):
        self.run_workers([self.root] * 5)
        self.check(self.root)

    def test_renames_of_directories_make_no_loop(self):
        for name in "ab":
            os.makedirs(self.path(name, "1", "2"))
        program = ("import os,sys,random\nr=random.Random(sys.argv[2]);os.chdir(sys.argv[1])\n"
                   "def d(): return '/'.join([r.choice('ab')]+['1','2'][:r.randrange(3)])\n"
                   "for i in range(400):\n"
                   "  try: os.rename(d(), d()+'/'+r.choice('12'))\n"
                   "  except OSError: pass\n")
        movers = [subprocess.Popen([sys.executable, "-c", program, self.root, str(i)])
                  for i in range(4)]
        self.assertEqual([mover.wait(120) for mover in movers], [0] * 4)
        self.check(self.root)


class TwoMountsConcurrencyTest(harness.ClusterTest):
    run_workers = ConcurrencyTest.run_workers
    check = ConcurrencyTest.check

    def test_processes_on_two_mounts_leave_a_sound_tree(self):
        other = self.cluster.mount_again("other")
        inside = os.path.join(other, os.path.relpath(self.root, self.base))
        os.listdir(inside)
        self.run_workers([self.root, inside] * 2, steps=800, extra=["several nodes"])
        fresh = self.cluster.mount_again("fresh")
        self.check(os.path.join(fresh, os.path.relpath(self.root, self.base)))
