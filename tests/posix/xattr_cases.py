"""Extended attributes: namespaces, sizes, flags, errors, permissions."""

import errno
import os

import syscalls
from checks import create, equal, fails, make, skip, true
from people import OTHER, OWNER, acting, give
from suite import rule

USER = ("user-xattr",)


def _names(path, follow=True):
    """Those of the user's; a system may add its own (security.selinux)."""
    return sorted(n for n in os.listxattr(path, follow_symlinks=follow) if not n.startswith(("security.", "system.")))


@rule("setxattr(2), getxattr(2)", [("file", "file"), ("directory", "directory")], needs=USER)
def a_value_is_kept(kind):
    make(kind, "f")
    os.setxattr("f", "user.color", b"blue\0green")
    equal((os.getxattr("f", "user.color"), _names("f")), (b"blue\0green", ["user.color"]), "value and names")


@rule("xattr(7): values are any bytes", [("empty", b""), ("nul", b"\0"), ("all-bytes", bytes(range(256))), ("text", b"x" * 1000), ("2000", b"y" * 2000)],
      needs=USER)
def any_bytes_are_a_value(value):
    create("f")
    os.setxattr("f", "user.a", value)
    equal(os.getxattr("f", "user.a"), value, "value")
    equal(syscalls.getxattr("f", "user.a", 0), len(value), "length asked for")


@rule("setxattr(2) ERRORS E2BIG; xattr(7): the limit is 64 kB", [("4096", 4096), ("32768", 32768), ("65536", 65536)], needs=USER)
def large_values_are_kept_where_there_is_room(length):
    create("f")
    try:
        os.setxattr("f", "user.a", b"v" * length)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.E2BIG):
            skip("this file system has no room for such a value")
        raise
    equal(os.getxattr("f", "user.a"), b"v" * length, "value")


@rule("setxattr(2) ERRORS E2BIG", needs=USER)
def a_value_of_more_than_64_kib_is_refused():
    create("f")
    fails((errno.E2BIG, errno.ENOSPC), os.setxattr, "f", "user.a", bytes(65537))
    equal(_names("f"), [], "names")


@rule("xattr(7): a name has up to 255 bytes", [("6", 6), ("100", 100), ("255", 255)], needs=USER)
def names_of_any_length_are_kept(length):
    create("f")
    name = "user." + "n" * (length - 5)
    os.setxattr("f", name, b"1")
    equal((os.getxattr("f", name), _names("f")), (b"1", [name]), "value and names")


@rule("setxattr(2) ERRORS", [("long", "user." + "n" * 251, (errno.ERANGE,)), ("empty", "", (errno.ERANGE,)),
                             ("only-namespace", "user.", (errno.EINVAL,)), ("no-namespace", "plain", (errno.EOPNOTSUPP,)),
                             ("unknown-namespace", "foo.bar", (errno.EOPNOTSUPP,)), ("unknown-system", "system.foo", (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL)),
                             ("like-a-namespace", "userx.a", (errno.EOPNOTSUPP,))], needs=USER)
def a_bad_name_is_refused(name, numbers):
    create("f")
    fails(numbers, os.setxattr, "f", name, b"1")


@rule("getxattr(2), removexattr(2) ERRORS ENODATA", [("get", lambda: os.getxattr("f", "user.b")), ("remove", lambda: os.removexattr("f", "user.b"))],
      needs=USER)
def an_attribute_that_is_not_there_is_told(use):
    create("f")
    os.setxattr("f", "user.a", b"1")
    fails(errno.ENODATA, use)


FLAGS = [(f"{name}-{'there' if there else 'absent'}", flag, there, number) for name, flag, there, number in (
    ("create", os.XATTR_CREATE, False, 0), ("create", os.XATTR_CREATE, True, errno.EEXIST), ("replace", os.XATTR_REPLACE, True, 0),
    ("replace", os.XATTR_REPLACE, False, errno.ENODATA), ("any", 0, True, 0), ("any", 0, False, 0))]


@rule("setxattr(2): XATTR_CREATE, XATTR_REPLACE", FLAGS, needs=USER)
def flags_say_whether_it_may_be_there(flag, there, number):
    create("f")
    if there:
        os.setxattr("f", "user.a", b"old and long")
    if number:
        fails(number, os.setxattr, "f", "user.a", b"new", flag)
        if there:
            equal(os.getxattr("f", "user.a"), b"old and long", "value")
    else:
        os.setxattr("f", "user.a", b"new", flag)
        equal(os.getxattr("f", "user.a"), b"new", "value")


