"""Whose a lock is: descriptors, duplicates, children, names; and what else locks."""

import errno
import fcntl
import os
import signal

from checks import create, equal, fails, skip, true
from locking import (BUSY, EXCLUSIVE, LOCKS, NONE, SHARED, asked, is_free, ofd_lock, opened, other,
                     posix_lock, record, whole_lock)
from suite import rule


@rule("POSIX close(), fcntl(): any close of the file ends the process's record locks")
def closing_another_descriptor_ends_record_locks():
    fd = opened()
    posix_lock(fd, EXCLUSIVE)
    os.close(opened())
    true(is_free(posix_lock), "the lock is still held")


@rule("fcntl(2) Open file description locks; flock(2)", [("ofd", ofd_lock), ("flock", whole_lock)])
def closing_another_descriptor_keeps_the_lock(lock):
    fd = opened()
    lock(fd, EXCLUSIVE)
    os.close(opened())
    true(not is_free(lock), "the lock is gone")
    os.close(fd)
    true(is_free(lock), "the lock is still held")


@rule("fcntl(2), flock(2): duplicates share the lock", [("ofd", ofd_lock), ("flock", whole_lock)])
def the_last_duplicate_ends_the_lock(lock):
    fd = opened()
    lock(fd, EXCLUSIVE)
    duplicate = os.dup(fd)
    os.close(fd)
    true(not is_free(lock), "the lock is gone")
    os.close(duplicate)
    true(is_free(lock), "the lock is still held")


@rule("fcntl(2), flock(2): two opens of one process", [("fcntl", posix_lock, True), ("ofd", ofd_lock, False), ("flock", whole_lock, False)])
def two_opens_of_one_process_conflict_unless_the_process_owns_the_lock(lock, together):
    one, two = opened(), opened()
    lock(one, EXCLUSIVE)
    if together:
        lock(two, EXCLUSIVE)
    else:
        fails(BUSY, lock, two, EXCLUSIVE)


@rule("POSIX fork(): record locks are not inherited")
def a_child_has_none_of_its_parents_record_locks():
    fd = opened()
    posix_lock(fd, EXCLUSIVE)
    equal(asked(lambda: posix_lock(fd, EXCLUSIVE)) in ("EAGAIN", "EACCES"), True, "refused to the child")
    true(not is_free(posix_lock), "the child's end took the lock away")


@rule("fcntl(2), flock(2): a child shares the lock", [("ofd", ofd_lock), ("flock", whole_lock)])
def a_child_shares_and_keeps_the_lock(lock):
    fd = opened()
    lock(fd, EXCLUSIVE)
    process = other(lambda: lock(fd, EXCLUSIVE))
    equal(process.answer(), "ok", "the child's lock")
    os.close(fd)
    true(not is_free(lock), "the parent's close took the child's lock away")
    process.end()
    true(is_free(lock), "the lock is still held")


@rule("flock(2): a child may unlock for all")
def a_child_unlocks_the_shared_lock():
    fd = opened()
    whole_lock(fd, EXCLUSIVE)
    equal(asked(lambda: whole_lock(fd, NONE)), "ok", "the child's unlock")
    true(is_free(whole_lock), "the lock is still held")


@rule("flock(2) NOTES: flock and fcntl do not see each other", [("flock-then-fcntl", whole_lock, posix_lock), ("fcntl-then-flock", posix_lock, whole_lock)])
def flock_and_record_locks_are_apart(first, second):
    fd = opened()
    first(fd, EXCLUSIVE)
    true(is_free(second), "one kind excludes the other")


@rule("fcntl(2): record locks of both kinds exclude each other", [("fcntl-then-ofd", posix_lock, ofd_lock), ("ofd-then-fcntl", ofd_lock, posix_lock)])
def record_locks_and_open_file_description_locks_meet(first, second):
    fd = opened()
    first(fd, EXCLUSIVE)
    true(not is_free(second), "one kind does not exclude the other")


@rule("POSIX execve(): record locks stay")
def a_record_lock_outlives_exec():
    create("f", b"x")
    ready, answered = os.pipe()
    os.set_inheritable(answered, True)
    pid = os.fork()
    if pid == 0:
        fd = opened()
        os.set_inheritable(fd, True)
        posix_lock(fd, EXCLUSIVE)
        os.execv("/bin/sh", ["sh", "-c", f"echo x >&{answered}; sleep 20"])
    os.read(ready, 1)
    true(not is_free(posix_lock), "the lock is gone")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@rule("flock(2), fcntl(2): what may be locked", [("directory-flock", "d", whole_lock, SHARED), ("unlinked-flock", None, whole_lock, EXCLUSIVE),
                                                 ("unlinked-fcntl", None, posix_lock, EXCLUSIVE), ("unlinked-ofd", None, ofd_lock, EXCLUSIVE)])
def directories_and_unlinked_files_are_locked(path, lock, kind):
    os.mkdir("d")
    fd = os.open(path, os.O_RDONLY) if path else opened()
    if path is None:
        os.unlink("f")
    lock(fd, kind)
    lock(fd, NONE)


@rule("fcntl(2): locks belong to the inode", [(how, LOCKS[how]) for how in LOCKS])
def a_lock_is_seen_through_every_name_of_the_file(lock):
    fd = opened()
    os.link("f", "g")
    lock(fd, EXCLUSIVE)
    answer = asked(lambda: lock(opened("g"), EXCLUSIVE))
    true(answer in ("EAGAIN", "EACCES"), f"the other name is not locked: {answer}")
    os.rename("f", "h")
    answer = asked(lambda: lock(opened("h"), EXCLUSIVE))
    true(answer in ("EAGAIN", "EACCES"), f"the new name is not locked: {answer}")


@rule("POSIX fcntl(): fairness of many", [(how, LOCKS[how]) for how in LOCKS])
def a_counter_under_a_lock_loses_nothing(lock):
    create("n", b"0")

    def count():
        fd = opened()
        for _ in range(30):
            lock(fd, EXCLUSIVE, wait=True)
            number = int(open("n").read())
            with open("n", "w") as file:
                file.write(str(number + 1))
            lock(fd, NONE)

    processes = [other(count) for _ in range(3)]
    for process in processes:
        equal(process.answer(25), "ok", "a counting process")
        process.end()
    equal(open("n").read(), "90", "count")


@rule("POSIX lockf()", [("lock", 1, False), ("test-lock", 2, False)])
def lockf_makes_record_locks(how, free):
    fd = opened()
    os.lockf(fd, how, 0)
    equal(is_free(posix_lock), free, "free")
    os.lockf(fd, 0, 0)
    true(is_free(posix_lock), "the lock is still held")


@rule("fcntl(2) F_SETLEASE", [("read", fcntl.F_RDLCK, os.O_RDONLY), ("write", fcntl.F_WRLCK, os.O_RDWR)])
def a_lease_is_given_or_refused_cleanly(kind, flags):
    create("f")
    fd = os.open("f", flags)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EAGAIN, errno.ENOLCK):
            skip(f"leases are refused here ({error.strerror})")
        raise
    equal(fcntl.fcntl(fd, fcntl.F_GETLEASE), kind, "lease")
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
