"""Runs cases, each in a process and a directory of its own, and counts."""

import json
import os
import select
import shutil
import signal
import tempfile
import time
import traceback
from typing import NamedTuple

import features
from suite import Failure, Skipped

LIMIT_S = 30  # a case that takes longer hangs


class Result(NamedTuple):
    case: object
    outcome: str  # ok, FAIL, skip, known (failed as listed), fixed (listed, but passed)
    why: str
    seconds: float

    def line(self):
        if self.outcome == "ok":
            return f"ok    {self.case.name}"
        cite = "" if self.outcome == "skip" else f"  [{self.case.cite}]"
        return f"{self.outcome:<5} {self.case.name}: {self.why}{cite}"

    def facts(self):
        return {"name": self.case.name, "cite": self.case.cite, "outcome": self.outcome,
                "why": self.why, "seconds": round(self.seconds, 4)}


class Counts:
    def __init__(self, results, known, whole):
        number = {outcome: sum(result.outcome == outcome for result in results)
                  for outcome in ("ok", "FAIL", "skip", "known", "fixed")}
        names = [result.case.name for result in results]
        self.lost = [] if not whole else sorted(  # listed, but no such case
            listed for listed in known if not any(matches(listed, name) for name in names))
        self.passed, self.skipped, self.known = number["ok"], number["skip"], number["known"]
        self.failed = number["FAIL"] + number["fixed"] + len(self.lost)

    def facts(self):
        return {"passed": self.passed, "failed": self.failed, "skipped": self.skipped,
                "known": self.known, "lost": self.lost}

    def lines(self):
        lines = [f"FAIL  {name}: is listed as a known failure, but there is no such case"
                 for name in self.lost]
        known = f", {self.known} known failures" if self.known else ""
        return lines + [f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped{known}"]


def matches(listed, name):
    """A name in the list that ends with * stands for every case that begins so."""
    return name.startswith(listed[:-1]) if listed.endswith("*") else name == listed


def read_known(path):
    """{case: reason} of a file with lines 'CASE: REASON'; # begins a comment line."""
    known = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            name, colon, reason = line.partition(": ")
            if not colon or not reason.strip():
                raise SystemExit(f"{path}: no reason given: {line}")
            known[name] = reason.strip()
    return known


class Runner:
    def __init__(self, directory, known, strict):
        self._directory, self._known, self._strict = directory, known, strict
        self._missing = {}  # feature -> why, or None

    def __enter__(self):
        self._base = tempfile.mkdtemp(prefix="posix-", dir=self._directory)
        os.chmod(self._base, 0o755)
        return self

    def __exit__(self, *exception):
        remove(self._base)

    def run(self, case):
        started = time.monotonic()
        outcome, why = self._try(case)
        reason = next((r for listed, r in self._known.items() if matches(listed, case.name)), None)
        if reason:
            if outcome == "FAIL":
                outcome, why = "known", f"{reason} ({why})"
            elif outcome == "ok":
                outcome, why = "fixed", "is listed as a known failure, but passes"
        return Result(case, outcome, why, time.monotonic() - started)

    def _try(self, case):
        for feature in case.needs:
            why = self._feature(feature)
            if why:
                return ("FAIL" if self._strict else "skip"), why
        here = os.path.join(self._base, "case")
        os.mkdir(here, 0o755)
        try:
            return in_child(here, case.function, case.arguments)
        finally:
            remove(here)

    def _feature(self, feature):
        if feature not in self._missing:
            here = tempfile.mkdtemp(prefix="probe-", dir=self._base)
            outcome, why = in_child(here, self._probe, (feature,))
            self._missing[feature] = None if outcome == "ok" else why
            remove(here)
        return self._missing[feature]

    @staticmethod
    def _probe(feature):
        why = features.missing(feature)
        if why:
            raise Skipped(why)


def in_child(here, function, arguments):
    """(outcome, why) of the function, called in `here` by a process of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setsid()
        os.write(writer, json.dumps(judged(here, function, arguments)).encode())
        os._exit(0)
    os.close(writer)
    pidfd = os.pidfd_open(pid)
    ended = select.select([pidfd], [], [], LIMIT_S)[0]
    end_group(pid)
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    os.set_blocking(reader, False)
    try:
        message = os.read(reader, 1 << 16)
    except BlockingIOError:
        message = b""
    os.close(reader)
    if not ended:
        return "FAIL", f"hung: not done after {LIMIT_S} s"
    if not message:
        return "FAIL", f"its process died ({signal.strsignal(status & 127)})"
    return tuple(json.loads(message))


def judged(here, function, arguments):
    try:
        os.chdir(here)
        os.umask(0)
        function(*arguments)
        return "ok", ""
    except Skipped as reason:
        return "skip", str(reason)
    except Failure as failure:
        return "FAIL", str(failure)
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(frame.filename)}:{frame.lineno}"
        return "FAIL", f"{type(error).__name__}: {error} ({where})"


def end_group(pid):
    """Ends what the case started and left behind."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def remove(path):
    """rm -rf, also of what cases made unreadable; root needs no permission."""
    for _ in range(3):
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            return
        time.sleep(0.1)
    shutil.rmtree(path)
