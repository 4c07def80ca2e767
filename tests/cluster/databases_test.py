"""Databases on the mount: what they have committed survives the `kill -9` of the database."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import harness
import postgres
import scratch

# Moves money between accounts and notes each move, all in one transaction; prints what is committed.
SQLITE_WRITER = r"""
import random, sqlite3, sys
path, mode, name, first = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
r = random.Random(name + str(first))
db = sqlite3.connect(path, timeout=60, isolation_level=None)
db.execute(f'PRAGMA journal_mode={mode}')
db.execute('PRAGMA synchronous=FULL')
i = first
while True:
    a, b, sum = r.randrange(50), r.randrange(50), r.randrange(1000)
    db.execute('BEGIN IMMEDIATE')
    db.execute('UPDATE account SET balance = balance - ? WHERE id = ?', (sum, a))
    db.execute('UPDATE account SET balance = balance + ? WHERE id = ?', (sum, b))
    db.execute('INSERT INTO move VALUES (?, ?, ?)', (name, i, r.randbytes(r.randrange(9000))))
    db.execute('COMMIT')
    print(name, i, flush=True)
    i += 1
"""


class SqliteTest(harness.FileSystemTest):
    def run_and_kill(self, path, mode, turn):
        """Two processes write until some is committed, then both die. {name: last acknowledged}."""
        read_end, write_end = os.pipe()  # one for both: a short line is written whole
        writers = [subprocess.Popen([sys.executable, "-c", SQLITE_WRITER, path, mode, name,
                                     str(turn * 100_000)], stdout=write_end)
                   for name in ("a", "b")]
        for process in writers:
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        os.close(write_end)
        seen = {}
        with os.fdopen(read_end) as lines:
            for number, line in enumerate(lines):
                name, last = line.split()
                seen[name] = int(last)
                if number == 20 + random.Random(f"{mode}{turn}").randrange(20):
                    for process in writers:
                        self.assertIsNone(process.poll(), "a writer met an error")
                        process.kill()
        return seen

    def check(self, path, seen, turn):
        database = sqlite3.connect(path, timeout=60)
        self.assertEqual(database.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        self.assertEqual(database.execute("SELECT sum(balance) FROM account").fetchone()[0], 50_000)
        for name, last in seen.items():
            found = [row[0] for row in database.execute(
                "SELECT number FROM move WHERE name = ? AND number >= ? ORDER BY number",
                (name, turn * 100_000))]
            self.assertEqual(found, list(range(turn * 100_000, turn * 100_000 + len(found))))
            self.assertIn(found[-1], (last, last + 1), "a committed transaction is lost, or one more "
                          "is there than were begun")
        database.close()

    def test_sqlite_loses_no_commit_when_it_is_killed(self):
        for mode in ("delete", "truncate", "persist", "wal"):
            with self.subTest(mode=mode):
                path = self.path(f"{mode}.db")
                database = sqlite3.connect(path)
                self.assertEqual(
                    database.execute(f"PRAGMA journal_mode={mode}").fetchone()[0], mode)
                with database:
                    database.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)")
                    database.executemany("INSERT INTO account VALUES (?, 1000)",
                                         [(i,) for i in range(50)])
                    database.execute("CREATE TABLE move (name TEXT, number INTEGER, data BLOB)")
                database.close()
                for turn in range(10 if harness.is_long() else 2):
                    self.check(path, self.run_and_kill(path, mode, turn), turn)


class PostgresTest(harness.FileSystemTest):
    SCALE = 1

    @classmethod
    def setUpClass(cls):
        if postgres.programs_folder() is None:
            raise unittest.SkipTest("PostgreSQL is not installed (tests/packages.txt)")
        super().setUpClass()

    def start_new_server(self):
        os.chmod(scratch.root(), 0o711)  # the database's user passes through
        sockets = tempfile.mkdtemp(prefix="pg", dir=scratch.root())
        self.addCleanup(shutil.rmtree, sockets, ignore_errors=True)
        server = postgres.Postgres(self.path("data"), sockets, scratch.free_base_port())
        self.addCleanup(server.remove)
        os.chmod(self.root, 0o711)
        server.initdb(*([] if harness.is_long() else ["--no-sync"]))  # a thousand files
        server.start()
        return server

    def inserter(self, server):
        """A client that commits rows, one transaction each, and prints the number after each."""
        script = "".join(f"BEGIN;INSERT INTO kept VALUES ({i}, repeat(md5('{i}'), {i % 90}));COMMIT;\n"
                         f"\\echo {i}\n" for i in range(100_000))
        source = os.path.join(self.local, "script.sql")
        with open(source, "w") as file:
            file.write(script)
        with open(source) as file:
            process = subprocess.Popen(server.command("stdbuf", "-oL", "psql", "-Xq"), cwd="/",
                                       env=server.env, stdin=file, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def committed_until_killed(self, server, enough):
        """Kills the server amid commits and the load of pgbench; the numbers that were committed."""
        load = subprocess.Popen(server.command("pgbench", "-n", "-c", "2", "-T", "600"), cwd="/",
                                env=server.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        server.sql("TRUNCATE kept")
        process = self.inserter(server)
        seen = [int(process.stdout.readline()) for _ in range(enough)]
        server.kill()
        seen += [int(line) for line in process.stdout]
        process.wait()
        load.wait()
        return seen

    def test_postgresql_loses_no_commit_when_it_is_killed(self):
        server = self.start_new_server()
        server.run("pgbench", "-i", "-q", "-s", str(20 if harness.is_long() else self.SCALE))
        server.run("pgbench", "-n", "-c", "2", "-t", "2000" if harness.is_long() else "50")
        server.sql("CREATE TABLE kept (number int PRIMARY KEY, text text)")
        for _ in range(5 if harness.is_long() else 1):
            seen = self.committed_until_killed(server, 100)
            server.start()
            found = [int(line) for line in server.sql(
                "SELECT number FROM kept WHERE text = repeat(md5(number::text), number % 90) "
                "ORDER BY number").split()]
            self.assertEqual(found[:len(seen)], seen, "committed rows are lost")
            self.assertLessEqual(len(found), len(seen) + 1)
            sums = server.sql(
                "SELECT sum(abalance) FROM pgbench_accounts; SELECT sum(bbalance) FROM pgbench_branches;"
                "SELECT sum(tbalance) FROM pgbench_tellers; SELECT sum(delta) FROM pgbench_history;")
            self.assertEqual(len(set(sums.split())), 1, f"the sums differ: {sums.split()}")
        server.sql("CREATE EXTENSION amcheck; SELECT bt_index_check(c.oid, true) FROM pg_index i "
                   "JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam "
                   "WHERE a.amname = 'btree' AND c.relpersistence = 'p' AND i.indisvalid;")
        server.stop()
        self.assertIn("Bad checksums:  0", server.run("pg_checksums", "--check", "-D", server.data))
