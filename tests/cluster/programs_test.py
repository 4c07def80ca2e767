"""Programs that people run on a file system."""

import os
import random
import shutil
import sqlite3
import sys

import harness
from harness import describe_tree, first_difference, read_file, write_file


class ProgramsTest(harness.FileSystemTest):
    def make_tree(self, path):
        harness.write_tree(path, random.Random(7), large=False)

    def assertSameTree(self, left, right, times=True):
        self.assertEqual(first_difference(describe_tree(left, times),
                                          describe_tree(right, times)), "")

    def test_git_clones_commits_and_checks(self):
        git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost",
               "-c", "safe.directory=*", "-c", "init.defaultBranch=main"]
        source = os.path.join(self.local, "source")
        os.mkdir(source)
        self.shell(*git, "init", "-q", cwd=source)
        generator = random.Random(1)
        for i in range(300):
            folder = os.path.join(source, f"d{i % 17}")
            os.makedirs(folder, exist_ok=True)
            write_file(os.path.join(folder, f"f{i}"), generator.randbytes(generator.randrange(20_000)))
        self.shell(*git, "add", ".", cwd=source)
        self.shell(*git, "commit", "-q", "-m", "first", cwd=source)
        self.shell(*git, "clone", "-q", "--no-local", source, self.path("clone"))
        clone = self.path("clone")
        write_file(os.path.join(clone, "new"), b"new")
        self.shell(*git, "add", ".", cwd=clone)
        self.shell(*git, "commit", "-q", "-m", "second", cwd=clone)
        self.shell(*git, "gc", "-q", cwd=clone)
        self.shell(*git, "fsck", "--full", "--strict", cwd=clone)
        self.assertEqual(self.shell(*git, "status", "--porcelain", cwd=clone), "")
        os.unlink(os.path.join(clone, "new"))
        for folder in os.listdir(source):
            if folder != ".git":
                self.assertSameTree(os.path.join(source, folder), os.path.join(clone, folder),
                                    times=False)

    def test_tar_there_and_back(self):
        self.make_tree(os.path.join(self.local, "tree"))
        options = ["--xattrs", "--xattrs-include=user.*", "--numeric-owner", "--sparse"]
        self.shell("tar", *options, "-cf", self.path("a.tar"), "-C", self.local, "tree")
        self.shell("tar", *options, "-xpf", self.path("a.tar"), "-C", self.root)
        self.assertSameTree(os.path.join(self.local, "tree"), self.path("tree"))
        self.shell("tar", *options, "-cf", os.path.join(self.local, "b.tar"), "-C", self.root, "tree")
        self.shell("tar", "--compare", "-f", os.path.join(self.local, "b.tar"), "-C", self.root)

    def test_rsync_keeps_links_acls_and_xattrs(self):
        tree = os.path.join(self.local, "tree")
        self.make_tree(tree)
        acls = self.acls_work()
        options = "-aHAX" if acls else "-aHX"
        if acls:
            self.shell("setfacl", "-m", "u:1234:rx", os.path.join(tree, "sparse"))
        self.shell("rsync", options, tree + "/", self.path("tree") + "/")
        self.assertSameTree(tree, self.path("tree"))
        again = self.shell("rsync", options, "-ic", tree + "/", self.path("tree") + "/")
        self.assertEqual([line for line in again.splitlines() if line.startswith(">f")], [])
        if acls:
            self.assertIn("user:1234:r-x", self.shell("getfacl", "-pn", self.path("tree/sparse")))

    def acls_work(self):
        """ACLs are a later promise; where setfacl works it must work through rsync too."""
        write_file(self.path("acl"), b"")
        import subprocess
        works = subprocess.run(["setfacl", "-m", "u:1234:rx", self.path("acl")],
                               stderr=subprocess.DEVNULL).returncode == 0
        os.unlink(self.path("acl"))
        return works

    def test_sqlite_in_every_journal_mode(self):
        for mode in ("delete", "truncate", "persist", "memory", "off", "wal"):
            with self.subTest(mode=mode):
                path = self.path(f"{mode}.db")
                database = sqlite3.connect(path)
                found = database.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
                self.assertEqual(found, mode)
                database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
                for batch in range(6):
                    with database:
                        database.executemany("INSERT INTO t (v) VALUES (?)",
                                             [(os.urandom(3000),) for _ in range(60)])
                    with database:
                        database.execute("DELETE FROM t WHERE id % 5 = ?", (batch % 5,))
                second = sqlite3.connect(path)
                rows = second.execute("SELECT count(*) FROM t").fetchone()
                self.assertEqual(rows, database.execute("SELECT count(*) FROM t").fetchone())
                second.close()
                if mode not in ("off",):
                    database.execute("BEGIN")
                    database.execute("DELETE FROM t")
                    database.rollback()
                    self.assertEqual(rows, database.execute("SELECT count(*) FROM t").fetchone())
                database.execute("VACUUM")
                database.close()
                self.assertEqual(self.shell("sqlite3", path, "PRAGMA integrity_check").strip(), "ok")

    def test_cp_sparse_keeps_content(self):
        with open(self.path("a"), "wb") as file:
            file.truncate(30 << 20)
            for offset in (0, 5 << 20, (29 << 20) + 17):
                file.seek(offset)
                file.write(os.urandom(70_000))
        for when in ("always", "never", "auto"):
            self.shell("cp", f"--sparse={when}", self.path("a"), self.path(when))
            self.shell("cmp", self.path("a"), self.path(when))
        self.shell("cp", "-a", self.path("a"), os.path.join(self.local, "a"))
        self.shell("cmp", self.path("a"), os.path.join(self.local, "a"))

    def test_a_cmake_project_builds_and_rebuilds(self):
        os.mkdir(self.path("src"))
        write_file(self.path("src/CMakeLists.txt"),
                   b"cmake_minimum_required(VERSION 3.20)\nproject(t C)\nenable_testing()\n"
                   b"add_library(l STATIC l.c)\nadd_executable(p p.c)\ntarget_link_libraries(p l)\n"
                   b"add_test(NAME p COMMAND p)\n")
        write_file(self.path("src/l.c"), b"int answer(void) { return 42; }\n")
        write_file(self.path("src/p.c"),
                   b"int answer(void);\nint main(void) { return answer() - 42; }\n")
        self.shell("cmake", "-S", "src", "-B", "build")
        self.shell("cmake", "--build", "build")
        self.shell("ctest", "--test-dir", "build")
        self.assertNotIn("Building", self.shell("cmake", "--build", "build"))
        write_file(self.path("src/l.c"), b"int answer(void) { return 43; }\n")
        self.assertIn("Building", self.shell("cmake", "--build", "build"))
        import subprocess
        self.assertEqual(subprocess.run([self.path("build/p")]).returncode, 1)

    def test_a_python_virtual_environment_works(self):
        self.shell("/usr/bin/python3", "-m", "venv", "--without-pip", self.path("venv"))
        output = self.shell(self.path("venv/bin/python"), "-c", "import json, sys; print(sys.prefix)")
        self.assertEqual(output.strip(), self.path("venv"))

    def test_cp_and_rm_of_a_tree(self):
        tree = os.path.join(self.local, "tree")
        self.make_tree(tree)
        self.shell("cp", "-a", tree, self.path("copy"))
        self.assertSameTree(tree, self.path("copy"))
        self.shell("mv", self.path("copy"), self.path("moved"))
        self.assertSameTree(tree, self.path("moved"))
        self.shell("rm", "-r", self.path("moved"))
        self.assertEqual(os.listdir(self.root), [])

    def test_programs_run_from_the_mount(self):
        shutil.copy("/bin/true", self.path("true"))
        self.shell(self.path("true"))
        write_file(self.path("script"), b"#!/bin/sh\necho hello\n")
        os.chmod(self.path("script"), 0o755)
        self.assertEqual(self.shell(self.path("script")), "hello\n")

    def test_concurrent_writers_of_different_files(self):
        program = ("import os,sys\n"
                   "for i in range(60):\n"
                   "  p=os.path.join(sys.argv[1],f'{sys.argv[2]}-{i}')\n"
                   "  d=(p*50).encode()\n"
                   "  open(p+'.tmp','wb').write(d); os.rename(p+'.tmp',p)\n"
                   "  assert open(p,'rb').read()==d\n")
        import subprocess
        writers = [subprocess.Popen([sys.executable, "-c", program, self.root, str(i)])
                   for i in range(8)]
        self.assertEqual([writer.wait(120) for writer in writers], [0] * 8)
        self.assertEqual(len(os.listdir(self.root)), 480)
        for name in os.listdir(self.root):
            self.assertEqual(read_file(self.path(name)), (self.path(name) * 50).encode())
