"""fallocate() in its modes, and bytes moved by the kernel: copy_file_range(), sendfile(), splice()."""

import errno
import os
import socket

import syscalls
from checks import create, equal, fails, make, read, true
from people import OTHER, acting, forked
from suite import rule
from syscalls import FALLOC_COLLAPSE, FALLOC_INSERT, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO, fallocate

MIB = 1 << 20
PUNCH = FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE
PAGE = 4096


def _pattern(length):
    return (bytes(range(1, 252)) * (length // 251 + 1))[:length]


def _file(length, mode=os.O_RDWR):
    return os.open(create("f", _pattern(length)), mode)


# --- fallocate ---------------------------------------------------------------------------------------
@rule("fallocate(2) Allocating disk space", [(f"{old}-{offset}-{length}", old, offset, length) for old, offset, length in (
    (0, 0, 1), (0, 0, 5 * MIB), (100, 0, 50), (100, 50, 100), (5000, 10000, 10), (4 * MIB, 4 * MIB - 1, 2))], needs=("fallocate",))
def allocating_extends_the_file_with_zeros(old, offset, length):
    fd = _file(old)
    fallocate(fd, 0, offset, length)
    equal(os.fstat(fd).st_size, max(old, offset + length), "size")
    true(read("f") == _pattern(old) + bytes(max(0, offset + length - old)), "content")


@rule("POSIX posix_fallocate()", [("grow", 0, 10000, 10000), ("inside", 0, 50, 100)])
def posix_fallocate_extends_the_file(offset, length, expected):
    fd = _file(100)
    os.posix_fallocate(fd, offset, length)
    equal(os.fstat(fd).st_size, expected, "size")
    equal(read("f")[:100], _pattern(100), "content")


@rule("fallocate(2) FALLOC_FL_KEEP_SIZE", [("beyond", 0, 10000), ("far", MIB, MIB), ("inside", 0, 50)], needs=("keep-size",))
def keep_size_leaves_size_and_content(offset, length):
    fd = _file(100)
    fallocate(fd, FALLOC_KEEP_SIZE, offset, length)
    equal((os.fstat(fd).st_size, read("f")), (100, _pattern(100)), "size and content")


CUTS = [(f"{old}-{offset}-{length}", old, offset, length) for old, offset, length in (
    (100, 10, 20), (5000, 0, 4096), (10000, 4096, 4096), (10000, 1, 9998), (10000, 0, 10000), (10000, 5000, 100000), (10000, 20000, 100),
    (5 * MIB, 100, 5 * MIB - 200), (9 * MIB, 4 * MIB, 4 * MIB), (9 * MIB, 4 * MIB - 1, 2))]


def _with_zeros(old, offset, length):
    model = bytearray(_pattern(old))
    end = min(old, offset + length)
    if offset < end:
        model[offset:end] = bytes(end - offset)
    return bytes(model)


@rule("fallocate(2) FALLOC_FL_PUNCH_HOLE", CUTS, needs=("punch",))
def a_punched_hole_reads_as_zeros_and_the_size_stays(old, offset, length):
    fd = _file(old)
    fallocate(fd, PUNCH, offset, length)
    equal(os.fstat(fd).st_size, old, "size")
    true(read("f") == _with_zeros(old, offset, length), "content")
    os.close(fd)
    true(read("f") == _with_zeros(old, offset, length), "content after close")


@rule("fallocate(2) FALLOC_FL_ZERO_RANGE", CUTS, needs=("zero-range",))
def a_zeroed_range_reads_as_zeros_and_may_grow_the_file(old, offset, length):
    fd = _file(old)
    fallocate(fd, FALLOC_ZERO, offset, length)
    size = max(old, offset + length)
    equal(os.fstat(fd).st_size, size, "size")
    true(read("f") == _with_zeros(old, offset, length) + bytes(size - old), "content")


@rule("fallocate(2) FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE", CUTS, needs=("zero-range",))
def a_zeroed_range_may_keep_the_size(old, offset, length):
    fd = _file(old)
    fallocate(fd, FALLOC_ZERO | FALLOC_KEEP_SIZE, offset, length)
    equal(os.fstat(fd).st_size, old, "size")
    true(read("f") == _with_zeros(old, offset, length), "content")


@rule("fallocate(2) FALLOC_FL_PUNCH_HOLE: st_blocks", needs=("punch",))
def a_punched_hole_gives_its_room_back():
    fd = _file(8 * MIB)
    os.fsync(fd)
    before = os.fstat(fd).st_blocks
    fallocate(fd, PUNCH, 0, 8 * MIB)
    os.fsync(fd)
    true(os.fstat(fd).st_blocks < before // 2, "the blocks are still in use")


@rule("fallocate(2) FALLOC_FL_PUNCH_HOLE: written again", needs=("punch",))
def a_hole_is_filled_again():
    fd = _file(10000)
    fallocate(fd, PUNCH, 1000, 5000)
    os.pwrite(fd, b"new", 3000)
    model = bytearray(_with_zeros(10000, 1000, 5000))
    model[3000:3003] = b"new"
    true(read("f") == bytes(model), "content")


@rule("fallocate(2) FALLOC_FL_COLLAPSE_RANGE", [("begin", 0, PAGE), ("middle", PAGE, 2 * PAGE)], needs=("collapse",))
def a_collapsed_range_is_taken_out(offset, length):
    fd = _file(6 * PAGE)
    fallocate(fd, FALLOC_COLLAPSE, offset, length)
    data = _pattern(6 * PAGE)
    true(read("f") == data[:offset] + data[offset + length:], "content")


@rule("fallocate(2) FALLOC_FL_INSERT_RANGE", [("begin", 0, PAGE), ("middle", 2 * PAGE, 3 * PAGE)], needs=("insert",))
def an_inserted_range_moves_what_follows(offset, length):
    fd = _file(6 * PAGE)
    fallocate(fd, FALLOC_INSERT, offset, length)
    data = _pattern(6 * PAGE)
    true(read("f") == data[:offset] + bytes(length) + data[offset:], "content")


@rule("fallocate(2) ERRORS", [("length-0", 0, 0, 0, errno.EINVAL), ("negative-length", 0, 0, -1, errno.EINVAL), ("negative-offset", 0, -1, 10, errno.EINVAL),
                              ("too-large", 0, 2**62, 2**62, errno.EFBIG), ("punch-without-keep-size", FALLOC_PUNCH_HOLE, 0, 10, errno.EOPNOTSUPP),
                              ("unknown-mode", 0x1000, 0, 10, errno.EOPNOTSUPP)], needs=("fallocate",))
def impossible_requests_are_refused(mode, offset, length, number):
    fd = _file(100)
    fails((number, errno.EINVAL) if number == errno.EFBIG else number, fallocate, fd, mode, offset, length)
    equal(read("f"), _pattern(100), "content")


@rule("fallocate(2) ERRORS EBADF, ESPIPE, ENODEV", [("rdonly", "file", os.O_RDONLY, (errno.EBADF,)), ("fifo", "fifo", os.O_RDWR, (errno.ESPIPE,)),
                                                    ("directory", "directory", os.O_RDONLY, (errno.EBADF, errno.EISDIR, errno.ENODEV))])
def only_a_file_open_for_writing_is_allocated(kind, flags, numbers):
    make(kind, "f")
    fails(numbers, fallocate, os.open("f", flags), 0, 0, 100)


@rule("fallocate(2): modes that a file system lacks", [("collapse", FALLOC_COLLAPSE), ("insert", FALLOC_INSERT), ("zero", FALLOC_ZERO), ("punch", PUNCH)])
def a_mode_works_or_is_refused_cleanly(mode):
    fd = _file(6 * PAGE)
    try:
        fallocate(fd, mode, PAGE, PAGE)
    except OSError as error:
        equal(error.errno, errno.EOPNOTSUPP, "errno")
        equal(read("f"), _pattern(6 * PAGE), "content")


# --- copy_file_range -----------------------------------------------------------------------------------
@rule("copy_file_range(2)", [(f"{size}-from-{source}-to-{target}-{length}", size, source, target, length) for size, source, target, length in (
    (100, 0, 0, 100), (100, 10, 0, 50), (100, 0, 1000, 100), (5000, 4095, 1, 905), (5 * MIB, 0, 0, 5 * MIB), (5 * MIB, 100, 4 * MIB - 50, 1000),
    (9 * MIB, 4 * MIB - 1, 3, 5 * MIB), (100, 90, 0, 1000))])
def a_range_is_copied(size, source, target, length):
    fd = _file(size)
    out = os.open(create("g", b"g" * 2000), os.O_RDWR)
    done = 0
    while done < length:
        n = syscalls.copy_file_range(fd, source + done, out, target + done, length - done)
        if n == 0:
            break
        done += n
    count = min(length, size - source)
    equal(done, count, "bytes copied")
    model = bytearray((b"g" * 2000).ljust(target + count, b"\0"))
    model[target:target + count] = _pattern(size)[source:source + count]
    true(read("g") == bytes(model), "content")


@rule("copy_file_range(2): offsets of the descriptors")
def without_offsets_the_descriptors_move():
    fd = _file(100)
    out = os.open("g", os.O_RDWR | os.O_CREAT)
    os.lseek(fd, 10, os.SEEK_SET)
    equal(os.copy_file_range(fd, out, 20), 20, "bytes copied")
    equal((os.lseek(fd, 0, os.SEEK_CUR), os.lseek(out, 0, os.SEEK_CUR)), (30, 20), "offsets")
    equal(read("g"), _pattern(100)[10:30], "content")


@rule("copy_file_range(2): within one file", [("apart", 0, 5000, 5000, 0), ("overlap", 0, 100, 5000, errno.EINVAL), ("same", 0, 0, 100, errno.EINVAL)])
def ranges_of_one_file_must_not_overlap(source, target, length, number):
    fd = _file(10000)
    if number:
        fails(number, syscalls.copy_file_range, fd, source, fd, target, length)
        true(read("f") == _pattern(10000), "content")
    else:
        syscalls.copy_file_range(fd, source, fd, target, length)
        true(read("f") == _pattern(5000) * 2, "content")


@rule("copy_file_range(2) ERRORS", [("source-wronly", os.O_WRONLY, os.O_RDWR, 0, errno.EBADF), ("target-rdonly", os.O_RDONLY, os.O_RDONLY, 0, errno.EBADF),
                                    ("target-append", os.O_RDONLY, os.O_WRONLY | os.O_APPEND, 0, errno.EBADF), ("flags", os.O_RDONLY, os.O_RDWR, 1, errno.EINVAL)])
def copies_that_cannot_be_are_refused(source, target, flags, number):
    fd = _file(100, source)
    create("g")
    fails(number, syscalls.copy_file_range, fd, 0, os.open("g", target), 0, 10, flags)


@rule("copy_file_range(2) ERRORS EISDIR, EINVAL", [("directory", "directory", (errno.EISDIR,)), ("fifo", "fifo", (errno.EINVAL,))])
def only_files_are_copied(kind, numbers):
    make(kind, "g")
    fd = _file(10)
    source = os.open("g", os.O_RDONLY | os.O_NONBLOCK)
    fails(numbers, syscalls.copy_file_range, source, 0, fd, 0, 10)


@rule("copy_file_range(2): at the end", [("at-end", 100), ("beyond", 1000)])
def there_is_nothing_to_copy_behind_the_end(offset):
    fd = _file(100)
    out = os.open("g", os.O_RDWR | os.O_CREAT)
    equal((syscalls.copy_file_range(fd, offset, out, 0, 10), os.fstat(out).st_size), (0, 0), "bytes copied and size")


@rule("copy_file_range(2): bytes not yet synced")
def bytes_just_written_are_copied():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.write(fd, _pattern(300000))
    out = os.open("g", os.O_RDWR | os.O_CREAT)
    os.write(out, b"old" * 1000)
    equal(syscalls.copy_file_range(fd, 0, out, 0, 300000), 300000, "bytes copied")
    true(os.pread(out, 300001, 0) == _pattern(300000), "content")


# --- sendfile, splice --------------------------------------------------------------------------------
@rule("sendfile(2)", [(f"{length}-to-{kind}", length, kind) for length in (1, 5000, 300_000) for kind in ("file", "socket", "pipe")])
def sendfile_sends_the_bytes(length, kind):
    fd = _file(length)
    if kind == "file":
        out = receive = os.open("g", os.O_RDWR | os.O_CREAT)
    elif kind == "socket":
        ends = socket.socketpair()
        out, receive = ends[0].fileno(), ends[1].fileno()
    else:
        receive, out = os.pipe()
    got, sent = b"", 0
    while sent < length:
        n = os.sendfile(out, fd, sent, min(length - sent, 50_000))
        true(n > 0, "nothing was sent")
        sent += n
        while kind != "file" and len(got) < sent:
            got += os.read(receive, sent - len(got))
    true((read("g") if kind == "file" else got) == _pattern(length), "the bytes differ")


@rule("sendfile(2): offsets")
def sendfile_with_an_offset_leaves_the_descriptors():
    fd = _file(100)
    out = os.open("g", os.O_RDWR | os.O_CREAT)
    os.sendfile(out, fd, 50, 10)
    equal(os.lseek(fd, 0, os.SEEK_CUR), 0, "offset")
    os.sendfile(out, fd, None, 10)
    equal((os.lseek(fd, 0, os.SEEK_CUR), read("g")), (10, _pattern(100)[50:60] + _pattern(100)[:10]), "offset and content")


@rule("sendfile(2): at the end")
def sendfile_sends_nothing_at_the_end():
    equal(os.sendfile(os.open("g", os.O_RDWR | os.O_CREAT), _file(10), 10, 5), 0, "bytes sent")


@rule("splice(2)", [(f"{direction}-{offset}", direction, offset) for direction in ("from-file", "to-file") for offset in (0, 100, 4095)])
def splice_moves_bytes_between_file_and_pipe(direction, offset):
    fd = _file(10000)
    reader, writer = os.pipe()
    if direction == "from-file":
        equal(os.splice(fd, writer, 3000, offset_src=offset), 3000, "bytes moved")
        equal(os.read(reader, 5000), _pattern(10000)[offset:offset + 3000], "bytes")
    else:
        os.write(writer, b"spliced" * 100)
        equal(os.splice(reader, fd, 700, offset_dst=offset), 700, "bytes moved")
        model = bytearray(_pattern(10000))
        model[offset:offset + 700] = b"spliced" * 100
        true(read("f") == bytes(model), "content")


@rule("splice(2) ERRORS", [("append", os.O_WRONLY | os.O_APPEND, errno.EINVAL), ("rdonly", os.O_RDONLY, errno.EBADF)])
def splice_into_the_wrong_descriptor_is_refused(flags, number):
    create("f")
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    fails(number, os.splice, reader, os.open("f", flags), 3)


# --- room ----------------------------------------------------------------------------------------------
@rule("POSIX statvfs()", [("statvfs", os.statvfs), ("fstatvfs", lambda path: os.fstatvfs(os.open(path, os.O_RDONLY)))])
def the_room_makes_sense(call):
    info = call(".")
    true(info.f_blocks >= info.f_bfree >= info.f_bavail >= 0, "blocks >= free >= available")
    true(info.f_files >= info.f_ffree >= 0, "inodes >= free inodes")
    true(info.f_bsize > 0 and info.f_frsize > 0 and info.f_blocks > 0, "sizes are positive")
    equal(info.f_namemax, 255, "longest name")


@rule("POSIX statvfs()", [("file", "file"), ("directory", "directory"), ("fifo", "fifo"), ("symlink", "symlink")])
def every_name_tells_the_same_file_system(kind):
    make(kind, "f")
    here, there = os.statvfs("."), os.statvfs("f")
    equal((there.f_bsize, there.f_namemax, there.f_fsid), (here.f_bsize, here.f_namemax, here.f_fsid), "facts")


@rule("POSIX statvfs(): a user asks")
def anyone_may_ask_for_the_room():
    with acting(OTHER):
        true(os.statvfs(".").f_blocks > 0, "no blocks")


@rule("open(2) O_TMPFILE", needs=("tmpfile",))
def a_file_without_a_name_gets_one_later():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"content")
    equal((os.listdir("."), os.fstat(fd).st_nlink), ([], 0), "names and links")
    syscalls.linkat(syscalls.AT_FDCWD, f"/proc/self/fd/{fd}", "f", syscalls.AT_SYMLINK_FOLLOW)
    equal((read("f"), os.fstat(fd).st_nlink), (b"content", 1), "content and links")


@rule("open(2) O_TMPFILE | O_EXCL", needs=("tmpfile",))
def a_file_that_shall_never_have_a_name_gets_none():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_EXCL, 0o640)
    fails(errno.ENOENT, syscalls.linkat, syscalls.AT_FDCWD, f"/proc/self/fd/{fd}", "f", syscalls.AT_SYMLINK_FOLLOW)


@rule("open(2) O_TMPFILE ERRORS", [("rdonly", ".", os.O_RDONLY, (errno.EINVAL,)), ("file", "f", os.O_RDWR, (errno.ENOTDIR,)),
                                   ("absent", "nowhere", os.O_RDWR, (errno.ENOENT,))])
def o_tmpfile_needs_a_directory_and_writing(path, flags, numbers):
    create("f")
    fails(numbers, os.open, path, os.O_TMPFILE | flags, 0o600)


@rule("open(2) O_TMPFILE ERRORS EOPNOTSUPP")
def o_tmpfile_works_or_is_refused_cleanly():
    try:
        os.close(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))
    except OSError as error:
        equal(error.errno, errno.EOPNOTSUPP, "errno")
    equal(os.listdir("."), [], "names")


