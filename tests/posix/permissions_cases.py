"""Who may do what: file permission bits, directories on the way, the superuser, access()."""

import errno
import os
import stat

import syscalls
from checks import create, equal, exists, fails, make, read, setting, true
from people import CLASSES, MEMBER, OTHER, OWNER, PEER, acting, forked, give
from suite import rule

SHIFT = {"owner": 6, "group": 3, "supplementary": 3, "other": 0}
BIT = {"read": 4, "write": 2, "execute": 1}


def _open_as(person, path, flags):
    with acting(person):
        os.close(os.open(path, flags))


def _run(path):
    """The exit status of a program, or the error of its execve, wholly as whoever calls."""
    pid = os.fork()
    if pid == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(error.errno)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise OSError(status, os.strerror(status))


def _execute_as(person, path):
    forked(_run, path, person=person)


def _use(person, path, wanted):
    if wanted == "execute":
        _execute_as(person, path)
    else:
        _open_as(person, path, os.O_RDONLY if wanted == "read" else os.O_WRONLY)


CLASS_ROWS = [(f"{who}-{wanted}", who, wanted) for who in CLASSES for wanted in BIT]


@rule("POSIX XBD 4.5 File Access Permissions", CLASS_ROWS)
def the_bit_of_ones_class_is_enough_for_a_file(who, wanted):
    create("f", b"#!/bin/true\n")
    os.chown("f", OWNER.uid, OWNER.gid)
    # A script is read by its interpreter as well.
    extra = 4 if wanted == "execute" else 0
    os.chmod("f", (BIT[wanted] | extra) << SHIFT[who])
    _use(CLASSES[who], "./f", wanted)


@rule("POSIX XBD 4.5 File Access Permissions", CLASS_ROWS)
def bits_of_other_classes_do_not_help_with_a_file(who, wanted):
    create("f", b"#!/bin/true\n")
    os.chown("f", OWNER.uid, OWNER.gid)
    os.chmod("f", 0o777 & ~(BIT[wanted] << SHIFT[who]))
    fails(errno.EACCES, _use, CLASSES[who], "./f", wanted)


def _use_directory(person, wanted):
    with acting(person):
        if wanted == "read":
            os.listdir("d")
        elif wanted == "write":
            os.mkdir("d/new")
        else:
            os.stat("d/entry")


@rule("POSIX XBD 4.5 File Access Permissions", CLASS_ROWS)
def the_bit_of_ones_class_is_enough_for_a_directory(who, wanted):
    give(make("full", "d"))
    extra = 1 if wanted == "write" else 0  # a name is made by search and write
    os.chmod("d", (BIT[wanted] | extra) << SHIFT[who])
    _use_directory(CLASSES[who], wanted)


@rule("POSIX XBD 4.5 File Access Permissions", CLASS_ROWS)
def bits_of_other_classes_do_not_help_with_a_directory(who, wanted):
    give(make("full", "d"))
    os.chmod("d", 0o777 & ~(BIT[wanted] << SHIFT[who]))
    fails(errno.EACCES, _use_directory, CLASSES[who], wanted)


@rule("POSIX open() ERRORS [EACCES]",
      [(f"{bits:o}-{name}", bits, flags, allowed) for bits, name, flags, allowed in (
          (0o4, "rdwr", os.O_RDWR, False), (0o2, "rdwr", os.O_RDWR, False),
          (0o6, "rdwr", os.O_RDWR, True), (0o4, "rdonly-trunc", os.O_RDONLY | os.O_TRUNC, False),
          (0o6, "rdonly-trunc", os.O_RDONLY | os.O_TRUNC, True),
          (0o2, "wronly-trunc", os.O_WRONLY | os.O_TRUNC, True),
          (0o2, "wronly-append", os.O_WRONLY | os.O_APPEND, True),
          (0o4, "wronly-append", os.O_WRONLY | os.O_APPEND, False),
          (0o0, "path", os.O_PATH, True), (0o4, "rdonly-creat", os.O_RDONLY | os.O_CREAT, True),
          (0o1, "rdonly", os.O_RDONLY, False))])
def open_needs_every_access_that_it_asks_for(bits, flags, allowed):
    create("f", b"x", bits)
    if allowed:
        _open_as(OTHER, "f", flags)
    else:
        fails(errno.EACCES, _open_as, OTHER, "f", flags)
        equal(read("f"), b"x", "content")


