"""Pathname resolution: one errno for every call on every way that a path can be wrong; names and their limits."""

import errno
import os

from checks import LONG_NAME, create, equal, exists, fails, make, read, true
from people import OTHER, acting
from suite import rule

CALLS = {
    "open": lambda p: os.close(os.open(p, os.O_RDONLY)),
    "creat": lambda p: os.close(os.open(p, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)),
    "stat": os.stat, "lstat": os.lstat, "chmod": lambda p: os.chmod(p, 0o600),
    "chown": lambda p: os.chown(p, 0, 0), "lchown": lambda p: os.lchown(p, 0, 0),
    "truncate": lambda p: os.truncate(p, 0), "utimensat": lambda p: os.utime(p, (1, 1)),
    "link-from": lambda p: os.link(p, "new"), "link-to": lambda p: os.link("file", p),
    "symlink": lambda p: os.symlink("x", p), "readlink": os.readlink, "mkdir": os.mkdir, "rmdir": os.rmdir,
    "unlink": os.unlink, "rename-from": lambda p: os.rename(p, "new"),
    "rename-to": lambda p: os.rename("file", p), "mkfifo": os.mkfifo, "mknod": lambda p: os.mknod(p, 0o100644),
    "opendir": os.listdir, "chdir": os.chdir, "statvfs": os.statvfs,
    "getxattr": lambda p: os.getxattr(p, "user.x"), "setxattr": lambda p: os.setxattr(p, "user.x", b""),
    "listxattr": os.listxattr, "removexattr": lambda p: os.removexattr(p, "user.x"),
    "access": lambda p: os.access(p, os.F_OK) or os.stat(p), "execve": lambda p: os.execv(p, ["x"]),
}
LONG_PATH = "d/" + "/".join(["x" * 200] * 21)  # more than PATH_MAX
WRONG = {
    "missing-directory": ("nowhere/f", errno.ENOENT), "file-as-directory": ("file/f", errno.ENOTDIR),
    "fifo-as-directory": ("fifo/f", errno.ENOTDIR), "dangling-as-directory": ("dangling/f", errno.ENOENT),
    "symlink-loop": ("loop/f", errno.ELOOP), "mutual-loop": ("one/f", errno.ELOOP),
    "long-name": (LONG_NAME + "n", errno.ENAMETOOLONG), "long-directory": (LONG_NAME + "n/f", errno.ENAMETOOLONG),
    "long-path": (LONG_PATH, errno.ENAMETOOLONG), "empty": ("", errno.ENOENT),
}


@rule("POSIX XBD 4.13 Pathname Resolution; ERRORS of each function",
      [(f"{name}-{wrong}", name, *WRONG[wrong]) for name in CALLS for wrong in WRONG])
def a_wrong_path_fails_as_the_standard_says(name, path, number):
    create("file")
    os.mkfifo("fifo")
    os.symlink("gone", "dangling")
    os.symlink("loop", "loop")
    os.symlink("two", "one")
    os.symlink("one", "two")
    before = sorted(os.listdir("."))
    fails(number, CALLS[name], path)
    equal(sorted(os.listdir(".")), before, "names afterwards")


MISSING = [name for name in CALLS if name not in
           ("creat", "link-to", "symlink", "mkdir", "rename-to", "mkfifo", "mknod")]


@rule("ERRORS [ENOENT] of each function", [(name, name) for name in MISSING])
def a_name_that_is_not_there_fails_with_enoent(name):
    fails(errno.ENOENT, CALLS[name], "absent")


@rule("ERRORS [ENOENT] of each function", [(name, name) for name in MISSING if name not in
                                           ("lstat", "lchown", "readlink", "unlink", "rename-from", "rmdir", "link-from")])
def following_a_dangling_link_fails_with_enoent(name):
    os.symlink("nowhere", "l")
    fails(errno.ENOENT, CALLS[name], "l")


NEEDS_DIRECTORY = {"opendir": os.listdir, "chdir": os.chdir, "rmdir": os.rmdir,
                   "o_directory": lambda p: os.open(p, os.O_RDONLY | os.O_DIRECTORY)}


@rule("ERRORS [ENOTDIR]", [(f"{name}-{kind}", name, kind) for name in NEEDS_DIRECTORY
                           for kind in ("file", "fifo", "socket", "device", "symlink")])
def what_is_no_directory_is_not_used_as_one(name, kind):
    make(kind, "f")
    fails(errno.ENOTDIR, NEEDS_DIRECTORY[name], "f")


@rule("XBD 4.13: a trailing slash means a directory",
      [(name, name) for name in ("stat", "lstat", "chmod", "chown", "lchown", "truncate", "utimensat", "link-from",
                                 "readlink", "rmdir", "unlink", "rename-from", "access", "getxattr", "listxattr")])
def a_trailing_slash_after_a_file_fails_with_enotdir(name):
    create("file")
    fails(errno.ENOTDIR, CALLS[name], "file/")


