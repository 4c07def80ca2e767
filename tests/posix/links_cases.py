"""link() and unlink(): names of one file, what is no file, files without a name."""

import errno
import os
import stat

from checks import KINDS, bind_socket, create, equal, exists, fails, identity, inode, links, make, read, true
from people import OTHER, acting
from suite import rule
from syscalls import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW, linkat

FILES = tuple(kind for kind in KINDS if kind != "directory")


@rule("POSIX link()", [(kind, kind) for kind in FILES])
def a_link_is_another_name_of_the_same_file(kind):
    make(kind, "f")
    before = links("f")
    os.link("f", "g", follow_symlinks=False)
    equal(identity("g"), identity("f"), "inode and kind")
    equal((links("f"), links("g")), (before + 1, before + 1), "links")


@rule("POSIX link() ERRORS [EEXIST]", [(kind, kind) for kind in KINDS + ("full", "loop")])
def a_link_never_replaces_a_name(kind):
    create("f")
    make(kind, "g")
    before = identity("g")
    fails(errno.EEXIST, os.link, "f", "g")
    equal((identity("g"), links("f")), (before, 1), "the name and the links of the file")


@rule("POSIX link() ERRORS [EPERM]; link(2)", [("root", None), ("user", OTHER)])
def directories_have_no_hard_links(person):
    os.chmod(".", 0o777)
    os.mkdir("d", 0o777)
    if person:
        with acting(person):
            fails(errno.EPERM, os.link, "d", "e")
    else:
        fails(errno.EPERM, os.link, "d", "e")


@rule("POSIX linkat(): AT_SYMLINK_FOLLOW", [("nofollow", 0, "l"), ("follow", AT_SYMLINK_FOLLOW, "f")])
def linkat_links_the_link_or_its_target(flags, same):
    create("f")
    os.symlink("f", "l")
    linkat(AT_FDCWD, "l", "g", flags)
    equal(identity("g"), identity(same), "inode and kind")


@rule("POSIX linkat() ERRORS", [("dangling", "dangling", errno.ENOENT), ("loop", "loop", errno.ELOOP)])
def linkat_following_a_bad_link_fails(kind, number):
    make(kind, "l")
    fails(number, linkat, AT_FDCWD, "l", "g", AT_SYMLINK_FOLLOW)


@rule("linkat(2)", [("empty-path", "", AT_EMPTY_PATH), ("proc", None, AT_SYMLINK_FOLLOW)])
def an_open_file_gets_another_name(path, flags):
    create("f", b"abc")
    fd = os.open("f", os.O_RDONLY)
    if path is None:
        linkat(AT_FDCWD, f"/proc/self/fd/{fd}", "g", flags)
    else:
        linkat(fd, path, "g", flags)
    equal(inode("g"), inode("f"), "inode")


@rule("linkat(2) ERRORS ENOENT", [("empty-path", "", AT_EMPTY_PATH), ("proc", None, AT_SYMLINK_FOLLOW)])
def a_file_without_a_name_gets_none_again(path, flags):
    create("f")
    fd = os.open("f", os.O_RDONLY)
    os.unlink("f")
    if path is None:
        fails(errno.ENOENT, linkat, AT_FDCWD, f"/proc/self/fd/{fd}", "g", flags)
    else:
        fails(errno.ENOENT, linkat, fd, path, "g", flags)


@rule("POSIX linkat(): directories of both names")
def linkat_takes_both_names_from_its_directories():
    os.mkdir("a")
    os.mkdir("b")
    create("a/f", b"abc")
    os.link("f", "g", src_dir_fd=os.open("a", os.O_RDONLY), dst_dir_fd=os.open("b", os.O_RDONLY))
    equal((read("b/g"), links("a/f")), (b"abc", 2), "content and links")


@rule("POSIX link(): content is shared", [("write", lambda: create_through("g", b"xyz")),
                                          ("truncate", lambda: os.truncate("g", 1)),
                                          ("append", lambda: os.write(os.open("g", os.O_WRONLY | os.O_APPEND), b"more"))])
