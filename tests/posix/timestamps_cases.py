"""Time stamps: which call changes which, and utimensat() in all its ways."""

import errno
import mmap
import os
import time

import syscalls
from checks import create, equal, fails, make, skip, tick, true
from people import MEMBER, OTHER, OWNER, PEER, acting, give
from suite import rule
from syscalls import UTIME_NOW, UTIME_OMIT, utimensat

NS = 10**9


def _stamps(path):
    info = os.lstat(path)
    return {"a": info.st_atime_ns, "m": info.st_mtime_ns, "c": info.st_ctime_ns}


def _changed(before, after):
    return "".join(letter for letter in "amc" if before[letter] != after[letter])


def _check(path, before, expected, free=""):
    """`expected` stamps went on, others stayed; those in `free` may do either."""
    after = _stamps(path)
    changed = _changed(before, after)
    visible = "".join(letter for letter in changed if letter not in free)
    equal(visible, expected, f"stamps of {path} that changed")
    for letter in expected:
        true(after[letter] > before[letter], f"the {letter}time of {path} went back")


def _fd(flags=os.O_RDWR):
    return os.open("d/f", flags)


def _mapped_write():
    fd = _fd()
    with mmap.mmap(fd, 7) as mapping:
        mapping[0:1] = b"X"
        mapping.flush()


OF_FILE = {
    "write": (lambda: os.write(_fd(), b"x"), "mc"), "append": (lambda: os.write(_fd(os.O_RDWR | os.O_APPEND), b"x"), "mc"),
    "write-nothing": (lambda: os.write(_fd(), b""), ""), "pwrite": (lambda: os.pwrite(_fd(), b"x", 100), "mc"),
    "ftruncate-down": (lambda: os.ftruncate(_fd(), 1), "mc"), "ftruncate-up": (lambda: os.ftruncate(_fd(), 1000), "mc"),
    "ftruncate-same": (lambda: os.ftruncate(_fd(), 7), "mc"),
    "truncate-down": (lambda: os.truncate("d/f", 1), "mc"), "truncate-up": (lambda: os.truncate("d/f", 1000), "mc"),
    "open-trunc": (lambda: os.close(_fd(os.O_WRONLY | os.O_TRUNC)), "mc"),
    "chmod": (lambda: os.chmod("d/f", 0o600), "c"), "chmod-same": (lambda: os.chmod("d/f", 0o644), "c"),
    "chown": (lambda: os.chown("d/f", 5, 6), "c"), "link": (lambda: os.link("d/f", "d/g"), "c"),
    "rename": (lambda: os.rename("d/f", "d/g") or os.rename("d/g", "d/f"), "c"),
    "rename-away": (lambda: os.rename("d/f", "f") or os.rename("f", "d/f"), "c"),
    "unlink-other-name": (lambda: os.unlink("other"), "c"), "stat": (lambda: os.stat("d/f"), ""),
    "access": (lambda: os.access("d/f", os.R_OK), ""), "open-rdonly": (lambda: os.close(_fd(os.O_RDONLY)), ""),
    "open-rdwr": (lambda: os.close(_fd()), ""), "open-creat": (lambda: os.close(_fd(os.O_RDWR | os.O_CREAT)), ""),
    "fsync": (lambda: os.fsync(_fd()), ""), "lseek": (lambda: os.lseek(_fd(), 3, 0), ""),
    "mapped-write": (_mapped_write, "mc"),
    "fallocate": (lambda: os.posix_fallocate(_fd(), 0, 5000), "mc"),
}


@rule("POSIX: which time stamps a function marks for update", [(name, *OF_FILE[name]) for name in OF_FILE])
def a_call_changes_the_stamps_of_its_file(call, expected):
    os.mkdir("d")
    create("d/f", b"content")
    os.link("d/f", "other")
    tick()
    before = _stamps("d/f")
    call()
    _check("d/f", before, expected, free="a" if "m" in expected else "")