SEARCHES = {
    "stat": lambda p: os.stat(p), "lstat": lambda p: os.lstat(p),
    "open": lambda p: os.close(os.open(p, os.O_RDONLY)), "chmod": lambda p: os.chmod(p, 0o600),
    "chown": lambda p: os.chown(p, -1, -1), "unlink": os.unlink, "truncate": lambda p: os.truncate(p, 0),
    "utime": lambda p: os.utime(p), "readlink": os.readlink, "listxattr": os.listxattr,
    "mkdir": lambda p: os.mkdir(p + "2"), "rmdir": lambda p: os.rmdir(p + "2"),
    "symlink": lambda p: os.symlink("x", p + "2"), "mkfifo": lambda p: os.mkfifo(p + "2"),
    "rename": lambda p: os.rename(p, p + "2"), "link": lambda p: os.link(p, p + "2"),
    "listdir": lambda p: os.listdir(os.path.dirname(p) + "/sub"), "statvfs": os.statvfs,
    "chdir": lambda p: os.chdir(os.path.dirname(p) + "/sub"),
    "access": lambda p: os.access(p, os.F_OK, effective_ids=True) or _denied(),
}


def _denied():
    raise PermissionError(errno.EACCES, "denied")


@rule("POSIX XBD 4.13 Pathname Resolution", [(name, name) for name in SEARCHES])
def a_directory_without_search_permission_stops_every_path(name):
    os.mkdir("d", 0o777)
    give(create("d/f"))
    os.mkdir("d/sub", 0o777)
    os.chmod("d", 0o666)
    with acting(OWNER):
        fails(errno.EACCES, SEARCHES[name], "d/f")


@rule("POSIX chdir(); XBD 4.13")
def search_permission_is_asked_in_every_directory_of_the_path():
    os.makedirs("a/b/c", 0o777)
    create("a/b/c/f")
    for closed in ("a", "a/b", "a/b/c"):
        os.chmod(closed, 0o644)
        with acting(OTHER):
            fails(errno.EACCES, os.stat, "a/b/c/f")
        os.chmod(closed, 0o711)
        with acting(OTHER):
            os.stat("a/b/c/f")


CHANGES = {
    "create": lambda: create("d/new"), "mkdir": lambda: os.mkdir("d/new"),
    "mkfifo": lambda: os.mkfifo("d/new"), "symlink": lambda: os.symlink("x", "d/new"),
    "link": lambda: os.link("open/own", "d/new"), "rename-into": lambda: os.rename("open/own", "d/new"),
    "rename-from": lambda: os.rename("d/f", "open/new"), "rename-within": lambda: os.rename("d/f", "d/g"),
    "unlink": lambda: os.unlink("d/f"), "rmdir": lambda: os.rmdir("d/sub"),
    "exchange": lambda: syscalls.renameat2("d/f", "d/sub", syscalls.RENAME_EXCHANGE),
}


@rule("POSIX unlink(), mkdir(), rename()... ERRORS [EACCES]", [(name, name) for name in CHANGES])
def names_change_only_with_write_permission_on_their_directory(name):
    os.mkdir("open", 0o777)
    give(create("open/own"))
    os.mkdir("d", 0o777)
    give(create("d/f"))
    give(make("directory", "d/sub"))
    os.chmod("d", 0o555)
    before = sorted(os.listdir("d"))
    with acting(OWNER):
        fails(errno.EACCES, CHANGES[name])
    equal(sorted(os.listdir("d")), before, "names")


@rule("POSIX mkdir() ERRORS [EACCES]", [(name, name) for name in CHANGES])
def write_permission_without_search_is_no_use(name):
    os.mkdir("open", 0o777)
    give(create("open/own"))
    os.mkdir("d", 0o777)
    give(create("d/f"))
    give(make("directory", "d/sub"))
    os.chmod("d", 0o666)
    with acting(OWNER):
        fails(errno.EACCES, CHANGES[name])


@rule("POSIX unlink()")
def a_file_needs_no_permission_of_its_own_to_be_unlinked():
    os.mkdir("d", 0o777)
    create("d/f", mode=0)
    with acting(OTHER):
        os.unlink("d/f")
    true(not exists("d/f"), "the name stayed")


