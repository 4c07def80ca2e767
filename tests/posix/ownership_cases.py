"""Modes, owners and groups; set-id and sticky bits: who sets them, what clears them, what inherits them."""

import errno
import os
import stat

import syscalls
from checks import create, equal, exists, fails, links, make, mode, true
from people import CLASSES, GROUP, MEMBER, OTHER, OWNER, PEER, acting, give
from suite import rule

MODES = (0, 0o777, 0o644, 0o1777, 0o2755, 0o4755, 0o6755, 0o7777, 0o2644, 0o4644)


@rule("POSIX chmod()", [(f"{kind}-{bits:04o}", kind, bits) for kind in
                        ("file", "directory", "fifo", "socket", "device") for bits in MODES])
def chmod_by_root_sets_exactly_the_bits(kind, bits):
    make(kind, "f")
    kind_bits = stat.S_IFMT(os.lstat("f").st_mode)
    os.chmod("f", bits)
    equal(os.lstat("f").st_mode, kind_bits | bits, "mode")


@rule("POSIX chmod()", [(f"{kind}-{bits:04o}", kind, bits) for kind in ("file", "directory")
                        for bits in MODES])
def chmod_by_the_owner_sets_exactly_the_bits(kind, bits):
    give(make(kind, "f"))
    with acting(OWNER):
        os.chmod("f", bits)
    equal(mode("f"), bits, "mode")


@rule("POSIX chmod(): S_ISGID is cleared for one outside of the group",
      [(f"{name}-{kind}", kind, gid, groups, kept) for kind in ("file", "directory")
       for name, gid, groups, kept in (
           ("own-group", GROUP, (GROUP,), True), ("supplementary", 62003, (62003, GROUP), True),
           ("outside", 62004, (62004,), False))])
def set_group_id_stays_only_for_a_member_of_the_group(kind, gid, groups, kept):
    give(make(kind, "f"))
    os.chmod("f", 0o755)
    with acting(OWNER._replace(gid=gid, groups=groups)):
        os.chmod("f", 0o2755)
    equal(mode("f"), 0o2755 if kept else 0o755, "mode")


@rule("POSIX fchmod(), fchmodat()", [("fchmod", "fd"), ("path-follows-symlinks", "link"),
                                     ("read-only-descriptor", "rdonly")])
def chmod_by_other_ways_reaches_the_file(way):
    create("f", mode=0o600)
    if way == "link":
        os.symlink("f", "l")
        os.chmod("l", 0o640)
    else:
        fd = os.open("f", os.O_RDWR if way == "fd" else os.O_RDONLY)
        os.fchmod(fd, 0o640)
    equal(mode("f"), 0o640, "mode")


# --- umask and defaults ----------------------------------------------------------------------------
MAKERS = {
    "open": lambda bits: os.close(os.open("f", os.O_CREAT | os.O_EXCL | os.O_WRONLY, bits)),
    "mkdir": lambda bits: os.mkdir("f", bits), "mkfifo": lambda bits: os.mkfifo("f", bits),
    "mknod-file": lambda bits: os.mknod("f", stat.S_IFREG | bits),
    "mknod-socket": lambda bits: os.mknod("f", stat.S_IFSOCK | bits),
    "mknod-device": lambda bits: os.mknod("f", stat.S_IFCHR | bits, os.makedev(1, 3)),
}


@rule("POSIX umask()", [(f"{name}-{mask:03o}", name, mask) for name in MAKERS
                        for mask in (0, 0o22, 0o27, 0o77, 0o777)])
def the_umask_is_taken_from_the_mode_of_a_new_name(name, mask):
    os.umask(mask)
    MAKERS[name](0o777)
    equal(mode("f"), 0o777 & ~mask, "mode")


@rule("POSIX chmod(): the umask plays no part")
def chmod_ignores_the_umask():
    create("f")
    os.umask(0o777)
    os.chmod("f", 0o777)
    equal(mode("f"), 0o777, "mode")


@rule("open(2), mkdir(2): set-id and sticky bits of a new name",
      [("file-4755", "open", 0o4755, 0o4755), ("file-2755", "open", 0o2755, 0o2755),
       ("file-1755", "open", 0o1755, 0o1755), ("directory-1755", "mkdir", 0o1755, 0o1755),
       ("fifo-6666", "mkfifo", 0o6666, 0o6666)])
def special_bits_are_taken_at_creation(name, bits, expected):
    MAKERS[name](bits)
    equal(mode("f"), expected, "mode")


@rule("POSIX open(), mkdir(), mkfifo(): owner and group of a new file",
      [(name, name) for name in MAKERS if name != "mknod-device"])