@rule("name_to_handle_at(2), open_by_handle_at(2)", [("file", "file"), ("directory", "full"), ("renamed", "renamed"), ("unlinked-open", "unlinked")],
      needs=("handles",))
def a_handle_opens_what_it_was_made_of(kind):
    make("full" if kind == "full" else "file", "f")
    before = os.stat("f").st_ino
    here = os.open(".", os.O_RDONLY)
    handle = syscalls.name_to_handle("f")
    keep = os.open("f", os.O_RDONLY)
    if kind == "renamed":
        os.mkdir("d")
        os.rename("f", "d/g")
    elif kind == "unlinked":
        os.unlink("f")
    fd = syscalls.open_by_handle(here, handle, os.O_RDONLY)
    equal(os.fstat(fd).st_ino, before, "inode")
    os.close(keep)


@rule("open_by_handle_at(2): the inode is read again", [("file", "file"), ("directory", "full"), ("fifo", "fifo")], needs=("handles",))
def a_handle_is_good_after_the_kernel_forgot_the_inode(kind):
    make(kind, "f")
    before, here = os.lstat("f").st_ino, os.open(".", os.O_RDONLY)
    handle = syscalls.name_to_handle("f")
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("2")
    fd = syscalls.open_by_handle(here, handle, os.O_PATH)
    equal(os.fstat(fd).st_ino, before, "inode")


