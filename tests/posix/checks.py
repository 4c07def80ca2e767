"""What cases say: an expectation that fails with a sentence, and the files that they start from."""

import errno
import os
import socket
import stat
import time

from suite import Failure, Skipped

LONG_NAME = "n" * 255
TICK_S = 0.02  # longer than the kernel's clock tick, which is the grain of time stamps

KINDS = ("file", "directory", "symlink", "dangling", "fifo", "socket", "device")


def name_of(number):
    return errno.errorcode.get(number, str(number))


def fails(numbers, function, *arguments, **named):
    """The call must fail with (one of) the errno."""
    wanted = numbers if isinstance(numbers, tuple) else (numbers,)
    words = " or ".join(name_of(number) for number in wanted)
    try:
        result = function(*arguments, **named)
    except OSError as error:
        if error.errno not in wanted:
            raise Failure(f"{call(function, arguments)}: {name_of(error.errno)} instead of {words}") \
                from None
        return
    raise Failure(f"{call(function, arguments)} succeeded ({result!r:.60}) instead of {words}")


def call(function, arguments):
    words = ", ".join(f"{argument!r:.40}" for argument in arguments if not callable(argument))
    return f"{getattr(function, '__name__', 'call')}({words})"


def equal(actual, expected, what="value"):
    if actual != expected:
        raise Failure(f"{what}: {actual!r:.200} instead of {expected!r:.200}")


def true(condition, what):
    if not condition:
        raise Failure(what)


def skip(reason):
    raise Skipped(reason)


# --- files to start from ---------------------------------------------------------------------------
def create(path, data=b"", mode=0o644):
    """A new regular file with exactly these bytes and this mode."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(fd, data)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)
    return path


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.readall()


def make(kind, path):
    """A name of one of KINDS, 'full' (a directory with an entry) or 'absent'."""
    if kind == "file":
        create(path, b"content of " + path.encode())
    elif kind in ("directory", "empty"):
        os.mkdir(path, 0o755)
    elif kind == "full":
        os.mkdir(path, 0o755)
        create(os.path.join(path, "entry"))
    elif kind == "symlink":
        create(path + ".target", b"target of " + path.encode())
        os.symlink(os.path.basename(path) + ".target", path)
    elif kind == "dirlink":
        os.mkdir(path + ".target", 0o755)
        os.symlink(os.path.basename(path) + ".target", path)
    elif kind == "dangling":
        os.symlink(os.path.basename(path) + ".nowhere", path)
    elif kind == "loop":
        os.symlink(os.path.basename(path), path)
    elif kind == "fifo":
        os.mkfifo(path, 0o644)
    elif kind == "socket":
        bind_socket(path).close()
    elif kind == "device":
        os.mknod(path, 0o644 | stat.S_IFCHR, os.makedev(1, 3))
    elif kind != "absent":
        raise ValueError(kind)
    return path


def bind_socket(path):
    """A socket bound to a name in a directory whose full path may be too long for an address."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(os.path.dirname(path) or ".")
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.basename(path))
    finally:
        os.fchdir(here)
        os.close(here)
    return listener


# --- facts ---------------------------------------------------------------------------------------
def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def inode(path):
    return os.lstat(path).st_ino


def links(path):
    return os.lstat(path).st_nlink


def size(path):
    return os.lstat(path).st_size


def exists(path):
    return os.path.lexists(path)


def identity(path):
    """What stays when a name moves: inode and kind."""
    info = os.lstat(path)
    return info.st_ino, stat.S_IFMT(info.st_mode)


def counts_subdirectories():
    """Whether st_nlink of directories counts their subdirectories (btrfs and others say 1)."""
    if os.stat(".").st_nlink < 2:
        skip("this file system does not count subdirectories in st_nlink")


def setting(name, wanted="1"):
    """Skips unless a sysctl has the value."""
    path = f"/proc/sys/{name}"
    if not os.path.exists(path) or open(path).read().strip() != wanted:
        skip(f"{name} is not {wanted}")


def tick():
    """Lets the clock of time stamps go on."""
    time.sleep(TICK_S)
