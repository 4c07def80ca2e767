"""flock(), fcntl() record locks and open-file-description locks: what excludes what, waiting, and the end of a lock."""

import errno
import fcntl
import os
import select
import signal
import struct
import time

from checks import create, equal, fails, name_of, skip, true
from suite import Failure, rule

SHARED, EXCLUSIVE, NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
OFD_GETLK, OFD_SETLK, OFD_SETLKW = 36, 37, 38
BUSY = (errno.EAGAIN, errno.EACCES)
# The numbers of fcntl and flock, as /proc shows them: on x86-64, elsewhere.
LOCK_CALLS = ("72", "73") if os.uname().machine == "x86_64" else ("25", "32")


def _record(fd, command, kind, start=0, length=0, whence=os.SEEK_SET):
    raw = struct.pack("hhqqi4x", kind, whence, start, length, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, raw))


def posix_lock(fd, kind, start=0, length=0, wait=False, whence=os.SEEK_SET):
    _record(fd, fcntl.F_SETLKW if wait else fcntl.F_SETLK, kind, start, length, whence)


def ofd_lock(fd, kind, start=0, length=0, wait=False):
    _record(fd, OFD_SETLKW if wait else OFD_SETLK, kind, start, length)


def whole_lock(fd, kind, start=0, length=0, wait=False):
    flags = {SHARED: fcntl.LOCK_SH, EXCLUSIVE: fcntl.LOCK_EX, NONE: fcntl.LOCK_UN}[kind]
    fcntl.flock(fd, flags | (0 if wait else fcntl.LOCK_NB))


LOCKS = {"fcntl": posix_lock, "ofd": ofd_lock, "flock": whole_lock}
CITE = "fcntl(2) Advisory record locking; POSIX fcntl(); flock(2)"


def opened(path="f"):
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


class Other:
    """A process that calls one function, answers, and keeps what it holds until it is ended."""

    def __init__(self):
        self._commands, self._answers = os.pipe(), os.pipe()
        self.pid = None

    def begin(self, function):
        """Starts it; answer() gives 'ok', the name of an errno, or what the function returned."""
        self.pid = os.fork()
        if self.pid == 0:
            try:
                answer = function() or "ok"
            except OSError as error:
                answer = name_of(error.errno)
            except BaseException as error:
                answer = repr(error)
            os.write(self._answers[1], answer.encode() + b"\n")
            os.read(self._commands[0], 1)  # holds what it has until it is told to end
            os._exit(0)
        return self

    def answer(self, within_s=10):
        """None when there is none in time."""
        if not select.select([self._answers[0]], [], [], within_s)[0]:
            return None
        return os.read(self._answers[0], 1000).decode().strip()

    def waits(self):
        """Fails when it answers instead of waiting. It sleeps in its call when this returns."""
        deadline = time.monotonic() + 10
        while True:
            answer = self.answer(0.05)
            if answer is not None:
                raise Failure(f"it did not wait: {answer}")
            with open(f"/proc/{self.pid}/stat") as stat, open(f"/proc/{self.pid}/syscall") as call:
                asleep = stat.read().rsplit(")", 1)[1].split()[0] in "SD"
                if asleep and call.read().split()[0] in LOCK_CALLS:
                    break
            if time.monotonic() > deadline:
                raise Failure("it never came to its wait")
        answer = self.answer(0.1)
        if answer is not None:
            raise Failure(f"it did not wait: {answer}")

    def end(self):
        os.write(self._commands[1], b"x")
        os.waitpid(self.pid, 0)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)
        os.waitpid(self.pid, 0)


def other(function):
    return Other().begin(function)


def asked(function):
    """What another process is answered; it ends again."""
    process = other(function)
    answer = process.answer()
    process.end()
    return answer


def is_free(lock, kind=EXCLUSIVE, start=0, length=0):
    """Whether another process could have the lock."""
    answer = asked(lambda: lock(opened(), kind, start, length))
    if answer not in ("ok", "EAGAIN", "EACCES"):
        raise Failure(f"the lock is neither given nor refused: {answer}")
    return answer == "ok"


NAMES = {"shared": SHARED, "exclusive": EXCLUSIVE}


