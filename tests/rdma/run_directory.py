"""A directory of one run, which goes away with it, however the run ends."""

import contextlib
import os
import shutil
import signal
import tempfile

PARENT = "/var/tmp"  # on the root file system, which the guest sees


@contextlib.contextmanager
def run_directory():
    path = tempfile.mkdtemp(prefix="penstock-rdma-vm-run-", dir=PARENT)
    try:
        reaper = _start_reaper(path)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
    os.close(reaper)


def _start_reaper(path):
    """A process that waits for the end of this one, by `kill -9` too, and removes the directory."""
    read_end, write_end = os.pipe()  # close-on-exec: only this process holds the write end
    if os.fork() != 0:
        os.close(read_end)
        return write_end
    os.setsid()
    os.close(write_end)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    try:
        while os.read(read_end, 1):
            pass
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os._exit(0)
