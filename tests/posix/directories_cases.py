"""mkdir(), rmdir(), mknod(), and reading directories while they change."""

import errno
import os
import stat

from checks import (KINDS, LONG_NAME, counts_subdirectories, create, equal, exists, fails, identity, inode, links,
                    make, mode, true)
from people import OTHER, acting
from suite import rule
from syscalls import DirectoryStream


# --- mkdir -----------------------------------------------------------------------------------------
@rule("POSIX mkdir()", [("plain", "d"), ("slash", "d/"), ("slashes", "d///"), ("dot-path", "./d")])
def a_new_directory_is_empty_and_has_two_links(path):
    os.mkdir(path, 0o755)
    info = os.stat("d")
    true(stat.S_ISDIR(info.st_mode), "it is no directory")
    equal(os.listdir("d"), [], "names")
    equal(stat.S_IMODE(info.st_mode), 0o755, "mode")


@rule("POSIX mkdir(); stat(2) st_nlink of directories")
def the_parent_gains_and_loses_a_link():
    counts_subdirectories()
    os.mkdir("d")
    equal(links("d"), 2, "links of a new directory")
    for i in range(5):
        os.mkdir(f"d/{i}")
        equal(links("d"), 3 + i, "links of the parent")
    create("d/file")
    equal(links("d"), 7, "links after a file")
    for i in range(5):
        os.rmdir(f"d/{i}")
    equal(links("d"), 2, "links after all are gone")


@rule("POSIX mkdir() ERRORS [EEXIST]", [(kind, kind) for kind in KINDS + ("full", "loop", "dirlink")])
def mkdir_never_replaces_a_name(kind):
    make(kind, "f")
    before = identity("f")
    fails(errno.EEXIST, os.mkdir, "f")
    equal(identity("f"), before, "what the name names")


@rule("POSIX mkdir() ERRORS", [("dot", ".", (errno.EEXIST,)), ("dot-dot", "..", (errno.EEXIST,)),
                               ("new-dot", "new/.", (errno.ENOENT,)), ("two-levels", "a/b", (errno.ENOENT,))])
def mkdir_makes_one_new_level_only(path, numbers):
    fails(numbers, os.mkdir, path)


@rule("mkdir(2): mode & ~umask & 01777", [("0777", 0o777, 0o777), ("1777", 0o1777, 0o1777), ("0000", 0, 0), ("0700", 0o700, 0o700)])
def mkdir_takes_the_mode(bits, expected):
    os.mkdir("d", bits)
    equal(mode("d"), expected, "mode")


# --- rmdir -----------------------------------------------------------------------------------------
@rule("POSIX rmdir() ERRORS [ENOTDIR]", [(kind, kind) for kind in KINDS if kind != "directory"] + [("dirlink", "dirlink")])
def rmdir_removes_directories_only(kind):
    make(kind, "f")
    fails(errno.ENOTDIR, os.rmdir, "f")
    true(exists("f"), "the name is gone")


@rule("POSIX rmdir() ERRORS [EEXIST] or [ENOTEMPTY]", [(kind, kind) for kind in KINDS + ("full",)])
def a_directory_with_an_entry_is_not_removed(kind):
    os.mkdir("d")
    make(kind, "d/entry")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, "d")
    true(exists("d/entry"), "the entry is gone")


@rule("POSIX rmdir() ERRORS [EINVAL]", [("dot", "d/.", (errno.EINVAL,)), ("dot-dot", "d/sub/..", (errno.ENOTEMPTY, errno.EEXIST)),
                                       ("here", ".", (errno.EINVAL,)), ("link-slash", "l/", (errno.ENOTDIR,))])
def dot_names_are_not_removed(path, numbers):
    os.makedirs("d/sub")
    os.symlink("d/sub", "l")
    fails(numbers, os.rmdir, path)


@rule("POSIX rmdir()", [("plain", "d"), ("slash", "d/")])
def an_emptied_directory_is_removed(path):
    make("full", "d")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rmdir, path)
    os.unlink("d/entry")
    os.rmdir(path)
    true(not exists("d"), "the directory is still there")


GONE = {
    "create": (lambda: create("new"), errno.ENOENT), "mkdir": (lambda: os.mkdir("new"), errno.ENOENT),
    "symlink": (lambda: os.symlink("x", "new"), errno.ENOENT), "mkfifo": (lambda: os.mkfifo("new"), errno.ENOENT),
    "link": (lambda: os.link(os.environ["F"], "new"), errno.ENOENT), "getcwd": (os.getcwd, errno.ENOENT),
    "rename-into": (lambda: os.rename(os.environ["F"], "new"), errno.ENOENT),
    "stat-name": (lambda: os.stat("new"), errno.ENOENT),
}


