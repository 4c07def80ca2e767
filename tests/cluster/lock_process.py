"""A process that takes locks on command: each of its calls runs there, so its end is a real one."""

import errno
import fcntl
import os
import signal
import struct

from other_process import OtherProcess

OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
SHARED, EXCLUSIVE, NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
KINDS = ("fcntl", "ofd", "flock")
_FLOCK = {SHARED: fcntl.LOCK_SH, EXCLUSIVE: fcntl.LOCK_EX, NONE: fcntl.LOCK_UN}

_fds = {}  # of this process, by the name that the test gave


def _record(fd, command, how, start, length):
    wanted = struct.pack("hhqqi", how, os.SEEK_SET, start, length, 0)
    return struct.unpack("hhqqi", fcntl.fcntl(fd, command, wanted))


def take(fd, kind, how, start=0, length=0, wait=False):
    if kind == "flock":
        fcntl.flock(fd, _FLOCK[how] | (0 if wait else fcntl.LOCK_NB))
        return
    commands = {("fcntl", False): fcntl.F_SETLK, ("fcntl", True): fcntl.F_SETLKW,
                ("ofd", False): OFD_SETLK, ("ofd", True): OFD_SETLKW}
    _record(fd, commands[kind, wait], how, start, length)


def _answer(function, *arguments):
    try:
        function(*arguments)
        return "ok"
    except OSError as error:
        known = {errno.EAGAIN: "busy", errno.EACCES: "busy", errno.EDEADLK: "EDEADLK"}
        return known.get(error.errno, errno.errorcode[error.errno])


def _open(name, path):
    _fds[name] = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _close(name):
    os.close(_fds.pop(name))


def _dup(name, copy):
    _fds[copy] = os.dup(_fds[name])


def _lock(name, kind, how, start, length, wait):
    return _answer(take, _fds[name], kind, how, start, length, wait)


def _getlk(name, how, start, length):
    return _record(_fds[name], fcntl.F_GETLK, how, start, length)


def _raise_on(number):
    def interrupt(*_):
        raise InterruptedError(errno.EINTR, "interrupted")
    signal.signal(number, interrupt)


def _note_on(number):
    signal.signal(number, lambda *_: None)  # Python calls again, as SA_RESTART would


class LockProcess(OtherProcess):
    """`path` is opened as "f"; more names may be opened."""

    def __init__(self, path):
        super().__init__()
        self.call(_open, "f", path)

    @property
    def pid(self):
        return self.process.pid

    def open(self, name, path):
        self.call(_open, name, path)

    def close(self, name="f"):
        self.call(_close, name)

    def dup(self, name, copy):
        self.call(_dup, name, copy)

    def lock(self, kind, how=EXCLUSIVE, start=0, length=0, name="f"):
        return self.call(_lock, name, kind, how, start, length, False)

    def unlock(self, kind, start=0, length=0, name="f"):
        return self.lock(kind, NONE, start, length, name)

    def wait(self, kind, how=EXCLUSIVE, start=0, length=0, name="f"):
        """Returns when the process sleeps in its wait, or has its answer already."""
        self.start(_lock, name, kind, how, start, length, True)

    def getlk(self, how, start=0, length=0, name="f"):
        return self.call(_getlk, name, how, start, length)

    def raise_on(self, number):
        self.call(_raise_on, number)

    def note_on(self, number):
        self.call(_note_on, number)

    def stop(self):
        if self.process.exitcode is None:
            self.kill()
        self.pipe.close()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.process.join(10)
        assert self.process.exitcode is not None, "the process cannot be killed"
