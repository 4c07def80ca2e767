"""rename() in all its cases: kinds over kinds, flags of renameat2, trees, links, atomicity."""

import errno
import os

from checks import counts_subdirectories, create, equal, exists, fails, identity, inode, links, make, read, true
from suite import rule
from syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2

SOURCES = ("file", "empty", "full", "symlink", "dangling", "fifo", "socket", "device")
TARGETS = ("absent",) + SOURCES
DIRECTORIES = ("empty", "full")
PAIRS = [(f"{source}-over-{target}", source, target) for source in SOURCES for target in TARGETS]


def _expected(source, target):
    if target == "absent":
        return 0
    if source in DIRECTORIES:
        return {"empty": 0, "full": errno.ENOTEMPTY}.get(target, errno.ENOTDIR)
    return errno.EISDIR if target in DIRECTORIES else 0


def _prepare(source, target):
    make(source, "s")
    make(target, "t")
    return identity("s"), identity("t") if target != "absent" else None


@rule("POSIX rename()", PAIRS)
def a_name_replaces_another_when_the_kinds_allow(source, target):
    before, other = _prepare(source, target)
    number = _expected(source, target)
    if number:
        fails((number, errno.EEXIST) if number == errno.ENOTEMPTY else number, os.rename, "s", "t")
        equal((identity("s"), identity("t")), (before, other), "both names")
        return
    os.rename("s", "t")
    true(not exists("s"), "the old name is still there")
    equal(identity("t"), before, "what the new name names")
    equal("s" in os.listdir("."), False, "whether the old name is listed")


@rule("rename(2) RENAME_NOREPLACE", PAIRS, needs=("noreplace",))
def noreplace_moves_onto_nothing_only(source, target):
    before, other = _prepare(source, target)
    if target == "absent":
        renameat2("s", "t", RENAME_NOREPLACE)
        equal((exists("s"), identity("t")), (False, before), "names")
    else:
        fails(errno.EEXIST, renameat2, "s", "t", RENAME_NOREPLACE)
        equal((identity("s"), identity("t")), (before, other), "both names")


@rule("rename(2) RENAME_EXCHANGE", PAIRS, needs=("exchange",))
def exchange_swaps_any_two_names_that_are_there(source, target):
    before, other = _prepare(source, target)
    if target == "absent":
        fails(errno.ENOENT, renameat2, "s", "t", RENAME_EXCHANGE)
        equal((identity("s"), exists("t")), (before, False), "names")
    else:
        links = os.stat(".").st_nlink
        renameat2("s", "t", RENAME_EXCHANGE)
        equal((identity("t"), identity("s")), (before, other), "swapped names")
        equal(os.stat(".").st_nlink, links, "links of the directory of both")


@rule("rename(2) ERRORS EINVAL", [("exchange-noreplace", RENAME_EXCHANGE | RENAME_NOREPLACE),
                                  ("exchange-whiteout", RENAME_EXCHANGE | RENAME_WHITEOUT), ("unknown", 1 << 20)])
def contradicting_flags_are_refused(flags):
    create("s")
    create("t")
    fails(errno.EINVAL, renameat2, "s", "t", flags)


# --- the same file ---------------------------------------------------------------------------------
@rule("POSIX rename(): old and new are the same entry", [(kind, kind) for kind in SOURCES])
def a_rename_onto_itself_does_nothing(kind):
    make(kind, "f")
    before = identity("f")
    os.rename("f", "f")
    equal(identity("f"), before, "what it names")


@rule("POSIX rename(): two links to one file")
def a_rename_onto_another_link_of_the_file_does_nothing():
    create("f", b"abc")
    os.link("f", "g")
    os.rename("f", "g")
    true(exists("f") and exists("g"), "a name is gone")
    equal((read("f"), links("f")), (b"abc", 2), "content and links")


@rule("POSIX rename(): a replaced link")
def replacing_one_of_two_links_leaves_the_other():
    create("old", b"old")
    os.link("old", "kept")
    create("new", b"new")
    os.rename("new", "old")
    equal((read("old"), read("kept"), links("kept")), (b"new", b"old", 1), "contents and links")


