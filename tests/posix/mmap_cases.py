"""Files in memory: shared and private mappings, several processes, the end of the file."""

import errno
import mmap
import os
import signal

import syscalls
from checks import create, equal, fails, make, read, true
from suite import rule

PAGE = 4096
READ, WRITE = mmap.PROT_READ, mmap.PROT_WRITE
SHARED, PRIVATE = mmap.MAP_SHARED, mmap.MAP_PRIVATE
MIB = 1 << 20


def _mapped(length, flags=SHARED, protection=READ | WRITE, offset=0, path="f", mode=os.O_RDWR):
    fd = os.open(path, mode)
    return syscalls.mmap(length, protection, flags, fd, offset), fd


def _dies_of(function):
    """The signal that ends a child which calls the function; 0 when it lives."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        function()
        os._exit(0)
    return os.waitpid(pid, 0)[1] & 127


@rule("POSIX mmap()", [(f"{length}-{name}", length, flags) for length in (1, 4095, 4096, 4097, 100_000, 4 * MIB + 5)
                       for name, flags in (("shared", SHARED), ("private", PRIVATE))])
def a_mapping_shows_the_file(length, flags):
    data = os.urandom(length)
    create("f", data)
    address, _ = _mapped(length, flags, READ)
    true(syscalls.peek(address, length) == data, "the bytes differ")


@rule("POSIX mmap(): the rest of the last page is zeros", [(f"{length}", length) for length in (1, 100, 4095, 4097, 6000)])
def behind_the_end_the_page_is_zero(length):
    create("f", b"x" * length)
    address, _ = _mapped(length, SHARED, READ)
    rest = -length % PAGE
    equal(syscalls.peek(address + length, rest), bytes(rest), "bytes behind the end")


@rule("POSIX mmap(): bytes behind the end are never written", [("msync", False), ("unmapped", True)])
def what_is_stored_behind_the_end_does_not_reach_the_file(whole):
    create("f", b"x" * 100)
    fd = os.open("f", os.O_RDWR)
    with mmap.mmap(fd, 100) as mapping:
        mapping[:] = b"y" * 100
        mapping.flush()
    address = syscalls.mmap(PAGE, READ | WRITE, SHARED, fd)
    syscalls.poke(address + 100, b"beyond")
    if whole:
        os.fsync(fd)
    equal((os.fstat(fd).st_size, read("f")), (100, b"y" * 100), "size and content")
    os.ftruncate(fd, 200)
    equal(read("f")[106:], bytes(94), "bytes after growth")


@rule("POSIX mmap(): SIGBUS", [("read", lambda a: syscalls.peek(a)), ("write", lambda a: syscalls.poke(a, b"x"))])
def touching_a_page_beyond_the_end_raises_sigbus(touch):
    create("f", b"x" * 10)
    address, _ = _mapped(2 * PAGE)
    equal(_dies_of(lambda: touch(address)), 0, "signal inside of the file")
    equal(_dies_of(lambda: touch(address + PAGE)), signal.SIGBUS, "signal beyond the end")


@rule("POSIX mmap(), ftruncate(): SIGBUS", [("by-descriptor", lambda fd: os.ftruncate(fd, 100)), ("by-path", lambda fd: os.truncate("f", 100)),
                                            ("to-zero", lambda fd: os.ftruncate(fd, 0))])
def pages_cut_off_raise_sigbus(cut):
    create("f", b"x" * 3 * PAGE)
    address, fd = _mapped(3 * PAGE)
    equal(syscalls.peek(address + 2 * PAGE), b"x", "byte before")
    cut(fd)
    equal(_dies_of(lambda: syscalls.peek(address + 2 * PAGE)), signal.SIGBUS, "signal")
    os.ftruncate(fd, 3 * PAGE)
    equal(syscalls.peek(address + 2 * PAGE, 3), b"\0\0\0", "bytes after growth")


@rule("POSIX mmap(): a file that grew", [("truncate", lambda fd: os.ftruncate(fd, 2 * PAGE), b"\0"),
                                        ("write", lambda fd: os.pwrite(fd, b"new", PAGE), b"n")])
def a_page_is_there_once_the_file_has_grown(grow, expected):
    create("f", b"x" * PAGE)
    address, fd = _mapped(2 * PAGE)
    grow(fd)
    equal(syscalls.peek(address + PAGE), expected, "byte of the new page")


@rule("POSIX mmap(): MAP_SHARED", [("write", lambda: os.pwrite(os.open("f", os.O_WRONLY), b"NEW", 5)),
                                   ("append", lambda: os.pwrite(os.open("f", os.O_WRONLY), b"y" * 5000, 8192))])
def a_shared_mapping_shows_what_is_written(write):
    create("f", b"x" * 8192)
    address, _ = _mapped(8192)
    syscalls.peek(address, 8192)
    write()
    true(syscalls.peek(address, 8192) == read("f")[:8192], "the mapping differs from the file")


@rule("POSIX mmap(): MAP_SHARED", [("same-descriptor", True), ("other-descriptor", False)])
def what_is_stored_in_a_shared_mapping_is_read(same):
    create("f", b"x" * 8192)
    address, fd = _mapped(8192)
    other = fd if same else os.open("f", os.O_RDONLY)
    os.pread(other, 8192, 0)
    syscalls.poke(address + 4095, b"NEW")
    equal(os.pread(other, 5, 4094), b"xNEWx", "bytes")


@rule("POSIX mmap(): MAP_PRIVATE", [("before-reading", False), ("after-reading", True)])
def what_is_stored_in_a_private_mapping_stays_there(first_read):
    create("f", b"x" * 8192)
    address, _ = _mapped(8192, PRIVATE)
    if first_read:
        syscalls.peek(address, 8192)
    syscalls.poke(address + 10, b"NEW")
    equal(read("f"), b"x" * 8192, "content")
    os.pwrite(os.open("f", os.O_WRONLY), b"file", 10)
    equal(syscalls.peek(address + 10, 4), b"NEWx", "bytes in the mapping")


@rule("POSIX mmap(): a private mapping needs no write access")
def a_file_open_for_reading_is_mapped_private_and_writable():
    create("f", b"abc", 0o444)
    address, _ = _mapped(3, PRIVATE, mode=os.O_RDONLY)
    syscalls.poke(address, b"X")
    equal((syscalls.peek(address, 3), read("f")), (b"Xbc", b"abc"), "mapping and file")


@rule("POSIX mmap() ERRORS", [
    ("rdonly-shared-write", os.O_RDONLY, SHARED, READ | WRITE, errno.EACCES), ("wronly-shared-read", os.O_WRONLY, SHARED, READ, errno.EACCES),
    ("wronly-shared-write", os.O_WRONLY, SHARED, WRITE, errno.EACCES), ("wronly-private", os.O_WRONLY, PRIVATE, READ, errno.EACCES),
    ("path", os.O_PATH, SHARED, READ, errno.EBADF)])
def a_mapping_needs_the_access_of_its_descriptor(mode, flags, protection, number):
    create("f", b"x" * PAGE)
    fails(number, syscalls.mmap, PAGE, protection, flags, os.open("f", mode))


@rule("POSIX mmap() ERRORS", [("length-0", 0, 0, SHARED, errno.EINVAL), ("offset", PAGE, 100, SHARED, errno.EINVAL), ("no-flags", PAGE, 0, 0, errno.EINVAL)])
def impossible_mappings_are_refused(length, offset, flags, number):
    create("f", b"x" * PAGE)
    fails(number, syscalls.mmap, length, READ, flags, os.open("f", os.O_RDWR), offset)


@rule("POSIX mmap() ERRORS [ENODEV]", [("directory", "directory"), ("fifo", "fifo")])
def what_has_no_bytes_is_not_mapped(kind):
    make(kind, "f")
    fd = os.open("f", os.O_RDONLY | os.O_NONBLOCK)
    fails((errno.ENODEV, errno.EACCES), syscalls.mmap, PAGE, READ, PRIVATE, fd)


@rule("POSIX mprotect() ERRORS [EACCES]")
def a_read_only_shared_mapping_does_not_become_writable():
    create("f", b"x" * PAGE)
    address, _ = _mapped(PAGE, SHARED, READ, mode=os.O_RDONLY)
    fails(errno.EACCES, syscalls.mprotect, address, PAGE, READ | WRITE)


@rule("POSIX mmap(): storing into a read-only mapping")
def storing_into_a_read_only_mapping_raises_sigsegv():
    create("f", b"x" * PAGE)
    address, _ = _mapped(PAGE, SHARED, READ)
    equal(_dies_of(lambda: syscalls.poke(address, b"y")), signal.SIGSEGV, "signal")


@rule("POSIX mmap(): two processes", [("inherited", True), ("mapped-by-each", False)])
def processes_that_share_a_mapping_see_each_others_stores(inherited):
    create("f", b"x" * 3 * PAGE)
    address, _ = _mapped(3 * PAGE)
    pid = os.fork()
    if pid == 0:
        mine = address if inherited else _mapped(3 * PAGE)[0]
        for i in range(3):
            syscalls.poke(mine + i * PAGE, b"child")
        os._exit(0)
    os.waitpid(pid, 0)
    equal([syscalls.peek(address + i * PAGE, 5) for i in range(3)], [b"child"] * 3, "bytes")
    equal(read("f")[:5], b"child", "bytes of the file")


@rule("POSIX mmap(): MAP_PRIVATE after fork()")
def private_stores_of_a_child_stay_with_the_child():
    create("f", b"x" * PAGE)
    address, _ = _mapped(PAGE, PRIVATE)
    equal(_dies_of(lambda: syscalls.poke(address, b"child")), 0, "signal")
    equal((syscalls.peek(address, 5), read("f")[:5]), (b"xxxxx", b"xxxxx"), "bytes")


@rule("POSIX mmap(): the file may be closed", [("closed", False), ("renamed", True)])
def a_mapping_outlives_its_descriptor_and_name(rename):
    create("f", b"x" * PAGE)
    address, fd = _mapped(PAGE)
    os.close(fd)
    if rename:
        os.rename("f", "g")
    syscalls.poke(address, b"stored")
    equal(read("g" if rename else "f")[:6], b"stored", "bytes of the file")


@rule("POSIX msync(), munmap(), fsync()", [("msync", "flush"), ("munmap", "close"), ("fsync", "fsync")])
def stored_bytes_reach_the_file(way):
    create("f", bytes(5 * MIB))
    fd = os.open("f", os.O_RDWR)
    mapping = mmap.mmap(fd, 5 * MIB)
    for at in (0, 4095, MIB, 4 * MIB - 2, 5 * MIB - 4):
        mapping[at:at + 4] = b"data"
    if way == "flush":
        mapping.flush()
    elif way == "close":
        mapping.close()
    else:
        os.fsync(fd)
    content = read("f")
    for at in (0, 4095, MIB, 4 * MIB - 2, 5 * MIB - 4):
        equal(content[at:at + 4], b"data", f"bytes at {at}")
    equal(content.count(b"\0"), 5 * MIB - 20, "zeros between")


@rule("POSIX mmap(): an offset", [("page", PAGE), ("mib", MIB), ("chunk", 4 * MIB)])
def a_mapping_may_begin_inside_of_the_file(offset):
    create("f", bytes(offset) + b"here" + bytes(PAGE))
    address, _ = _mapped(PAGE, SHARED, READ | WRITE, offset)
    equal(syscalls.peek(address, 4), b"here", "bytes")
    syscalls.poke(address, b"HERE")
    equal(os.pread(os.open("f", os.O_RDONLY), 4, offset), b"HERE", "bytes of the file")


@rule("POSIX mmap(): holes", [("small", 16 * PAGE), ("large", 64 * MIB)])
def a_hole_is_mapped_as_zeros_and_filled_by_stores(length):
    create("f")
    os.truncate("f", length)
    address, fd = _mapped(length)
    equal(syscalls.peek(address + length // 2, 100), bytes(100), "bytes of the hole")
    syscalls.poke(address + length // 2, b"data")
    equal(os.pread(fd, 6, length // 2 - 1), b"\0data\0", "bytes of the file")


@rule("POSIX write() from a mapping", [("other-file", "g"), ("same-file", "f")])
def a_mapping_is_the_buffer_of_a_write(target):
    data = os.urandom(3 * PAGE)
    create("f", data)
    fd = os.open("f", os.O_RDWR)
    mapping = mmap.mmap(fd, 3 * PAGE)
    out = os.open(target, os.O_RDWR | os.O_CREAT)
    os.pwrite(out, memoryview(mapping)[:PAGE], 2 * PAGE)
    true(os.pread(out, PAGE, 2 * PAGE) == data[:PAGE], "the bytes differ")


@rule("POSIX read() into a mapping", [("other-file", "g"), ("same-file", "f")])
def a_mapping_is_the_buffer_of_a_read(source):
    create("f", b"x" * 2 * PAGE)
    if source == "g":
        create("g", b"y" * PAGE)
    with mmap.mmap(os.open("f", os.O_RDWR), 2 * PAGE) as mapping:
        os.preadv(os.open(source, os.O_RDONLY), [memoryview(mapping)[PAGE:]], 0)
    equal(read("f")[PAGE:], (b"y" if source == "g" else b"x") * PAGE, "bytes")


@rule("POSIX execve(): programs are mapped")
def a_program_copied_here_runs():
    create("true", read("/bin/true"), 0o755)
    pid = os.fork()
    if pid == 0:
        os.execv("./true", ["./true"])
    equal(os.waitpid(pid, 0)[1], 0, "status")


@rule("POSIX mmap(), O_TRUNC of the file")
def a_mapping_after_o_trunc_shows_the_new_content():
    create("f", b"x" * PAGE)
    address, _ = _mapped(PAGE)
    syscalls.peek(address, PAGE)
    fd = os.open("f", os.O_RDWR | os.O_TRUNC)
    os.write(fd, b"new")
    equal(syscalls.peek(address, 5), b"new\0\0", "bytes")
