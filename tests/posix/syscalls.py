"""System calls that Python's os module lacks, with OSError for errors."""

import ctypes
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)

AT_FDCWD = -100
AT_SYMLINK_FOLLOW = 0x400
AT_EMPTY_PATH = 0x1000
AT_EACCESS = 0x200
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE = 1, 2
FALLOC_COLLAPSE, FALLOC_ZERO, FALLOC_INSERT = 8, 0x10, 0x20
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
_SYS_OPENAT2 = 437


def _bytes(path):
    return os.fsencode(path)


def _checked(result, path=None):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def _long(value):
    return ctypes.c_long(value)


def renameat2(source, target, flags):
    _checked(_libc.renameat2(AT_FDCWD, _bytes(source), AT_FDCWD, _bytes(target),
                             ctypes.c_uint(flags)), source)


def linkat(source_fd, source, target, flags):
    _checked(_libc.linkat(source_fd, _bytes(source), AT_FDCWD, _bytes(target), flags), source)


def fallocate(fd, mode, offset, length):
    _checked(_libc.fallocate64(fd, mode, ctypes.c_int64(offset), ctypes.c_int64(length)))


def utimensat(path, times, flags=0, dirfd=AT_FDCWD):
    """`times` is ((s, ns), (s, ns)), or None for now; ns may be UTIME_NOW or UTIME_OMIT."""
    raw = None if times is None else struct.pack("qqqq", *times[0], *times[1])
    _checked(_libc.utimensat(dirfd, None if path is None else _bytes(path), raw, flags), path)


def faccessat(path, wanted, flags=0):
    _checked(_libc.faccessat(AT_FDCWD, _bytes(path), wanted, flags), path)


def readlink(path, buffer_bytes):
    buffer = ctypes.create_string_buffer(max(buffer_bytes, 1))
    n = _checked(_libc.readlink(_bytes(path), buffer, ctypes.c_size_t(buffer_bytes)), path)
    return buffer.raw[:n]


def getxattr(path, name, buffer_bytes):
    """With the buffer that it says; 0 asks for the length only (and returns it)."""
    buffer = ctypes.create_string_buffer(max(buffer_bytes, 1))
    n = _checked(_libc.getxattr(_bytes(path), _bytes(name), buffer if buffer_bytes else None,
                                ctypes.c_size_t(buffer_bytes)), path)
    return buffer.raw[:n] if buffer_bytes else n


def listxattr(path, buffer_bytes):
    buffer = ctypes.create_string_buffer(max(buffer_bytes, 1))
    n = _checked(_libc.listxattr(_bytes(path), buffer if buffer_bytes else None,
                                 ctypes.c_size_t(buffer_bytes)), path)
    return buffer.raw[:n] if buffer_bytes else n


def copy_file_range(source, source_offset, target, target_offset, length, flags=0):
    a, b = ctypes.c_int64(source_offset), ctypes.c_int64(target_offset)
    return _checked(_libc.copy_file_range(source, ctypes.byref(a), target, ctypes.byref(b),
                                          ctypes.c_size_t(length), ctypes.c_uint(flags)))


def lseek(fd, offset, whence):
    _libc.lseek64.restype = ctypes.c_int64
    return _checked(_libc.lseek64(fd, ctypes.c_int64(offset), whence))


def openat2(path, flags, resolve, mode=0):
    how = struct.pack("QQQ", flags, mode, resolve)
    return _checked(_libc.syscall(_long(_SYS_OPENAT2), _long(AT_FDCWD), _bytes(path), how,
                                  ctypes.c_size_t(len(how))), path)


# --- file handles --------------------------------------------------------------------------------
def name_to_handle(path, flags=0):
    raw = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 136)
    mount = ctypes.c_int()
    _checked(_libc.name_to_handle_at(AT_FDCWD, _bytes(path), raw, ctypes.byref(mount), flags), path)
    used = struct.unpack_from("I", raw.raw)[0]
    return raw.raw[:8 + used]


def open_by_handle(mount_fd, handle, flags):
    return _checked(_libc.open_by_handle_at(mount_fd, ctypes.create_string_buffer(handle), flags))


# --- directory streams ---------------------------------------------------------------------------
class _Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("offset", ctypes.c_int64), ("length", ctypes.c_ushort),
                ("type", ctypes.c_ubyte), ("name", ctypes.c_char * 256)]


_libc.opendir.restype = _libc.fdopendir.restype = ctypes.c_void_p
_libc.readdir.restype = ctypes.POINTER(_Dirent)
_libc.readdir.argtypes = _libc.closedir.argtypes = _libc.rewinddir.argtypes = [ctypes.c_void_p]
_libc.telldir.argtypes = [ctypes.c_void_p]
_libc.telldir.restype = ctypes.c_long
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


class DirectoryStream:
    """opendir, readdir, telldir, seekdir, rewinddir."""

    def __init__(self, path):
        self._stream = _libc.opendir(_bytes(path))
        if not self._stream:
            _checked(-1, path)

    def entry(self):
        """(name, inode, type), or None at the end."""
        ctypes.set_errno(0)
        entry = _libc.readdir(self._stream)
        if not entry:
            if ctypes.get_errno():
                _checked(-1)
            return None
        return os.fsdecode(entry.contents.name), entry.contents.ino, entry.contents.type

    def names(self):
        """What is left, without . and .. ."""
        found = []
        while (entry := self.entry()) is not None:
            if entry[0] not in (".", ".."):
                found.append(entry[0])
        return found

    def tell(self):
        return _libc.telldir(self._stream)

    def seek(self, where):
        _libc.seekdir(self._stream, where)

    def rewind(self):
        _libc.rewinddir(self._stream)

    def close(self):
        _libc.closedir(self._stream)


# --- statx ---------------------------------------------------------------------------------------
STATX_BASIC, STATX_BTIME = 0x7ff, 0x800


def statx(path, mask=STATX_BASIC | STATX_BTIME, flags=0):
    """The fields that cases look at, by name."""
    raw = ctypes.create_string_buffer(256)
    _checked(_libc.statx(AT_FDCWD, _bytes(path), flags, ctypes.c_uint(mask), raw), path)
    got, block, attributes, nlink, uid, gid, bits = struct.unpack_from("IIQIIIH", raw.raw, 0)
    ino, length, blocks, _ = struct.unpack_from("QQQQ", raw.raw, 32)
    seconds, nanos = struct.unpack_from("qI", raw.raw, 80)
    return {"mask": got, "nlink": nlink, "uid": uid, "gid": gid, "mode": bits, "ino": ino,
            "size": length, "blocks": blocks, "btime": seconds * 10**9 + nanos}


# --- mappings: mmap of Python checks more than the kernel ----------------------------------------
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_int64]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def mmap(length, protection, flags, fd, offset=0):
    """The address."""
    address = _libc.mmap(None, length, protection, flags, fd, offset)
    if address in (None, ctypes.c_void_p(-1).value):
        _checked(-1)
    return address


def mprotect(address, length, protection):
    _checked(_libc.mprotect(address, length, protection))


def peek(address, length=1):
    return ctypes.string_at(address, length)


def poke(address, data):
    ctypes.memmove(address, data, len(data))
