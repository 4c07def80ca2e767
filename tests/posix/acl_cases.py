"""POSIX access control lists: access and default, the mask and the mode, inheritance (acl(5), POSIX.1e draft 17)."""

import errno
import os
import struct

from checks import create, equal, fails, make, mode, tick, true
from people import GROUP, MEMBER, OTHER, OWNER, PEER, Person, acting, give
from suite import rule

ACL = ("acl",)
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
USER_OBJ, USER, GROUP_OBJ, GROUP_TAG, MASK, OTHER_TAG = 1, 2, 4, 8, 0x10, 0x20
NO_ID = 0xffffffff
NAMED = Person(61010, 62010)             # has a user entry
IN_NAMED = Person(61011, 62011)          # its own group has a group entry
BY_GROUP = Person(61012, 62012, (62012, 62011))  # the group with the entry is a supplementary one


def acl(*entries, version=2):
    """The attribute's bytes: little-endian version, then (tag, permissions, id) in the order given."""
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def full(user=7, named=None, group=5, named_group=None, mask=None, other=0):
    """An access control list as setfacl would write it."""
    entries = [(USER_OBJ, user, NO_ID)]
    if named is not None:
        entries.append((USER, named, NAMED.uid))
    entries.append((GROUP_OBJ, group, NO_ID))
    if named_group is not None:
        entries.append((GROUP_TAG, named_group, IN_NAMED.gid))
    if mask is not None:
        entries.append((MASK, mask, NO_ID))
    entries.append((OTHER_TAG, other, NO_ID))
    return acl(*entries)


def parsed(raw):
    return [struct.unpack_from("<HHI", raw, at) for at in range(4, len(raw), 8)]


# --- what is kept ----------------------------------------------------------------------------------
@rule("acl(5) ACL ENTRIES", [(f"{kind}-{name}", kind, value) for kind in ("file", "directory", "fifo") for name, value in (
    ("named-user", full(named=6, mask=7)), ("named-group", full(named_group=4, mask=6)),
    ("both", full(named=7, named_group=1, mask=7, other=4)))], needs=ACL)
def an_access_list_is_kept(kind, value):
    make(kind, "f")
    os.setxattr("f", ACCESS, value)
    equal(parsed(os.getxattr("f", ACCESS)), parsed(value), "entries")
    true(ACCESS in os.listxattr("f"), "it is not listed")


@rule("acl(5): many entries", [("20", 20), ("60", 60)], needs=ACL)
def lists_with_many_entries_are_kept(count):
    create("f")
    value = acl((USER_OBJ, 7, NO_ID), *((USER, 5, 63000 + i) for i in range(count)), (GROUP_OBJ, 5, NO_ID),
                (MASK, 7, NO_ID), (OTHER_TAG, 0, NO_ID))
    os.setxattr("f", ACCESS, value)
    equal(parsed(os.getxattr("f", ACCESS)), parsed(value), "entries")


@rule("acl(5): minimal ACLs", [(f"{bits:03o}", bits) for bits in (0o640, 0o777, 0o000, 0o421)], needs=ACL)
def a_minimal_list_is_just_the_mode(bits):
    create("f", mode=0o600)
    os.setxattr("f", ACCESS, full(user=bits >> 6, group=bits >> 3 & 7, other=bits & 7))
    equal(mode("f"), bits, "mode")
    fails(errno.ENODATA, os.getxattr, "f", ACCESS)


@rule("acl(5): no list", [("access", ACCESS), ("default", DEFAULT)], needs=ACL)
def without_a_list_there_is_no_attribute(name):
    os.mkdir("d")
    fails(errno.ENODATA, os.getxattr, "d", name)
    true(name not in os.listxattr("d"), "it is listed")


@rule("acl(5) CORRESPONDENCE BETWEEN ACL ENTRIES AND FILE PERMISSION BITS",
      [(f"{user}{mask}{other}", user, mask, other) for user, mask, other in ((7, 7, 0), (6, 4, 4), (7, 0, 1), (0, 5, 7), (4, 2, 1))], needs=ACL)
def the_groups_bits_of_the_mode_are_the_mask(user, mask, other):
    create("f", mode=0o600)
    os.setxattr("f", ACCESS, full(user=user, named=7, group=7, mask=mask, other=other))
    equal(mode("f"), user << 6 | mask << 3 | other, "mode")