@rule("XBD 4.13", [("double-slash", "d//e///f"), ("dots", "./d/././e/./f"), ("dot-dot", "d/e/../e/../../d/e/f"),
                   ("through-links", "l/e/f"), ("link-dot-dot", "d/back/d/e/f"), ("root", None)])
def every_spelling_of_a_path_finds_the_file(path):
    os.makedirs("d/e")
    create("d/e/f", b"here")
    os.symlink("d", "l")
    os.symlink("..", "d/back")
    equal(read(path or os.path.abspath("d/e/f")), b"here", "content")


@rule("XBD 4.13: .. of a directory", [("plain", "d/e/..", "d"), ("twice", "d/e/../..", "."), ("dot", "d/e/.", "d/e")])
def dot_and_dot_dot_are_the_right_directories(path, same):
    os.makedirs("d/e")
    equal(os.stat(path).st_ino, os.stat(same).st_ino, "inode")


@rule("XBD 4.13: .. follows the directory")
def dot_dot_is_the_new_parent_after_a_rename():
    os.makedirs("a/d")
    os.mkdir("b")
    os.rename("a/d", "b/d")
    equal(os.stat("b/d/..").st_ino, os.stat("b").st_ino, "inode of ..")


# --- names ------------------------------------------------------------------------------------------
NAME_MAKERS = {"file": create, "directory": os.mkdir, "fifo": os.mkfifo, "symlink": lambda p: os.symlink("x", p),
               "link": lambda p: os.link(create("file"), p), "rename": lambda p: os.rename(create("file"), p)}


@rule("POSIX <limits.h> NAME_MAX", [(f"{name}-{length}", name, length) for name in NAME_MAKERS for length in (1, 254, 255)])
def names_up_to_name_max_are_made_and_listed(name, length):
    NAME_MAKERS[name]("n" * length)
    true(exists("n" * length), "the name is not there")
    true("n" * length in os.listdir("."), "the name is not listed")


@rule("POSIX <limits.h> NAME_MAX counts bytes")
def a_name_of_255_bytes_in_utf_8_is_a_name_of_85_characters():
    create("\u20ac" * 85)
    fails(errno.ENAMETOOLONG, create, "\u20ac" * 86)
    equal(os.listdir("."), ["\u20ac" * 85], "names")


@rule("POSIX pathconf()", [("name-max", "PC_NAME_MAX", 255), ("path-max", "PC_PATH_MAX", 4096),
                           ("no-trunc", "PC_NO_TRUNC", 1), ("chown-restricted", "PC_CHOWN_RESTRICTED", 1)])
def pathconf_tells_the_limits(name, value):
    equal(os.pathconf(".", name), value, name)


@rule("POSIX <limits.h> PATH_MAX", [("4095", 4095, 0), ("4096", 4096, errno.ENAMETOOLONG)])
def paths_up_to_path_max_are_resolved(length, number):
    create("f")
    path = "./" * ((length - 1) // 2) + ("f" if length % 2 else "/f")
    path = path if len(path) == length else path.replace("./", ".//", length - len(path))
    equal(len(path), length, "length of the path tried")
    if number:
        fails(number, os.stat, path)
    else:
        os.stat(path)


@rule("XBD 4.13: depth is limited by the length of a path alone")
def directories_go_deeper_than_path_max():
    top = os.getcwd()
    for _ in range(40):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    create("f", b"deep")
    equal(read("f"), b"deep", "content")
    os.chdir(top)


@rule("XBD 3.170 Filename: every byte but / and NUL", [(f"{low:02x}-{low + 31:02x}", low) for low in range(0, 256, 32)])
def every_byte_may_be_in_a_name(low):
    names = [b"a" + bytes([byte]) + b"z" for byte in range(low, low + 32) if byte not in (0, 0x2f)]
    for name in names:
        with open(name, "wb") as file:
            file.write(name)
    equal(sorted(os.listdir(b".")), sorted(names), "names")
    for name in names:
        equal(read(name), name, "content")


@rule("XBD 3.170 Filename: names are bytes", [("case", ("f", "F")), ("normalization", ("\u00e9", "e\u0301")),
                                              ("spaces", ("f", "f ", " f")), ("dots", ("...", "..f", ".f", "f.")),
                                              ("dash", ("-", "--", "-rf")), ("newline", ("f", "f\n")),
                                              ("looks-encoded", ("%2f", "\\", "\\x2f"))])
def names_that_look_alike_are_different_files(names):
    for name in names:
        create(name, name.encode())
    equal(sorted(os.listdir(".")), sorted(names), "names")
    for name in names:
        equal(read(name), name.encode(), "content")


@rule("XBD 4.13 [EACCES] before [ENOENT]", [("missing", "d/sub/missing"), ("there", "d/sub/f")])
def what_lies_behind_a_closed_directory_is_not_told(path):
    os.makedirs("d/sub")
    create("d/sub/f")
    os.chmod("d", 0o700)
    with acting(OTHER):
        fails(errno.EACCES, os.stat, path)