@rule("setxattr(2) ERRORS EINVAL", needs=USER)
def unknown_flags_are_refused():
    create("f")
    fails(errno.EINVAL, os.setxattr, "f", "user.a", b"1", 0x80)


@rule("getxattr(2), listxattr(2) ERRORS ERANGE", [("get-1", "get", 1), ("get-9", "get", 9), ("list-1", "list", 1), ("list-6", "list", 6)], needs=USER)
def a_buffer_that_is_too_small_is_told(call, length):
    create("f")
    os.setxattr("f", "user.a", b"0123456789")
    if call == "get":
        fails(errno.ERANGE, syscalls.getxattr, "f", "user.a", length)
    else:
        fails(errno.ERANGE, syscalls.listxattr, "f", length)


@rule("getxattr(2), listxattr(2): the exact length is enough", needs=USER)
def a_buffer_that_just_fits_is_enough():
    create("f")
    os.setxattr("f", "user.a", b"0123456789")
    equal(syscalls.getxattr("f", "user.a", 10), b"0123456789", "value")
    length = syscalls.listxattr("f", 0)
    true(b"user.a\0" in syscalls.listxattr("f", length), "the name is not listed")


@rule("removexattr(2)", needs=USER)
def a_removed_attribute_is_gone_and_others_stay():
    create("f")
    for name in ("user.a", "user.b", "user.c"):
        os.setxattr("f", name, name.encode())
    os.removexattr("f", "user.b")
    equal(_names("f"), ["user.a", "user.c"], "names")
    equal(os.getxattr("f", "user.c"), b"user.c", "value")
    fails(errno.ENODATA, os.removexattr, "f", "user.b")


@rule("listxattr(2)", [("1", 1), ("20", 20), ("60", 60)], needs=USER)
def all_names_are_listed(count):
    create("f")
    names = sorted(f"user.n{i:03d}" for i in range(count))
    for name in names:
        os.setxattr("f", name, name[5:].encode())
    equal(_names("f"), names, "names")
    for name in names:
        equal(os.getxattr("f", name), name[5:].encode(), name)


@rule("xattr(7): names of attributes are bytes", [("case", ("user.A", "user.a")), ("dots", ("user..", "user.a.b")),
                                                  ("utf-8", ("user.\u00e9", "user.e"))], needs=USER)
def names_that_look_alike_are_different(names):
    create("f")
    for name in names:
        os.setxattr("f", name, name.encode())
    for name in names:
        equal(os.getxattr("f", name), name.encode(), name)


@rule("xattr(7): attributes belong to the inode", [("rename", lambda: os.rename("f", "g")), ("link", lambda: os.link("f", "g"))], needs=USER)
def attributes_go_with_the_file(move):
    create("f")
    os.setxattr("f", "user.a", b"1")
    move()
    equal(os.getxattr("g", "user.a"), b"1", "value")


@rule("xattr(7)", [("truncate", lambda: os.truncate("f", 0)), ("write", lambda: os.write(os.open("f", os.O_WRONLY), b"x")),
                   ("chmod", lambda: os.chmod("f", 0o600)), ("chown", lambda: os.chown("f", 5, 6))], needs=USER)
def attributes_outlive_other_changes(change):
    create("f", b"abc")
    os.setxattr("f", "user.a", b"1")
    change()
    equal(os.getxattr("f", "user.a"), b"1", "value")


@rule("xattr(7): a new file has none", needs=USER)
def a_name_made_again_has_no_attributes():
    create("f")
    os.setxattr("f", "user.a", b"1")
    os.unlink("f")
    create("f")
    equal(_names("f"), [], "names")


@rule("fsetxattr(2), fgetxattr(2)...", [("rdonly", os.O_RDONLY), ("rdwr", os.O_RDWR)], needs=USER)
def attributes_work_by_descriptor(flags):
    create("f")
    fd = os.open("f", flags)
    os.setxattr(fd, "user.a", b"1")
    equal((os.getxattr(fd, "user.a"), os.getxattr("f", "user.a")), (b"1", b"1"), "values")
    os.removexattr(fd, "user.a")
    equal(_names("f"), [], "names")


