"""Files and directories that have no name any more and are still open."""

import errno
import fcntl
import mmap
import os

from checks import create, equal, exists, fails, links, read, true, write_all
from people import OTHER, acting
from suite import rule

USES = {
    "read": lambda fd: equal(os.pread(fd, 99, 0), b"content", "bytes"),
    "write": lambda fd: (os.pwrite(fd, b"C", 0), equal(os.pread(fd, 99, 0), b"Content", "bytes")),
    "append-a-lot": lambda fd: _large(fd), "fstat": lambda fd: equal((os.fstat(fd).st_nlink, os.fstat(fd).st_size), (0, 7), "links, size"),
    "ftruncate": lambda fd: (os.ftruncate(fd, 3), equal(os.pread(fd, 99, 0), b"con", "bytes")),
    "grow": lambda fd: (os.ftruncate(fd, 10), equal(os.pread(fd, 99, 0), b"content\0\0\0", "bytes")),
    "fchmod": lambda fd: (os.fchmod(fd, 0o600), equal(os.fstat(fd).st_mode & 0o777, 0o600, "mode")),
    "fchown": lambda fd: (os.fchown(fd, 5, 6), equal(os.fstat(fd).st_uid, 5, "owner")),
    "futimens": lambda fd: (os.utime(fd, (1, 2)), equal(os.fstat(fd).st_mtime, 2, "mtime")),
    "fsync": os.fsync, "fdatasync": os.fdatasync, "lseek": lambda fd: equal(os.lseek(fd, 0, os.SEEK_END), 7, "offset"),
    "mmap": lambda fd: _mapped(fd), "flock": lambda fd: fcntl.flock(fd, fcntl.LOCK_EX),
    "fcntl-lock": lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX), "dup": lambda fd: equal(os.pread(os.dup(fd), 9, 0), b"content", "bytes"),
    "fallocate": lambda fd: os.posix_fallocate(fd, 0, 100), "fstatvfs": os.fstatvfs,
    "sendfile": lambda fd: _sent(fd), "copy-file-range": lambda fd: equal(os.copy_file_range(fd, os.open("copy", os.O_CREAT | os.O_RDWR), 7), 7, "bytes"),
}


def _large(fd):
    block = os.urandom(1 << 20)
    for i in range(6):
        os.pwrite(fd, block, i << 20)
    for i in range(6):
        true(os.pread(fd, 1 << 20, i << 20) == block, "the bytes differ")


def _mapped(fd):
    with mmap.mmap(fd, 7) as mapping:
        mapping[0:1] = b"C"
    equal(os.pread(fd, 9, 0), b"Content", "bytes")


def _sent(fd):
    target = os.open("copy", os.O_CREAT | os.O_RDWR)
    os.sendfile(target, fd, 0, 7)
    equal(os.pread(target, 9, 0), b"content", "bytes")


@rule("POSIX unlink(): the file lives until its last close", [(name, USES[name]) for name in USES])
def an_open_file_works_without_a_name(use):
    create("f", b"content")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    use(fd)


@rule("POSIX rename(): the replaced file lives until its last close", [(name, USES[name]) for name in ("read", "write", "append-a-lot", "fstat", "fsync")])
def an_open_file_works_after_it_was_replaced(use):
    create("f", b"content")
    create("g", b"other")
    fd = os.open("f", os.O_RDWR)
    os.rename("g", "f")
    use(fd)
    equal(read("f"), b"other", "content of the name")


@rule("fsetxattr(2)", needs=("user-xattr",))
def attributes_work_without_a_name():
    create("f")
    os.setxattr("f", "user.a", b"1")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    equal(os.getxattr(fd, "user.a"), b"1", "value")
    os.setxattr(fd, "user.b", b"2")
    equal(sorted(name for name in os.listxattr(fd) if name.startswith("user.")), ["user.a", "user.b"], "names")
    os.removexattr(fd, "user.a")


