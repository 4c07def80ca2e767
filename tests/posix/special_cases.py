"""stat in all its forms, FIFOs, sockets, devices, and notices of change."""

import ctypes
import errno
import os
import socket
import stat
import struct

import syscalls
from checks import KINDS, bind_socket, create, equal, exists, fails, links, make, true
from people import OTHER, acting
from suite import rule

TYPE = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "symlink": stat.S_IFLNK, "dangling": stat.S_IFLNK, "fifo": stat.S_IFIFO,
        "socket": stat.S_IFSOCK, "device": stat.S_IFCHR}


# --- stat ------------------------------------------------------------------------------------------
@rule("POSIX lstat()", [(kind, kind) for kind in KINDS])
def lstat_tells_the_kind(kind):
    make(kind, "f")
    equal(stat.S_IFMT(os.lstat("f").st_mode), TYPE[kind], "kind")


@rule("statx(2)", [(kind, kind) for kind in KINDS])
def statx_and_lstat_agree(kind):
    make(kind, "f")
    info, more = os.lstat("f"), syscalls.statx("f", flags=0x100)
    equal({name: more[name] for name in ("mode", "ino", "size", "nlink", "uid", "gid", "blocks")},
          {name: getattr(info, "st_" + name) for name in ("mode", "ino", "size", "nlink", "uid", "gid", "blocks")}, "facts")
    equal(more["mask"] & syscalls.STATX_BASIC, syscalls.STATX_BASIC, "mask")


@rule("POSIX fstat()", [("file", "file", os.O_RDONLY), ("wronly", "file", os.O_WRONLY), ("directory", "directory", os.O_RDONLY),
                        ("fifo", "fifo", os.O_RDWR), ("path", "file", os.O_PATH)])
def fstat_and_stat_agree(kind, flags):
    make(kind, "f")
    by_path, by_fd = os.stat("f"), os.fstat(os.open("f", flags))
    for name in ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_mtime_ns", "st_ctime_ns", "st_blksize"):
        equal(getattr(by_fd, name), getattr(by_path, name), name)


@rule("POSIX fstatat()", [("nofollow", False, stat.S_IFLNK), ("follow", True, stat.S_IFREG)])
def fstatat_follows_or_not(follow, kind):
    os.mkdir("d")
    create("d/f")
    os.symlink("f", "d/l")
    info = os.stat("l", dir_fd=os.open("d", os.O_RDONLY), follow_symlinks=follow)
    equal(stat.S_IFMT(info.st_mode), kind, "kind")


@rule("POSIX stat(): st_size", [(f"{length}", length) for length in (0, 1, 4096, 4097, 1 << 20, (4 << 20) + 1)])
def the_size_is_right_while_and_after_writing(length):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(length))
    equal((os.fstat(fd).st_size, os.stat("f").st_size), (length, length), "sizes while it is open")
    os.close(fd)
    equal(os.stat("f").st_size, length, "size after close")


@rule("POSIX stat(): st_blksize")
def the_best_size_of_a_transfer_is_told():
    create("f")
    true(os.stat("f").st_blksize >= 512, "st_blksize is too small")


@rule("POSIX stat(): it needs no permission of the file", [(kind, kind) for kind in ("file", "directory", "fifo", "symlink")])
def stat_needs_no_permission_of_the_file(kind):
    make(kind, "f")
    if kind != "symlink":
        os.chmod("f", 0)
    with acting(OTHER):
        os.lstat("f")


# --- FIFOs -----------------------------------------------------------------------------------------
@rule("POSIX mkfifo(), open(), read(), write()")
def bytes_go_through_a_fifo():
    os.mkfifo("p")
    pid = os.fork()
    if pid == 0:
        os.write(os.open("p", os.O_WRONLY), b"through")
        os._exit(0)
    fd = os.open("p", os.O_RDONLY)
    equal((os.read(fd, 99), os.read(fd, 99)), (b"through", b""), "bytes, then the end")
    os.waitpid(pid, 0)
    equal(os.stat("p").st_size, 0, "size")


@rule("POSIX open(): O_NONBLOCK and FIFOs", [("write-without-reader", os.O_WRONLY, errno.ENXIO), ("read", os.O_RDONLY, 0), ("both", os.O_RDWR, 0)])
def a_fifo_is_opened_without_waiting(flags, number):
    os.mkfifo("p")
    if number:
        fails(number, os.open, "p", flags | os.O_NONBLOCK)
    else:
        os.open("p", flags | os.O_NONBLOCK)


@rule("POSIX link(), rename(): a FIFO is its inode", [("link", lambda: os.link("p", "q")), ("rename", lambda: os.rename("p", "q"))])
def a_fifo_is_the_same_under_another_name(change):
    os.mkfifo("p")
    fd = os.open("p", os.O_RDWR)
    change()
    os.write(os.open("q", os.O_WRONLY), b"abc")
    equal(os.read(fd, 9), b"abc", "bytes")