@rule("POSIX rmdir(): a removed directory that is in use", [(name, *GONE[name]) for name in GONE])
def nothing_is_made_in_a_removed_directory(use, number):
    os.environ["F"] = os.path.abspath(create("f"))
    os.mkdir("d")
    os.chdir("d")
    os.rmdir("../d")
    fails(number, use)


@rule("POSIX rmdir(): a removed directory that is open")
def a_removed_directory_is_empty_and_has_no_links():
    os.mkdir("d", 0o700)
    fd = os.open("d", os.O_RDONLY)
    before = os.fstat(fd).st_ino
    os.rmdir("d")
    os.mkdir("d")
    info = os.fstat(fd)
    equal((info.st_ino, info.st_nlink, stat.S_IMODE(info.st_mode)), (before, 0, 0o700), "inode, links, mode")
    equal(os.listdir(fd), [], "names")
    os.fchmod(fd, 0o711)
    equal(stat.S_IMODE(os.fstat(fd).st_mode), 0o711, "mode after fchmod")
    os.fsync(fd)


@rule("POSIX rename(): a replaced directory that is open")
def a_directory_replaced_by_rename_has_no_links():
    os.mkdir("old")
    os.mkdir("new")
    fd = os.open("old", os.O_RDONLY)
    os.rename("new", "old")
    equal(os.fstat(fd).st_nlink, 0, "links")
    fails(errno.ENOENT, os.mkdir, "x", dir_fd=fd)


@rule("POSIX fchdir(), getcwd()")
def a_directory_is_entered_by_its_descriptor():
    os.mkdir("d")
    fd = os.open("d", os.O_RDONLY)
    os.rename("d", "e")
    os.fchdir(fd)
    true(os.getcwd().endswith("/e"), f"getcwd() says {os.getcwd()}")


# --- mknod -----------------------------------------------------------------------------------------
NODES = {"file": stat.S_IFREG, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK, "character": stat.S_IFCHR, "block": stat.S_IFBLK}


@rule("POSIX mknod(); mknod(2)", [(name, NODES[name]) for name in NODES])
def mknod_makes_every_kind(kind):
    os.mknod("f", kind | 0o640, os.makedev(7, 200))
    info = os.lstat("f")
    equal(info.st_mode, kind | 0o640, "mode")
    equal((info.st_nlink, info.st_size), (1, 0), "links and size")
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        equal(info.st_rdev, os.makedev(7, 200), "device")


@rule("mknod(2)", [(f"{major}-{minor}", major, minor) for major, minor in ((0, 0), (1, 3), (255, 255), (4095, 1048575))])
def device_numbers_are_kept_whole(major, minor):
    os.mknod("f", stat.S_IFCHR | 0o600, os.makedev(major, minor))
    info = os.stat("f")
    equal((os.major(info.st_rdev), os.minor(info.st_rdev)), (major, minor), "device")


@rule("mknod(2) ERRORS", [("directory", stat.S_IFDIR, errno.EPERM), ("symlink", stat.S_IFLNK, errno.EINVAL),
                          ("unknown", 0o150000, errno.EINVAL)])
def mknod_makes_nothing_else(kind, number):
    fails(number, os.mknod, "f", kind | 0o600)


@rule("POSIX mknod() ERRORS [EPERM]", [(name, NODES[name], name in ("character", "block")) for name in NODES])
def devices_are_made_by_root_only(kind, refused):
    os.chmod(".", 0o777)
    with acting(OTHER):
        if refused:
            fails(errno.EPERM, os.mknod, "f", kind | 0o600, os.makedev(1, 3))
        else:
            os.mknod("f", kind | 0o600)


@rule("POSIX mknod(), mkfifo() ERRORS [EEXIST]", [(f"{call}-{kind}", call, kind) for call in ("mknod", "mkfifo")
                                                 for kind in KINDS + ("full",)])
def a_node_never_replaces_a_name(call, kind):
    make(kind, "f")
    before = identity("f")
    fails(errno.EEXIST, (lambda: os.mknod("f", stat.S_IFREG | 0o600)) if call == "mknod" else (lambda: os.mkfifo("f")))
    equal(identity("f"), before, "what the name names")


# --- reading directories -----------------------------------------------------------------------------
def _fill(path, count, prefix="f"):
    os.mkdir(path)
    names = [f"{prefix}{i:05d}" for i in range(count)]
    for name in names:
        os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_WRONLY, 0o644))
    return names


@rule("POSIX readdir()", [(f"{count}", count) for count in (0, 1, 2, 10, 127, 1500)])
def every_name_is_listed_once(count):
    names = _fill("d", count)
    stream = DirectoryStream("d")
    listed = stream.names()
    equal(len(listed), count, "number of names")
    equal(sorted(listed), names, "names")


