"""What developers do on a file system: git, make, Python environments, backups, searches.

Each is done on the mount and on the local disk; the results must be the same.
"""

import os
import random
import subprocess

import harness
from harness import describe_tree, first_difference, read_file, write_file

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "safe.directory=*",
       "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false", "-c", "gc.autoDetach=false"]
DATES = dict(os.environ, GIT_AUTHOR_DATE="2026-01-01T00:00:00Z",
             GIT_COMMITTER_DATE="2026-01-01T00:00:00Z", GIT_CONFIG_NOSYSTEM="1", HOME="/nonexistent")

EXACT = "--modify-window=-1"  # rsync compares nanoseconds too


class GitTest(harness.FileSystemTest):
    def git(self, folder, *words):
        return self.shell(*GIT, *words, cwd=folder, env=DATES)

    def make_history(self, path, commits):
        """A repository with that many commits over a thousand files, by git fast-import."""
        generator = random.Random(11)
        stream = bytearray()
        for number in range(commits):
            stream += (b"commit refs/heads/main\nmark :%d\ncommitter T <t@localhost> %d +0000\n"
                       b"data 2\nc\n" % (number + 1, 1_700_000_000 + number))
            for _ in range(200 if number == 0 else 8):
                data = generator.choice([b"line\n", b"other\n"]) * generator.randrange(900)
                data += generator.randbytes(200)
                stream += b"M 100644 inline d%d/s%d/file%d\ndata %d\n%s\n" % (
                    generator.randrange(12), generator.randrange(5), generator.randrange(40),
                    len(data), data)
        self.shell(*GIT, "init", "-q", "--bare", path, cwd=self.local, env=DATES)
        result = subprocess.run([*GIT, "fast-import", "--quiet"], cwd=path, env=DATES,
                                input=bytes(stream), stderr=subprocess.PIPE)
        self.assertEqual(result.returncode, 0, result.stderr)

    def work(self, source, clone):
        """A day's work; the ids of what came out of it."""
        self.git("/", "clone", "-q", "--no-local", source, clone)
        self.git(clone, "checkout", "-q", "-b", "side", "HEAD~20")
        for i in range(5):
            write_file(os.path.join(clone, f"new{i}"), b"new\n" * i)
            self.git(clone, "add", ".")
            self.git(clone, "commit", "-q", "-m", f"new {i}")
        self.git(clone, "mv", "new1", "renamed")
        self.git(clone, "commit", "-q", "-a", "-m", "renamed")
        self.git(clone, "rebase", "-q", "main")
        self.git(clone, "checkout", "-q", "main")
        self.git(clone, "merge", "-q", "--no-ff", "-m", "merged", "side")
        write_file(os.path.join(clone, "stashed"), b"stashed")
        self.git(clone, "add", "stashed")
        self.git(clone, "stash", "-q")
        self.git(clone, "worktree", "add", "-q", "../" + os.path.basename(clone) + "2", "HEAD~3")
        self.git(clone, "stash", "pop", "-q")
        self.git(clone, "gc", "-q", "--prune=now")
        self.git(clone, "repack", "-q", "-a", "-d", "-f")
        self.git(clone, "fsck", "--full", "--strict")
        self.git(clone + "2", "status")
        return (self.git(clone, "rev-parse", "HEAD", "side"), self.git(clone, "ls-tree", "-r", "HEAD"),
                self.git(clone, "status", "--porcelain"))

    def test_git_clones_rebases_merges_and_collects_garbage(self):
        source = os.path.join(self.local, "source.git")
        self.make_history(source, 2000 if harness.is_long() else 60)
        here = self.work(source, self.path("clone"))
        self.assertEqual(here, self.work(source, os.path.join(self.local, "clone")))
        self.assertIn("A  stashed", here[2])
        self.git(self.path("clone"), "push", "-q", "origin", "HEAD:refs/heads/back")
        self.git("/", "clone", "-q", self.path("clone"), self.path("linked"))  # by hard links
        self.git(self.path("linked"), "fsck", "--full")