@rule("POSIX rename(): the file keeps its links")
def renaming_one_link_leaves_the_link_count():
    create("f")
    os.link("f", "g")
    os.rename("f", "h")
    equal((links("g"), links("h"), inode("g")), (2, 2, inode("h")), "links and inode")


# --- trees -----------------------------------------------------------------------------------------
@rule("POSIX rename() ERRORS [EINVAL]", [("child", "d", "d/e"), ("grandchild", "d", "d/sub/e"),
                                         ("existing-child", "d", "d/sub"), ("by-link", "d", "l/e")])
def a_directory_does_not_move_below_itself(source, target):
    os.makedirs("d/sub")
    os.symlink("d/sub", "l")
    fails(errno.EINVAL, os.rename, source, target)


@rule("POSIX rename() ERRORS [ENOTEMPTY]", [("parent", "d/e/f", "d/e"), ("grandparent", "d/e/f", "d")])
def a_directory_does_not_replace_what_it_lies_in(source, target):
    os.makedirs("d/e/f")
    fails((errno.ENOTEMPTY, errno.EEXIST), os.rename, source, target)


@rule("rename(2) ERRORS EINVAL", [("down", "d", "d/e"), ("up", "d/e", "d")], needs=("exchange",))
def exchange_of_a_directory_with_its_own_content_is_refused(source, target):
    os.makedirs("d/e")
    fails(errno.EINVAL, renameat2, source, target, RENAME_EXCHANGE)


@rule("POSIX rename() ERRORS [EBUSY], [EINVAL]", [
    ("from-dot", "d/.", "e"), ("from-dot-dot", "d/..", "e"), ("to-dot", "e", "d/."), ("to-dot-dot", "e", "d/sub/..")])
def dot_and_dot_dot_are_not_renamed(source, target):
    os.makedirs("d/sub")
    if source == "e":
        os.mkdir("e")
    fails((errno.EBUSY, errno.EINVAL, errno.ENOTEMPTY), os.rename, source, target)


@rule("POSIX rename(): a directory moves with all that is in it")
def a_tree_moves_whole():
    os.makedirs("a/b/c")
    create("a/b/c/f", b"deep")
    os.mkdir("z")
    os.rename("a/b", "z/y")
    equal(read("z/y/c/f"), b"deep", "content")
    equal((os.listdir("a"), os.listdir("z/y")), ([], ["c"]), "names")


@rule("POSIX rename(); stat(2) st_nlink of directories", [
    ("to-another-parent", lambda: os.rename("a/d", "b/d"), 2, 4), ("within", lambda: os.rename("a/d", "a/e"), 3, 3),
    ("over-empty", lambda: os.rename("a/d", "b/over"), 2, 3), ("file", lambda: os.rename("a/f", "b/f"), 3, 3),
    ("exchange", lambda: renameat2("a/d", "b/g", RENAME_EXCHANGE), 2, 4)])
def link_counts_of_the_parents_follow(change, of_a, of_b):
    counts_subdirectories()
    for name in ("a", "b", "a/d"):
        os.mkdir(name)
    create("a/f")
    create("b/g")
    os.mkdir("b/over")
    change()
    equal((links("a"), links("b")), (of_a, of_b), "links of both parents")


@rule("POSIX rename(): .. of a moved directory")
def dot_dot_leads_to_the_new_parent():
    os.makedirs("a/d")
    os.mkdir("b")
    fd = os.open("a/d", os.O_RDONLY)
    os.rename("a/d", "b/d")
    equal(os.stat("..", dir_fd=fd).st_ino, inode("b"), "inode of ..")


@rule("POSIX rename(): the working directory may be renamed")
def the_working_directory_moves_with_its_name():
    os.makedirs("a/d")
    os.mkdir("b")
    os.chdir("a/d")
    os.rename("../../a/d", "../../b/moved")
    create("f")
    true(os.getcwd().endswith("/b/moved"), f"getcwd() says {os.getcwd()}")
    true(exists("../../b/moved/f"), "the new file is elsewhere")


