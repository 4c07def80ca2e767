"""flock(), fcntl() record locks and open-file-description locks: what excludes what, waiting, and the end of a lock."""

import errno
import os
import signal
import time

from checks import equal, fails, true
from locking import (BUSY, CITE, EXCLUSIVE, LOCKS, NAMES, NONE, SHARED, is_free, opened, other,
                     posix_lock)
from suite import rule


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