@rule("POSIX setxattr(2)", [("setxattr", lambda: os.setxattr("f", "user.b", b"1")), ("replace", lambda: os.setxattr("f", "user.a", b"2")),
                            ("removexattr", lambda: os.removexattr("f", "user.a"))], needs=("user-xattr",))
def changing_an_attribute_changes_ctime(change):
    create("f")
    os.setxattr("f", "user.a", b"1")
    tick()
    before = _stamps("f")
    change()
    _check("f", before, "c")


@rule("getxattr(2), listxattr(2)", [("getxattr", lambda: os.getxattr("f", "user.a")), ("listxattr", lambda: os.listxattr("f"))],
      needs=("user-xattr",))
def reading_attributes_changes_nothing(use):
    create("f")
    os.setxattr("f", "user.a", b"1")
    tick()
    before = _stamps("f")
    use()
    _check("f", before, "")


OF_PARENT = {
    "create": lambda: create("d/new"), "mkdir": lambda: os.mkdir("d/new"), "mkfifo": lambda: os.mkfifo("d/new"),
    "mknod": lambda: os.mknod("d/new", 0o100600), "symlink": lambda: os.symlink("x", "d/new"), "link": lambda: os.link("d/f", "d/new"),
    "unlink": lambda: os.unlink("d/f"), "rmdir": lambda: os.rmdir("d/sub"), "rename-within": lambda: os.rename("d/f", "d/g"),
    "rename-from": lambda: os.rename("d/f", "g"), "rename-to": lambda: os.rename("out", "d/in"),
    "rename-over": lambda: os.rename("d/f", "d/h"), "rename-directory": lambda: os.rename("d/sub", "d/sub2"),
}


@rule("POSIX: st_mtime and st_ctime of the parent directory", [(name, OF_PARENT[name]) for name in OF_PARENT])
def changing_names_changes_the_stamps_of_the_directory(change):
    os.makedirs("d/sub")
    create("d/f")
    create("d/h")
    create("out")
    tick()
    before = _stamps("d")
    change()
    _check("d", before, "mc")


NOT_OF_PARENT = {
    "write": lambda: os.write(_fd(), b"x"), "chmod": lambda: os.chmod("d/f", 0o600), "truncate": lambda: os.truncate("d/f", 0),
    "open-creat": lambda: os.close(_fd(os.O_RDWR | os.O_CREAT)), "utime": lambda: os.utime("d/f"), "stat": lambda: os.stat("d/f"),
    "create-below": lambda: create("d/sub/f"), "rename-same": lambda: os.rename("d/f", "d/f"),
}


@rule("POSIX: st_mtime and st_ctime of the parent directory", [(name, NOT_OF_PARENT[name]) for name in NOT_OF_PARENT])
def what_changes_no_name_leaves_the_directory(use):
    os.makedirs("d/sub")
    create("d/f", b"content")
    tick()
    before = _stamps("d")
    use()
    _check("d", before, "")


FAILING = {
    "mkdir-exists": (lambda: os.mkdir("d/sub"), errno.EEXIST), "create-exists": (lambda: create("d/f"), errno.EEXIST),
    "rmdir-full": (lambda: os.rmdir("d/sub"), errno.ENOTEMPTY), "unlink-missing": (lambda: os.unlink("d/x"), errno.ENOENT),
    "link-exists": (lambda: os.link("d/f", "d/sub"), errno.EEXIST), "rename-over-full": (lambda: os.rename("d/e", "d/sub"), errno.ENOTEMPTY),
    "symlink-exists": (lambda: os.symlink("x", "d/f"), errno.EEXIST), "mkfifo-exists": (lambda: os.mkfifo("d/f"), errno.EEXIST),
}


@rule("POSIX: a function that fails changes nothing", [(name, *FAILING[name]) for name in FAILING])
def a_failed_call_leaves_all_stamps(call, number):
    os.makedirs("d/sub/deep")
    os.mkdir("d/e")
    create("d/f")
    tick()
    before = [_stamps(path) for path in ("d", "d/f", "d/sub")]
    fails(number, call)
    for path, stamps in zip(("d", "d/f", "d/sub"), before):
        _check(path, stamps, "")