@rule("open_by_handle_at(2) ERRORS ESTALE", needs=("handles",))
def a_handle_of_a_removed_file_is_stale():
    create("f")
    handle = syscalls.name_to_handle("f")
    os.unlink("f")
    create("f")
    fails(errno.ESTALE, syscalls.open_by_handle, os.open(".", os.O_RDONLY), handle, os.O_RDONLY)


@rule("open_by_handle_at(2) ERRORS EPERM", needs=("handles",))
def handles_are_opened_by_root_only():
    create("f")
    handle, here = syscalls.name_to_handle("f"), os.open(".", os.O_RDONLY)
    fails(errno.EPERM, forked, lambda: os.close(syscalls.open_by_handle(here, handle, os.O_RDONLY)), person=OTHER)


@rule("name_to_handle_at(2): AT_SYMLINK_FOLLOW", needs=("handles",))
def two_names_of_a_file_have_one_handle():
    create("f")
    os.link("f", "g")
    os.symlink("f", "l")
    equal(syscalls.name_to_handle("g"), syscalls.name_to_handle("f"), "handle of the other name")
    equal(syscalls.name_to_handle("l", syscalls.AT_SYMLINK_FOLLOW), syscalls.name_to_handle("f"), "handle through the link")
    true(syscalls.name_to_handle("l") != syscalls.name_to_handle("f"), "the link has the handle of its target")