@rule("xattr(7): user attributes are for files and directories", [(kind, kind) for kind in ("fifo", "socket", "device")], needs=USER)
def special_files_have_no_user_attributes(kind):
    make(kind, "f")
    fails(errno.EPERM, os.setxattr, "f", "user.a", b"1")


@rule("lsetxattr(2); xattr(7)", needs=USER)
def a_symbolic_link_has_no_user_attributes_and_is_followed():
    create("f")
    os.symlink("f", "l")
    fails(errno.EPERM, os.setxattr, "l", "user.a", b"1", follow_symlinks=False)
    os.setxattr("l", "user.a", b"1")
    equal((os.getxattr("f", "user.a"), _names("l", follow=False)), (b"1", []), "value, and names of the link")


@rule("xattr(7): trusted attributes", [("file", "file"), ("directory", "directory"), ("symlink", "dangling"), ("fifo", "fifo")],
      needs=("trusted-xattr",))
def trusted_attributes_are_on_every_kind(kind):
    make(kind, "f")
    os.setxattr("f", "trusted.a", b"1", follow_symlinks=False)
    equal(os.getxattr("f", "trusted.a", follow_symlinks=False), b"1", "value")


@rule("xattr(7): trusted attributes need CAP_SYS_ADMIN", needs=("trusted-xattr",))
def trusted_attributes_are_hidden_from_users():
    give(create("f", mode=0o777))
    os.setxattr("f", "trusted.a", b"1")
    with acting(OWNER):
        fails(errno.EPERM, os.setxattr, "f", "trusted.b", b"1")
        fails(errno.EPERM, os.removexattr, "f", "trusted.a")
        fails(errno.ENODATA, os.getxattr, "f", "trusted.a")
        true("trusted.a" not in os.listxattr("f"), "its name is listed")


@rule("xattr(7): security attributes", needs=("security-xattr",))
def security_attributes_are_read_by_all_and_set_by_root():
    give(create("f", mode=0o777))
    os.setxattr("f", "security.probe", b"1")
    with acting(OWNER):
        equal(os.getxattr("f", "security.probe"), b"1", "value")
        fails(errno.EPERM, os.setxattr, "f", "security.probe", b"2")


CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # v2, CAP_NET_BIND_SERVICE, effective


@rule("capabilities(7): file capabilities go when the file changes", [
    ("write", lambda: os.write(os.open("f", os.O_WRONLY), b"x")), ("truncate", lambda: os.truncate("f", 0)),
    ("chown", lambda: os.chown("f", 5, 6)), ("write-by-other", lambda: _written_by_other())], needs=("security-xattr",))
def a_change_takes_file_capabilities_away(change):
    create("f", b"abc", 0o777)
    os.setxattr("f", "security.capability", CAPABILITY)
    equal(os.getxattr("f", "security.capability"), CAPABILITY, "value")
    change()
    fails(errno.ENODATA, os.getxattr, "f", "security.capability")


def _written_by_other():
    with acting(OTHER):
        os.write(os.open("f", os.O_WRONLY), b"x")


PERMISSIONS = [(f"{bits:o}-{name}", bits, name, ok) for bits, name, ok in (
    (0o4, "get", True), (0o2, "get", False), (0o4, "set", False), (0o2, "set", True), (0o4, "remove", False), (0o6, "remove", True),
    (0, "list", True))]


@rule("xattr(7): user attributes follow the file's permissions", PERMISSIONS, needs=USER)
def user_attributes_need_the_files_permissions(bits, name, ok):
    create("f", mode=0o666)
    os.setxattr("f", "user.a", b"1")
    os.chmod("f", bits)
    use = {"get": lambda: os.getxattr("f", "user.a"), "set": lambda: os.setxattr("f", "user.a", b"2"),
           "remove": lambda: os.removexattr("f", "user.a"), "list": lambda: os.listxattr("f")}[name]
    with acting(OTHER):
        if ok:
            use()
        else:
            fails(errno.EACCES, use)


@rule("xattr(7): user attributes of a sticky directory are its owner's", needs=USER)
def others_set_no_user_attributes_on_a_sticky_directory():
    os.mkdir("d")
    os.chmod("d", 0o1777)
    with acting(OTHER):
        fails(errno.EPERM, os.setxattr, "d", "user.a", b"1")
    os.chmod("d", 0o777)
    with acting(OTHER):
        os.setxattr("d", "user.a", b"1")