@rule("POSIX rename(): stamps of both parents and of what was replaced")
def a_rename_between_directories_changes_both():
    os.mkdir("a")
    os.mkdir("b")
    create("a/f")
    create("b/f")
    os.link("b/f", "kept")
    tick()
    before = {path: _stamps(path) for path in ("a", "b", "kept")}
    os.rename("a/f", "b/f")
    _check("a", before["a"], "mc")
    _check("b", before["b"], "mc")
    _check("kept", before["kept"], "c")


NEW = {"open": create, "mkdir": os.mkdir, "mkfifo": os.mkfifo, "symlink": lambda p: os.symlink("x", p)}


@rule("POSIX open(), mkdir(), mkfifo(), symlink(): all three stamps", [(name, NEW[name]) for name in NEW])
def a_new_file_has_the_time_of_its_making(make_name):
    before = time.time_ns()
    tick()
    make_name("f")
    stamps = _stamps("f")
    after = time.time_ns()
    true(max(stamps.values()) - min(stamps.values()) < NS // 2, f"the three stamps differ: {stamps}")
    true(before - NS < stamps["m"] < after + NS, "the stamps are not of now")


@rule("POSIX symlink(), link(): the target's stamps")
def a_symbolic_link_leaves_its_target_alone():
    create("f")
    tick()
    before = _stamps("f")
    os.symlink("f", "l")
    _check("f", before, "")


# --- atime -----------------------------------------------------------------------------------------
def _relatime():
    """Skips where reads do not update an atime that is older than mtime."""
    flags = os.statvfs(".").f_flag
    if flags & os.ST_NOATIME:
        skip("mounted noatime")


READS = {
    "read": ("file", lambda: os.read(os.open("f", os.O_RDONLY), 3)), "pread": ("file", lambda: os.pread(os.open("f", os.O_RDONLY), 3, 1)),
    "listdir": ("full", lambda: os.listdir("f")), "readlink": ("symlink", lambda: os.readlink("f")),
    "through-symlink": ("symlink-target", lambda: os.read(os.open("l", os.O_RDONLY), 3)),
}


@rule("POSIX read(), readdir(), readlink(); mount(8) relatime", [(name, *READS[name]) for name in READS])
def reading_changes_an_atime_that_is_older_than_mtime(kind, read_it):
    _relatime()
    make("file" if kind == "symlink-target" else kind, "f")
    os.symlink("f", "l")
    utimensat("f", ((1000, 0), (2000, 0)), flags=0x100)
    before = _stamps("f")
    read_it()
    after = _stamps("f")
    true(after["a"] > before["a"], "atime did not go on")
    equal((after["m"], after["c"]), (before["m"], before["c"]), "mtime and ctime")


@rule("open(2) O_NOATIME")
def o_noatime_leaves_atime():
    create("f", b"abc")
    utimensat("f", ((1000, 0), (2000, 0)))
    os.read(os.open("f", os.O_RDONLY | os.O_NOATIME), 3)
    equal(_stamps("f")["a"], 1000 * NS, "atime")


# --- utimensat ---------------------------------------------------------------------------------------
WAYS = {"given": (1_500_000_000, 123_456_789), "now": (0, UTIME_NOW), "omit": (0, UTIME_OMIT)}


@rule("POSIX utimensat(): UTIME_NOW, UTIME_OMIT", [(f"atime-{a}-mtime-{m}", a, m) for a in WAYS for m in WAYS])
def each_stamp_is_given_now_or_left(atime, mtime):
    create("f")
    utimensat("f", ((1000, 1), (2000, 2)))
    tick()
    before, began = _stamps("f"), time.time_ns()
    utimensat("f", (WAYS[atime], WAYS[mtime]))
    after = _stamps("f")
    for letter, way in (("a", atime), ("m", mtime)):
        if way == "now":
            true(after[letter] > began - NS, f"{letter}time is not now")
        else:
            expected = before[letter] if way == "omit" else WAYS["given"][0] * NS + WAYS["given"][1]
            equal(after[letter], expected, f"{letter}time")
    if (atime, mtime) == ("omit", "omit"):
        equal(after["c"], before["c"], "ctime")
    else:
        true(after["c"] > before["c"], "ctime did not go on")


@rule("POSIX utimensat(): a null pointer")
def no_times_at_all_mean_now():
    create("f")
    utimensat("f", ((1000, 1), (2000, 2)))
    began = time.time_ns()
    utimensat("f", None)
    after = _stamps("f")
    true(min(after.values()) > began - NS, "a stamp is not now")


@rule("POSIX utimensat(): nanoseconds", [(f"{ns}", ns) for ns in (0, 1, 999, 1000, 123456789, 500000000, 999999999)])
def nanoseconds_are_kept(ns):
    create("f")
    utimensat("f", ((10, ns), (20, ns)))
    stamps = _stamps("f")
    equal((stamps["a"], stamps["m"]), (10 * NS + ns, 20 * NS + ns), "stamps")


TIMES = {"before-1970": -1, "1901": -2**31 + 1, "1970": 0, "second-1": 1, "2038": 2**31 - 1, "after-2038": 2**31,
         "2106": 2**32, "2200": 7258118400, "2400": 13569465600}


@rule("POSIX utimensat(): tv_sec", [(name, TIMES[name]) for name in TIMES])
def times_far_away_are_kept(seconds):
    create("f")
    utimensat("f", ((seconds, 7), (seconds, 9)))
    stamps = _stamps("f")
    equal((stamps["a"], stamps["m"]), (seconds * NS + 7, seconds * NS + 9), "stamps")


@rule("POSIX utimensat() ERRORS [EINVAL]", [("too-large", 10**9), ("negative", -1), ("past-omit", UTIME_NOW + 1), ("below-omit", UTIME_OMIT - 1)])
def nanoseconds_out_of_range_are_refused(ns):
    create("f")
    before = _stamps("f")
    for times in (((1, ns), (1, 0)), ((1, 0), (1, ns))):
        fails(errno.EINVAL, utimensat, "f", times)
    _check("f", before, "")


@rule("POSIX utimensat(), futimens()", [(kind, kind) for kind in ("file", "directory", "fifo", "socket", "device", "symlink", "dangling")])
def every_kind_has_stamps(kind):
    make(kind, "f")
    utimensat("f", ((11, 1), (22, 2)), flags=0x100)
    stamps = _stamps("f")
    equal((stamps["a"], stamps["m"]), (11 * NS + 1, 22 * NS + 2), "stamps")


@rule("POSIX futimens()", [("rdonly", os.O_RDONLY), ("wronly", os.O_WRONLY), ("append", os.O_RDWR | os.O_APPEND)])
def futimens_works_on_any_descriptor(flags):
    create("f")
    os.utime(os.open("f", flags), ns=(5, 6))
    stamps = _stamps("f")
    equal((stamps["a"], stamps["m"]), (5, 6), "stamps")


NOW, LATER = ((0, UTIME_NOW), (0, UTIME_NOW)), ((5, 0), (6, 0))
OMITTED, MIXED = ((0, UTIME_OMIT), (0, UTIME_OMIT)), ((0, UTIME_NOW), (0, UTIME_OMIT))
WHO = {
    "null-owner": (OWNER, 0o400, None, 0), "null-writer": (OTHER, 0o602, None, 0), "null-reader": (OTHER, 0o604, None, errno.EACCES),
    "null-group-writer": (PEER, 0o620, None, 0), "null-supplementary-writer": (MEMBER, 0o620, None, 0),
    "now-writer": (OTHER, 0o602, NOW, 0), "now-reader": (OTHER, 0o604, NOW, errno.EACCES), "now-owner": (OWNER, 0, NOW, 0),
    "given-owner": (OWNER, 0, LATER, 0), "given-writer": (OTHER, 0o606, LATER, errno.EPERM),
    "given-group-writer": (PEER, 0o660, LATER, errno.EPERM), "mixed-writer": (OTHER, 0o606, MIXED, errno.EPERM),
    "mixed-owner": (OWNER, 0, MIXED, 0), "omitted-stranger": (OTHER, 0, OMITTED, 0),
}


@rule("POSIX utimensat() ERRORS [EACCES], [EPERM]", [(name, *WHO[name]) for name in WHO])
def who_may_set_the_stamps(person, bits, times, number):
    give(create("f", mode=bits))
    with acting(person):
        if number:
            fails(number, utimensat, "f", times)
        else:
            utimensat("f", times)


# --- stamps of data --------------------------------------------------------------------------------
@rule("POSIX write(), close(): the time of the write stays")
def close_does_not_move_mtime():
    create("f")
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"abc")
    before = _stamps("f")
    time.sleep(0.1)
    os.close(fd)
    _check("f", before, "")