def a_new_name_belongs_to_the_effective_ids(name):
    os.chmod(".", 0o777)
    with acting(OTHER):
        MAKERS[name](0o644)
    info = os.lstat("f")
    equal((info.st_uid, info.st_gid), (OTHER.uid, OTHER.gid), "owner and group")


@rule("POSIX symlink()")
def a_new_symbolic_link_belongs_to_the_effective_ids():
    os.chmod(".", 0o777)
    with acting(OTHER):
        os.symlink("x", "f")
    info = os.lstat("f")
    equal((info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)), (OTHER.uid, OTHER.gid, 0o777), "facts")


# --- setgid directories ----------------------------------------------------------------------------
@rule("mkdir(2), open(2): a set-group-ID directory gives its group",
      [(f"{name}-{who}", name, CLASSES[who]) for name in MAKERS if name != "mknod-device"
       for who in ("group", "other")])
def names_in_a_set_group_id_directory_get_its_group(name, person):
    os.chown(".", 0, GROUP)
    os.chmod(".", 0o2777)
    with acting(person):
        MAKERS[name](0o755)
    equal(os.lstat("f").st_gid, GROUP, "group")
    expected = 0o2755 if name == "mkdir" else 0o755
    equal(mode("f"), expected, "mode")


@rule("symlink(2): a set-group-ID directory gives its group")
def a_symbolic_link_in_a_set_group_id_directory_gets_its_group():
    os.chown(".", 0, GROUP)
    os.chmod(".", 0o2777)
    with acting(OTHER):
        os.symlink("x", "f")
    equal(os.lstat("f").st_gid, GROUP, "group")


@rule("inode(7) S_ISGID: not given to a file by one outside of the group",
      [("member-2755", PEER, 0o2755, 0o2755), ("outside-2755", OTHER, 0o2755, 0o755),
       ("supplementary-2755", MEMBER, 0o2755, 0o2755), ("outside-2644", OTHER, 0o2644, 0o2644)])
def set_group_id_files_in_a_set_group_id_directory_need_membership(person, bits, expected):
    os.chown(".", 0, GROUP)
    os.chmod(".", 0o2777)
    with acting(person):
        MAKERS["open"](bits)
    equal(mode("f"), expected, "mode")


@rule("inode(7) S_ISGID")
def every_level_below_a_set_group_id_directory_inherits():
    os.chown(".", 0, GROUP)
    os.chmod(".", 0o2777)
    os.makedirs("a/b/c")
    info = os.stat("a/b/c")
    equal((info.st_gid, bool(info.st_mode & stat.S_ISGID)), (GROUP, True), "group and S_ISGID")


@rule("POSIX rename(): the group stays")
def a_name_moved_into_a_set_group_id_directory_keeps_its_group():
    os.mkdir("d")
    os.chown("d", 0, GROUP)
    os.chmod("d", 0o2777)
    create("f")
    os.rename("f", "d/f")
    equal(os.stat("d/f").st_gid, 0, "group")


# --- chown -----------------------------------------------------------------------------------------
def _owner(path):
    info = os.lstat(path)
    return info.st_uid, info.st_gid


@rule("POSIX chown()", [(f"{kind}-{name}", kind, uid, gid) for kind in ("file", "directory", "fifo")
                        for name, uid, gid in (("both", 7, 8), ("owner", 7, -1), ("group", -1, 8),
                                               ("neither", -1, -1), ("large", 2**32 - 2, 2**32 - 2))])
def chown_by_root_changes_what_is_not_minus_one(kind, uid, gid):
    make(kind, "f")
    os.chown("f", 100, 200)
    os.chown("f", uid, gid)
    equal(_owner("f"), (100 if uid == -1 else uid, 200 if gid == -1 else gid), "owner and group")


@rule("POSIX chown() with _POSIX_CHOWN_RESTRICTED",
      [("own-group", OWNER, OWNER.gid, None), ("supplementary", OWNER._replace(groups=(GROUP, 9)), 9, None),
       ("foreign", OWNER, 9, errno.EPERM), ("root-group", OWNER, 0, errno.EPERM),
       ("not-owner", PEER, GROUP, errno.EPERM), ("unchanged-foreign", OWNER, 62009, None)])
def an_owner_gives_a_file_to_a_group_of_his_own_only(person, gid, number):
    give(create("f"))
    if gid == 62009:
        os.chown("f", -1, 62009)  # not a member, yet nothing changes
    with acting(person):
        if number:
            fails(number, os.chown, "f", -1, gid)
        else:
            os.chown("f", -1, gid)
            equal(os.stat("f").st_gid, gid, "group")