@rule("acl(5): the mode keeps its special bits", [("4755", 0o4755), ("2755", 0o2755), ("1755", 0o1755)], needs=ACL)
def setting_a_list_keeps_special_bits(bits):
    make("directory" if bits & 0o1000 else "file", "f")
    os.chmod("f", bits)
    os.setxattr("f", ACCESS, full(named=7, mask=5, other=5))
    equal(mode("f") & 0o7000, bits & 0o7000, "special bits")


@rule("acl(5): chmod() with an extended list", [(f"{bits:03o}", bits) for bits in (0o777, 0o700, 0o640, 0o000, 0o751)], needs=ACL)
def chmod_changes_owner_mask_and_other(bits):
    create("f", mode=0o600)
    os.setxattr("f", ACCESS, full(user=6, named=6, group=4, mask=6, other=2))
    os.chmod("f", bits)
    tags = {tag: perm for tag, perm, _ in parsed(os.getxattr("f", ACCESS))}
    equal((tags[USER_OBJ], tags[MASK], tags[OTHER_TAG]), (bits >> 6, bits >> 3 & 7, bits & 7), "owner, mask, other")
    equal((tags[USER], tags[GROUP_OBJ]), (6, 4), "named user and owning group")
    equal(mode("f"), bits, "mode")


@rule("removexattr(2) of an access list", [("mask-7", 7), ("mask-4", 4)], needs=ACL)
def a_removed_access_list_leaves_a_plain_mode(mask):
    create("f", mode=0o600)
    os.setxattr("f", ACCESS, full(user=7, named=7, group=5, mask=mask, other=1))
    os.removexattr("f", ACCESS)
    fails(errno.ENODATA, os.getxattr, "f", ACCESS)
    equal(mode("f") & 0o707, 0o701, "mode of owner and other")


@rule("acl(5): an extended list replaced by a minimal one", needs=ACL)
def a_minimal_list_replaces_an_extended_one():
    create("f", mode=0o600)
    os.setxattr("f", ACCESS, full(named=7, mask=7))
    os.setxattr("f", ACCESS, full(user=6, group=4, other=0))
    equal(mode("f"), 0o640, "mode")
    fails(errno.ENODATA, os.getxattr, "f", ACCESS)


# --- who gets what ---------------------------------------------------------------------------------
BIT = {"read": 4, "write": 2}
FLAG = {"read": os.O_RDONLY, "write": os.O_WRONLY}
PEOPLE = {"named-user": NAMED, "named-group": IN_NAMED, "supplementary-named-group": BY_GROUP, "owning-group": PEER,
          "supplementary-owning-group": MEMBER, "other": OTHER, "owner": OWNER}


def _list_for(who, perm, mask):
    return full(user=perm if who == "owner" else 0, named=perm if who == "named-user" else 0,
                group=perm if who.endswith("owning-group") else 0, named_group=perm if who.endswith("named-group") else 0,
                mask=mask, other=perm if who == "other" else 0)


def _try_open(person, wanted, allowed):
    with acting(person):
        if allowed:
            os.close(os.open("f", FLAG[wanted]))
        else:
            fails(errno.EACCES, os.open, "f", FLAG[wanted])


@rule("acl(5) ACCESS CHECK ALGORITHM", [(f"{who}-{wanted}", who, wanted) for who in PEOPLE for wanted in BIT], needs=ACL)
def the_entry_of_the_caller_gives_access(who, wanted):
    give(create("f"))
    os.setxattr("f", ACCESS, _list_for(who, BIT[wanted], 7))
    _try_open(PEOPLE[who], wanted, True)


@rule("acl(5) ACCESS CHECK ALGORITHM", [(f"{who}-{wanted}", who, wanted) for who in PEOPLE for wanted in BIT], needs=ACL)
def entries_of_others_do_not_help(who, wanted):
    give(create("f"))
    everybody = full(user=7, named=7, group=7, named_group=7, mask=7, other=7)
    without = acl(*((tag, perm & ~BIT[wanted] if _is_for(who, tag) else perm, number) for tag, perm, number in parsed(everybody)))
    os.setxattr("f", ACCESS, without)
    _try_open(PEOPLE[who], wanted, False)


def _is_for(who, tag):
    return tag == {"named-user": USER, "named-group": GROUP_TAG, "supplementary-named-group": GROUP_TAG, "owning-group": GROUP_OBJ,
                   "supplementary-owning-group": GROUP_OBJ, "other": OTHER_TAG, "owner": USER_OBJ}[who]


