"""One seeded sequence of file operations on two directories at once, compared step by step.

In the manner of fsstress: names, links, attributes and data mixed, on few names, so that operations
meet. Each step runs on the directory under test and on the reference (a local file system); result
or errno must be equal, and the trees are compared byte for byte every so often. Differences that
POSIX allows (directory sizes and link counts, blocks, inode numbers, the clock) are left out.
"""

import errno
import mmap
import os
import re
import stat

CHUNK = 4 << 20
# Times before this or after that were set by utimensat, not by the clock.
CLOCK_FROM, CLOCK_TO = 1_500_000_000 * 10**9, 4_000_000_000 * 10**9
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE = 1, 2, 16
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2


def libc():
    import ctypes
    library = ctypes.CDLL(None, use_errno=True)
    library.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    library.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p,
                                  ctypes.c_uint]
    return library


def check_libc(result):
    import ctypes
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Side:
    """One of the two directories, with the files the sequence holds open in it."""

    def __init__(self, root):
        self.root = root
        self.handles = {}

    def at(self, name):
        return os.path.join(self.root, name)

    def close_all(self):
        for fd in self.handles.values():
            os.close(fd)
        self.handles.clear()


class RandomOperations:
    def __init__(self, tested, reference, generator, largest=3 * CHUNK, privileged=None):
        self.tested, self.reference = Side(tested), Side(reference)
        self.random = generator
        self.largest = largest
        self.libc = libc()
        self.privileged = os.geteuid() == 0 if privileged is None else privileged
        self.history = []
        self.slots = 6
        for side in (self.tested, self.reference):
            os.mkdir(side.at("A"))
        operations = [
            (12, self.create), (14, self.write), (8, self.append), (8, self.truncate),
            (14, self.read), (8, self.rename), (4, self.link), (4, self.symlink), (11, self.unlink),
            (5, self.mkdir), (4, self.rmdir), (3, self.chmod), (3, self.chown), (4, self.utimens),
            (4, self.setxattr), (2, self.removexattr), (3, self.listxattr), (4, self.listdir),
            (6, self.fallocate), (4, self.seek_hole), (4, self.mmap_write), (4, self.fsync),
            (3, self.copy_range), (6, self.stat), (3, self.readlink), (2, self.mknod),
            (8, self.open_slot), (12, self.write_slot), (8, self.read_slot), (5, self.close_slot),
            (4, self.truncate_slot), (4, self.stat_slot), (2, self.rename2), (2, self.whole_file),
        ]
        self.operations = [operation for weight, operation in operations for _ in range(weight)]

    # --- choices -----------------------------------------------------------------------------------
    def name(self):
        """Few names, two levels: operations meet."""
        letter = self.random.choice("abcdefghijkl")
        if self.random.random() < 0.35:
            return f"{self.random.choice('ABC')}/{letter}"
        if self.random.random() < 0.12:
            return self.random.choice("ABC")
        return letter

    def offset(self, limit=None):
        limit = self.largest if limit is None else limit
        near = self.random.choice([0, 0, 0, 4096, 4096, 65536, CHUNK, 2 * CHUNK])
        if self.random.random() < 0.8:
            return min(max(0, near + self.random.randrange(-40, 5000)), limit)
        return self.random.randrange(limit + 1)

    def length(self):
        return self.random.choice([0, 1, 17, 100, 4095, 4096, 4097, self.random.randrange(1, 9000),
                                   self.random.randrange(1, 200_000)])

    # --- running -----------------------------------------------------------------------------------
    def run(self, count, compare_every=400):
        for number in range(count):
            self.random.choice(self.operations)()
            if number % compare_every == compare_every - 1:
                self.compare_trees()
        self.finish()

    def finish(self):
        self.tested.close_all()
        self.reference.close_all()
        self.compare_trees()

    def both(self, what, function):
        """Runs function(side) on both sides; the outcomes must be equal."""
        outcomes = []
        for side in (self.reference, self.tested):
            try:
                outcomes.append(("ok", function(side)))
            except OSError as error:
                outcomes.append(("error", errno.errorcode.get(error.errno, error.errno)))
        self.history.append(f"{what} -> {str(outcomes[0])[:80]}")
        if outcomes[0] != outcomes[1]:
            self.fail(what, *outcomes)
        return outcomes[0]

    def fail(self, what, expected, found, about=None):
        recent = "\n  ".join(self.history[-40:])
        if about:
            word = re.compile(rf"(^|[^\w/]){re.escape(about)}\b")
            naming = [f"{i}: {step}" for i, step in enumerate(self.history) if word.search(step)]
            recent += f"\nsteps that name {about}:\n  " + "\n  ".join(naming[-40:])
        raise AssertionError(f"step {len(self.history)}: {what}\n  expected {str(expected)[:600]}\n"
                             f"  found    {str(found)[:600]}\nthe last steps:\n  {recent}")

    def with_file(self, side, name, flags, function):
        fd = os.open(side.at(name), flags | os.O_NONBLOCK, 0o666)
        try:
            return function(fd)
        finally:
            os.close(fd)

    def mtime(self, info):
        """The time when it was set by hand, else 'clock': the two sides' clocks are not compared."""
        return "clock" if CLOCK_FROM < info.st_mtime_ns < CLOCK_TO else info.st_mtime_ns

    def facts(self, info):
        kind = stat.S_IFMT(info.st_mode)
        common = (oct(info.st_mode), info.st_uid, info.st_gid, self.mtime(info))
        if kind == stat.S_IFDIR:
            return common
        rdev = info.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
        return common + (info.st_nlink, info.st_size, rdev)

    # --- operations by name ------------------------------------------------------------------------
    def create(self):
        name, mode = self.name(), self.random.choice([0o600, 0o644, 0o777])
        flags = self.random.choice([os.O_WRONLY, os.O_RDWR]) | os.O_CREAT
        flags |= self.random.choice([0, os.O_EXCL, os.O_TRUNC, os.O_TRUNC])
        self.both(f"open({name}, {flags:#o}, {mode:#o})",
                  lambda side: os.close(os.open(side.at(name), flags | os.O_NONBLOCK, mode)))

    def write(self):
        name, offset = self.name(), self.offset()
        data = self.random.randbytes(self.length())
        sync = self.random.random() < 0.1

        def act(fd):
            count = os.pwrite(fd, data, offset)
            if sync:
                os.fsync(fd)
            return count, self.facts(os.fstat(fd))
        self.both(f"pwrite({name}, {len(data)} at {offset})",
                  lambda side: self.with_file(side, name, os.O_WRONLY, act))

    def append(self):
        name, data = self.name(), self.random.randbytes(self.length())
        flags = os.O_WRONLY | os.O_APPEND | self.random.choice([0, os.O_CREAT])
        self.both(f"append({name}, {len(data)}, {flags:#o})", lambda side: self.with_file(
            side, name, flags, lambda fd: os.write(fd, data)))

    def whole_file(self):
        name, data = self.name(), self.random.randbytes(self.random.choice([10, 4096, 5000, 300_000]))
        temporary = name + ".new"

        def act(side):
            with open(side.at(temporary), "wb") as file:
                file.write(data)
            os.rename(side.at(temporary), side.at(name))
        self.both(f"save_by_rename({name}, {len(data)})", act)
        self.both(f"unlink({temporary})", lambda side: os.unlink(side.at(temporary)))

    def truncate(self):
        name, size = self.name(), self.random.choice([0, self.offset(), self.offset()])
        self.both(f"truncate({name}, {size})", lambda side: self.with_file(
            side, name, os.O_WRONLY, lambda fd: os.ftruncate(fd, size)))

    def read(self):
        name, offset, length = self.name(), self.offset(), self.length()
        self.both(f"pread({name}, {length} at {offset})", lambda side: self.with_file(
            side, name, os.O_RDONLY, lambda fd: os.pread(fd, length, offset)))

    def rename(self):
        old, new = self.name(), self.name()
        self.both(f"rename({old}, {new})", lambda side: os.rename(side.at(old), side.at(new)))

    def rename2(self):
        old, new = self.name(), self.name()
        flags = self.random.choice([RENAME_NOREPLACE, RENAME_EXCHANGE])
        self.both(f"renameat2({old}, {new}, {flags})", lambda side: check_libc(self.libc.renameat2(
            -100, side.at(old).encode(), -100, side.at(new).encode(), flags)))

    def link(self):
        old, new = self.name(), self.name()
        self.both(f"link({old}, {new})", lambda side: os.link(side.at(old), side.at(new),
                                                              follow_symlinks=False))

    def symlink(self):
        target = self.random.choice(["a", "../b", "A", "nowhere", "x" * 300])
        name = self.name()
        self.both(f"symlink({target[:9]}, {name})", lambda side: os.symlink(target, side.at(name)))

    def readlink(self):
        name = self.name()
        self.both(f"readlink({name})", lambda side: os.readlink(side.at(name)))

    def unlink(self):
        name = self.name()
        self.both(f"unlink({name})", lambda side: os.unlink(side.at(name)))

    def mkdir(self):
        name = self.random.choice(["A", "B", "C", self.name()])
        self.both(f"mkdir({name})", lambda side: os.mkdir(side.at(name), 0o755))

    def rmdir(self):
        name = self.name()
        self.both(f"rmdir({name})", lambda side: os.rmdir(side.at(name)))

    def mknod(self):
        name = self.name()
        kinds = [stat.S_IFIFO | 0o644, stat.S_IFSOCK | 0o600, stat.S_IFREG | 0o640]
        if self.privileged:
            kinds.append(stat.S_IFCHR | 0o600)
        mode = self.random.choice(kinds)
        device = os.makedev(1, 3) if stat.S_ISCHR(mode) else 0
        self.both(f"mknod({name}, {mode:#o})", lambda side: os.mknod(side.at(name), mode, device))

    def chmod(self):
        name, mode = self.name(), self.random.choice([0o600, 0o644, 0o755, 0o4755, 0o2755, 0o1777])
        if not self.privileged:
            mode |= 0o700
        self.both(f"chmod({name}, {mode:#o})", lambda side: os.chmod(side.at(name), mode))

    def chown(self):
        name = self.name()
        uid, gid = (self.random.choice([-1, 0, 1000]), self.random.choice([-1, 0, 1001]))
        if not self.privileged:
            uid, gid = os.getuid(), -1
        self.both(f"lchown({name}, {uid}, {gid})", lambda side: os.lchown(side.at(name), uid, gid))

    def utimens(self):
        name = self.name()
        times = [self.random.choice([-10**18 - 1, 0, 1, 10**9 - 1, 123_456_789_123_456_789,
                                     7_000_000_000_123_456_789]) for _ in range(2)]

        def act(side):
            os.utime(side.at(name), ns=tuple(times), follow_symlinks=False)
            info = os.lstat(side.at(name))
            return info.st_atime_ns, info.st_mtime_ns
        self.both(f"utimensat({name}, {times})", act)

    def setxattr(self):
        name, key = self.name(), f"user.{self.random.choice('xyz')}"
        value = self.random.randbytes(self.random.choice([0, 1, 30, 200]))
        flags = self.random.choice([0, 0, os.XATTR_CREATE, os.XATTR_REPLACE])
        self.both(f"lsetxattr({name}, {key}, {flags})", lambda side: os.setxattr(
            side.at(name), key, value, flags, follow_symlinks=False))

    def removexattr(self):
        name, key = self.name(), f"user.{self.random.choice('xyz')}"
        self.both(f"lremovexattr({name}, {key})", lambda side: os.removexattr(
            side.at(name), key, follow_symlinks=False))

    def listxattr(self):
        name = self.name()
        self.both(f"llistxattr({name})", lambda side: self.user_xattrs(side.at(name)))

    def user_xattrs(self, path):
        keys = [key for key in os.listxattr(path, follow_symlinks=False) if key.startswith("user.")]
        return {key: os.getxattr(path, key, follow_symlinks=False) for key in sorted(keys)}

    def listdir(self):
        name = self.random.choice([".", "A", "B", "C", self.name()])
        self.both(f"readdir({name})", lambda side: sorted(
            (entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink())
            for entry in os.scandir(side.at(name))))

    def stat(self):
        name = self.name()
        follow = self.random.random() < 0.5
        self.both(f"stat({name}, {follow})",
                  lambda side: self.facts(os.stat(side.at(name), follow_symlinks=follow)))

    def fallocate(self):
        name, offset, length = self.name(), self.offset(), max(1, self.length())
        mode = self.random.choice([0, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE,
                                   FALLOC_ZERO_RANGE, FALLOC_ZERO_RANGE | FALLOC_KEEP_SIZE])

        def act(fd):
            check_libc(self.libc.fallocate(fd, mode, offset, length))
            os.utime(fd)  # whether one that changes nothing touches the times is left open
            return os.fstat(fd).st_size, os.pread(fd, 3 * length, max(0, offset - length))
        self.both(f"fallocate({name}, {mode}, {offset}, {length})",
                  lambda side: self.with_file(side, name, os.O_RDWR, act))

    def seek_hole(self):
        """Tolerant: holes may be reported as data, never data as holes."""
        name, offset = self.name(), self.offset()

        def act(fd):
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return "no file"
            size = os.fstat(fd).st_size
            if offset >= size:
                try:
                    return os.lseek(fd, offset, os.SEEK_DATA)
                except OSError as error:
                    return error.errno
            hole = os.lseek(fd, offset, os.SEEK_HOLE)
            try:
                data = os.lseek(fd, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                data = size
            skipped = os.pread(fd, max(0, data - offset), offset)
            return offset <= hole <= size, offset <= data <= size, skipped.count(0) == len(skipped)
        self.both(f"seek_hole({name}, {offset})",
                  lambda side: self.with_file(side, name, os.O_RDONLY, act))

    def mmap_write(self):
        name = self.name()
        place, data = self.random.random(), self.random.randbytes(self.random.randrange(1, 5000))

        def act(fd):
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode) or info.st_size == 0:
                return "nothing to map"
            with mmap.mmap(fd, info.st_size) as mapped:
                start = int(place * info.st_size)
                end = min(start + len(data), info.st_size)
                mapped[start:end] = data[:end - start]
                mapped.flush()
            return os.pread(fd, end - start, start)
        self.both(f"mmap_write({name}, {len(data)} at {place:.2f})",
                  lambda side: self.with_file(side, name, os.O_RDWR, act))

    def fsync(self):
        name = self.name()
        self.both(f"fsync({name})",
                  lambda side: self.with_file(side, name, os.O_RDONLY, os.fsync))

    def copy_range(self):
        source, target = self.name(), self.name()
        length, offset_in, offset_out = self.length(), self.offset(), self.offset()

        def act(side):
            if os.path.realpath(side.at(source)) == os.path.realpath(side.at(target)) or (
                    os.path.exists(side.at(source)) and os.path.exists(side.at(target))
                    and os.path.samefile(side.at(source), side.at(target))):
                return "same file"
            for name in (source, target):
                if os.path.exists(side.at(name)) and not os.path.isfile(side.at(name)):
                    return "no file"
            return self.with_file(side, source, os.O_RDONLY, lambda fd_in: self.with_file(
                side, target, os.O_WRONLY, lambda fd_out: os.copy_file_range(
                    fd_in, fd_out, length, offset_in, offset_out)))
        self.both(f"copy_file_range({source}+{offset_in}, {target}+{offset_out}, {length})", act)

    # --- operations on files held open ---------------------------------------------------------------
    def open_slot(self):
        slot, name = self.random.randrange(self.slots), self.name()
        flags = self.random.choice([os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT,
                                    os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_TRUNC])

        def act(side):
            if slot in side.handles:
                os.close(side.handles.pop(slot))
            if os.path.lexists(side.at(name)) and not os.path.isfile(side.at(name)):
                return "no file"
            side.handles[slot] = os.open(side.at(name), flags, 0o644)
        self.both(f"{slot} = open({name}, {flags:#o})", act)

    def on_slot(self, what, function):
        slot = self.random.randrange(self.slots)
        self.both(f"{what} on {slot}", lambda side: function(side.handles[slot])
                  if slot in side.handles else "closed")

    def write_slot(self):
        offset, data = self.offset(), self.random.randbytes(self.length())
        self.on_slot(f"pwrite({len(data)} at {offset})", lambda fd: os.pwrite(fd, data, offset))

    def read_slot(self):
        offset, length = self.offset(), self.length()
        self.on_slot(f"pread({length} at {offset})", lambda fd: os.pread(fd, length, offset))

    def truncate_slot(self):
        size = self.random.choice([0, self.offset()])
        self.on_slot(f"ftruncate({size})", lambda fd: os.ftruncate(fd, size))

    def stat_slot(self):
        self.on_slot("fstat", lambda fd: self.facts(os.fstat(fd)))

    def close_slot(self):
        slot = self.random.randrange(self.slots)
        self.both(f"close {slot}", lambda side: os.close(side.handles.pop(slot))
                  if slot in side.handles else "closed")

    # --- comparison ----------------------------------------------------------------------------------
    def compare_trees(self):
        expected, found = self.tree(self.reference.root), self.tree(self.tested.root)
        for name in sorted(set(expected) | set(found)):
            if expected.get(name) != found.get(name):
                self.fail(f"trees differ at {name}", expected.get(name), found.get(name), name)

    def tree(self, root):
        result = {}
        for folder, directories, files in os.walk(root):
            for name in directories + files:
                path = os.path.join(folder, name)
                info = os.lstat(path)
                fact = [self.facts(info), self.user_xattrs(path)]
                if stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as file:
                        content = file.read()
                    fact.append((len(content), hash(content)))
                elif stat.S_ISLNK(info.st_mode):
                    fact.append(os.readlink(path))
                result[os.path.relpath(path, root)] = fact
        return result