@rule(CITE, [(f"{how}-{a}-then-{b}", LOCKS[how], NAMES[a], NAMES[b]) for how in LOCKS for a in NAMES for b in NAMES])
def shared_locks_go_together_and_exclusive_ones_alone(lock, first, second):
    fd = opened()
    lock(fd, first)
    equal(is_free(lock, second), first == second == SHARED, "whether another process has it too")


@rule(CITE, [(f"{how}-{a}-to-{b}", LOCKS[how], NAMES[a], NAMES[b]) for how in LOCKS for a in NAMES for b in NAMES])
def a_holder_changes_its_own_lock(lock, first, second):
    fd = opened()
    lock(fd, first)
    lock(fd, second)
    equal((is_free(lock, SHARED), is_free(lock, EXCLUSIVE)), (second == SHARED, False), "free to share, free to exclude")


@rule(CITE, [(how, LOCKS[how]) for how in LOCKS])
def an_upgrade_is_refused_while_another_shares(lock):
    fd = opened()
    lock(fd, SHARED)
    process = other(lambda: lock(opened(), SHARED))
    equal(process.answer(), "ok", "the other's shared lock")
    fails(BUSY, lock, fd, EXCLUSIVE)
    process.end()
    lock(fd, EXCLUSIVE, wait=True)  # what an ended process held goes a moment after its end


@rule(CITE, [(f"{how}-{name}", LOCKS[how], name) for how in LOCKS for name in ("unlock", "close", "exit", "kill")])
def a_lock_ends_with_its_holder(lock, way):
    fd = opened()

    def hold():
        mine = opened()
        lock(mine, EXCLUSIVE)
        if way == "unlock":
            lock(mine, NONE)
        elif way == "close":
            os.close(mine)

    process = other(hold)
    equal(process.answer(), "ok", "the other's lock")
    if way in ("exit", "kill"):
        fails(BUSY, lock, fd, EXCLUSIVE)
        process.end() if way == "exit" else process.kill()
    deadline = time.monotonic() + 3
    while True:
        try:
            lock(fd, EXCLUSIVE)
            return
        except OSError as error:
            true(error.errno in BUSY and way in ("exit", "kill") and time.monotonic() < deadline, f"the lock is still held: {error}")
            time.sleep(0.01)


@rule(CITE, [(f"{how}-{name}", LOCKS[how], kind) for how in LOCKS for name, kind in NAMES.items()])
def a_waiting_lock_is_given_when_it_is_free(lock, kind):
    fd = opened()
    lock(fd, EXCLUSIVE)
    process = other(lambda: lock(opened(), kind, wait=True))
    process.waits()
    lock(fd, NONE)
    equal(process.answer(), "ok", "the waiting lock")
    fails(BUSY, lock, fd, EXCLUSIVE)
    process.end()


@rule(CITE, [(f"{how}-{way}", LOCKS[how], way) for how in LOCKS for way in ("exit", "kill", "close", "downgrade")])
def a_waiting_lock_is_given_when_its_holder_goes(lock, way):
    opened()
    go_reader, go_writer = os.pipe()

    def hold():
        lock(opened(), EXCLUSIVE)

    def hold_and_let_go():
        fd = opened()
        lock(fd, EXCLUSIVE)
        os.write(answered, b"x")
        os.read(go_reader, 1)
        os.close(fd) if way == "close" else lock(fd, SHARED)

    ready, answered = os.pipe()
    holder = other(hold if way in ("exit", "kill") else hold_and_let_go)
    if way in ("exit", "kill"):
        equal(holder.answer(), "ok", "the holder's lock")
    else:
        os.read(ready, 1)
    waiting = other(lambda: lock(opened(), SHARED, wait=True))
    waiting.waits()
    if way in ("exit", "kill"):
        holder.end() if way == "exit" else holder.kill()
    else:
        os.write(go_writer, b"x")
    equal(waiting.answer(), "ok", "the waiting lock")


def _interrupt(*_):
    raise InterruptedError(errno.EINTR, "interrupted")


@rule("POSIX fcntl() ERRORS [EINTR]; flock(2) ERRORS EINTR", [(how, LOCKS[how]) for how in LOCKS])
def a_signal_ends_the_wait_for_a_lock(lock):
    fd = opened()
    lock(fd, EXCLUSIVE)

    def wait():
        signal.signal(signal.SIGUSR1, _interrupt)
        lock(opened(), EXCLUSIVE, wait=True)

    process = other(wait)
    process.waits()
    os.kill(process.pid, signal.SIGUSR1)
    equal(process.answer(), "EINTR", "the wait")
    lock(fd, NONE)
    lock(fd, EXCLUSIVE)
    process.end()