@rule("acl(5): the mask limits named users, the owning group and named groups",
      [(f"{who}-{wanted}", who, wanted, who in ("other", "owner")) for who in PEOPLE for wanted in BIT], needs=ACL)
def the_mask_limits_all_but_owner_and_other(who, wanted, allowed):
    give(create("f"))
    os.setxattr("f", ACCESS, _list_for(who, 7, 7 & ~BIT[wanted]))
    _try_open(PEOPLE[who], wanted, allowed)


@rule("acl(5): chmod() g-rwx closes the mask", [(who, who) for who in ("named-user", "named-group", "owning-group")], needs=ACL)
def chmod_takes_access_from_all_in_the_group_class(who):
    give(create("f"))
    os.setxattr("f", ACCESS, _list_for(who, 7, 7))
    _try_open(PEOPLE[who], "read", True)
    os.chmod("f", 0o700)
    _try_open(PEOPLE[who], "read", False)
    os.chmod("f", 0o770)
    _try_open(PEOPLE[who], "read", True)


@rule("acl(5): a named user is not helped by group or other entries", needs=ACL)
def a_named_user_without_permission_is_refused_although_others_are_not():
    give(create("f"))
    os.setxattr("f", ACCESS, full(named=0, group=7, mask=7, other=7))
    _try_open(NAMED, "read", False)
    _try_open(OTHER, "read", True)


@rule("acl(5): any matching group entry is enough", [("own-group-gives", 4, 0, True), ("named-group-gives", 0, 4, True), ("neither", 0, 0, False)],
      needs=ACL)
def one_of_several_groups_is_enough(group, named_group, allowed):
    give(create("f"))
    os.setxattr("f", ACCESS, full(group=group, named_group=named_group, mask=7))
    _try_open(Person(61013, GROUP, (GROUP, IN_NAMED.gid)), "read", allowed)


@rule("acl(5): permissions are not added up over group entries", needs=ACL)
def two_group_entries_are_not_added_up():
    give(create("f"))
    os.setxattr("f", ACCESS, full(group=4, named_group=2, mask=7))
    with acting(Person(61013, GROUP, (GROUP, IN_NAMED.gid))):
        os.close(os.open("f", os.O_RDONLY))
        os.close(os.open("f", os.O_WRONLY))
        fails(errno.EACCES, os.open, "f", os.O_RDWR)


@rule("acl(5): directories", [("search", 1, lambda: os.stat("d/f")), ("list", 4, lambda: os.listdir("d")),
                              ("make", 3, lambda: os.mkdir("d/new")), ("remove", 3, lambda: os.unlink("d/f"))], needs=ACL)
def a_named_user_uses_a_directory_by_its_list(bits, use):
    os.mkdir("d", 0o700)
    create("d/f")
    with acting(NAMED):
        fails(errno.EACCES, use)
    os.setxattr("d", ACCESS, full(named=bits, mask=7))
    with acting(NAMED):
        use()


# --- who may set -----------------------------------------------------------------------------------
@rule("setxattr(2) of a list ERRORS EPERM", [("owner", OWNER, 0), ("group", PEER, errno.EPERM), ("other", OTHER, errno.EPERM)], needs=ACL)
def only_the_owner_sets_a_list(person, number):
    give(create("f", mode=0o666))
    with acting(person):
        if number:
            fails(number, os.setxattr, "f", ACCESS, full(named=7, mask=7))
        else:
            os.setxattr("f", ACCESS, full(named=7, mask=7))
            os.removexattr("f", ACCESS)


@rule("getxattr(2) of a list needs no permission", needs=ACL)
def anyone_reads_a_list():
    create("f")
    os.setxattr("f", ACCESS, full(user=0, named=0, group=0, mask=0, other=0))
    with acting(OTHER):
        equal(len(parsed(os.getxattr("f", ACCESS))), 5, "entries")


@rule("setxattr(2) of a list: S_ISGID for one outside of the group", [("member", (GROUP,), 0o2000), ("outside", (9,), 0)], needs=ACL)
def setting_a_list_from_outside_the_group_clears_set_group_id(groups, expected):
    give(create("f", mode=0o2755))
    with acting(OWNER._replace(gid=groups[0], groups=groups)):
        os.setxattr("f", ACCESS, full(named=7, mask=7, other=5))
    equal(mode("f") & 0o2000, expected, "S_ISGID")


