"""Set-group-id of a file that its group may not execute: a change by one outside of the group takes it away."""

import errno
import mmap
import os

from checks import create, equal, fails, mode
from ownership_cases import WRITES
from people import GROUP, MEMBER, OTHER, OWNER, PEER, acting, give
from suite import rule
from syscalls import FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO, fallocate

FOREIGN = 62009  # a group that nobody here is of
WHO = (("member", PEER, True), ("supplementary", MEMBER, True), ("outside", OTHER, False))
BY_PATH = {"truncate": lambda: os.truncate("f", 1), "truncate-up": lambda: os.truncate("f", 9999),
           "o-trunc": lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC))}


def _expected(bits, kept):
    return bits if kept else bits & ~0o2000


@rule("POSIX write(), ftruncate(): set-id bits; inode(7) S_ISGID",
      [(f"{name}-{bits:o}-{label}", name, bits, who, kept) for name in WRITES for bits in (0o2666, 0o2767)
       for label, who, kept in WHO])
def writing_clears_set_group_id_for_one_outside_of_the_group(name, bits, who, kept):
    create("source", b"abc")
    give(create("f", b"content", bits))
    with acting(who):
        fd = os.open("f", os.O_RDWR)
        WRITES[name](fd)
        equal(os.fstat(fd).st_mode & 0o7777, _expected(bits, kept), "mode by the descriptor")
    equal(mode("f"), _expected(bits, kept), "mode")


MODES_OF_FALLOCATE = {"punch": FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, "zero": FALLOC_ZERO, "keep-size": FALLOC_KEEP_SIZE}


@rule("fallocate(2); inode(7) S_ISGID",
      [(f"{name}-{bits:o}-{label}", name, bits, who, expected) for name in MODES_OF_FALLOCATE
       for bits, label, who, expected in ((0o2666, "outside", OTHER, 0o666), (0o6666, "outside", OTHER, 0o666),
                                          (0o6777, "outside", OTHER, 0o777), (0o2666, "member", PEER, 0o2666),
                                          (0o6666, "member", PEER, 0o2666))],
      needs=("punch", "zero-range", "keep-size"))
def allocating_clears_set_id_bits(name, bits, who, expected):
    give(create("f", b"x" * 9000, bits))
    with acting(who):
        fallocate(os.open("f", os.O_RDWR), MODES_OF_FALLOCATE[name], 4096, 4096)
    equal(mode("f"), expected, "mode")


@rule("POSIX truncate(), open() O_TRUNC: set-id bits; inode(7) S_ISGID",
      [(f"{name}-{label}", name, who, kept) for name in BY_PATH for label, who, kept in WHO])
def truncating_by_path_clears_set_group_id_for_one_outside(name, who, kept):
    give(create("f", b"content", 0o2666))
    with acting(who):
        BY_PATH[name]()
    equal(mode("f"), _expected(0o2666, kept), "mode")


@rule("POSIX write(): the file's set-group-id while it is written")
def set_group_id_that_is_set_between_two_writes_goes_again():
    give(create("f", b"content", 0o2666))
    with acting(OTHER):
        fd = os.open("f", os.O_WRONLY)
        os.write(fd, b"x")
    equal(mode("f"), 0o666, "mode after a write")
    os.chmod("f", 0o2666)
    with acting(OTHER):
        os.write(fd, b"x")
    equal(mode("f"), 0o666, "mode after the next write")


@rule("chown(2): S_ISGID without group execute; inode(7) S_ISGID",
      [(f"{label}-{bits:o}", group, bits, kept) for bits in (0o2644, 0o6644, 0o2745)
       for label, group, kept in (("own-group", GROUP, True), ("foreign-group", FOREIGN, False))])
def an_owner_outside_of_the_group_that_he_changes_loses_set_group_id(group, bits, kept):
    create("f", mode=0o600)
    os.chown("f", OWNER.uid, group)
    os.chmod("f", bits)
    with acting(OWNER._replace(groups=(GROUP, MEMBER.gid))):
        os.chown("f", -1, MEMBER.gid)
    expected = _expected(bits & ~0o4000, kept)
    equal((mode("f"), os.stat("f").st_gid), (expected, MEMBER.gid), "mode and group")


@rule("chown(2): S_ISGID of a directory stays", [("own-group", GROUP), ("foreign-group", FOREIGN)])
def a_directory_keeps_set_group_id_when_its_group_changes(group):
    os.mkdir("d")
    os.chown("d", OWNER.uid, group)
    os.chmod("d", 0o2745)
    with acting(OWNER._replace(groups=(GROUP, MEMBER.gid))):
        os.chown("d", -1, MEMBER.gid)
    equal((mode("d"), os.stat("d").st_gid), (0o2745, MEMBER.gid), "mode and group")


def _write_page(fd):
    page = mmap.mmap(-1, 4096)  # aligned, as O_DIRECT wants it
    os.write(fd, page)


@rule("POSIX write(): set-id bits, however the file is open",
      [(f"{word}-{bits:o}-{label}", flags, bits, who, expected)
       for word, flags in (("append", os.O_APPEND), ("sync", os.O_SYNC), ("append-sync", os.O_APPEND | os.O_DSYNC))
       for bits, label, who, expected in (
           (0o4777, "outside", OTHER, 0o777), (0o6777, "outside", OTHER, 0o777), (0o2666, "outside", OTHER, 0o666),
           (0o4755, "owner", OWNER, 0o755), (0o2666, "member", PEER, 0o2666), (0o6777, "root", None, 0o6777))])
def writing_clears_set_id_bits_whatever_the_flags(flags, bits, who, expected):
    _written_by(who, flags, bits, expected)


@rule("POSIX write(): set-id bits; open(2) O_DIRECT",
      [(f"{bits:o}-{label}", bits, who, expected) for bits, label, who, expected in (
          (0o6777, "outside", OTHER, 0o777), (0o2666, "outside", OTHER, 0o666), (0o4755, "owner", OWNER, 0o755))],
      needs=("direct",))
def direct_writes_clear_set_id_bits(bits, who, expected):
    _written_by(who, os.O_DIRECT, bits, expected)


def _written_by(who, flags, bits, expected):
    give(create("f", b"x" * 4096, bits))
    if who is None:
        _write_page(os.open("f", os.O_WRONLY | flags))
    else:
        with acting(who):
            _write_page(os.open("f", os.O_WRONLY | flags))
    equal(mode("f"), expected, "mode")


@rule("capabilities(7): file capabilities go when the file changes",
      [("append-by-root", os.O_APPEND, None), ("append-by-another", os.O_APPEND, OTHER), ("write", 0, OTHER)],
      needs=("security-xattr",))
def file_capabilities_go_however_the_file_is_open(flags, who):
    give(create("f", b"content", 0o777))
    os.setxattr("f", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    if who is None:
        os.write(os.open("f", os.O_WRONLY | flags), b"x")
    else:
        with acting(who):
            os.write(os.open("f", os.O_WRONLY | flags), b"x")
    fails(errno.ENODATA, os.getxattr, "f", "security.capability")
