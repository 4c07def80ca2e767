"""Rules that hold for every kind of file: modes, stamps of the file itself, sticky directories."""

import errno
import os
import stat

from checks import equal, exists, fails, identity, inode, links, make, mode, tick, true
from people import OTHER, OWNER, PEER, acting, give
from suite import rule
from syscalls import RENAME_EXCHANGE, renameat2

KINDS = ("file", "directory", "fifo", "socket", "character", "block", "symlink")
WITH_MODE = KINDS[:-1]
NOT_DIRECTORIES = tuple(kind for kind in KINDS if kind != "directory")


def made(kind, path, owner=None):
    if kind in ("character", "block"):
        os.mknod(path, 0o644 | (stat.S_IFCHR if kind == "character" else stat.S_IFBLK), os.makedev(1, 2))
    elif kind == "symlink":
        os.symlink("nowhere", path)
    else:
        make(kind, path)
    if owner:
        give(path, owner)
    return path


def changed(path):
    return os.lstat(path).st_ctime_ns


# --- modes -----------------------------------------------------------------------------------------
@rule("POSIX chmod()", [(f"{kind}-{bits:o}-{way}", kind, bits, way) for kind in WITH_MODE
                        for bits in (0o111, 0o1621, 0o7777, 0) for way in ("name", "link")])
def every_kind_takes_exactly_the_bits(kind, bits, way):
    made(kind, "f")
    os.symlink("f", "l")
    os.chmod("f" if way == "name" else "l", bits)
    equal((mode("f"), stat.S_IFMT(os.stat("l").st_mode)), (bits, stat.S_IFMT(os.lstat("f").st_mode)), "mode, kind")
    equal(mode("l"), 0o777, "mode of the link")


@rule("chmod(2): S_ISVTX by the owner", [(kind, kind) for kind in WITH_MODE])
def an_owner_makes_every_kind_sticky(kind):
    made(kind, "f", OWNER)
    with acting(OWNER):
        os.chmod("f", 0o1644)
    equal(mode("f"), 0o1644, "mode")


@rule("POSIX chmod(): S_ISGID by one outside of the group", [(kind, kind) for kind in WITH_MODE])
def an_owner_outside_of_the_group_gives_no_kind_set_group_id(kind):
    made(kind, "f", OWNER)
    with acting(OWNER._replace(gid=OTHER.gid)):
        os.chmod("f", 0o2755)
    equal(mode("f"), 0o755, "mode")


@rule("POSIX chmod(): ctime", [(kind, kind) for kind in WITH_MODE])
def chmod_moves_ctime_of_every_kind(kind):
    made(kind, "f")
    before = os.lstat("f")
    tick()
    os.chmod("f", 0o111)
    true(changed("f") > before.st_ctime_ns, "ctime did not move")
    equal(os.lstat("f").st_mtime_ns, before.st_mtime_ns, "mtime")


# --- what is refused leaves the file ---------------------------------------------------------------
REFUSED = {
    "chmod": (errno.EPERM, lambda: os.chmod("f", 0o111)), "rename": (errno.EACCES, lambda: os.rename("f", "g")),
    "link": (errno.EACCES, lambda: os.link("f", "g", follow_symlinks=False)),
    "unlink": (errno.EACCES, lambda: os.unlink("f")), "rmdir": (errno.EACCES, lambda: os.rmdir("f")),
}


def _applies(call, kind):
    if call == "chmod":
        return kind != "symlink"
    return call == "rename" or (call == "rmdir") == (kind == "directory")


@rule("POSIX: a function that fails changes nothing",
      [(f"{call}-{kind}", call, kind) for call in REFUSED for kind in KINDS if _applies(call, kind)])
def a_refused_call_leaves_every_kind_as_it_was(call, kind):
    made(kind, "f")
    os.chmod(".", 0o755)
    before, directory = os.lstat("f"), os.stat(".")
    tick()
    number, function = REFUSED[call]
    with acting(OTHER):  # protected_hardlinks may come first
        fails((number, errno.EPERM) if call == "link" else number, function)
    after, now = os.lstat("f"), os.stat(".")
    equal((after.st_ctime_ns, after.st_mode, after.st_nlink), (before.st_ctime_ns, before.st_mode, before.st_nlink),
          "ctime, mode, links")
    equal((now.st_ctime_ns, now.st_mtime_ns), (directory.st_ctime_ns, directory.st_mtime_ns), "directory's stamps")


# --- links -----------------------------------------------------------------------------------------
@rule("POSIX link(), unlink(): ctime of the file", [(kind, kind) for kind in NOT_DIRECTORIES])
def linking_and_unlinking_move_ctime_of_every_kind(kind):
    made(kind, "f")
    begin = changed("f")
    tick()
    os.link("f", "g", follow_symlinks=False)
    linked = changed("f")
    true(linked > begin, "link() did not move ctime")
    tick()
    os.unlink("g")
    true(changed("f") > linked, "unlink() did not move ctime")