BAD = {
    "no-mask": acl((USER_OBJ, 7, NO_ID), (USER, 7, 5), (GROUP_OBJ, 5, NO_ID), (OTHER_TAG, 0, NO_ID)),
    "no-owner": acl((GROUP_OBJ, 5, NO_ID), (OTHER_TAG, 0, NO_ID)), "no-group": acl((USER_OBJ, 7, NO_ID), (OTHER_TAG, 0, NO_ID)),
    "no-other": acl((USER_OBJ, 7, NO_ID), (GROUP_OBJ, 5, NO_ID)), "wrong-order": acl((OTHER_TAG, 0, NO_ID), (GROUP_OBJ, 5, NO_ID), (USER_OBJ, 7, NO_ID)),
    "two-owners": acl((USER_OBJ, 7, NO_ID), (USER_OBJ, 7, NO_ID), (GROUP_OBJ, 5, NO_ID), (OTHER_TAG, 0, NO_ID)),
    "unknown-tag": acl((USER_OBJ, 7, NO_ID), (GROUP_OBJ, 5, NO_ID), (OTHER_TAG, 0, NO_ID), (0x40, 0, NO_ID)),
    "permissions": acl((USER_OBJ, 0o17, NO_ID), (GROUP_OBJ, 5, NO_ID), (OTHER_TAG, 0, NO_ID)),
    "cut": full()[:-3], "version": acl((USER_OBJ, 7, NO_ID), (GROUP_OBJ, 5, NO_ID), (OTHER_TAG, 0, NO_ID), version=1), "short": b"\2\0",
}


@rule("setxattr(2) of a list ERRORS EINVAL; acl_valid(3)", [(f"{which}-{name}", attribute, BAD[name]) for which, attribute in
      (("access", ACCESS), ("default", DEFAULT)) for name in BAD], needs=ACL)
def a_list_that_makes_no_sense_is_refused(attribute, value):
    os.mkdir("d", 0o750)
    fails((errno.EINVAL, errno.EOPNOTSUPP), os.setxattr, "d", attribute, value)
    equal(mode("d"), 0o750, "mode")


@rule("acl(5): default lists are for directories", [("file", "file"), ("fifo", "fifo")], needs=ACL)
def only_directories_have_a_default_list(kind):
    make(kind, "f")
    fails(errno.EACCES, os.setxattr, "f", DEFAULT, full(named=7, mask=7))


@rule("acl(5): symbolic links have no list", needs=ACL)
def a_symbolic_link_has_no_list_of_its_own():
    create("f", mode=0o600)
    os.symlink("f", "l")
    fails((errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL), os.setxattr, "l", ACCESS, full(named=7, mask=7), follow_symlinks=False)
    os.setxattr("l", ACCESS, full(named=7, mask=7))
    equal(mode("f"), 0o770, "mode of the target")


@rule("acl(5); ctime", [("access", ACCESS), ("default", DEFAULT)], needs=ACL)
def setting_a_list_changes_ctime(attribute):
    os.mkdir("d")
    tick()
    before = os.stat("d")
    os.setxattr("d", attribute, full(named=7, mask=7))
    after = os.stat("d")
    true(after.st_ctime_ns > before.st_ctime_ns, "ctime did not go on")
    equal(after.st_mtime_ns, before.st_mtime_ns, "mtime")


# --- default lists -----------------------------------------------------------------------------------
@rule("acl(5): a default list does not change the access of its directory", needs=ACL)
def a_default_list_leaves_the_directorys_own_access():
    os.mkdir("d", 0o700)
    os.setxattr("d", DEFAULT, full(named=7, mask=7, other=7))
    equal(mode("d"), 0o700, "mode")
    fails(errno.ENODATA, os.getxattr, "d", ACCESS)
    with acting(NAMED):
        fails(errno.EACCES, os.listdir, "d")


MAKERS = {"open": lambda p, bits: os.close(os.open(p, os.O_CREAT | os.O_EXCL | os.O_WRONLY, bits)), "mkdir": os.mkdir,
          "mkfifo": os.mkfifo, "mknod": lambda p, bits: os.mknod(p, 0o100000 | bits)}


@rule("acl(5) OBJECT CREATION AND DEFAULT ACLs", [(f"{name}-{bits:03o}", name, bits) for name in MAKERS for bits in (0o777, 0o640, 0o600, 0)],
      needs=ACL)