@rule("POSIX readdir()", [("255-bytes", 255, 300), ("1-byte", 1, 26)])
def long_and_short_names_fill_pages(length, count):
    os.mkdir("d")
    names = [chr(97 + i) if length == 1 else f"{i:05d}".ljust(length, "n") for i in range(count)]
    for name in names:
        create(f"d/{name}")
    equal(sorted(os.listdir("d")), names, "names")


@rule("POSIX readdir(): . and ..")
def dot_and_dot_dot_are_listed_with_their_inodes():
    os.makedirs("d/e")
    stream = DirectoryStream("d/e")
    found = {}
    while (entry := stream.entry()) is not None:
        found[entry[0]] = entry[1]
    equal(found, {".": inode("d/e"), "..": inode("d")}, "entries")


@rule("readdir(3) d_type, d_ino", [(kind, kind) for kind in KINDS])
def entries_tell_kind_and_inode(kind):
    os.mkdir("d")
    make(kind, "d/f")
    stream = DirectoryStream("d")
    while (entry := stream.entry()) is not None:
        if entry[0] == "f":
            info = os.lstat("d/f")
            equal(entry[1], info.st_ino, "d_ino")
            true(entry[2] in (0, info.st_mode >> 12), f"d_type is {entry[2]}")
            return
    true(False, "the name is not listed")


@rule("POSIX readdir(): a link is an entry of its own")
def two_links_in_one_directory_are_both_listed():
    os.mkdir("d")
    create("d/a")
    os.link("d/a", "d/b")
    equal(sorted(os.listdir("d")), ["a", "b"], "names")


CHANGES_BETWEEN = {
    "mkdir": (lambda: os.mkdir("d/new"), {"new"}, set()), "create": (lambda: create("d/new"), {"new"}, set()),
    "unlink": (lambda: os.unlink("d/f00001"), set(), {"f00001"}),
    "rename": (lambda: os.rename("d/f00001", "d/new"), {"new"}, {"f00001"}),
    "rename-out": (lambda: os.rename("d/f00001", "out"), set(), {"f00001"}),
    "link": (lambda: os.link("d/f00001", "d/new"), {"new"}, set()),
    "symlink": (lambda: os.symlink("x", "d/new"), {"new"}, set()),
}


@rule("POSIX readdir(): a listing after a change", [(name, *CHANGES_BETWEEN[name]) for name in CHANGES_BETWEEN])
def the_next_listing_shows_the_change(change, more, less):
    names = set(_fill("d", 5))
    os.listdir("d")
    change()
    equal(set(os.listdir("d")), (names | more) - less, "names")


@rule("POSIX rewinddir()")
def rewinddir_shows_the_directory_as_it_is_now():
    _fill("d", 3)
    stream = DirectoryStream("d")
    stream.names()
    create("d/new")
    os.unlink("d/f00000")
    stream.rewind()
    equal(sorted(stream.names()), ["f00001", "f00002", "new"], "names")


@rule("POSIX readdir(): while entries are removed", [(f"{count}", count) for count in (10, 1500)])
def removing_each_name_as_it_is_listed_empties_the_directory(count):
    _fill("d", count)
    stream = DirectoryStream("d")
    while (entry := stream.entry()) is not None:
        if entry[0] not in (".", ".."):
            os.unlink(f"d/{entry[0]}")
    os.rmdir("d")


@rule("POSIX readdir(): while entries are removed")
def removing_the_names_ahead_and_behind_hides_no_other():
    names = _fill("d", 1000)
    stream = DirectoryStream("d")
    seen = [stream.entry()[0] for _ in range(100)]
    for name in names[::2]:
        os.unlink(f"d/{name}")
    seen += stream.names()
    true(set(names[1::2]) <= set(seen), "a name that was there all the time was not listed")
    equal(len(seen), len(set(seen)), "names listed, without repeats")


@rule("POSIX readdir(): while entries are added")
def adding_names_neither_hides_nor_repeats_the_old():
    names = _fill("d", 1000)
    stream = DirectoryStream("d")
    seen = [stream.entry()[0] for _ in range(100)]
    for i in range(500):
        os.close(os.open(f"d/g{i}", os.O_CREAT | os.O_WRONLY, 0o644))
        os.close(os.open(f"d/a{i}", os.O_CREAT | os.O_WRONLY, 0o644))
    seen += stream.names()
    old = [name for name in seen if name.startswith("f")]
    equal(sorted(old), names, "old names")


@rule("POSIX readdir(): while entries are renamed")
def renaming_names_hides_no_other():
    names = _fill("d", 1000)
    stream = DirectoryStream("d")
    seen = [stream.entry()[0] for _ in range(50)]
    for name in names[::4]:
        os.rename(f"d/{name}", f"d/{name}-moved")
    seen += stream.names()
    stayed = set(names) - set(names[::4])
    true(stayed <= set(seen), "a name that was there all the time was not listed")
    equal(len([n for n in seen if n in stayed]), len(stayed), "names that stayed, without repeats")