@rule("POSIX rename(): trailing slashes", [
    ("file-source", "file", "s/", "t", errno.ENOTDIR), ("file-target", "file", "s", "t/", errno.ENOTDIR),
    ("directory-source", "empty", "s/", "t", 0), ("directory-target", "empty", "s", "t/", 0),
    ("link-source", "dirlink", "s/", "t", errno.ENOTDIR)])
def trailing_slashes_are_for_directories(kind, source, target, number):
    make(kind, "s")
    if number:
        fails(number, os.rename, source, target)
    else:
        os.rename(source, target)
        true(os.path.isdir("t"), "the directory did not move")


# --- open files and links --------------------------------------------------------------------------
@rule("POSIX rename(): open files", [("same-directory", "g"), ("other-directory", "d/g")])
def an_open_file_is_unmoved_by_its_rename(target):
    os.mkdir("d")
    create("f", b"abc")
    fd = os.open("f", os.O_RDWR)
    os.rename("f", target)
    os.pwrite(fd, b"def", 3)
    equal(read(target), b"abcdef", "content under the new name")
    equal(os.fstat(fd).st_ino, inode(target), "inode")


@rule("POSIX rename(): a replaced file that is open")
def a_replaced_file_lives_until_it_is_closed():
    create("old", b"old")
    create("new", b"new")
    fd = os.open("old", os.O_RDWR)
    os.rename("new", "old")
    equal(os.fstat(fd).st_nlink, 0, "links of the replaced file")
    os.pwrite(fd, b"er", 3)
    equal((os.pread(fd, 9, 0), read("old")), (b"older", b"new"), "contents")


@rule("POSIX rename(): symbolic links are renamed, not followed", [("source", "source"), ("target", "target")])
def rename_works_on_links_themselves(which):
    create("f", b"abc")
    os.symlink("f", "l")
    if which == "source":
        os.rename("l", "m")
        equal(os.readlink("m"), "f", "target of the link")
    else:
        create("g", b"new")
        os.rename("g", "l")
        true(not os.path.islink("l"), "the link is still there")
        equal(read("l"), b"new", "content of the name")
    equal(read("f"), b"abc", "content of the link's target")


@rule("POSIX rename(): what is written and not closed")
def bytes_written_before_a_rename_are_under_the_new_name():
    fd = os.open("f", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"x" * 100000)
    os.rename("f", "g")
    equal(os.stat("g").st_size, 100000, "size")
    equal(read("g"), b"x" * 100000, "content")


@rule("POSIX renameat()")
def renameat_takes_both_names_from_its_directories():
    os.mkdir("a")
    os.mkdir("b")
    create("a/f", b"abc")
    os.rename("f", "g", src_dir_fd=os.open("a", os.O_RDONLY), dst_dir_fd=os.open("b", os.O_RDONLY))
    equal((exists("a/f"), read("b/g")), (False, b"abc"), "names")


@rule("POSIX rename(): new always names a file")
def a_reader_never_misses_a_name_that_is_being_replaced():
    create("f", b"0")
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        for i in range(300):
            create("tmp", b"%d" % i)
            os.rename("tmp", "f")
        os.write(writer, b"x")
        os._exit(0)
    os.set_blocking(reader, False)
    while True:
        try:
            os.read(reader, 1)
            break
        except BlockingIOError:
            true(read("f") != b"", "the name showed an empty file")
    os.waitpid(pid, 0)


@rule("POSIX rename()", [(f"{count}", count) for count in (100,)])
def a_name_goes_round_many_times(count):
    create("f-0", b"abc")
    before = inode("f-0")
    os.mkdir("d")
    for i in range(count):
        os.rename(f"f-{i}" if i % 2 == 0 else f"d/f-{i}", f"d/f-{i + 1}" if i % 2 == 0 else f"f-{i + 1}")
    equal((inode(f"f-{count}"), os.listdir("d")), (before, []), "inode and names")
