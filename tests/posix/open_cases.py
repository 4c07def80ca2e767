"""open() with its flags on every kind of name, and what the descriptor then may do."""

import errno
import os
import resource
import signal

import syscalls
from checks import create, equal, exists, fails, make, mode, read, size, skip, true, write_all
from people import OTHER, OWNER, acting, give
from suite import rule

ACCESS = {"rdonly": os.O_RDONLY, "wronly": os.O_WRONLY, "rdwr": os.O_RDWR}
FLAGS = {
    "plain": 0, "creat": os.O_CREAT, "excl": os.O_CREAT | os.O_EXCL, "trunc": os.O_TRUNC,
    "creat-trunc": os.O_CREAT | os.O_TRUNC, "excl-trunc": os.O_CREAT | os.O_EXCL | os.O_TRUNC,
    "append": os.O_APPEND, "directory": os.O_DIRECTORY, "nofollow": os.O_NOFOLLOW,
    "creat-nofollow": os.O_CREAT | os.O_NOFOLLOW, "creat-append": os.O_CREAT | os.O_APPEND,
}
THERE = ("absent", "file", "directory", "symlink", "dirlink", "dangling", "loop")


def expected(kind, access, flags):
    """The errno that POSIX and open(2) ask for; 0 when the open succeeds."""
    creates, excludes = flags & os.O_CREAT, flags & os.O_EXCL
    link = kind in ("symlink", "dirlink", "dangling", "loop")
    if kind != "absent" and creates and excludes:
        return errno.EEXIST
    if link and flags & os.O_NOFOLLOW or kind == "loop":
        return errno.ELOOP
    if kind in ("absent", "dangling"):
        return 0 if creates else errno.ENOENT
    if kind in ("directory", "dirlink"):
        return errno.EISDIR if creates or flags & os.O_TRUNC or access != os.O_RDONLY else 0
    return errno.ENOTDIR if flags & os.O_DIRECTORY else 0


@rule("POSIX open()", [(f"{kind}-{access}-{flags}", kind, ACCESS[access], FLAGS[flags])
                       for kind in THERE for access in ACCESS for flags in FLAGS])
def open_does_what_its_flags_say(kind, access, flags):
    make(kind, "f")
    wanted = expected(kind, access, flags)
    real = "f.nowhere" if kind == "dangling" else "f.target" if kind == "symlink" else "f"
    before = exists(real)
    if wanted:
        fails(wanted, os.open, "f", access | flags, 0o640)
        equal(exists(real), before, "whether the name exists")
        return
    fd = os.open("f", access | flags, 0o640)
    if kind in ("absent", "dangling"):
        equal((mode(real), size(real)), (0o640, 0), "mode and size of the new file")
    elif kind in ("file", "symlink"):
        true((size(real) == 0) == bool(flags & os.O_TRUNC), f"the size is {size(real)}")
        equal(mode(real), 0o644, "mode of the old file")
        _check_access(fd, access)


def _check_access(fd, access):
    if access == os.O_RDONLY:
        fails(errno.EBADF, os.write, fd, b"x")
    else:
        equal(os.write(fd, b"x"), 1, "bytes written")
    if access == os.O_WRONLY:
        fails(errno.EBADF, os.read, fd, 1)
    else:
        os.read(fd, 1)


@rule("POSIX open() ERRORS [ENOTDIR], [EISDIR]: trailing slashes",
      [("file-rdonly", "file", os.O_RDONLY, errno.ENOTDIR), ("file-creat", "file", os.O_CREAT, errno.EISDIR),
       ("absent-rdonly", "absent", os.O_RDONLY, errno.ENOENT),
       ("absent-creat", "absent", os.O_CREAT | os.O_WRONLY, errno.EISDIR),
       ("symlink", "symlink", os.O_RDONLY, errno.ENOTDIR), ("directory", "directory", os.O_RDONLY, 0),
       ("dirlink", "dirlink", os.O_RDONLY, 0), ("dirlink-nofollow", "dirlink", os.O_NOFOLLOW, 0),
       ("directory-creat", "directory", os.O_CREAT, errno.EISDIR)])
def a_trailing_slash_asks_for_a_directory(kind, flags, number):
    make(kind, "f")
    if number:
        fails(number, os.open, "f/", flags, 0o644)
    else:
        os.close(os.open("f/", flags))


