"""What a file system may lack; a case that needs it is skipped there (with --strict it fails)."""

import errno
import os

import syscalls

LACKING = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY)


def _acl():
    try:
        os.getxattr("probe", "system.posix_acl_access")
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise


def _user_xattr():
    os.setxattr("probe", "user.probe", b"1")


def _trusted_xattr():
    os.setxattr("probe", "trusted.probe", b"1")


def _security_xattr():
    os.setxattr("probe", "security.probe", b"1")


def _tmpfile():
    os.close(os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))


def _btime():
    if not syscalls.statx("probe")["mask"] & syscalls.STATX_BTIME:
        raise OSError(errno.EOPNOTSUPP, "statx gives no time of birth")


def _handles():
    here = os.open(".", os.O_RDONLY)
    try:
        os.close(syscalls.open_by_handle(here, syscalls.name_to_handle("probe"), os.O_RDONLY))
    finally:
        os.close(here)


def _exchange():
    open("probe2", "w").close()
    syscalls.renameat2("probe", "probe2", syscalls.RENAME_EXCHANGE)


def _noreplace():
    syscalls.renameat2("probe", "probe3", syscalls.RENAME_NOREPLACE)


def _fallocate(mode):
    def probe():
        fd = os.open("probe", os.O_RDWR)
        try:
            os.pwrite(fd, bytes(16384), 0)
            syscalls.fallocate(fd, mode, 4096, 4096)
        finally:
            os.close(fd)
    return probe


def _direct():
    os.close(os.open("probe", os.O_RDWR | os.O_DIRECT))


def _devices():
    os.mknod("probe-null", 0o20666, os.makedev(1, 3))
    try:
        os.close(os.open("probe-null", os.O_RDONLY))
    except PermissionError:
        raise OSError(errno.EOPNOTSUPP, "mounted nodev") from None


PROBES = {
    "acl": _acl, "user-xattr": _user_xattr, "trusted-xattr": _trusted_xattr,
    "security-xattr": _security_xattr, "tmpfile": _tmpfile, "btime": _btime, "handles": _handles,
    "exchange": _exchange, "noreplace": _noreplace, "direct": _direct, "devices": _devices,
    "fallocate": _fallocate(0), "keep-size": _fallocate(syscalls.FALLOC_KEEP_SIZE),
    "punch": _fallocate(syscalls.FALLOC_KEEP_SIZE | syscalls.FALLOC_PUNCH_HOLE),
    "zero-range": _fallocate(syscalls.FALLOC_ZERO), "collapse": _fallocate(syscalls.FALLOC_COLLAPSE),
    "insert": _fallocate(syscalls.FALLOC_INSERT),
}


def missing(feature):
    """Why the file system of the current directory lacks the feature; None when it has it."""
    with open("probe", "w"):
        pass
    try:
        PROBES[feature]()
    except OSError as error:
        if error.errno not in LACKING:
            raise
        return f"no {feature} here ({error.strerror})"
    return None