def _positions(stream):
    """[(where before the entry, its name)]"""
    found = []
    while True:
        where = stream.tell()
        entry = stream.entry()
        if entry is None:
            return found
        found.append((where, entry[0]))


@rule("POSIX telldir(), seekdir()", [(f"{count}", count) for count in (3, 200, 1000)])
def seekdir_goes_back_to_where_telldir_was(count):
    _fill("d", count)
    stream = DirectoryStream("d")
    positions = _positions(stream)
    equal(len({where for where, _ in positions}), len(positions), "different positions")
    step = max(1, count // 50)
    for where, name in positions[::step] + positions[::-step]:
        stream.seek(where)
        equal(stream.entry()[0], name, "name at the position")


@rule("POSIX telldir(), seekdir(): while the directory changes", [("removed", "removed"), ("added", "added"), ("both", "both")])
def positions_stay_good_while_the_directory_changes(change):
    names = _fill("d", 1300)
    stream = DirectoryStream("d")
    positions = [(where, name) for where, name in _positions(stream) if name in names[1::2]]
    if change in ("removed", "both"):
        for name in names[::2]:
            os.unlink(f"d/{name}")
    if change in ("added", "both"):
        for i in range(300):
            create(f"d/e{i}")
            create(f"d/g{i}")
    for where, name in positions[::30]:
        stream.seek(where)
        rest = stream.names()
        true(name in rest, f"{name} is not at or after its position")


@rule("POSIX seekdir(): a position whose entry is gone")
def a_position_of_a_removed_entry_leads_to_those_after_it():
    _fill("d", 300)
    stream = DirectoryStream("d")
    positions = _positions(stream)
    where, name = positions[150]
    if name in (".", ".."):
        where, name = positions[152]
    after = {other for _, other in positions[positions.index((where, name)) + 1:]} - {".", ".."}
    os.unlink(f"d/{name}")
    stream.seek(where)
    # Whether the removed name itself is still shown is not specified.
    equal(set(stream.names()) - {name}, after, "names after the position")


@rule("POSIX seekdir(): the end")
def the_position_of_the_end_is_the_end():
    _fill("d", 100)
    stream = DirectoryStream("d")
    stream.names()
    where = stream.tell()
    stream.rewind()
    stream.seek(where)
    equal(stream.entry(), None, "entry at the end")


@rule("POSIX opendir(): two streams")
def two_streams_of_one_directory_have_positions_of_their_own():
    names = _fill("d", 300)
    one, two = DirectoryStream("d"), DirectoryStream("d")
    for _ in range(100):
        one.entry()
    equal(sorted(two.names()), names, "names of the second stream")
    equal(len(one.names()) >= 200, True, "names left in the first stream")


@rule("POSIX fdopendir(), dup(): the position is shared")
def a_directory_descriptor_is_listed_again_after_a_rewind():
    names = _fill("d", 50)
    fd = os.open("d", os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(3):
        equal(sorted(os.listdir(fd)), names, "names")


@rule("POSIX opendir(): a directory moved while it is listed")
def a_listing_goes_on_through_a_rename_of_its_directory():
    names = _fill("d", 1000)
    stream = DirectoryStream("d")
    seen = [stream.entry()[0] for _ in range(10)]
    os.rename("d", "e")
    seen += stream.names()
    equal(sorted(name for name in seen if name[0] == "f"), names, "names")


@rule("POSIX readdir(); XBD 4.7: file serial numbers")
def inode_numbers_are_unique():
    names = _fill("d", 500)
    os.mkdir("d/sub")
    numbers = {os.lstat(f"d/{name}").st_ino for name in names} | {inode("d"), inode("d/sub")}
    equal(len(numbers), 502, "different inode numbers")


@rule("POSIX stat(): st_dev", [("file", "file"), ("directory", "directory"), ("symlink", "symlink"), ("fifo", "fifo")])
def all_files_of_a_directory_are_on_its_device(kind):
    make(kind, "f")
    equal(os.lstat("f").st_dev, os.stat(".").st_dev, "device")


@rule("XBD NAME_MAX", [("file", create), ("directory", os.mkdir)])
def a_directory_full_of_the_longest_names_is_emptied(make_name):
    os.mkdir("d")
    for i in range(200):
        make_name("d/" + f"{i:03d}" + LONG_NAME[3:])
    for name in os.listdir("d"):
        (os.rmdir if make_name is os.mkdir else os.unlink)(f"d/{name}")
    os.rmdir("d")
