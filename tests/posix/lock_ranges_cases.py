"""Record locks of parts of a file, the access that they need, and what F_GETLK tells."""

import errno
import fcntl
import os

from checks import create, equal, fails
from locking import (EXCLUSIVE, LOCKS, NAMES, NONE, OFD_GETLK, SHARED, asked, is_free, ofd_lock,
                     opened, other, posix_lock, record, whole_lock)
from suite import rule


RANGES = {"same": (10, 10, True), "before": (0, 10, False), "after": (20, 10, False), "first-byte": (10, 1, True), "last-byte": (19, 1, True),
          "around": (0, 100, True), "overlap-left": (5, 6, True), "overlap-right": (19, 5, True), "just-left": (9, 1, False),
          "just-right": (20, 1, False), "to-the-end": (19, 0, True), "to-the-end-behind": (20, 0, False), "everything": (0, 0, True),
          "far-out": (2**62, 1, False)}


@rule("POSIX fcntl(): l_start, l_len", [(f"{how}-{name}", LOCKS[how], *RANGES[name]) for how in ("fcntl", "ofd") for name in RANGES])
def ranges_conflict_only_where_they_overlap(lock, start, length, conflict):
    fd = opened()
    lock(fd, EXCLUSIVE, 10, 10)
    equal(is_free(lock, EXCLUSIVE, start, length), not conflict, "whether the range is free")


@rule("POSIX fcntl(): a lock to the end has no end", [(how, LOCKS[how]) for how in ("fcntl", "ofd")])
def a_lock_of_length_0_covers_what_is_written_later(lock):
    fd = opened()
    lock(fd, EXCLUSIVE, 100, 0)
    os.pwrite(fd, b"x", 1 << 20)
    equal((is_free(lock, EXCLUSIVE, 1 << 20, 1), is_free(lock, EXCLUSIVE, 2**63 - 1, 1), is_free(lock, EXCLUSIVE, 0, 100)),
          (False, False, True), "free inside, at the largest offset, before")


@rule("POSIX fcntl(): whence and negative lengths", [("current", os.SEEK_CUR, 0, 5, 50, 5), ("end", os.SEEK_END, -10, 5, 90, 5),
                                                     ("negative-length", os.SEEK_SET, 50, -5, 45, 5), ("end-and-on", os.SEEK_END, 0, 0, 100, 1000)])
def a_range_counts_from_its_whence(whence, start, length, real_start, real_length):
    create("f", bytes(100))
    fd = opened()
    os.lseek(fd, 50, os.SEEK_SET)
    posix_lock(fd, EXCLUSIVE, start, length, whence=whence)
    free = [is_free(posix_lock, EXCLUSIVE, at, 1) for at in (real_start - 1, real_start, real_start + real_length - 1)]
    equal(free, [True, False, False], "free before, at the start, at the end")


@rule("POSIX fcntl(): unlocking a part", [("middle", 40, 20, (True, False, True, False, True)), ("left", 20, 40, (True, True, True, False, True)),
                                         ("right", 40, 40, (True, False, True, True, True)), ("all", 0, 0, (True,) * 5)])
def unlocking_a_part_leaves_the_rest(start, length, expected):
    fd = opened()
    posix_lock(fd, EXCLUSIVE, 20, 60)
    posix_lock(fd, NONE, start, length)
    free = tuple(is_free(posix_lock, EXCLUSIVE, at, 1) for at in (10, 30, 50, 70, 90))
    equal(free, expected, "free at 10, 30, 50, 70, 90")


@rule("POSIX fcntl(): a new lock replaces the part that it covers")
def a_shared_lock_inside_an_exclusive_one_splits_it():
    fd = opened()
    posix_lock(fd, EXCLUSIVE, 0, 90)
    posix_lock(fd, SHARED, 30, 30)
    equal([is_free(posix_lock, SHARED, at, 1) for at in (10, 40, 70)], [False, True, False], "free to share")


@rule("POSIX fcntl(): locks that meet are one")
def neighbouring_locks_are_unlocked_together():
    fd = opened()
    for at in range(0, 100, 10):
        posix_lock(fd, EXCLUSIVE, at, 10)
    posix_lock(fd, NONE, 5, 90)
    equal([is_free(posix_lock, EXCLUSIVE, at, 1) for at in (2, 50, 97)], [False, True, False], "free")


@rule("POSIX fcntl() ERRORS", [("negative-start", -1, 1, errno.EINVAL), ("before-0", 2, -5, errno.EINVAL)])
def impossible_ranges_are_refused(start, length, number):
    fails(number, posix_lock, opened(), EXCLUSIVE, start, length)


@rule("POSIX fcntl() ERRORS [EBADF]; fcntl(2)", [(f"{how}-{name}", LOCKS[how], flags, kind) for how in ("fcntl", "ofd") for name, flags, kind in (
    ("exclusive-on-rdonly", os.O_RDONLY, EXCLUSIVE), ("shared-on-wronly", os.O_WRONLY, SHARED))])
def record_locks_need_the_access_of_their_kind(lock, flags, kind):
    create("f")
    fails(errno.EBADF, lock, os.open("f", flags), kind)


@rule("flock(2): any open mode", [(f"{name}-{how}", flags, kind) for name, flags in (("rdonly", os.O_RDONLY), ("wronly", os.O_WRONLY))
                                  for how, kind in NAMES.items()])
def flock_needs_no_special_access(flags, kind):
    create("f")
    whole_lock(os.open("f", flags), kind)
    equal(is_free(whole_lock, EXCLUSIVE), False, "free")


@rule("POSIX fcntl() F_GETLK", [(f"{name}-asked-{a}", kind, NAMES[a], not (kind == NAMES[a] == SHARED)) for name, kind in NAMES.items() for a in NAMES])
def getlk_tells_the_lock_in_the_way(held, wanted, conflict):
    process = other(lambda: posix_lock(opened(), held, 10, 20))
    equal(process.answer(), "ok", "the other's lock")
    kind, whence, start, length, pid = record(opened(), fcntl.F_GETLK, wanted, 0, 100)
    if conflict:
        equal((kind, whence, start, length, pid), (held, os.SEEK_SET, 10, 20, process.pid), "lock in the way")
    else:
        equal(kind, NONE, "kind")
    process.end()


@rule("POSIX fcntl() F_GETLK: one's own locks are not in the way", [("fcntl", posix_lock, fcntl.F_GETLK), ("ofd", ofd_lock, OFD_GETLK)])
def getlk_does_not_tell_ones_own_lock(lock, command):
    fd = opened()
    lock(fd, EXCLUSIVE, 0, 10)
    equal(record(fd, command, EXCLUSIVE, 0, 10)[0], NONE, "kind")


@rule("fcntl(2) F_OFD_GETLK")
def ofd_getlk_tells_a_lock_without_a_process():
    one, two = opened(), opened()
    ofd_lock(one, EXCLUSIVE, 10, 20)
    kind, _, start, length, pid = record(two, OFD_GETLK, SHARED, 0, 100)
    equal((kind, start, length, pid), (EXCLUSIVE, 10, 20, -1), "lock in the way")