@rule("POSIX open()", [("dot", "."), ("dot-dot", ".."), ("nested-dot", "d/.")])
def dot_names_are_directories_that_exist(path):
    os.mkdir("d")
    os.close(os.open(path, os.O_RDONLY))
    fails(errno.EISDIR, os.open, path, os.O_RDONLY | os.O_CREAT)
    fails((errno.EEXIST, errno.EISDIR), os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


@rule("POSIX creat()")
def creat_makes_or_empties_and_opens_for_writing():
    for _ in range(2):
        fd = os.open("f", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        equal(size("f"), 0, "size")
        write_all(fd, b"content")
        os.close(fd)


@rule("POSIX openat()", [("name", "f"), ("absolute", None)])
def openat_starts_at_its_directory(path):
    os.mkdir("d")
    create("d/f", b"inner")
    create("f", b"outer")
    directory = os.open("d", os.O_RDONLY)
    fd = os.open(path or os.path.abspath("f"), os.O_RDONLY, dir_fd=directory)
    equal(os.read(fd, 10), b"inner" if path else b"outer", "bytes")


@rule("POSIX openat() ERRORS", [("file", "file", errno.ENOTDIR), ("closed", None, errno.EBADF)])
def openat_needs_a_directory(kind, number):
    create("file")
    fd = os.open("file", os.O_RDONLY)
    if kind is None:
        os.close(fd)
    fails(number, os.open, "f", os.O_RDONLY, dir_fd=fd)


@rule("POSIX openat()")
def openat_works_through_a_directory_that_was_renamed():
    os.mkdir("d")
    create("d/f", b"abc")
    fd = os.open("d", os.O_RDONLY)
    os.rename("d", "e")
    equal(os.read(os.open("f", os.O_RDONLY, dir_fd=fd), 9), b"abc", "bytes")
    os.close(os.open("g", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    true(exists("e/g"), "the new file is not in the renamed directory")


@rule("openat2(2)", [("beneath-dotdot", "../x", 0x08, errno.EXDEV), ("beneath-absolute", "/", 0x08, errno.EXDEV),
                     ("no-symlinks", "l/f", 0x04, errno.ELOOP), ("no-xdev", "/proc", 0x01, errno.EXDEV)])
def openat2_restricts_the_way(path, resolve, number):
    os.mkdir("d")
    create("d/f")
    os.symlink("d", "l")
    fails(number, syscalls.openat2, path, os.O_RDONLY, resolve)
    os.close(syscalls.openat2("d/f", os.O_RDONLY, resolve))


# --- what the descriptor does ----------------------------------------------------------------------
@rule("POSIX open(): the lowest free descriptor")
def the_lowest_free_descriptor_is_given():
    create("f")
    first = os.open("f", os.O_RDONLY)
    second = os.open("f", os.O_RDONLY)
    os.close(first)
    equal(os.open("f", os.O_RDONLY), first, "descriptor")
    true(second != first, "two descriptors are one")


@rule("POSIX open() ERRORS [EMFILE]")
def too_many_descriptors_are_refused_and_nothing_is_created():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    create("f")
    opened = []
    for _ in range(64):
        try:
            opened.append(os.open("f", os.O_RDONLY))
        except OSError:
            break
    fails(errno.EMFILE, os.open, "new", os.O_CREAT | os.O_WRONLY)
    os.close(opened[0])
    true(not exists("new"), "the refused open created a file")


@rule("POSIX open(): O_CLOEXEC, dup(): FD_CLOEXEC")
def descriptors_close_on_exec_only_when_asked():
    import fcntl
    create("f")
    fd = os.open("f", os.O_RDONLY | os.O_CLOEXEC)
    equal(fcntl.fcntl(fd, fcntl.F_GETFD), fcntl.FD_CLOEXEC, "F_GETFD")


@rule("POSIX fcntl() F_GETFL", [(name, flags) for name, flags in (
    ("rdonly", os.O_RDONLY), ("wronly-append", os.O_WRONLY | os.O_APPEND),
    ("rdwr-nonblock", os.O_RDWR | os.O_NONBLOCK), ("rdwr-sync", os.O_RDWR | os.O_SYNC))])
def f_getfl_gives_back_mode_and_status_flags(flags):
    import fcntl
    create("f")
    fd = os.open("f", flags | os.O_CREAT | os.O_CLOEXEC)
    wanted = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_SYNC
    equal(fcntl.fcntl(fd, fcntl.F_GETFL) & wanted, flags, "F_GETFL")


@rule("POSIX open(): file offset", [("rdonly", os.O_RDONLY), ("rdwr", os.O_RDWR),
                                   ("append", os.O_RDWR | os.O_APPEND)])
def a_new_descriptor_begins_at_offset_0(flags):
    create("f", b"abc")
    equal(os.lseek(os.open("f", flags), 0, os.SEEK_CUR), 0, "offset")


@rule("POSIX dup(): one open file description")
def duplicates_share_their_offset_and_opens_do_not():
    create("f", b"abcdef")
    fd, other = os.open("f", os.O_RDONLY), os.open("f", os.O_RDONLY)
    duplicate = os.dup(fd)
    os.read(fd, 2)
    equal((os.read(duplicate, 2), os.read(other, 2)), (b"cd", b"ab"), "bytes")


@rule("POSIX fork(): open file descriptions are shared")
def a_child_shares_the_offset():
    create("f", b"abcdef")
    fd = os.open("f", os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        os.read(fd, 4)
        os._exit(0)
    os.waitpid(pid, 0)
    equal(os.read(fd, 9), b"ef", "bytes")


@rule("POSIX write(): O_APPEND", [("after-seek", 0), ("after-growth", 1), ("two-descriptors", 2)])
def o_append_writes_at_the_end(way):
    create("f", b"abc")
    fd = os.open("f", os.O_RDWR | os.O_APPEND)
    if way == 0:
        os.lseek(fd, 0, os.SEEK_SET)
    elif way == 1:
        os.pwrite(os.open("f", os.O_WRONLY), b"defg", 3)
    else:
        os.write(os.open("f", os.O_WRONLY | os.O_APPEND), b"xy")
    os.write(fd, b"!")
    equal(read("f"), b"abc" + (b"", b"defg", b"xy")[way] + b"!", "content")
    equal(os.lseek(fd, 0, os.SEEK_CUR), size("f"), "offset after the write")


@rule("POSIX fcntl() F_SETFL: O_APPEND")
def o_append_is_set_and_cleared_later():
    import fcntl
    create("f", b"abc")
    fd = os.open("f", os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    os.write(fd, b"d")
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, b"A")
    equal(read("f"), b"Abcd", "content")


@rule("pwrite(2) BUGS: O_APPEND wins over the offset")
def pwrite_on_an_appending_descriptor_appends():
    create("f", b"abc")
    os.pwrite(os.open("f", os.O_WRONLY | os.O_APPEND), b"d", 0)
    equal(read("f"), b"abcd", "content")


@rule("pwritev2(2) RWF_APPEND")
def one_write_appends_by_its_flag():
    create("f", b"abc")
    fd = os.open("f", os.O_RDWR)
    os.pwritev(fd, [b"de"], 0, os.RWF_APPEND)
    equal(read("f"), b"abcde", "content")


@rule("POSIX write(): O_APPEND is atomic between processes")
def appends_of_two_processes_lose_nothing():
    create("f")
    fd = os.open("f", os.O_WRONLY | os.O_APPEND)
    pid = os.fork()
    letter = b"a" if pid else b"b"
    own = os.open("f", os.O_WRONLY | os.O_APPEND)
    for _ in range(200):
        os.write(own, letter * 10)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(fd)
    content = read("f")
    pieces = [content[i:i + 10] for i in range(0, len(content), 10)]
    equal((pieces.count(b"a" * 10), pieces.count(b"b" * 10), len(pieces)), (200, 200, 400), "appends")


@rule("open(2) O_PATH")
def a_path_descriptor_names_but_does_not_read():
    create("f", b"abc", 0)
    with acting(OTHER):
        fd = os.open("f", os.O_PATH)
        equal(os.fstat(fd).st_size, 3, "size")
        fails(errno.EBADF, os.read, fd, 1)
        fails(errno.EBADF, os.write, fd, b"x")
        fails(errno.EBADF, os.ftruncate, fd, 0)
    os.unlink("f")
    equal(os.fstat(fd).st_nlink, 0, "links of the removed file")


@rule("open(2) O_PATH with O_NOFOLLOW")
def a_path_descriptor_can_name_a_symbolic_link():
    os.symlink("target", "l")
    fd = os.open("l", os.O_PATH | os.O_NOFOLLOW)
    equal(os.readlink("", dir_fd=fd), "target", "readlinkat() of the descriptor")


@rule("open(2) O_NOATIME", [("owner", OWNER, 0), ("other", OTHER, errno.EPERM)])
def o_noatime_is_for_owners(person, number):
    give(create("f", mode=0o666))
    with acting(person):
        if number:
            fails(number, os.open, "f", os.O_RDONLY | os.O_NOATIME)
        else:
            os.open("f", os.O_RDONLY | os.O_NOATIME)


@rule("POSIX open(): O_SYNC, O_DSYNC", [("sync", os.O_SYNC), ("dsync", os.O_DSYNC), ("rsync", os.O_RSYNC)])
def synchronized_writes_are_readable(flag):
    fd = os.open("f", os.O_RDWR | os.O_CREAT | flag, 0o600)
    write_all(fd, b"abc" * 3000)
    equal(read("f"), b"abc" * 3000, "content")


@rule("open(2) O_DIRECT", needs=("direct",))
def direct_reads_and_writes_see_the_same_bytes_as_others():
    import mmap
    buffer = mmap.mmap(-1, 8192)
    buffer.write(b"d" * 8192)
    fd = os.open("f", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o600)
    equal(os.pwritev(fd, [buffer], 0), 8192, "bytes written")
    equal(read("f"), b"d" * 8192, "content")
    os.pwrite(os.open("f", os.O_WRONLY), b"e" * 4096, 4096)
    equal(os.preadv(fd, [buffer], 0), 8192, "bytes read")
    equal(buffer[:], b"d" * 4096 + b"e" * 4096, "content read directly")


# --- read, write, seek -----------------------------------------------------------------------------
@rule("POSIX read()", [("at-end", 3, b""), ("beyond", 100, b""), ("partly", 2, b"c"), ("whole", 0, b"abc")])
def read_stops_at_the_end(offset, expected_bytes):
    create("f", b"abc")
    equal(os.pread(os.open("f", os.O_RDONLY), 10, offset), expected_bytes, "bytes")


@rule("POSIX read() ERRORS", [("directory", "d", os.read, (1,), errno.EISDIR)])
def a_directory_is_not_read_as_a_file(path, function, more, number):
    os.mkdir(path)
    fails(number, function, os.open(path, os.O_RDONLY), *more)


@rule("POSIX read(), write() ERRORS [EINVAL]", [("pread", os.pread, 1), ("pwrite", os.pwrite, b"x")])
def a_negative_offset_is_refused(function, argument):
    create("f", b"abc")
    fails(errno.EINVAL, function, os.open("f", os.O_RDWR), argument, -1)


@rule("POSIX pread(), pwrite(): the offset stays")
def positioned_calls_leave_the_offset():
    create("f", b"abcdef")
    fd = os.open("f", os.O_RDWR)
    os.lseek(fd, 2, os.SEEK_SET)
    os.pread(fd, 2, 4)
    os.pwrite(fd, b"x", 5)
    equal(os.lseek(fd, 0, os.SEEK_CUR), 2, "offset")


@rule("POSIX write(): 0 bytes", [("empty-file", b""), ("at-the-end", b"abc")])
def writing_nothing_changes_nothing(data):
    create("f", data)
    fd = os.open("f", os.O_WRONLY)
    os.lseek(fd, 1000, os.SEEK_SET)
    equal(os.write(fd, b""), 0, "bytes written")
    equal(size("f"), len(data), "size")


@rule("POSIX lseek()", [("set", 5, os.SEEK_SET, 5), ("cur", 2, os.SEEK_CUR, 3), ("end", -1, os.SEEK_END, 2),
                        ("beyond-end", 1000, os.SEEK_END, 1003), ("huge", 2**62, os.SEEK_SET, 2**62)])
def lseek_goes_where_it_is_told(offset, whence, result):
    create("f", b"abc")
    fd = os.open("f", os.O_RDONLY)
    os.lseek(fd, 1, os.SEEK_SET)
    try:
        equal(os.lseek(fd, offset, whence), result, "offset")
    except OSError as error:
        if error.errno == errno.EINVAL and offset == 2**62:
            skip("files here cannot be that long")
        raise
    equal(size("f"), 3, "size")


@rule("POSIX lseek() ERRORS", [("negative", -1, os.SEEK_SET, errno.EINVAL), ("before-start", -4, os.SEEK_END, errno.EINVAL),
                               ("whence", 0, 99, errno.EINVAL)])
def lseek_refuses_what_makes_no_sense(offset, whence, number):
    create("f", b"abc")
    fd = os.open("f", os.O_RDONLY)
    os.lseek(fd, 1, os.SEEK_SET)
    fails(number, os.lseek, fd, offset, whence)
    equal(os.lseek(fd, 0, os.SEEK_CUR), 1, "offset after the failure")


@rule("POSIX lseek() ERRORS [ESPIPE]")
def a_fifo_has_no_offset():
    os.mkfifo("p")
    fails(errno.ESPIPE, os.lseek, os.open("p", os.O_RDWR), 0, os.SEEK_SET)


@rule("POSIX readv(), writev()", [("small", (1, 2, 3)), ("with-empty", (0, 5, 0, 7)), ("pages", (4096, 1, 8191)),
                                  ("many", (3,) * 1000)])
def vectors_are_gathered_and_scattered(lengths):
    parts = [bytes([65 + i % 26]) * n for i, n in enumerate(lengths)]
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    equal(os.writev(fd, parts), sum(lengths), "bytes written")
    buffers = [bytearray(n) for n in reversed(lengths)]
    equal(os.preadv(fd, buffers, 0), sum(lengths), "bytes read")
    equal(b"".join(buffers), b"".join(parts), "bytes")


@rule("POSIX write() ERRORS [EFBIG]; setrlimit() RLIMIT_FSIZE",
      [("write", lambda fd: os.pwrite(fd, b"x", 5000)), ("ftruncate", lambda fd: os.ftruncate(fd, 5001)),
       ("truncate", lambda fd: os.truncate("f", 5001))])
def the_limit_of_file_size_holds(grow):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    create("f", bytes(100))
    fd = os.open("f", os.O_RDWR)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    fails(errno.EFBIG, grow, fd)
    equal(size("f"), 100, "size")


@rule("POSIX write(): as many bytes as there is room for")
def a_write_across_the_limit_of_file_size_is_cut():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    fd = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    equal(os.pwrite(fd, bytes(2000), 4000), 1000, "bytes written")
    equal(size("f"), 5000, "size")


@rule("POSIX write(): SIGXFSZ")
def exceeding_the_limit_of_file_size_raises_a_signal():
    seen = []
    signal.signal(signal.SIGXFSZ, lambda number, _: seen.append(number))
    fd = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
    fails(errno.EFBIG, os.pwrite, fd, b"x", 5000)
    equal(seen, [signal.SIGXFSZ], "signals")


@rule("POSIX write(), read()", [(f"{count}x{n}", count, n) for count, n in (
    (1, 1), (4096, 1), (100, 41), (33, 4097), (3, 1 << 20), (9, (1 << 20) + 1), (1, 9 << 20))])
def what_was_written_in_pieces_is_read_back(count, n):
    block = os.urandom(n)
    fd = os.open("f", os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(count):
        write_all(fd, block)
    true(read("f") == block * count, "the bytes differ")
    os.close(fd)
    true(read("f") == block * count, "the bytes differ after close")


@rule("POSIX write(): a read after it returns its bytes",
      [(f"at-{offset}", offset) for offset in (0, 1, 4095, 4096, 65535, 4194303, 4194304)])
def an_overwrite_changes_just_its_bytes(offset):
    base = bytes(range(256)) * 16500
    create("f", base)
    fd, other = os.open("f", os.O_RDWR), os.open("f", os.O_RDONLY)
    os.pwrite(fd, b"NEW", offset)
    model = base[:offset] + b"NEW" + base[offset + 3:]
    true(os.pread(other, len(model) + 1, 0)[:len(model)] == model, "the bytes differ at another descriptor")
    os.fsync(fd)
    true(read("f") == model, "the bytes differ after fsync")


@rule("POSIX fsync(), fdatasync(), sync()", [
    ("fsync", lambda: os.fsync(os.open("f", os.O_RDWR))), ("fdatasync", lambda: os.fdatasync(os.open("f", os.O_RDWR))),
    ("fsync-rdonly", lambda: os.fsync(os.open("f", os.O_RDONLY))), ("fsync-directory", lambda: os.fsync(os.open(".", os.O_RDONLY))),
    ("sync", os.sync)])
def syncing_succeeds(sync):
    create("f", b"abc")
    sync()
    equal(read("f"), b"abc", "content")


@rule("POSIX fsync() ERRORS [EINVAL]")
def a_fifo_cannot_be_synced():
    os.mkfifo("p")
    fails(errno.EINVAL, os.fsync, os.open("p", os.O_RDWR))


@rule("POSIX close(), read() ERRORS [EBADF]", [("read", lambda fd: os.read(fd, 1)), ("write", lambda fd: os.write(fd, b"x")),
                                              ("close", os.close), ("fstat", os.fstat), ("lseek", lambda fd: os.lseek(fd, 0, 0))])
def a_closed_descriptor_is_bad(use):
    create("f")
    fd = os.open("f", os.O_RDWR)
    os.close(fd)
    fails(errno.EBADF, use, fd)