@rule("POSIX chown() ERRORS [EPERM]", [("other", OTHER.uid), ("root", 0)])
def an_owner_does_not_give_a_file_away(uid):
    give(create("f"))
    with acting(OWNER):
        fails(errno.EPERM, os.chown, "f", uid, -1)
        os.chown("f", OWNER.uid, -1)  # to himself


@rule("POSIX lchown()", [("lchown", lambda: os.lchown("l", 5, 6), "l"), ("chown", lambda: os.chown("l", 5, 6), "f")])
def chown_follows_symbolic_links_and_lchown_does_not(change, changed):
    create("f")
    os.symlink("f", "l")
    change()
    for name in ("f", "l"):
        equal(_owner(name), (5, 6) if name == changed else (0, 0), name)


@rule("POSIX fchown()", [("rdonly", os.O_RDONLY), ("wronly", os.O_WRONLY)])
def fchown_works_on_any_descriptor(flags):
    create("f")
    os.fchown(os.open("f", flags), 5, 6)
    equal(_owner("f"), (5, 6), "owner and group")


@rule("POSIX fchown() ERRORS [EBADF]; open(2) O_PATH")
def a_path_descriptor_changes_nothing():
    create("f")
    fd = os.open("f", os.O_PATH)
    fails(errno.EBADF, os.fchown, fd, 5, 6)
    fails(errno.EBADF, os.fchmod, fd, 0o777)


# --- what clears set-id bits -------------------------------------------------------------------------
@rule("chown(2): set-id bits of executables are cleared",
      [(f"{who}-{kind}-{bits:o}", who, kind, bits, expected) for who in ("root", "owner")
       for kind, bits, expected in (
           ("file", 0o4755, 0o755), ("file", 0o2755, 0o755), ("file", 0o6755, 0o755),
           ("file", 0o4644, 0o644), ("file", 0o1755, 0o1755), ("directory", 0o6755, 0o6755),
           ("directory", 0o3777, 0o3777))])
def chown_clears_set_id_bits_of_files(who, kind, bits, expected):
    give(make(kind, "f"))
    os.chmod("f", bits)
    if who == "root":
        os.chown("f", OTHER.uid, OTHER.gid)
    else:
        with acting(OWNER._replace(groups=(GROUP, 9))):
            os.chown("f", -1, 9)
    equal(mode("f"), expected, "mode")


@rule("chown(2): S_ISGID without group execute means mandatory locking")
def chown_by_root_keeps_set_group_id_of_what_its_group_cannot_execute():
    create("f", mode=0o2644)
    os.chown("f", 5, 6)
    equal(mode("f"), 0o2644, "mode")


WRITES = {
    "write": lambda fd: os.write(fd, b"x"), "pwrite": lambda fd: os.pwrite(fd, b"x", 1),
    "writev": lambda fd: os.writev(fd, [b"x", b"y"]), "append": lambda fd: _append(fd),
    "ftruncate": lambda fd: os.ftruncate(fd, 1), "ftruncate-up": lambda fd: os.ftruncate(fd, 9999),
    "sendfile": lambda fd: os.sendfile(fd, _source(), 0, 3),
    "splice": lambda fd: _splice(fd), "copy-file-range": lambda fd: os.copy_file_range(_source(), fd, 3),
    "fallocate": lambda fd: os.posix_fallocate(fd, 0, 10000),
}


def _source():
    return os.open("source", os.O_RDONLY)


def _append(fd):
    os.lseek(fd, 0, os.SEEK_END)
    os.write(fd, b"x")


def _splice(fd):
    reader, writer = os.pipe()
    os.write(writer, b"abc")
    os.splice(reader, fd, 3)


@rule("POSIX write(), ftruncate(): set-id bits are cleared for the unprivileged",
      [(f"{name}-{bits:o}", name, bits, expected) for name in WRITES
       for bits, expected in ((0o6777, 0o777), (0o4666, 0o666), (0o1777, 0o1777))])
def writing_clears_set_id_bits(name, bits, expected):
    create("source", b"abc")
    give(create("f", b"content", bits))
    with acting(OTHER):
        WRITES[name](os.open("f", os.O_RDWR))
    equal(mode("f"), expected, "mode")


@rule("POSIX write(): the owner's writes clear them as well", [("write", "write"), ("ftruncate", "ftruncate")])
def the_owners_own_write_clears_set_id_bits(name):
    give(create("f", b"content", 0o6777))
    with acting(OWNER):
        WRITES[name](os.open("f", os.O_RDWR))
    equal(mode("f"), 0o777, "mode")