def a_new_name_gets_the_default_list_cut_by_its_mode(name, bits):
    os.mkdir("d", 0o777)
    os.setxattr("d", DEFAULT, full(user=7, named=6, group=5, named_group=3, mask=7, other=5))
    MAKERS[name]("d/f", bits)
    tags = {tag: perm for tag, perm, _ in parsed(os.getxattr("d/f", ACCESS))}
    expected = {USER_OBJ: 7 & bits >> 6, USER: 6, GROUP_OBJ: 5, GROUP_TAG: 3, MASK: 7 & bits >> 3, OTHER_TAG: 5 & bits}
    equal(tags, expected, "entries")
    equal(mode("d/f"), (7 & bits >> 6) << 6 | (7 & bits >> 3) << 3 | 5 & bits, "mode")


@rule("acl(5), umask(2): the umask plays no part with a default list", [(f"{name}-{mask:03o}", name, mask) for name in MAKERS for mask in (0o077, 0o777)],
      needs=ACL)
def the_umask_is_ignored_under_a_default_list(name, mask):
    os.mkdir("d", 0o777)
    os.setxattr("d", DEFAULT, full(user=7, named=7, group=7, mask=7, other=7))
    os.umask(mask)
    MAKERS[name]("d/f", 0o775)
    equal(mode("d/f"), 0o775, "mode")


@rule("acl(5): a minimal default list", [(name, name) for name in MAKERS], needs=ACL)
def a_minimal_default_list_sets_the_mode(name):
    os.mkdir("d", 0o777)
    os.setxattr("d", DEFAULT, full(user=6, group=4, other=4))
    os.umask(0o077)
    MAKERS[name]("d/f", 0o777)
    equal(mode("d/f"), 0o644, "mode")


@rule("umask(2): without a default list it counts", [(name, name) for name in MAKERS], needs=ACL)
def the_umask_counts_without_a_default_list(name):
    os.mkdir("d", 0o777)
    os.setxattr("d", ACCESS, full(named=7, mask=7, other=7))
    os.umask(0o027)
    MAKERS[name]("d/f", 0o777)
    equal(mode("d/f"), 0o750, "mode")
    fails(errno.ENODATA, os.getxattr, "d/f", ACCESS)


@rule("acl(5): a new directory inherits the default list itself", needs=ACL)
def default_lists_go_down_to_every_level():
    os.mkdir("d", 0o777)
    value = full(named=6, named_group=5, mask=7, other=1)
    os.setxattr("d", DEFAULT, value)
    os.makedirs("d/e/f")
    for name in ("d/e", "d/e/f"):
        equal(parsed(os.getxattr(name, DEFAULT)), parsed(value), f"default entries of {name}")
    create("d/e/f/file")
    fails((errno.ENODATA,), os.getxattr, "d/e/f/file", DEFAULT)


@rule("acl(5): inherited entries give access", needs=ACL)
def a_named_user_of_a_default_list_opens_what_is_made_below():
    os.chmod(".", 0o755)
    os.mkdir("d", 0o755)
    os.setxattr("d", DEFAULT, full(named=6, mask=7))
    os.umask(0o077)
    os.close(os.open("d/f", os.O_CREAT | os.O_WRONLY, 0o666))
    with acting(NAMED):
        os.close(os.open("d/f", os.O_RDWR))
    with acting(OTHER):
        fails(errno.EACCES, os.open, "d/f", os.O_RDONLY)


@rule("removexattr(2) of a default list", needs=ACL)
def a_removed_default_list_is_not_inherited():
    os.mkdir("d")
    os.setxattr("d", DEFAULT, full(named=7, mask=7))
    os.removexattr("d", DEFAULT)
    fails(errno.ENODATA, os.getxattr, "d", DEFAULT)
    create("d/f", mode=0o640)
    fails(errno.ENODATA, os.getxattr, "d/f", ACCESS)


@rule("acl(5): rename and link keep lists", [("rename", lambda: os.rename("f", "d/g")), ("link", lambda: os.link("f", "d/g"))], needs=ACL)
def a_moved_file_keeps_its_list_and_inherits_nothing(move):
    os.mkdir("d")
    os.setxattr("d", DEFAULT, full(named=1, mask=1))
    create("f")
    os.setxattr("f", ACCESS, full(named=6, mask=7))
    move()
    equal(parsed(os.getxattr("d/g", ACCESS)), parsed(full(named=6, mask=7)), "entries")


@rule("acl(5): symlink() inherits nothing", needs=ACL)
def a_symbolic_link_inherits_no_list():
    os.mkdir("d")
    os.setxattr("d", DEFAULT, full(user=6, named=1, mask=1))
    os.symlink("x", "d/l")
    equal(mode("d/l"), 0o777, "mode")