class BuildTest(harness.FileSystemTest):
    def make_project(self, path, units):
        os.mkdir(path)
        for group in range(6):
            write_file(os.path.join(path, f"group{group}.h"),
                       b"#pragma once\n#include <cstddef>\ninline int Group() { return %d; }\n" % group)
        for i in range(units):
            write_file(os.path.join(path, f"unit{i}.cc"),
                       b'#include "group%d.h"\ntemplate <int n> struct S { int v[n]; };\n'
                       b"int F%d(int x) { S<%d> s{}; s.v[0] = x; return s.v[0] + Group(); }\n"
                       % (i % 6, i, i + 1))
        calls = "".join(f"int F{i}(int);" for i in range(units)) + "int main(int n, char**) { return ("
        calls += " + ".join(f"F{i}(n)" for i in range(units)) + ") % 100; }\n"
        write_file(os.path.join(path, "main.cc"), calls.encode())
        write_file(os.path.join(path, "Makefile"),
                   b"SOURCES := $(wildcard *.cc)\nprogram: $(SOURCES:.cc=.o)\n\t$(CXX) -o $@ $^\n"
                   b"%.o: %.cc\n\t$(CXX) -O1 -MMD -c -o $@ $<\n-include $(SOURCES:.cc=.d)\n")

    def build(self, path):
        """The names of what was compiled."""
        output = self.shell("make", "-j2", cwd=path)
        return sorted(line.split()[-1] for line in output.splitlines() if " -c " in line)

    def test_make_builds_many_files_and_only_what_changed(self):
        units = 300 if harness.is_long() else 60
        project, reference = self.path("project"), os.path.join(self.local, "project")
        for path in (project, reference):
            self.make_project(path, units)
        self.assertEqual(len(self.build(project)), units + 1)
        self.assertEqual(self.build(project), [])
        os.utime(os.path.join(project, "group3.h"))
        self.assertEqual(self.build(project), sorted(f"unit{i}.cc" for i in range(3, units, 6)))
        self.assertEqual(self.build(project), [])
        code = subprocess.run([os.path.join(project, "program")]).returncode
        self.assertEqual(code, (units + sum(i % 6 for i in range(units))) % 100)
        some = [f"unit{i}.o" for i in range(0, units, 6)]
        self.shell("make", "-j2", *some, cwd=reference)
        for name in some:
            self.assertEqual(read_file(os.path.join(project, name)),
                             read_file(os.path.join(reference, name)), name)


class PythonTest(harness.FileSystemTest):
    def test_a_virtual_environment_imports_large_packages(self):
        pip = [] if harness.is_long() else ["--without-pip"]  # a thousand small files
        self.shell("/usr/bin/python3", "-m", "venv", *pip, self.path("venv"))
        python = self.path("venv/bin/python")
        if not pip:
            self.assertIn(self.path("venv"), self.shell(python, "-m", "pip", "--version"))
        site = self.shell(python, "-c", "import site; print(site.getsitepackages()[0])").strip()
        numpy = self.shell("/usr/bin/python3", "-c",
                           "import numpy, os; print(os.path.dirname(numpy.__file__))").strip()
        self.shell("cp", "-rL", numpy, site)
        program = ("import numpy, numpy.linalg, numpy.fft, numpy.random, numpy.polynomial\n"
                   "print(numpy.__file__)\n"
                   "a = numpy.random.default_rng(1).random((200, 200))\n"
                   "assert numpy.allclose(numpy.linalg.inv(a) @ a, numpy.eye(200))\n"
                   "numpy.save('a.npy', a)\n"
                   "assert (numpy.load('a.npy', mmap_mode='r') == a).all()\n"
                   "m = numpy.memmap('map', dtype='f8', mode='w+', shape=(500, 1000))\n"
                   "m[:] = numpy.arange(500_000).reshape(500, 1000); m.flush(); del m\n"
                   "m = numpy.memmap('map', dtype='f8', mode='r', shape=(500, 1000))\n"
                   "assert m[499, 999] == 499_999 and m.sum() == 499_999 * 250_000\n")
        for _ in range(2):  # the second from the compiled files
            output = self.shell(python, "-c", program)
        self.assertEqual(output.strip(), os.path.join(site, "numpy", "__init__.py"))