def a_change_through_one_name_shows_at_the_other(change):
    create("f", b"abc")
    os.link("f", "g")
    change()
    equal((read("f"), os.stat("f").st_size), (read("g"), os.stat("g").st_size), "content and size")
    true(read("f") != b"abc", "nothing changed")


def create_through(path, data):
    os.write(os.open(path, os.O_WRONLY | os.O_TRUNC), data)


@rule("POSIX link()", [("10", 10), ("1000", 1000)])
def many_links_are_counted(count):
    create("f")
    os.mkdir("d")
    for i in range(count):
        os.link("f", f"d/{i}")
    equal(links("f"), count + 1, "links")
    for i in range(0, count, 2):
        os.unlink(f"d/{i}")
    equal(links("f"), count // 2 + 1, "links after half were removed")


@rule("POSIX link() ERRORS [EMLINK]; pathconf() LINK_MAX")
def link_max_is_told_and_is_at_least_8():
    true(os.pathconf(".", "PC_LINK_MAX") >= 8, "LINK_MAX is less than _POSIX_LINK_MAX")


# --- unlink ----------------------------------------------------------------------------------------
@rule("POSIX unlink()", [(kind, kind) for kind in FILES])
def a_removed_name_is_gone(kind):
    make(kind, "f")
    os.unlink("f")
    fails(errno.ENOENT, os.lstat, "f")
    true("f" not in os.listdir("."), "the name is still listed")
    fails(errno.ENOENT, os.unlink, "f")


@rule("unlink(2) ERRORS EISDIR", [("empty", "empty"), ("full", "full")])
def a_directory_is_not_unlinked(kind):
    make(kind, "d")
    fails((errno.EISDIR, errno.EPERM), os.unlink, "d")
    true(os.path.isdir("d"), "the directory is gone")


@rule("unlink(2) ERRORS", [("dot", "d/."), ("dot-dot", "d/.."), ("slash", "d/")])
def dot_names_are_not_unlinked(path):
    os.mkdir("d")
    fails((errno.EISDIR, errno.EPERM, errno.EINVAL), os.unlink, path)


@rule("POSIX unlinkat()", [("file", "file", 0, 0), ("directory", "empty", 1, 0), ("full", "full", 1, errno.ENOTEMPTY),
                           ("directory-as-file", "empty", 0, errno.EISDIR), ("file-as-directory", "file", 1, errno.ENOTDIR)])
def unlinkat_removes_what_its_flag_says(kind, removes_directory, number):
    os.mkdir("in")
    make(kind, "in/f")
    fd = os.open("in", os.O_RDONLY)
    remove = os.rmdir if removes_directory else os.unlink
    if number:
        fails(number, remove, "f", dir_fd=fd)
    else:
        remove("f", dir_fd=fd)
        equal(os.listdir("in"), [], "names")


@rule("POSIX unlink(): symbolic links are not followed", [("file", "symlink"), ("directory", "dirlink"), ("dangling", "dangling")])
def unlink_removes_the_link_and_not_its_target(kind):
    make(kind, "l")
    os.unlink("l")
    equal((exists("l"), exists("l.target")), (False, kind != "dangling"), "whether link and target are there")


@rule("POSIX unlink(): the link count")
def the_other_names_stay():
    create("f", b"abc")
    os.link("f", "g")
    os.unlink("f")
    equal((read("g"), links("g")), (b"abc", 1), "content and links")


@rule("POSIX unlink(): a new file of the old name")
def a_name_made_again_is_a_new_file():
    create("f", b"old")
    fd = os.open("f", os.O_RDONLY)
    os.unlink("f")
    create("f", b"")
    equal((read("f"), os.read(fd, 9)), (b"", b"old"), "contents")
    true(inode("f") != os.fstat(fd).st_ino, "the two files have one inode number")


@rule("POSIX unlink(): a bound socket")
def a_socket_name_is_removed_while_it_is_bound():
    listener = bind_socket("s")
    true(stat.S_ISSOCK(os.lstat("s").st_mode), "there is no socket")
    os.unlink("s")
    true(not exists("s"), "the name stayed")
    listener.close()
