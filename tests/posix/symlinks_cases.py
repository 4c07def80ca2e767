"""Symbolic links: their content, who follows them, loops."""

import errno
import os
import stat

import syscalls
from checks import KINDS, create, equal, exists, fails, identity, make, mode, read, true
from people import OTHER, acting
from suite import rule


@rule("POSIX symlink(), readlink()", [(f"{n}", n) for n in (1, 2, 59, 60, 255, 256, 1000, 4000, 4095)])
def targets_of_any_length_up_to_path_max_are_kept(length):
    target = ("x/" * 2048)[:length]
    os.symlink(target, "l")
    equal(os.readlink("l"), target, "target")
    info = os.lstat("l")
    equal((info.st_size, stat.S_ISLNK(info.st_mode), info.st_nlink), (length, True, 1), "size, kind, links")


@rule("POSIX symlink() ERRORS", [("4096", "x" * 4096, errno.ENAMETOOLONG), ("empty", "", errno.ENOENT)])
def a_bad_target_is_refused(target, number):
    fails(number, os.symlink, target, "l")
    true(not exists("l"), "the link was made")


@rule("POSIX symlink(): any string", [("spaces", "  a b "), ("utf-8", "\u00fc\u20ac"), ("bytes", b"\xff\xfe\n"), ("absolute", "/"),
                                      ("dots", "../../.."), ("slashes", "a//b///c/")])
def a_target_is_kept_as_it_was_given(target):
    os.symlink(target, "l")
    equal(os.readlink(b"l" if isinstance(target, bytes) else "l"), target, "target")


@rule("POSIX symlink() ERRORS [EEXIST]", [(kind, kind) for kind in KINDS + ("full", "loop")])
def a_link_never_replaces_a_name(kind):
    make(kind, "f")
    before = identity("f")
    fails(errno.EEXIST, os.symlink, "x", "f")
    equal(identity("f"), before, "what the name names")


@rule("POSIX symlink() ERRORS", [("slash-absent", "l/", errno.ENOENT)])
def a_link_has_no_trailing_slash(path, number):
    fails(number, os.symlink, "x", path)


@rule("POSIX readlink() ERRORS [EINVAL]", [(kind, kind) for kind in KINDS if kind not in ("symlink", "dangling")])
def only_links_are_read(kind):
    make(kind, "f")
    fails(errno.EINVAL, os.readlink, "f")


@rule("POSIX readlink(): a short buffer", [("1", 1, b"t"), ("3", 3, b"tar"), ("exact", 6, b"target"), ("long", 99, b"target")])
def readlink_cuts_to_the_buffer(length, expected):
    os.symlink("target", "l")
    equal(syscalls.readlink("l", length), expected, "bytes")


@rule("readlink(2) ERRORS EINVAL")
def a_buffer_of_no_bytes_is_refused():
    os.symlink("target", "l")
    fails(errno.EINVAL, syscalls.readlink, "l", 0)


@rule("symlink(7): permissions are always lrwxrwxrwx")
def a_link_has_all_permissions():
    os.umask(0o777)
    os.symlink("x", "l")
    equal(mode("l"), 0o777, "mode")
    with acting(OTHER):
        equal(os.readlink("l"), "x", "target read by another user")


def _chain(length):
    create("l0", b"end")
    for i in range(1, length + 1):
        os.symlink(f"l{i - 1}", f"l{i}")
    return f"l{length}"


@rule("symlink(7), path_resolution(7): 40 links", [(f"{n}", n) for n in (1, 2, 8, 39, 40)])
def chains_are_followed(length):
    equal(read(_chain(length)), b"end", "content")


@rule("POSIX XBD 4.13 [ELOOP]", [("41", 41), ("100", 100)])
def chains_too_long_are_refused(length):
    last = _chain(length)
    fails(errno.ELOOP, os.stat, last)
    fails(errno.ELOOP, os.open, last, os.O_RDONLY)


@rule("POSIX XBD 4.13 [ELOOP]: links on the whole way count")
def links_in_every_component_count_together():
    os.mkdir("d")
    os.symlink("..", "d/up")
    os.symlink("d", "l")
    os.stat("/".join(["l/up"] * 20))
    fails(errno.ELOOP, os.stat, "/".join(["l/up"] * 21))