class BackupTest(harness.FileSystemTest):
    def setUp(self):
        super().setUp()
        self.tree = os.path.join(self.local, "tree")
        harness.write_tree(self.tree, random.Random(21), directories=12, files=120, large=False)

    def assertSame(self, left, right):
        self.assertEqual(first_difference(describe_tree(left), describe_tree(right)), "")

    def add_acls(self):
        """Gives the tree ACLs, of both kinds; skips where the tested directory cannot hold any."""
        write_file(self.path("probe"), b"")
        probe = subprocess.run(["setfacl", "-m", "u:1234:rx", self.path("probe")], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.unlink(self.path("probe"))
        if probe.returncode != 0:
            self.skipTest(f"this file system takes no ACL: {probe.stdout.strip()}")
        folders = [path for path, _, _ in os.walk(self.tree)]
        self.shell("setfacl", "-m", "u:1234:rwx,g:2345:r,m:rx", *folders[1:6])
        self.shell("setfacl", "-d", "-m", "u:77:rw,o:-", *folders[2:8])
        self.shell("setfacl", "-m", "u:1234:rx,u:5:-", os.path.join(self.tree, "sparse"))

    def acls(self, path):
        """A paragraph a file, sorted: each file system lists names in an order of its own."""
        return sorted(self.shell("getfacl", "-R", "-n", "-p", ".", cwd=path).strip().split("\n\n"))

    def test_rsync_there_and_back_keeps_all(self):
        self.shell("rsync", EXACT, "-aHX", self.tree + "/", self.path("there") + "/")
        self.assertSame(self.tree, self.path("there"))
        back = os.path.join(self.local, "back")
        self.shell("rsync", EXACT, "-aHX", self.path("there") + "/", back + "/")
        self.assertSame(self.tree, back)
        for left, right in ((self.tree, self.path("there")), (self.path("there"), back)):
            changes = self.shell("rsync", EXACT, "-aHXinc", "--delete", left + "/", right + "/")
            self.assertEqual(changes, "", "a second run finds something to do")

    def test_rsync_and_tar_there_and_back_keep_acls(self):
        self.add_acls()
        self.shell("rsync", EXACT, "-aHAX", self.tree + "/", self.path("there") + "/")
        options = ["--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "--sparse"]
        self.shell("tar", *options, "-cf", self.path("a.tar"), "-C", self.tree, ".")
        os.mkdir(self.path("untarred"))
        self.shell("tar", *options, "-xpf", self.path("a.tar"), "-C", self.path("untarred"))
        back = os.path.join(self.local, "back")
        self.shell("rsync", EXACT, "-aHAX", self.path("untarred") + "/", back + "/")
        for copy in (self.path("there"), self.path("untarred"), back):
            self.assertSame(self.tree, copy)
            self.assertEqual(self.acls(self.tree), self.acls(copy))
            self.assertEqual(self.shell("rsync", EXACT, "-aHAXinc", self.tree + "/", copy + "/"), "")

    def test_find_finds_the_same(self):
        self.shell("rsync", EXACT, "-aHX", self.tree + "/", self.path("tree") + "/")
        reference = sorted(os.listdir(self.tree))[0]
        for question in (["-printf", "%P|%y|%m|%n|%l|%T@|%U:%G\n"], ["-type", "f", "-printf", "%P %s\n"],
                         ["-newer", reference], ["-size", "+8k", "-type", "f"], ["-links", "+1"],
                         ["-perm", "-4000"], ["-empty", "-type", "f"], ["-name", "*1*", "-prune"],
                         ["-mindepth", "2", "-maxdepth", "3"], ["-depth"], ["-type", "p"],
                         ["-lname", "*1*"], ["-mtime", "+100"], ["-regex", ".*file[0-9]+"]):
            here = self.shell("find", ".", *question, cwd=self.path("tree"))
            there = self.shell("find", ".", *question, cwd=self.tree)
            self.assertEqual(sorted(here.splitlines()), sorted(there.splitlines()), question)
        linked = self.shell("find", ".", "-links", "+1", "-type", "f", cwd=self.tree).splitlines()[0]
        self.assertEqual(
            sorted(self.shell("find", ".", "-samefile", linked, cwd=self.path("tree")).split("\n")),
            sorted(self.shell("find", ".", "-samefile", linked, cwd=self.tree).split("\n")))
        self.shell("find", ".", "-type", "f", "-delete", cwd=self.path("tree"))
        self.assertEqual(self.shell("find", ".", "-type", "f", cwd=self.path("tree")), "")
