"""A PostgreSQL server (Debian's) with its data in a given directory, and clients of it."""

import glob
import os
import pwd
import signal
import subprocess

from cluster_under_test import wait_for
from program_group import kill_with_descendants


def programs_folder():
    """Of the newest PostgreSQL that Debian has put here; None without one."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    return folders[-1] if folders else None


class Postgres:
    """`sockets` is a short local path (a socket's name has 107 bytes), owned by the same user."""

    def __init__(self, data, sockets, port):
        self.data, self.sockets, self.port = data, sockets, port
        self.server = None
        self.user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.env = {"PATH": f"{programs_folder()}:/usr/bin:/bin", "LC_ALL": "C.UTF-8",
                    "PGHOST": sockets, "PGPORT": str(port), "PGUSER": "tester",
                    "PGDATABASE": "postgres", "HOME": sockets}

    def command(self, *words):
        """As its user: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return list(words)
        return ["setpriv", f"--reuid={self.user}", "--regid=nogroup", "--clear-groups", *words]

    def run(self, *words, check=True, timeout_s=120, text=None):
        result = subprocess.run(self.command(*words), cwd="/", env=self.env, input=text,
                                stdin=None if text is not None else subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s)
        if check and result.returncode != 0:
            raise AssertionError(f"{' '.join(words)} gave {result.returncode}\n"
                                 f"{result.stdout[-3000:]}{self.log_tail()}")
        return result.stdout

    def own(self, folder):
        os.makedirs(folder, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(self.user).pw_uid, pwd.getpwnam(self.user).pw_gid)

    def initdb(self, *more):
        self.own(self.sockets)
        self.own(self.data)
        self.run("initdb", "-D", self.data, "-U", "tester", "-A", "trust", "-k", "--no-instructions",
                 "--wal-segsize=1", *more, timeout_s=300)

    def start(self):
        with open(self.log(), "ab") as log:
            self.server = subprocess.Popen(
                self.command("postgres", "-D", self.data, "-k", self.sockets, "-p", str(self.port),
                             "-c", "listen_addresses="),
                cwd="/", env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        wait_for(self.answers, 60, f"PostgreSQL to answer\n{self.log_tail()}", every_s=0.2)

    def answers(self):
        if self.server.poll() is not None:
            raise AssertionError(f"postgres ended with {self.server.returncode}{self.log_tail()}")
        return subprocess.run(self.command("pg_isready", "-q"), env=self.env).returncode == 0

    def kill(self):
        """kill -9 of the postmaster and all its processes at once."""
        victims = kill_with_descendants(self.server.pid)
        self.server.wait()
        self.server = None
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in victims), 30,
                 "the end of PostgreSQL's processes")

    def stop(self):
        """In order (a fast shutdown)."""
        self.server.send_signal(signal.SIGINT)
        code = self.server.wait(60)
        self.server = None
        if code != 0:
            raise AssertionError(f"postgres ended with {code}{self.log_tail()}")

    def remove(self):
        """What is still running after a failed test."""
        if self.server is not None:
            self.kill()

    def sql(self, text):
        return self.run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", text=text).strip()

    def log(self):
        return self.sockets + ".log"

    def log_tail(self):
        if not os.path.exists(self.log()):
            return ""
        with open(self.log(), errors="replace") as file:
            return "\nPostgreSQL's log ends:\n" + "".join(file.readlines()[-20:])
