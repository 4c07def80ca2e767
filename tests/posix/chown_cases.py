"""chown() of every kind of file: who may, what it clears, what it leaves."""

import errno
import os
import stat

from checks import equal, fails, make, tick, true
from people import OTHER, OWNER, acting, give
from suite import rule

GROUPS = (61501, 61502)  # OWNER's, in these cases
MEMBER_OWNER = OWNER._replace(gid=GROUPS[0], groups=GROUPS)
KINDS = ("file", "directory", "fifo", "socket", "character", "block", "symlink")


def made(kind):
    """A name f of the kind that belongs to MEMBER_OWNER."""
    if kind in ("character", "block"):
        os.mknod("f", 0o644 | (stat.S_IFCHR if kind == "character" else stat.S_IFBLK), os.makedev(1, 3))
    elif kind == "symlink":
        os.symlink("nowhere", "f")
    else:
        make(kind, "f")
    give("f", MEMBER_OWNER)
    return os.lstat("f")


def facts():
    info = os.lstat("f")
    return info.st_uid, info.st_gid, info.st_mode


@rule("POSIX lchown()", [(kind, kind) for kind in KINDS])
def root_gives_every_kind_to_anyone(kind):
    before = made(kind)
    os.lchown("f", 123, 456)
    equal(facts(), (123, 456, before.st_mode), "owner, group, mode")
    os.lchown("f", 0, 0)
    equal(facts(), (0, 0, before.st_mode), "owner, group, mode")


@rule("POSIX chown() with _POSIX_CHOWN_RESTRICTED", [(f"{kind}-{name}", kind, uid) for kind in KINDS for name, uid in (
    ("same-owner", OWNER.uid), ("owner-left", -1))])
def an_owner_gives_every_kind_to_his_groups(kind, uid):
    made(kind)
    with acting(MEMBER_OWNER):
        os.lchown("f", uid, GROUPS[1])
    equal(facts()[:2], (OWNER.uid, GROUPS[1]), "owner, group")


@rule("chown(2): set-id bits go", [(f"{kind}-{who}", kind, who) for kind in KINDS if kind != "symlink" for who in ("root", "owner")])
def set_id_bits_of_every_kind_but_directories_go(kind, who):
    made(kind)
    os.chmod("f", 0o6555)
    with acting(MEMBER_OWNER) if who == "owner" else acting(OWNER._replace(uid=0, gid=0, groups=(0,))):
        os.chown("f", -1, GROUPS[1])
    equal(stat.S_IMODE(facts()[2]), 0o6555 if kind == "directory" else 0o555, "mode")


@rule("POSIX chown(): (uid_t)-1 and (gid_t)-1", [(kind, kind) for kind in KINDS])
def anyone_may_change_nothing(kind):
    made(kind)
    before = facts()
    with acting(OTHER):
        os.lchown("f", -1, -1)
    equal(facts(), before, "owner, group, mode")


@rule("POSIX chown() ERRORS [EPERM]", [(kind, kind) for kind in KINDS])
def a_refused_change_leaves_ctime(kind):
    made(kind)
    before = os.lstat("f").st_ctime_ns
    tick()
    with acting(OTHER):
        for uid, gid in ((OTHER.uid, -1), (-1, OTHER.gid), (OTHER.uid, OTHER.gid)):
            fails(errno.EPERM, os.lchown, "f", uid, gid)
    with acting(MEMBER_OWNER):
        fails(errno.EPERM, os.lchown, "f", OTHER.uid, -1)
        fails(errno.EPERM, os.lchown, "f", -1, OTHER.gid)
    equal(os.lstat("f").st_ctime_ns, before, "ctime")


@rule("POSIX chown(): ctime", [(f"{kind}-{who}", kind, who) for kind in KINDS for who in ("root", "owner")])
def a_change_moves_ctime_and_nothing_else(kind, who):
    made(kind)
    before = os.lstat("f")
    tick()
    with acting(MEMBER_OWNER) if who == "owner" else acting(OWNER._replace(uid=0, gid=0, groups=(0,))):
        os.lchown("f", -1, GROUPS[1])
    after = os.lstat("f")
    true(after.st_ctime_ns > before.st_ctime_ns, "ctime did not move")
    equal((after.st_mtime_ns, after.st_size, after.st_nlink), (before.st_mtime_ns, before.st_size, before.st_nlink), "mtime, size, links")
