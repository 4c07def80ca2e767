"""Users to act as: root switches its effective ids, which is what every permission check looks at."""

import contextlib
import os
import pickle
from typing import NamedTuple

GROUP = 62001  # of the files that OWNER owns


class Person(NamedTuple):
    uid: int
    gid: int
    groups: tuple = ()


OWNER = Person(61001, GROUP)
PEER = Person(61002, GROUP)                     # has the file's group as its own
MEMBER = Person(61003, 62003, (62003, GROUP))   # has it among its supplementary groups
OTHER = Person(61004, 62004)
CLASSES = {"owner": OWNER, "group": PEER, "supplementary": MEMBER, "other": OTHER}


@contextlib.contextmanager
def acting(person):
    """Within it, this process has the person's effective ids and no capability."""
    groups = os.getgroups()
    os.setgroups(person.groups or (person.gid,))
    os.setegid(person.gid)
    os.seteuid(person.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def became(person):
    """Turns this process into the person for good."""
    os.setgroups(person.groups or (person.gid,))
    os.setresgid(person.gid, person.gid, person.gid)
    os.setresuid(person.uid, person.uid, person.uid)


def forked(function, *arguments, person=None):
    """Calls the function in a child, wholly as `person`; its result, or its exception again."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if person:
                became(person)
            outcome = (True, function(*arguments))
        except BaseException as error:
            outcome = (False, error)
        os.write(writer, pickle.dumps(outcome))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        message = pipe.read()
    os.waitpid(pid, 0)
    succeeded, result = pickle.loads(message)
    if not succeeded:
        raise result
    return result


def give(path, person=OWNER):
    """Makes the person the owner of a name, with all of its mode bits kept."""
    bits = os.lstat(path).st_mode
    os.lchown(path, person.uid, person.gid)
    if (bits & 0o170000) != 0o120000:
        os.chmod(path, bits & 0o7777)
    return path