@rule("POSIX open() ERRORS [EACCES]", [("read", os.O_RDONLY), ("write", os.O_WRONLY)])
def a_fifo_has_permissions(flags):
    os.mkfifo("p", 0o600)
    with acting(OTHER):
        fails(errno.EACCES, os.open, "p", flags | os.O_NONBLOCK)


# --- sockets -----------------------------------------------------------------------------------------
@rule("unix(7)")
def a_socket_is_bound_and_connected():
    listener = bind_socket("s")
    listener.listen(1)
    client = socket.socket(socket.AF_UNIX)
    client.connect("s")
    server, _ = listener.accept()
    client.send(b"abc")
    equal(server.recv(9), b"abc", "bytes")


@rule("unix(7) ERRORS EADDRINUSE", [(kind, kind) for kind in ("file", "socket", "directory", "dangling")])
def a_socket_is_bound_to_a_new_name_only(kind):
    make(kind, "s")
    fails(errno.EADDRINUSE, bind_socket, "s")


@rule("unix(7) ERRORS ECONNREFUSED", [("nobody", "socket", errno.ECONNREFUSED), ("file", "file", errno.ECONNREFUSED), ("absent", "absent", errno.ENOENT)])
def connecting_to_nobody_is_refused(kind, number):
    make(kind, "s")
    fails(number, socket.socket(socket.AF_UNIX).connect, "s")


@rule("unix(7): connecting needs write permission")
def a_socket_has_permissions():
    listener = bind_socket("s")
    listener.listen(1)
    os.chmod("s", 0o644)
    with acting(OTHER):
        fails(errno.EACCES, socket.socket(socket.AF_UNIX).connect, "s")
    os.chmod("s", 0o666)
    with acting(OTHER):
        socket.socket(socket.AF_UNIX).connect("s")


@rule("unix(7): renaming keeps the socket")
def a_renamed_socket_is_still_connected_to():
    listener = bind_socket("s")
    listener.listen(1)
    os.rename("s", "t")
    socket.socket(socket.AF_UNIX).connect("t")


@rule("POSIX open() ERRORS [ENXIO]", [("read", os.O_RDONLY), ("write", os.O_WRONLY), ("both", os.O_RDWR)])
def a_socket_is_not_opened(flags):
    make("socket", "s")
    fails((errno.ENXIO, errno.EOPNOTSUPP), os.open, "s", flags)


# --- devices -----------------------------------------------------------------------------------------
@rule("null(4)", [("null", 3, b""), ("zero", 5, b"\0\0\0")], needs=("devices",))
def a_device_node_reaches_its_device(minor, expected):
    os.mknod("n", stat.S_IFCHR | 0o666, os.makedev(1, minor))
    fd = os.open("n", os.O_RDWR)
    equal((os.read(fd, 3), os.write(fd, b"abc")), (expected, 3), "bytes read and written")
    equal(os.lstat("n").st_size, 0, "size")


@rule("POSIX open() ERRORS [ENXIO]; open(2) ENXIO, ENODEV", needs=("devices",))
def a_device_that_is_not_there_is_not_opened():
    os.mknod("n", stat.S_IFCHR | 0o666, os.makedev(4000, 77))
    fails((errno.ENXIO, errno.ENODEV), os.open, "n", os.O_RDONLY)


@rule("POSIX link(), unlink(): special files have links", [(kind, kind) for kind in ("fifo", "socket", "device")])
def special_files_count_their_links(kind):
    make(kind, "f")
    os.link("f", "g")
    os.unlink("f")
    equal((exists("f"), links("g"), stat.S_IFMT(os.lstat("g").st_mode)), (False, 1, TYPE[kind]), "name, links, kind")


# --- inotify -----------------------------------------------------------------------------------------
EVENTS = {"create": (0x100, lambda: create("d/new")), "delete": (0x200, lambda: os.unlink("d/f")), "moved-from": (0x40, lambda: os.rename("d/f", "out")),
          "moved-to": (0x80, lambda: os.rename("in", "d/in")), "modify": (0x2, lambda: os.write(os.open("d/f", os.O_WRONLY), b"x")),
          "attrib": (0x4, lambda: os.chmod("d/f", 0o600)), "mkdir": (0x40000100, lambda: os.mkdir("d/sub")),
          "close-write": (0x8, lambda: os.close(os.open("d/f", os.O_WRONLY)))}


@rule("inotify(7)", [(name, *EVENTS[name]) for name in EVENTS])
def a_change_made_here_is_noticed(mask, change):
    libc = ctypes.CDLL(None, use_errno=True)
    os.mkdir("d")
    create("d/f")
    create("in")
    fd = libc.inotify_init1(os.O_NONBLOCK)
    true(libc.inotify_add_watch(fd, b"d", 0xfff) >= 0, "the directory cannot be watched")
    change()
    raw, at, seen = os.read(fd, 4096), 0, []
    while at < len(raw):
        _, event, _, length = struct.unpack_from("iIII", raw, at)
        seen.append(event)
        at += 16 + length
    true(mask in seen, f"the events were {[hex(event) for event in seen]}")