FOLLOWERS = {
    "stat": lambda: equal(os.stat("l").st_size, 3, "size"), "open": lambda: equal(read("l"), b"abc", "content"),
    "truncate": lambda: (os.truncate("l", 1), equal(os.lstat("f").st_size, 1, "size")),
    "chmod": lambda: (os.chmod("l", 0o600), equal(mode("f"), 0o600, "mode")),
    "chown": lambda: (os.chown("l", 5, 6), equal(os.lstat("f").st_uid, 5, "owner")),
    "utime": lambda: (os.utime("l", (1, 1)), equal(os.lstat("f").st_mtime, 1, "mtime")),
    "write": lambda: (os.write(os.open("l", os.O_WRONLY), b"X"), equal(read("f"), b"Xbc", "content")),
}


@rule("POSIX XBD 4.13: functions that follow links", [(name, FOLLOWERS[name]) for name in FOLLOWERS])
def the_link_is_followed(check):
    create("f", b"abc")
    os.symlink("f", "l")
    check()
    equal(os.readlink("l"), "f", "target")
    equal(os.lstat("l").st_uid, 0, "owner of the link")


@rule("POSIX lstat(), lchown(), utimensat() AT_SYMLINK_NOFOLLOW", [
    ("lstat", lambda: true(stat.S_ISLNK(os.lstat("l").st_mode), "lstat followed")),
    ("lchown", lambda: (os.lchown("l", 5, 6), equal(os.lstat("l").st_gid, 6, "group of the link"))),
    ("utimensat", lambda: (os.utime("l", (7, 8), follow_symlinks=False), equal(os.lstat("l").st_mtime, 8, "mtime")))])
def the_link_itself_is_meant(check):
    create("f")
    before = os.stat("f")
    os.symlink("f", "l")
    check()
    after = os.stat("f")
    equal((after.st_uid, after.st_mtime_ns), (before.st_uid, before.st_mtime_ns), "the target's facts")


@rule("POSIX XBD 4.13: relative targets")
def a_relative_target_starts_at_the_directory_of_the_link():
    os.makedirs("a/b")
    create("a/f", b"right")
    create("f", b"wrong")
    os.symlink("../f", "a/b/l")
    equal(read("a/b/l"), b"right", "content")
    os.rename("a/b/l", "l2")
    os.mkdir("c")
    os.rename("l2", "c/l")
    equal(read("c/l"), b"wrong", "content after a move")


@rule("POSIX XBD 4.13: an absolute target")
def an_absolute_target_starts_at_the_root():
    create("f", b"abc")
    os.mkdir("d")
    os.symlink(os.path.abspath("f"), "d/l")
    equal(read("d/l"), b"abc", "content")


@rule("POSIX XBD 4.13: links to directories", [("through", "l/f"), ("slash", "l/./f"), ("dot-dot", "l/../d/f")])
def a_link_to_a_directory_is_a_way(path):
    os.mkdir("d")
    create("d/f", b"abc")
    os.symlink("d", "l")
    equal(read(path), b"abc", "content")


@rule("POSIX mkdir() ERRORS [EEXIST]; open() O_EXCL", [("mkdir", os.mkdir), ("mkfifo", os.mkfifo),
      ("link", lambda p: os.link(create("x"), p)), ("symlink", lambda p: os.symlink("x", p)),
      ("open-excl", lambda p: os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY))])
def making_a_name_never_follows_a_dangling_link(make_name):
    os.symlink("nowhere", "l")
    fails(errno.EEXIST, make_name, "l")
    true(not exists("nowhere"), "the target was made")


@rule("POSIX symlink(): a dangling link gets its target later")
def a_link_finds_what_comes_later():
    os.symlink("f", "l")
    fails(errno.ENOENT, os.stat, "l")
    create("f", b"abc")
    equal(read("l"), b"abc", "content")
    os.unlink("f")
    fails(errno.ENOENT, os.stat, "l")


@rule("chmod(2), fchmodat(2): a link has no mode of its own")
def the_mode_of_a_link_does_not_change():
    create("f", mode=0o644)
    os.symlink("f", "l")
    try:
        os.chmod(f"/proc/self/fd/{os.open('l', os.O_PATH | os.O_NOFOLLOW)}", 0o600)
    except OSError as error:
        equal(error.errno in (errno.EOPNOTSUPP, errno.ELOOP), True, "errno is EOPNOTSUPP")
    equal((mode("l"), mode("f")), (0o777, 0o644), "modes")