@rule("POSIX rename() ERRORS [EACCES]: a directory whose .. changes")
def a_directory_moves_to_another_parent_only_when_it_may_be_written():
    os.mkdir("a", 0o777)
    os.mkdir("b", 0o777)
    os.mkdir("a/d", 0o755)
    with acting(OTHER):
        fails(errno.EACCES, os.rename, "a/d", "b/d")
        os.rename("a/d", "a/e")  # its .. stays


@rule("POSIX readdir(); XBD 4.5")
def read_without_search_lists_names_but_shows_no_file():
    make("full", "d")
    os.chmod("d", 0o744)
    with acting(OTHER):
        equal(os.listdir("d"), ["entry"], "names")
        fails(errno.EACCES, os.stat, "d/entry")


@rule("XBD 4.5")
def search_without_read_opens_known_names_but_lists_none():
    make("full", "d")
    os.chmod("d", 0o711)
    with acting(OTHER):
        os.stat("d/entry")
        fails(errno.EACCES, os.listdir, "d")


@rule("POSIX open(): access is checked at open")
def an_open_descriptor_outlives_a_change_of_permissions():
    give(create("f", b"abc", 0o600))
    with acting(OWNER):
        fd = os.open("f", os.O_RDWR)
        os.chmod("f", 0)
        equal(os.pread(fd, 3, 0), b"abc", "bytes")
        os.pwrite(fd, b"X", 0)
        fails(errno.EACCES, os.open, "f", os.O_RDONLY)


@rule("POSIX open(), O_CREAT: mode does not affect this open",
      [(f"{bits:03o}", bits) for bits in (0, 0o400, 0o200, 0o444, 0o100)])
def a_file_created_without_permissions_is_open_for_what_was_asked(bits):
    os.mkdir("d", 0o777)
    with acting(OTHER):
        fd = os.open("d/f", os.O_RDWR | os.O_CREAT | os.O_EXCL, bits)
        os.write(fd, b"abc")
        equal(os.pread(fd, 3, 0), b"abc", "bytes")
    equal(stat.S_IMODE(os.stat("d/f").st_mode), bits, "mode")


# --- the superuser ---------------------------------------------------------------------------------
@rule("XBD 4.5: appropriate privileges; capabilities(7) CAP_DAC_OVERRIDE",
      [("read", os.O_RDONLY), ("write", os.O_WRONLY), ("both", os.O_RDWR),
       ("truncate", os.O_WRONLY | os.O_TRUNC)])
def root_opens_any_file(flags):
    give(create("f", b"x", 0))
    os.close(os.open("f", flags))


@rule("capabilities(7) CAP_DAC_OVERRIDE",
      [("list", lambda: os.listdir("d")), ("search", lambda: os.stat("d/entry")),
       ("create", lambda: create("d/new")), ("unlink", lambda: os.unlink("d/entry"))])
def root_uses_any_directory(use):
    give(make("full", "d"))
    os.chmod("d", 0)
    use()


@rule("POSIX execve() ERRORS [EACCES]; XBD 4.5",
      [(f"{bits:03o}", bits, allowed) for bits, allowed in (
          (0o644, False), (0, False), (0o666, False), (0o100, True), (0o010, True), (0o001, True))])
def root_executes_a_file_only_with_some_execute_bit(bits, allowed):
    create("f", b"#!/bin/true\n", bits)
    if allowed:
        _run("./f")
    else:
        fails(errno.EACCES, _run, "./f")


@rule("POSIX execve() ERRORS [EACCES]", [("directory", "directory"), ("fifo", "fifo")])
def only_regular_files_are_executed(kind):
    make(kind, "f")
    os.chmod("f", 0o777)
    fails(errno.EACCES, _run, "./f")


@rule("execve(2) ERRORS ETXTBSY")
def a_running_program_cannot_be_opened_for_writing():
    create("sleep", read("/bin/sleep"), 0o755)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.set_inheritable(reader, True)
        os.execv("./sleep", ["./sleep", "20"])
    while os.readlink(f"/proc/{pid}/exe") == os.readlink("/proc/self/exe"):
        pass
    fails(errno.ETXTBSY, os.open, "sleep", os.O_WRONLY)
    fails(errno.ETXTBSY, os.truncate, "sleep", 0)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(os.open("sleep", os.O_WRONLY))