@rule("capabilities(7) CAP_FSETID", [(name, name) for name in ("write", "pwrite", "ftruncate")])
def writing_by_root_keeps_set_id_bits(name):
    create("f", b"content", 0o6777)
    WRITES[name](os.open("f", os.O_RDWR))
    equal(mode("f"), 0o6777, "mode")


@rule("POSIX truncate(), open() O_TRUNC: set-id bits are cleared",
      [("truncate", lambda: os.truncate("f", 1)), ("o_trunc", lambda: os.open("f", os.O_WRONLY | os.O_TRUNC))])
def truncating_by_path_clears_set_id_bits(change):
    give(create("f", b"content", 0o6777))
    with acting(OTHER):
        change()
    equal(mode("f"), 0o777, "mode")


@rule("POSIX read(), open(): only changes clear them",
      [("read", lambda: os.read(os.open("f", os.O_RDONLY), 10)),
       ("open-write", lambda: os.close(os.open("f", os.O_WRONLY))),
       ("utime", lambda: os.utime("f")), ("link", lambda: os.link("f", "g")),
       ("rename", lambda: os.rename("f", "g") or os.rename("g", "f"))])
def what_does_not_change_content_keeps_set_id_bits(use):
    os.chmod(".", 0o777)
    give(create("f", b"content", 0o6777))
    with acting(OWNER):
        use()
    equal(mode("f"), 0o6777, "mode")


# --- sticky directories ----------------------------------------------------------------------------
ACTORS = {"file-owner": OWNER, "directory-owner": PEER, "stranger": OTHER, "root": None}
STICKY = {
    "unlink": lambda: os.unlink("d/f"), "rename-away": lambda: os.rename("d/f", "elsewhere/f"),
    "rename-within": lambda: os.rename("d/f", "d/g"), "rename-over": lambda: os.rename("d/own", "d/f"),
    "rmdir": lambda: os.rmdir("d/sub"), "rename-directory": lambda: os.rename("d/sub", "d/sub2"),
    "exchange": lambda: syscalls.renameat2("d/f", "d/own", syscalls.RENAME_EXCHANGE),
}


@rule("XBD 4.3 Directory Protection; unlink(), rmdir(), rename() ERRORS [EPERM]",
      [(f"{name}-{actor}", name, actor) for name in STICKY for actor in ACTORS])
def in_a_sticky_directory_only_owners_remove_names(name, actor):
    person = ACTORS[actor]
    os.mkdir("elsewhere", 0o777)
    os.mkdir("d", 0o777)
    os.chown("d", PEER.uid, PEER.gid)
    os.chmod("d", 0o1777)
    give(create("d/f"))
    give(make("directory", "d/sub"))
    give(create("d/own"), person or OWNER)
    if person is None:
        STICKY[name]()
    elif actor == "stranger":
        with acting(person):
            fails((errno.EPERM, errno.EACCES), STICKY[name])
        true(exists("d/f") and exists("d/sub"), "a name was removed")
    else:
        with acting(person):
            STICKY[name]()


@rule("XBD 4.3", [("create", lambda: create("d/new")), ("link", lambda: os.link("d/own", "d/new")),
                  ("mkdir", lambda: os.mkdir("d/new")), ("unlink-own", lambda: os.unlink("d/own"))])
def a_sticky_directory_lets_anyone_add_and_remove_his_own(change):
    os.mkdir("d", 0o777)
    os.chmod("d", 0o1777)
    give(create("d/own"), OTHER)
    with acting(OTHER):
        change()


@rule("XBD 4.3: the bit of the directory itself counts")
def the_sticky_bit_of_a_parent_does_not_protect_below():
    os.mkdir("d", 0o777)
    os.chmod("d", 0o1777)
    os.mkdir("d/open", 0o777)
    give(create("d/open/f"))
    with acting(OTHER):
        os.unlink("d/open/f")


@rule("POSIX chmod(): S_ISVTX of a directory by its owner")
def an_owner_makes_his_directory_sticky():
    give(make("directory", "d"))
    with acting(OWNER):
        os.chmod("d", 0o1755)
    equal(mode("d"), 0o1755, "mode")


@rule("POSIX chmod(), chown(): hard links are one file")
def attributes_are_those_of_every_name():
    create("f")
    os.link("f", "g")
    os.chmod("f", 0o4711)
    equal((mode("g"), links("g")), (0o4711, 2), "the other name's")
    os.chown("g", 5, 6)
    equal(_owner("f"), (5, 6), "owner and group")