@rule("POSIX open(), O_CREAT; unlink() at once")
def a_temporary_file_is_made_and_unlinked_before_it_is_written():
    fd = os.open("f", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink("f")
    write_all(fd, b"abc" * 100000)
    equal(os.fstat(fd).st_size, 300000, "size")
    true(os.pread(fd, 300001, 0) == b"abc" * 100000, "the bytes differ")


@rule("POSIX unlink(): bytes that were not yet synced", [("small", 100), ("large", 5 << 20)])
def bytes_written_before_the_unlink_are_read_after_it(length):
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    data = os.urandom(length)
    write_all(fd, data)
    os.unlink("f")
    true(os.pread(fd, length + 1, 0) == data, "the bytes differ")


@rule("proc(5) /proc/pid/fd", [("read", os.O_RDONLY), ("write", os.O_RDWR), ("truncate", os.O_RDWR | os.O_TRUNC)])
def a_file_without_a_name_is_opened_again_by_its_descriptor(flags):
    create("f", b"content")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    again = os.open(f"/proc/self/fd/{fd}", flags)
    equal(os.pread(again, 9, 0), b"" if flags & os.O_TRUNC else b"content", "bytes")
    os.close(fd)
    equal(os.fstat(again).st_nlink, 0, "links")
    if flags != os.O_RDONLY:
        os.pwrite(again, b"x", 0)


@rule("POSIX fork(): a child's descriptor")
def a_child_holds_the_file_after_its_parent_closed_it():
    create("f", b"content")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    reader, writer = os.pipe()
    ready_reader, ready_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(ready_reader, 1)
        os.write(writer, os.pread(fd, 99, 0))
        os._exit(0)
    os.close(fd)
    os.write(ready_writer, b"x")
    os.waitpid(pid, 0)
    equal(os.read(reader, 99), b"content", "bytes that the child read")


@rule("POSIX unlink(): mapped memory")
def a_mapping_holds_the_file():
    create("f", b"content")
    fd = os.open("f", os.O_RDWR)
    mapping = mmap.mmap(fd, 7)
    os.close(fd)
    os.unlink("f")
    mapping[0:1] = b"C"
    equal(mapping[:], b"Content", "bytes")


@rule("POSIX unlink(): hard links")
def two_names_removed_while_it_is_open_leave_no_link():
    create("f", b"content")
    os.link("f", "g")
    fd = os.open("f", os.O_RDONLY)
    os.unlink("f")
    equal(os.fstat(fd).st_nlink, 1, "links")
    os.unlink("g")
    equal((os.fstat(fd).st_nlink, os.read(fd, 99)), (0, b"content"), "links and bytes")


@rule("POSIX unlink(): the name is free at once")
def generations_of_one_name_are_files_of_their_own():
    descriptors = []
    for i in range(20):
        create("f", b"%d" % i)
        descriptors.append(os.open("f", os.O_RDWR))
        os.unlink("f")
    for i, fd in enumerate(descriptors):
        os.pwrite(fd, b"!", 2)
        equal(os.pread(fd, 9, 0)[:len(str(i))], b"%d" % i, "bytes")


@rule("POSIX unlink(), fchmod(): permissions without a name")
def only_the_owner_changes_a_file_without_a_name():
    create("f", mode=0o666)
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    with acting(OTHER):
        fails(errno.EPERM, os.fchmod, fd, 0o777)
        os.write(fd, b"x")


@rule("POSIX rmdir(): a directory can go while a file that was in it is open")
def the_directory_of_an_unlinked_open_file_is_removed():
    os.mkdir("d")
    fd = os.open(create("d/f", b"content"), os.O_RDWR)
    os.unlink("d/f")
    os.rmdir("d")
    equal((exists("d"), os.read(fd, 99)), (False, b"content"), "whether it is there, and bytes")


@rule("POSIX unlink(): ctime of the file")
def the_last_unlink_marks_the_file():
    create("f")
    fd = os.open("f", os.O_RDONLY)
    before = os.fstat(fd)
    from checks import tick
    tick()
    os.unlink("f")
    after = os.fstat(fd)
    true(after.st_ctime_ns > before.st_ctime_ns, "ctime did not go on")
    equal(after.st_mtime_ns, before.st_mtime_ns, "mtime")


@rule("POSIX link(): a name left")
def a_file_keeps_its_content_under_the_name_that_is_left():
    create("f", b"abc")
    os.link("f", "g")
    fd = os.open("f", os.O_RDWR)
    os.unlink("f")
    os.pwrite(fd, b"X", 0)
    os.close(fd)
    equal((read("g"), links("g")), (b"Xbc", 1), "content and links")