# --- access() --------------------------------------------------------------------------------------
@rule("POSIX access()", [(f"{bits:o}-{wanted}", bits, wanted) for bits in range(8)
                         for wanted in ("read", "write", "execute")])
def access_answers_by_the_bits(bits, wanted):
    create("f", mode=bits)
    allowed = bool(bits & BIT[wanted])
    answer = forked(os.access, "f", BIT[wanted], person=OTHER)
    equal(answer, allowed, "access()")


@rule("POSIX access(): the real ids count")
def access_looks_at_the_real_ids_and_faccessat_at_the_effective_ones_when_asked():
    create("f", mode=0o600)
    with acting(OTHER):
        syscalls.faccessat("f", os.R_OK)  # the real user is root
        fails(errno.EACCES, syscalls.faccessat, "f", os.R_OK, syscalls.AT_EACCESS)


@rule("POSIX access() ERRORS", [("missing", "absent", errno.ENOENT), ("dangling", "dangling", errno.ENOENT),
                               ("loop", "loop", errno.ELOOP)])
def access_fails_for_what_is_not_there(kind, number):
    make(kind, "f")
    fails(number, syscalls.faccessat, "f", os.F_OK)


@rule("POSIX access(): X_OK for a privileged process")
def root_may_execute_when_anyone_may():
    create("f", mode=0o644)
    true(not os.access("f", os.X_OK), "X_OK without an execute bit")
    os.chmod("f", 0o010)
    true(os.access("f", os.X_OK), "no X_OK with an execute bit")


# --- owners only -----------------------------------------------------------------------------------
OWNERS_ONLY = {
    "chmod": lambda p: os.chmod(p, 0o777), "chgrp-own": lambda p: os.chown(p, -1, os.getegid()),
    "chown-self": lambda p: os.chown(p, os.geteuid(), -1),
    "utime": lambda p: os.utime(p, (1, 1)), "fchmod": lambda p: _on_fd(p, lambda fd: os.fchmod(fd, 0)),
    "fchown": lambda p: _on_fd(p, lambda fd: os.fchown(fd, os.geteuid(), -1)),
    "futimens": lambda p: _on_fd(p, lambda fd: os.utime(fd, (1, 1))),
}


def _on_fd(path, function):
    fd = os.open(path, os.O_RDONLY)
    try:
        function(fd)
    finally:
        os.close(fd)


@rule("POSIX chmod(), chown(), utimensat() ERRORS [EPERM]",
      [(f"{name}-{who}", name, CLASSES[who]) for name in OWNERS_ONLY
       for who in ("group", "supplementary", "other")])
def only_the_owner_changes_attributes_whatever_the_bits(name, person):
    give(create("f", mode=0o777))
    before = os.stat("f")
    with acting(person):
        fails(errno.EPERM, OWNERS_ONLY[name], "f")
    after = os.stat("f")
    equal((after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns),
          (before.st_mode, before.st_uid, before.st_gid, before.st_mtime_ns), "attributes")


@rule("proc(5) /proc/sys/fs/protected_hardlinks",
      [("no-permission", 0o600, OTHER, False), ("read-only", 0o644, OTHER, False),
       ("read-write", 0o666, OTHER, True), ("set-user-id", 0o4777, OTHER, False),
       ("owner", 0o600, OWNER, True), ("group-writable", 0o660, PEER, True),
       ("supplementary", 0o660, MEMBER, True)])
def protected_hard_links_are_made_by_owners_and_writers_only(bits, person, allowed):
    setting("fs/protected_hardlinks")
    os.mkdir("d", 0o777)
    give(create("d/f", mode=bits))
    with acting(person):
        if allowed:
            os.link("d/f", "d/g")
        else:
            fails(errno.EPERM, os.link, "d/f", "d/g")


@rule("proc(5) /proc/sys/fs/protected_symlinks")
def protected_symlinks_in_a_sticky_directory_are_followed_by_their_owner_only():
    setting("fs/protected_symlinks")
    os.mkdir("d", 0o777)
    os.chmod("d", 0o1777)
    create("target")
    with acting(OWNER):
        os.symlink("../target", "d/link")
        os.stat("d/link")
    with acting(OTHER):
        fails(errno.EACCES, os.stat, "d/link")
        os.readlink("d/link")