@rule("signal(7): SIGKILL", [(how, LOCKS[how]) for how in LOCKS])
def a_process_that_waits_for_a_lock_can_be_killed(lock):
    fd = opened()
    lock(fd, EXCLUSIVE)
    process = other(lambda: lock(opened(), EXCLUSIVE, wait=True))
    process.waits()
    began = time.monotonic()
    process.kill()
    true(time.monotonic() - began < 5, "it took long to die")
    lock(fd, NONE)
    true(is_free(lock), "the dead process was given the lock")


@rule("POSIX fcntl() ERRORS [EDEADLK]", [("two-ranges", "f", "f"), ("two-files", "f", "g")])
def a_circle_of_waiting_processes_is_refused(first, second):
    one, two = opened(first), opened(second)
    posix_lock(one, EXCLUSIVE, 0, 1)

    def cross():
        mine, theirs = opened(second), opened(first)
        posix_lock(mine, EXCLUSIVE, 10, 1)
        os.write(answered, b"x")
        posix_lock(theirs, EXCLUSIVE, 0, 1, wait=True)

    ready, answered = os.pipe()
    process = other(cross)
    os.read(ready, 1)
    process.waits()
    signal.alarm(10)
    fails(errno.EDEADLK, posix_lock, two, EXCLUSIVE, 10, 1, True)
    signal.alarm(0)
    posix_lock(one, NONE)
    equal(process.answer(), "ok", "the other's lock")
    process.end()


@rule("POSIX fcntl() ERRORS [EDEADLK]: three processes")
def a_circle_of_three_is_refused():
    fd = opened()
    posix_lock(fd, EXCLUSIVE, 0, 1)

    def hold_and_want(held, wanted):
        mine = opened()
        posix_lock(mine, EXCLUSIVE, held, 1)
        os.write(answered, b"x")
        posix_lock(mine, EXCLUSIVE, wanted, 1, wait=True)

    ready, answered = os.pipe()
    first = other(lambda: hold_and_want(1, 0))
    os.read(ready, 1)
    first.waits()
    second = other(lambda: hold_and_want(2, 1))
    os.read(ready, 1)
    second.waits()
    signal.alarm(10)
    fails(errno.EDEADLK, posix_lock, fd, EXCLUSIVE, 2, 1, True)


# --- ranges ----------------------------------------------------------------------------------------
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


# --- F_GETLK ---------------------------------------------------------------------------------------
@rule("POSIX fcntl() F_GETLK", [(f"{name}-asked-{a}", kind, NAMES[a], not (kind == NAMES[a] == SHARED)) for name, kind in NAMES.items() for a in NAMES])
def getlk_tells_the_lock_in_the_way(held, wanted, conflict):
    process = other(lambda: posix_lock(opened(), held, 10, 20))
    equal(process.answer(), "ok", "the other's lock")
    kind, whence, start, length, pid = _record(opened(), fcntl.F_GETLK, wanted, 0, 100)
    if conflict:
        equal((kind, whence, start, length, pid), (held, os.SEEK_SET, 10, 20, process.pid), "lock in the way")
    else:
        equal(kind, NONE, "kind")
    process.end()


@rule("POSIX fcntl() F_GETLK: one's own locks are not in the way", [("fcntl", posix_lock, fcntl.F_GETLK), ("ofd", ofd_lock, OFD_GETLK)])
def getlk_does_not_tell_ones_own_lock(lock, command):
    fd = opened()
    lock(fd, EXCLUSIVE, 0, 10)
    equal(_record(fd, command, EXCLUSIVE, 0, 10)[0], NONE, "kind")


@rule("fcntl(2) F_OFD_GETLK")
def ofd_getlk_tells_a_lock_without_a_process():
    one, two = opened(), opened()
    ofd_lock(one, EXCLUSIVE, 10, 20)
    kind, _, start, length, pid = _record(two, OFD_GETLK, SHARED, 0, 100)
    equal((kind, start, length, pid), (EXCLUSIVE, 10, 20, -1), "lock in the way")


# --- whose lock it is --------------------------------------------------------------------------------
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