@rule("POSIX rename(): a replaced name was a link", [(kind, kind) for kind in NOT_DIRECTORIES])
def replacing_a_link_moves_ctime_of_every_kind(kind):
    made(kind, "new")
    made(kind, "old")
    os.link("old", "other", follow_symlinks=False)
    before, number = changed("other"), inode("new")
    tick()
    os.rename("new", "old")
    equal((links("other"), inode("old")), (1, number), "links, inode")
    true(changed("other") > before, "ctime did not move")


@rule("POSIX rename(): ctime, which Linux moves", [(kind, kind) for kind in KINDS])
def renaming_moves_ctime_of_every_kind(kind):
    made(kind, "f")
    before = changed("f")
    tick()
    os.rename("f", "g")
    true(changed("g") > before, "ctime did not move")


# --- sticky directories ----------------------------------------------------------------------------
PEOPLE = {"own": OWNER, "other": OTHER, "root": None}
STICKY = ("remove", "move-away", "rename", "replace")


def _remove(kind, path):
    (os.rmdir if kind == "directory" else os.unlink)(path)


def _attempt(call, kind):
    if call == "remove":
        _remove(kind, "d/f")
    elif call == "move-away":
        os.rename("d/f", "e/g")
    elif call == "rename":
        os.rename("d/f", "d/g")
    else:
        os.rename("e/mine", "d/f")


@rule("XBD 4.3 Directory Protection; unlink(), rmdir(), rename() ERRORS [EPERM] or [EACCES]",
      [(f"{call}-{kind}-of-{whose}-in-{directory}", call, kind, whose, directory) for call in STICKY for kind in KINDS
       for whose in PEOPLE for directory in ("own", "other", "root")])
def names_in_sticky_directories_are_their_owners(call, kind, whose, directory):
    for name in ("d", "e"):
        os.mkdir(name)
    if PEOPLE[directory]:
        os.chown("d", PEOPLE[directory].uid, PEOPLE[directory].gid)
    os.chmod("d", 0o1777)
    os.chmod("e", 0o777)
    made(kind, "d/f", PEOPLE[whose])
    if call == "replace":
        made(kind, "e/mine", OWNER)
    before = identity("d/f")
    allowed = "own" in (whose, directory)
    if call == "move-away" and kind == "directory" and whose != "own":
        allowed = False  # its .. would change, and it is not his to write
    with acting(OWNER):
        if allowed:
            _attempt(call, kind)
        else:
            fails((errno.EPERM, errno.EACCES), _attempt, call, kind)
    there = exists("d/f") and identity("d/f") == before
    equal(there, not allowed, "whether it is still there")


@rule("rename(2) RENAME_EXCHANGE in sticky directories",
      [(f"{first}-with-{second}-in-{directory}", first, second, directory) for first in PEOPLE for second in PEOPLE
       for directory in ("own", "other")], needs=("exchange",))
def both_names_of_an_exchange_are_protected(first, second, directory):
    os.mkdir("d")
    give("d", PEOPLE[directory])
    os.chmod("d", 0o1777)
    made("file", "d/f", PEOPLE[first])
    made("file", "d/g", PEOPLE[second])
    before = inode("d/f"), inode("d/g")
    with acting(OWNER):
        if directory == "own" or first == second == "own":
            renameat2("d/f", "d/g", RENAME_EXCHANGE)
            before = before[1], before[0]
        else:
            fails(errno.EPERM, renameat2, "d/f", "d/g", RENAME_EXCHANGE)
    equal((inode("d/f"), inode("d/g")), before, "inodes")


# --- FIFOs -----------------------------------------------------------------------------------------
@rule("POSIX open() ERRORS [EACCES]", [
    (f"{label}-{bits}-{word}", who, shift, bits, flags) for label, who, shift in
    (("owner", OWNER, 6), ("group", PEER, 3), ("other", OTHER, 0)) for bits in range(8)
    for word, flags in (("read", os.O_RDONLY), ("both", os.O_RDWR))])
def a_fifo_opens_for_whom_the_bits_of_his_class_let_in(who, shift, bits, flags):
    made("fifo", "f", OWNER)
    os.chmod("f", (0o777 & ~(7 << shift)) | bits << shift)
    with acting(who):
        if bits & (6 if flags == os.O_RDWR else 4) == (6 if flags == os.O_RDWR else 4):
            os.close(os.open("f", flags | os.O_NONBLOCK))
        else:
            fails(errno.EACCES, os.open, "f", flags | os.O_NONBLOCK)
