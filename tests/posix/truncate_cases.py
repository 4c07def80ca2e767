"""Lengths: truncate(), ftruncate(), holes, SEEK_DATA and SEEK_HOLE, very large files."""

import errno
import os

from checks import create, equal, fails, make, read, size, skip, true
from people import OTHER, OWNER, acting, give
from suite import rule

MIB = 1 << 20
LENGTHS = (0, 1, 4095, 4096, 4097, 65536, MIB + 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1)


def _data(length):
    return (b"0123456789abcdefghijklmnopqrstuvwxyz\n" * (length // 37 + 1))[:length]


@rule("POSIX truncate()", [(f"{old}-to-{new}", old, new) for old in LENGTHS for new in LENGTHS])
def truncate_keeps_the_beginning_and_fills_with_zeros(old, new):
    create("f", _data(old))
    os.truncate("f", new)
    equal(size("f"), new, "size")
    true(read("f") == (_data(old) + bytes(new))[:new] if new > old else read("f") == _data(old)[:new], "content")


@rule("POSIX ftruncate()", [(f"{old}-by-{cut}-and-back", old, cut) for old in (100, 5000, MIB, 4 * MIB + 100) for cut in (0, 1, 50, 4096)
                            if cut < old])
def bytes_cut_off_never_come_back(old, cut):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.write(fd, _data(old))
    os.ftruncate(fd, cut)
    os.ftruncate(fd, old)
    true(read("f") == _data(cut) + bytes(old - cut), "content at once")
    os.close(fd)
    true(read("f") == _data(cut) + bytes(old - cut), "content after close")


@rule("POSIX write(): a gap before the offset", [(f"{old}-gap-to-{offset}", old, offset) for old in (0, 10, 4096, 5000)
                                               for offset in (4095, 4097, 10000, 4 * MIB - 1, 4 * MIB + 5)])
def a_gap_reads_as_zeros(old, offset):
    create("f", _data(old))
    fd = os.open("f", os.O_RDWR)
    os.pwrite(fd, b"END", offset)
    model = bytearray(max(old, offset + 3))
    model[:old] = _data(old)
    model[offset:offset + 3] = b"END"
    true(read("f") == bytes(model), "content at once")
    os.close(fd)
    true(read("f") == bytes(model), "content after close")


@rule("POSIX ftruncate(): the offset stays")
def truncation_leaves_the_offset_and_a_write_leaves_a_gap():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"abcdef")
    os.ftruncate(fd, 2)
    equal(os.lseek(fd, 0, os.SEEK_CUR), 6, "offset")
    equal(os.read(fd, 9), b"", "bytes beyond the end")
    os.write(fd, b"g")
    equal(read("f"), b"ab\0\0\0\0g", "content")


@rule("POSIX ftruncate(): O_APPEND goes to the new end")
def an_append_after_a_truncation_is_at_the_new_end():
    create("f", b"abcdef")
    fd = os.open("f", os.O_RDWR | os.O_APPEND)
    os.write(fd, b"g")
    os.truncate("f", 2)
    os.write(fd, b"h")
    equal(read("f"), b"abh", "content")


@rule("POSIX truncate(): every descriptor sees it", [("by-path", lambda fd: os.truncate("f", 3)), ("by-descriptor", lambda fd: os.ftruncate(fd, 3)),
                                                     ("by-open", lambda fd: (os.open("f", os.O_RDWR | os.O_TRUNC), os.ftruncate(fd, 3)))])
def another_descriptor_sees_the_new_end(cut):
    create("f", b"abcdef")
    reader, writer = os.open("f", os.O_RDONLY), os.open("f", os.O_RDWR)
    equal(os.pread(reader, 9, 0), b"abcdef", "bytes before")
    cut(writer)
    equal((len(os.pread(reader, 9, 0)), os.fstat(reader).st_size), (3, 3), "bytes and size")


@rule("POSIX ftruncate() ERRORS", [("rdonly", os.O_RDONLY, (errno.EINVAL, errno.EBADF)), ("path", os.O_PATH, (errno.EBADF,))])
def a_descriptor_that_does_not_write_does_not_truncate(flags, numbers):
    create("f", b"abc")
    fails(numbers, os.ftruncate, os.open("f", flags), 0)
    equal(read("f"), b"abc", "content")


@rule("POSIX truncate() ERRORS", [
    ("negative", "file", -1, (errno.EINVAL,)), ("directory", "directory", 0, (errno.EISDIR,)), ("fifo", "fifo", 0, (errno.EINVAL,)),
    ("absent", "absent", 0, (errno.ENOENT,)), ("loop", "loop", 0, (errno.ELOOP,)), ("dangling", "dangling", 0, (errno.ENOENT,)),
    ("socket", "socket", 0, (errno.EINVAL, errno.ENXIO)), ("device", "device", 0, (errno.EINVAL,))])
def truncate_refuses_what_has_no_such_length(kind, length, numbers):
    make(kind, "f")
    fails(numbers, os.truncate, "f", length)


@rule("POSIX ftruncate() ERRORS [EINVAL]")
def a_negative_length_is_refused_by_descriptor():
    create("f", b"abc")
    fails(errno.EINVAL, os.ftruncate, os.open("f", os.O_RDWR), -1)


@rule("POSIX truncate() ERRORS [EFBIG] or [EINVAL]", [("2-to-63-less-1", 2**63 - 1), ("2-to-62", 2**62)])
def a_length_beyond_every_limit_is_refused_or_kept(length):
    create("f", b"abc")
    try:
        os.truncate("f", length)
    except OSError as error:
        true(error.errno in (errno.EFBIG, errno.EINVAL), f"errno is {error}")
        equal(size("f"), 3, "size")
        return
    equal(size("f"), length, "size")


@rule("POSIX truncate() ERRORS [EACCES]", [("reader", 0o644, False), ("writer", 0o622, True)])
def truncate_needs_write_permission(bits, allowed):
    give(create("f", b"abc", bits))
    with acting(OTHER):
        if allowed:
            os.truncate("f", 0)
        else:
            fails(errno.EACCES, os.truncate, "f", 0)


@rule("POSIX ftruncate(): access was checked at open")
def a_descriptor_open_for_writing_truncates_whatever_the_mode_is_now():
    give(create("f", b"abc"))
    with acting(OWNER):
        fd = os.open("f", os.O_RDWR)
        os.chmod("f", 0)
        os.ftruncate(fd, 1)
    equal(size("f"), 1, "size")


@rule("POSIX open() O_TRUNC", [(f"{length}", length) for length in (0, 10, 5000, 5 * MIB)])
def o_trunc_empties_and_keeps_the_file(length):
    create("f", _data(length), 0o640)
    before = os.stat("f")
    fd = os.open("f", os.O_RDWR | os.O_TRUNC)
    after = os.fstat(fd)
    equal((after.st_ino, after.st_mode, after.st_size), (before.st_ino, before.st_mode, 0), "inode, mode, size")
    equal(read("f"), b"", "content")
    os.write(fd, b"new")
    equal(read("f"), b"new", "content")


# --- holes -----------------------------------------------------------------------------------------
@rule("POSIX stat(): st_blocks", [("one-byte-at-1-gib", 1 << 30)])
def a_hole_takes_no_room(offset):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x", offset)
    os.fsync(fd)
    info = os.fstat(fd)
    equal(info.st_size, offset + 1, "size")
    true(info.st_blocks * 512 < offset // 2, f"{info.st_blocks} blocks are in use")


@rule("POSIX stat(): st_blocks", [(f"{length}", length) for length in (100_000, 5 * MIB)])
def data_takes_room(length):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.write(fd, os.urandom(length))
    os.fsync(fd)
    blocks = os.fstat(fd).st_blocks
    true(length // 512 <= blocks <= length // 512 + 20000, f"{blocks} blocks are in use")


@rule("lseek(2) SEEK_DATA, SEEK_HOLE", [("data-at-start", os.SEEK_DATA, 0, 0), ("data-inside", os.SEEK_DATA, 500, 500),
                                        ("hole-at-start", os.SEEK_HOLE, 0, 10000), ("hole-inside", os.SEEK_HOLE, 9999, 10000)])
def a_file_without_holes_is_data_up_to_its_end(whence, offset, expected):
    create("f", _data(10000))
    equal(os.lseek(os.open("f", os.O_RDONLY), offset, whence), expected, "offset")


@rule("lseek(2) ERRORS ENXIO", [(f"{name}-{where}", whence, where) for name, whence in (("data", os.SEEK_DATA), ("hole", os.SEEK_HOLE))
                                for where in ("at-end", "beyond", "negative", "empty")])
def seeking_data_or_holes_from_the_end_on_fails(whence, where):
    create("f", b"" if where == "empty" else b"abc")
    offset = {"at-end": 3, "beyond": 100, "negative": -1, "empty": 0}[where]
    numbers = (errno.ENXIO, errno.EINVAL) if where == "negative" else errno.ENXIO
    fails(numbers, os.lseek, os.open("f", os.O_RDONLY), offset, whence)


@rule("lseek(2) SEEK_DATA, SEEK_HOLE", [("gap-first", 0, 64 * MIB, 100), ("data-hole-data", 5000, 64 * MIB, 100)])
def all_data_lies_between_holes_that_are_told(first, second, length):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"a" * first, 0)
    os.pwrite(fd, b"b" * length, second)
    os.fsync(fd)
    covered, at = bytearray(second + length), 0
    while True:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            equal(error.errno, errno.ENXIO, "errno at the end")
            break
        at = os.lseek(fd, begin, os.SEEK_HOLE)
        true(at > begin, "a hole inside of data")
        covered[begin:at] = b"\1" * (at - begin)
    true(all(covered[:first]) and all(covered[second:]), "data lies in what is told to be a hole")


@rule("lseek(2) SEEK_HOLE: there is a hole at the end of every file")
def a_file_that_is_one_hole_begins_with_it_or_ends_with_it():
    create("f")
    os.truncate("f", 16 * MIB)
    fd = os.open("f", os.O_RDONLY)
    true(os.lseek(fd, 0, os.SEEK_HOLE) in (0, 16 * MIB), "SEEK_HOLE found something inside")


# --- large files -----------------------------------------------------------------------------------
LARGE = {"2-gib": 2**31, "4-gib": 2**32, "1-tib": 2**40, "8-tib": 2**43, "64-tib": 2**46 - 3}


@rule("POSIX XBD O_LARGEFILE; open(2)", [(name, LARGE[name]) for name in LARGE])
def bytes_far_out_are_kept(offset):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(fd, b"far", offset)
    except OSError as error:
        if error.errno == errno.EFBIG:
            skip("files here cannot be that long")
        raise
    equal((os.fstat(fd).st_size, size("f")), (offset + 3, offset + 3), "size")
    equal(os.pread(fd, 10, offset - 2), b"\0\0far", "bytes around the offset")
    os.close(fd)
    fd = os.open("f", os.O_RDWR)
    equal(os.pread(fd, 10, offset - 2), b"\0\0far", "bytes after close")
    os.ftruncate(fd, offset)
    equal(os.pread(fd, 10, offset - 2), b"\0\0", "bytes after a truncation")


@rule("POSIX write() ERRORS [EFBIG]; ftruncate()")
def beyond_the_largest_file_writes_fail_and_leave_the_size():
    create("f", b"abc")
    fd = os.open("f", os.O_RDWR)
    fails((errno.EFBIG, errno.EINVAL), os.pwrite, fd, b"xx", 2**63 - 2)
    equal(size("f"), 3, "size")