@rule("POSIX fsync(): the time of the write stays", [("fsync", os.fsync), ("fdatasync", os.fdatasync)])
def syncing_does_not_move_mtime(sync):
    create("f")
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"x" * 100000)
    before = _stamps("f")
    time.sleep(0.1)
    sync(fd)
    _check("f", before, "")


@rule("POSIX futimens() after write()", [("small", 3), ("large", 6 << 20)])
def stamps_set_after_a_write_outlive_the_close(length):
    fd = os.open("f", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x" * length)
    os.utime(fd, ns=(5 * NS + 1, 6 * NS + 2))
    os.close(fd)
    stamps = _stamps("f")
    equal((stamps["a"], stamps["m"]), (5 * NS + 1, 6 * NS + 2), "stamps")


@rule("POSIX utimensat() of a file that is open", [("small", 3), ("large", 6 << 20)])
def stamps_set_by_path_while_it_is_written_outlive_the_close(length):
    fd = os.open("f", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x" * length)
    os.utime("f", ns=(5 * NS, 6 * NS))
    os.close(fd)
    equal(_stamps("f")["m"], 6 * NS, "mtime")


@rule("POSIX write() after utimensat()", [("closed", True), ("open", False)])
def a_write_moves_an_old_mtime_to_now(close):
    create("f", b"abc")
    fd = os.open("f", os.O_WRONLY)
    os.utime("f", ns=(5 * NS, 6 * NS))
    began = time.time_ns()
    os.write(fd, b"X")
    if close:
        os.close(fd)
    true(_stamps("f")["m"] > began - NS, "mtime is not now")


@rule("POSIX fstat() and stat()")
def stamps_are_the_same_by_path_and_descriptor():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    for _ in range(5):
        os.write(fd, b"abc")
        tick()
        by_path, by_fd = os.stat("f"), os.fstat(fd)
        equal((by_path.st_mtime_ns, by_path.st_ctime_ns, by_path.st_size), (by_fd.st_mtime_ns, by_fd.st_ctime_ns, by_fd.st_size), "facts")


@rule("XBD 4.9 File Times Update: time goes on")
def later_changes_never_have_earlier_stamps():
    last = 0
    for i in range(50):
        create(f"f{i}", b"x")
        now = _stamps(f"f{i}")["m"]
        true(now >= last, "a later file has an earlier mtime")
        last = now


@rule("statx(2): what a file system does not know is not in the mask")
def the_time_of_birth_is_told_or_left_out():
    create("f")
    info = syscalls.statx("f")
    told = bool(info["mask"] & syscalls.STATX_BTIME)
    equal(info["btime"] != 0, told, "whether there is a time of birth")


@rule("statx(2) stx_btime", needs=("btime",))
def the_time_of_birth_never_changes():
    create("f")
    born = syscalls.statx("f")["btime"]
    tick()
    os.utime("f", (1, 1))
    os.write(os.open("f", os.O_WRONLY), b"x")
    os.rename("f", "g")
    equal(syscalls.statx("g")["btime"], born, "time of birth")
    true(abs(born - time.time_ns()) < 60 * NS, "the time of birth is not of now")
