"""Locks of the three kinds, and other processes that take them: for the cases of locks."""

import errno
import fcntl
import os
import select
import signal
import struct
import time

from checks import name_of
from suite import Failure

SHARED, EXCLUSIVE, NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
BUSY = (errno.EAGAIN, errno.EACCES)
# The numbers of fcntl and flock, as /proc shows them: on x86-64, elsewhere.
LOCK_CALLS = ("72", "73") if os.uname().machine == "x86_64" else ("25", "32")


def record(fd, command, kind, start=0, length=0, whence=os.SEEK_SET):
    raw = struct.pack("hhqqi4x", kind, whence, start, length, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, raw))


def posix_lock(fd, kind, start=0, length=0, wait=False, whence=os.SEEK_SET):
    record(fd, fcntl.F_SETLKW if wait else fcntl.F_SETLK, kind, start, length, whence)


def ofd_lock(fd, kind, start=0, length=0, wait=False):
    record(fd, OFD_SETLKW if wait else OFD_SETLK, kind, start, length)


def whole_lock(fd, kind, start=0, length=0, wait=False):
    flags = {SHARED: fcntl.LOCK_SH, EXCLUSIVE: fcntl.LOCK_EX, NONE: fcntl.LOCK_UN}[kind]
    fcntl.flock(fd, flags | (0 if wait else fcntl.LOCK_NB))


LOCKS = {"fcntl": posix_lock, "ofd": ofd_lock, "flock": whole_lock}
CITE = "fcntl(2) Advisory record locking; POSIX fcntl(); flock(2)"


def opened(path="f"):
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


class Other:
    """A process that calls one function, answers, and keeps what it holds until it is ended."""

    def __init__(self):
        self._commands, self._answers = os.pipe(), os.pipe()
        self.pid = None

    def begin(self, function):
        """Starts it; answer() gives 'ok', the name of an errno, or what the function returned."""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                answer = function() or "ok"
            except OSError as error:
                answer = name_of(error.errno)
            except BaseException as error:
                answer = repr(error)
            os.write(self._answers[1], answer.encode() + b"\n")
            os.read(self._commands[0], 1)  # holds what it has until it is told to end
            os._exit(0)
        return self

    def answer(self, within_s=10):
        """None when there is none in time."""
        if not select.select([self._answers[0]], [], [], within_s)[0]:
            return None
        return os.read(self._answers[0], 1000).decode().strip()

    def waits(self):
        """Fails when it answers instead of waiting. It sleeps in its call when this returns."""
        deadline = time.monotonic() + 10
        while True:
            answer = self.answer(0.05)
            if answer is not None:
                raise Failure(f"it did not wait: {answer}")
            with open(f"/proc/{self.pid}/stat") as stat, open(f"/proc/{self.pid}/syscall") as call:
                asleep = stat.read().rsplit(")", 1)[1].split()[0] in "SD"
                if asleep and call.read().split()[0] in LOCK_CALLS:
                    break
            if time.monotonic() > deadline:
                raise Failure("it never came to its wait")
        answer = self.answer(0.1)
        if answer is not None:
            raise Failure(f"it did not wait: {answer}")

    def end(self):
        os.write(self._commands[1], b"x")
        os.waitpid(self.pid, 0)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)


def other(function):
    return Other().begin(function)


def asked(function):
    """What another process is answered; it ends again."""
    process = other(function)
    answer = process.answer()
    process.end()
    return answer


def is_free(lock, kind=EXCLUSIVE, start=0, length=0):
    """Whether another process could have the lock."""
    answer = asked(lambda: lock(opened(), kind, start, length))
    if answer not in ("ok", "EAGAIN", "EACCES"):
        raise Failure(f"the lock is neither given nor refused: {answer}")
    return answer == "ok"


NAMES = {"shared": SHARED, "exclusive": EXCLUSIVE}
