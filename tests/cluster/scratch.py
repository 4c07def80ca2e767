"""What a test leaves on the machine, and how all of it goes away again.

Every run works below one directory (`root()`); everything a test starts names that directory on its
command line, and every mount lies below it. So one rule cleans up after success, failure, a signal
and even `kill -9` of the run: unmount what is mounted below, end what names it, remove it. A small
process of its own (the reaper) waits for the run to end and applies the rule once more.
"""

import atexit
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import time

PORTS_PER_BLOCK = 40
FIRST_PORT = 20000
BLOCKS = 250

_root = None
_locks = []


def root():
    """The directory of this run, made on first use. The tests' clusters lie below it."""
    global _root
    if _root is None:
        base = os.environ.get("PENSTOCK_TEST_DIR", "/var/tmp")
        _root = tempfile.mkdtemp(prefix="penstock-test-", dir=base)
        _start_reaper(_root)
        atexit.register(lambda: clean(_root))
    return _root


def mounts_below(path):
    """Mount points at or below `path`, the deepest first."""
    found = []
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            mountpoint = line.split()[1].encode().decode("unicode_escape")
            if mountpoint == path or mountpoint.startswith(path.rstrip("/") + "/"):
                found.append(mountpoint)
    return sorted(found, key=len, reverse=True)


def processes_naming(path):
    """Processes (pid, argv) whose command line names `path` or something below it."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) in (os.getpid(), os.getppid()):
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                argv = file.read().decode(errors="replace").rstrip("\0").split("\0")
        except OSError:
            continue
        if any(path == arg or path + "/" in arg or arg.endswith("=" + path) for arg in argv):
            found.append((int(entry), argv))
    return found


def unmount(mountpoint):
    """Unmounts even what hangs: lazily, as root through umount, else through fusermount3."""
    for command in (["umount", "-l", mountpoint], ["fusermount3", "-u", "-z", mountpoint]):
        pid = os.fork()
        if pid == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            try:
                os.execvp(command[0], command)
            except OSError:
                os._exit(127)
        if os.waitpid(pid, 0)[1] == 0:
            return


def clean(path):
    """Applies the rule to `path`. Safe to repeat."""
    if not path or not os.path.isdir(path):
        return
    for pid, argv in processes_naming(path):
        if "penstock" not in os.path.basename(argv[0]):
            _kill(pid)
    for mountpoint in mounts_below(path):
        unmount(mountpoint)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = processes_naming(path)
        if not left:
            break
        for pid, _ in left:
            _kill(pid)
        time.sleep(0.05)
    if not mounts_below(path):
        shutil.rmtree(path, ignore_errors=True)


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def _start_reaper(path):
    """A process that outlives this one by the moment it takes to clean up."""
    read_end, write_end = os.pipe()  # close-on-exec: only this process holds the write end
    if os.fork() != 0:
        os.close(read_end)
        return
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
        clean(path)
    finally:
        os._exit(0)


def free_base_port():
    """The first port of a block that no other test run holds and nobody listens on."""
    os.makedirs("/tmp/penstock-test-ports", exist_ok=True)
    start = os.getpid() % BLOCKS
    for i in range(BLOCKS):
        block = (start + i) % BLOCKS
        handle = open(f"/tmp/penstock-test-ports/{block}", "w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            continue
        base = FIRST_PORT + block * PORTS_PER_BLOCK
        if all(_is_free(base + offset) for offset in range(PORTS_PER_BLOCK)):
            _locks.append(handle)  # held until this process ends
            return base
        handle.close()
    raise RuntimeError("no free block of ports between 20000 and 30000")


def _is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def end_with_parent():
    """Ends this run, cleaned up, on a signal and when the process that started it dies.

    Not by an exception: unittest would take that for the failure of one test and go on.
    """
    import ctypes
    run = os.getpid()

    def end(number, frame):
        if os.getpid() == run:  # a forked child has inherited the handler, not the duty
            clean(_root)
        os._exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
