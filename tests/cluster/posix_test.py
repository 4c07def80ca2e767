"""What POSIX and Linux promise of files and names, one behaviour a test."""

import errno
import fcntl
import os
import socket
import stat
import struct
import subprocess
import sys
import time

import harness
from harness import read_file, write_file

CHUNK = 4 << 20


class FilesTest(harness.FileSystemTest):
    def test_content_grows_from_inline_to_chunk_around_4096_bytes(self):
        for first in (0, 1, 4095, 4096, 4097):
            for second in (1, 2, 4096, 5000):
                path = self.path(f"{first}-{second}")
                data = os.urandom(first + second)
                write_file(path, data[:first])
                with open(path, "ab") as file:
                    file.write(data[first:])
                self.assertEqual(read_file(path), data, path)

    def test_writes_across_chunk_boundaries_keep_every_byte(self):
        path, model = self.path("f"), bytearray()
        with open(path, "w+b", buffering=0) as file:
            for offset in (CHUNK - 1, CHUNK - 4096, 2 * CHUNK - 10, 0, CHUNK, 3 * CHUNK - 100_000):
                data = os.urandom(200_001)
                os.pwrite(file.fileno(), data, offset)
                if len(model) < offset + len(data):
                    model.extend(bytes(offset + len(data) - len(model)))
                model[offset:offset + len(data)] = data
                self.assertEqual(os.fstat(file.fileno()).st_size, len(model))
        self.assertEqual(read_file(path), bytes(model))

    def test_truncated_bytes_never_come_back(self):
        path = self.path("f")
        for size, cut in ((100, 10), (4096, 100), (10_000, 5000), (CHUNK + 100, CHUNK - 100),
                          (2 * CHUNK + 5, 10)):
            write_file(path, b"x" * size)
            os.truncate(path, cut)
            os.truncate(path, size + 10)
            self.assertEqual(read_file(path), b"x" * cut + bytes(size + 10 - cut))

    def test_open_with_o_trunc_empties_and_keeps_the_inode(self):
        path = self.path("f")
        write_file(path, os.urandom(CHUNK + 1))
        before = os.stat(path)
        write_file(path, b"short")
        self.assertEqual((os.stat(path).st_ino, os.stat(path).st_size), (before.st_ino, 5))
        self.assertEqual(read_file(path), b"short")

    def test_a_sparse_file_of_1_gib_reads_as_zeros_around_its_data(self):
        path, size = self.path("sparse"), 1 << 30
        with open(path, "w+b", buffering=0) as file:
            file.truncate(size)
            os.pwrite(file.fileno(), b"middle", size // 2)
            os.pwrite(file.fileno(), b"end", size - 3)
        with open(path, "rb", buffering=0) as file:
            self.assertEqual(os.fstat(file.fileno()).st_size, size)
            self.assertEqual(os.pread(file.fileno(), 100, 0), bytes(100))
            self.assertEqual(os.pread(file.fileno(), 8, size // 2 - 1), b"\0middle\0")
            self.assertEqual(os.pread(file.fileno(), 100, size - 4), b"\0end")

    def test_64_mib_are_read_as_written(self):
        path, reference = self.path("big"), os.path.join(self.local, "big")
        block = os.urandom(1 << 20)
        for name in (path, reference):
            with open(name, "wb") as file:
                for i in range(64):
                    file.write(block[i:] + block[:i])
        self.assertEqual(harness.sha256(path), harness.sha256(reference))

    def test_appends_of_many_processes_all_arrive_whole(self):
        path = self.path("log")
        program = ("import os,sys\nfd=os.open(sys.argv[1],os.O_WRONLY|os.O_APPEND|os.O_CREAT)\n"
                   "for i in range(150): os.write(fd,(sys.argv[2]*99+'\\n').encode())\n")
        writers = [subprocess.Popen([sys.executable, "-c", program, path, letter])
                   for letter in "abcd"]
        self.assertEqual([writer.wait(120) for writer in writers], [0] * 4)
        lines = read_file(path).decode().split("\n")[:-1]
        self.assertEqual(len(lines), 600)
        self.assertEqual({line for line in lines}, {letter * 99 for letter in "abcd"})

    def test_an_unlinked_open_file_stays_usable_until_closed(self):
        path = self.path("f")
        with open(path, "w+b", buffering=0) as file:
            file.write(b"before")
            os.unlink(path)
            self.assertErrno(errno.ENOENT, os.stat, path)
            file.write(b" and after")
            os.fsync(file.fileno())
            self.assertEqual(os.pread(file.fileno(), 100, 0), b"before and after")
            self.assertEqual(os.fstat(file.fileno()).st_nlink, 0)
            os.pwrite(file.fileno(), b"far", CHUNK + 9)
            self.assertEqual(os.pread(file.fileno(), 9, CHUNK + 6), b"\0\0\0far")
        self.assertEqual(os.listdir(self.root), [])

    def test_a_replaced_open_file_keeps_its_old_content(self):
        write_file(self.path("f"), b"old" * 2000)
        write_file(self.path("g"), b"new")
        with open(self.path("f"), "rb", buffering=0) as file:
            os.rename(self.path("g"), self.path("f"))
            self.assertEqual(file.read(), b"old" * 2000)
        self.assertEqual(read_file(self.path("f")), b"new")

    def test_o_direct_reads_and_writes(self):
        import mmap
        path = self.path("direct")
        buffer = mmap.mmap(-1, 1 << 20)
        buffer[:] = os.urandom(1 << 20)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT)
        for i in range(6):
            self.assertEqual(os.pwritev(fd, [buffer], i << 20), 1 << 20)
        back = mmap.mmap(-1, 1 << 20)
        for i in range(6):
            self.assertEqual(os.preadv(fd, [back], i << 20), 1 << 20)
            self.assertEqual(back[:], buffer[:])
        os.close(fd)
        self.assertEqual(read_file(path), bytes(buffer[:]) * 6)

    def test_flock_and_fcntl_locks_exclude_within_the_mount(self):
        path = self.path("lock")
        write_file(path, b"")
        program = ("import fcntl,sys\nf=open(sys.argv[1],'r+')\n"
                   "try: getattr(fcntl,sys.argv[2])(f,fcntl.LOCK_EX|fcntl.LOCK_NB)\n"
                   "except OSError: sys.exit(7)\n")
        for kind in ("flock", "lockf"):
            with open(path, "r+") as file:
                getattr(fcntl, kind)(file, fcntl.LOCK_EX)
                self.assertEqual(subprocess.run([sys.executable, "-c", program, path, kind]).returncode, 7)
            self.assertEqual(subprocess.run([sys.executable, "-c", program, path, kind]).returncode, 0)

    def test_bad_uses_get_the_errno_that_linux_gives(self):
        write_file(self.path("f"), b"x")
        os.mkdir(self.path("d"))
        os.symlink("loop", self.path("loop"))
        os.mkdir(self.path("d/inner"))
        self.assertErrno(errno.ENOENT, os.open, self.path("none"), os.O_RDONLY)
        self.assertErrno(errno.EEXIST, os.mkdir, self.path("f"))
        self.assertErrno(errno.EEXIST, os.open, self.path("f"), os.O_CREAT | os.O_EXCL)
        self.assertErrno(errno.ENOTDIR, os.stat, self.path("f/x"))
        self.assertErrno(errno.ENOTDIR, os.rmdir, self.path("f"))
        self.assertErrno(errno.ENOTEMPTY, os.rmdir, self.path("d"))
        self.assertErrno(errno.EISDIR, os.unlink, self.path("d"))
        self.assertErrno(errno.EISDIR, os.open, self.path("d"), os.O_WRONLY)
        self.assertErrno(errno.ELOOP, os.open, self.path("loop"), os.O_RDONLY)
        self.assertErrno(errno.EINVAL, os.rename, self.path("d"), self.path("d/inner/d"))
        self.assertErrno(errno.ENOTEMPTY, os.rename, self.path("d/inner"), self.path("d"))
        self.assertErrno(errno.EISDIR, os.rename, self.path("f"), self.path("d"))
        self.assertErrno(errno.ENOTDIR, os.rename, self.path("d"), self.path("f"))
        self.assertErrno(errno.ENAMETOOLONG, os.mkdir, self.path("n" * 256))
        self.assertErrno(errno.ENAMETOOLONG, write_file, self.path("n" * 256), b"")
        self.assertErrno(errno.EPERM, os.link, self.path("d"), self.path("e"))
        self.assertErrno(errno.ENXIO, os.open, self.fifo(), os.O_WRONLY | os.O_NONBLOCK)
        write_file(self.path("n" * 255), b"longest")
        self.assertEqual(read_file(self.path("n" * 255)), b"longest")

    def fifo(self):
        os.mkfifo(self.path("fifo"))
        return self.path("fifo")


class NamesTest(harness.FileSystemTest):
    def test_a_directory_of_10000_files_lists_each_once(self):
        names = {f"file-{i:05d}" for i in range(10_000)}
        for name in names:
            os.close(os.open(self.path(name), os.O_CREAT | os.O_WRONLY, 0o644))
        listed = os.listdir(self.root)
        self.assertEqual(len(listed), len(names))
        self.assertEqual(set(listed), names)
        for name in list(names)[:5000]:
            os.unlink(self.path(name))
        self.assertEqual(len(os.listdir(self.root)), 5000)

    def test_telldir_and_seekdir_come_back_to_the_same_place(self):
        import ctypes
        for i in range(3000):
            write_file(self.path(f"{i}"), b"")
        library = ctypes.CDLL(None)
        library.opendir.restype = library.readdir.restype = ctypes.c_void_p
        library.opendir.argtypes = [ctypes.c_char_p]
        library.readdir.argtypes = library.closedir.argtypes = [ctypes.c_void_p]
        library.telldir.argtypes, library.telldir.restype = [ctypes.c_void_p], ctypes.c_long
        library.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
        directory = library.opendir(self.root.encode())

        def name_at():
            entry = library.readdir(directory)
            return ctypes.string_at(entry + 19).decode() if entry else None
        order, places = [], []
        while True:
            places.append(library.telldir(directory))
            name = name_at()
            if name is None:
                break
            order.append(name)
        self.assertEqual(len(set(order)), 3002)  # . and .. too
        for index in (0, 1, 2, 77, 1500, 2999, 3001):
            library.seekdir(directory, places[index])
            self.assertEqual(name_at(), order[index])
        for name in order[10:20]:
            if not name.startswith("."):
                os.unlink(self.path(name))
        library.seekdir(directory, places[1000])
        rest = []
        while (name := name_at()) is not None:
            rest.append(name)
        self.assertEqual(rest, order[1000:])
        library.closedir(directory)

    def test_files_deleted_while_listing_leave_an_empty_directory(self):
        for i in range(2000):
            write_file(self.path(f"{i}"), b"")
        for entry in os.scandir(self.root):
            os.unlink(entry.path)
        self.assertEqual(os.listdir(self.root), [])

    def test_hard_links_are_one_file(self):
        write_file(self.path("a"), b"1")
        os.link(self.path("a"), self.path("b"))
        write_file(self.path("b"), b"22")
        info = os.stat(self.path("a"))
        self.assertEqual((info.st_nlink, info.st_size), (2, 2))
        self.assertEqual(info.st_ino, os.stat(self.path("b")).st_ino)
        os.chmod(self.path("a"), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("b")).st_mode), 0o600)
        os.unlink(self.path("a"))
        self.assertEqual(os.stat(self.path("b")).st_nlink, 1)
        self.assertEqual(read_file(self.path("b")), b"22")

    def test_directories_count_their_subdirectories(self):
        os.mkdir(self.path("d"))
        for i in range(3):
            os.mkdir(self.path(f"d/{i}"))
        self.assertEqual(os.stat(self.path("d")).st_nlink, 5)
        os.rmdir(self.path("d/0"))
        os.rename(self.path("d/1"), self.path("up"))
        self.assertEqual(os.stat(self.path("d")).st_nlink, 3)

    def test_dot_and_dotdot_name_the_directory_and_its_parent(self):
        os.makedirs(self.path("a/b"))
        entries = {}
        output = self.shell("ls", "-fai1", self.path("a/b"))
        for line in output.splitlines():
            number, name = line.split()
            entries[name] = int(number)
        self.assertEqual(entries["."], os.stat(self.path("a/b")).st_ino)
        self.assertEqual(entries[".."], os.stat(self.path("a")).st_ino)

    def test_special_files_keep_type_and_device(self):
        os.mkfifo(self.path("fifo"))
        with socket.socket(socket.AF_UNIX) as server:
            here = os.getcwd()
            os.chdir(self.root)
            try:
                server.bind("sock")
            finally:
                os.chdir(here)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode))
        self.assertTrue(stat.S_ISSOCK(os.stat(self.path("sock")).st_mode))
        if os.geteuid() == 0:
            os.mknod(self.path("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
            self.assertEqual(os.stat(self.path("null")).st_rdev, os.makedev(1, 3))
            os.mknod(self.path("big"), stat.S_IFBLK | 0o600, os.makedev(259, 70_000))
            self.assertEqual(os.stat(self.path("big")).st_rdev, os.makedev(259, 70_000))

    def test_names_may_hold_any_byte_but_slash_and_nul(self):
        names = [b"\xff\xfe", "\u00fc\U0001f600".encode(), b"a\nb", b" ", b"-rf", bytes(range(1, 47))]
        for name in names:
            write_file(os.path.join(self.root.encode(), name), name)
        self.assertEqual(sorted(os.listdir(self.root.encode())), sorted(names))
        for name in names:
            self.assertEqual(read_file(os.path.join(self.root.encode(), name)), name)

    def test_long_symlinks_and_deep_paths(self):
        target = "x/" * 2040
        os.symlink(target, self.path("link"))
        self.assertEqual(os.readlink(self.path("link")), target)
        self.assertEqual(os.lstat(self.path("link")).st_size, len(target))
        deep = self.root
        for i in range(60):
            deep = os.path.join(deep, f"level-{i}")
        os.makedirs(deep)
        write_file(os.path.join(deep, "f"), b"deep")
        self.assertEqual(read_file(os.path.join(deep, "f")), b"deep")


class AttributesTest(harness.FileSystemTest):
    def test_times_keep_nanoseconds_and_64_bits(self):
        path = self.path("f")
        write_file(path, b"")
        for ns in (0, 1, -1, -(1 << 60), 1_700_000_000_123_456_789, 8 * 10**18):
            os.utime(path, ns=(ns, ns + 1))
            info = os.stat(path)
            self.assertEqual((info.st_atime_ns, info.st_mtime_ns), (ns, ns + 1))

    def test_times_follow_what_happens(self):
        path = self.path("f")
        write_file(path, b"")
        os.utime(path, ns=(5, 5))
        write_file(path, b"x")
        self.assertLess(abs(os.stat(path).st_mtime - time.time()), 5)
        os.utime(path, ns=(5, 5))
        os.utime(self.root, ns=(5, 5))
        os.chmod(path, 0o600)
        self.assertEqual(os.stat(path).st_mtime_ns, 5)
        self.assertEqual(os.stat(self.root).st_mtime_ns, 5)
        os.rename(path, self.path("g"))
        self.assertLess(abs(os.stat(self.root).st_mtime - time.time()), 5)

    def test_mtime_set_on_an_open_written_file_survives_close(self):
        path = self.path("f")
        with open(path, "wb", buffering=0) as file:
            file.write(os.urandom(100_000))
            os.utime(file.fileno(), ns=(7, 7))
        self.assertEqual(os.stat(path).st_mtime_ns, 7)

    def test_xattrs_have_create_replace_list_and_remove(self):
        path = self.path("f")
        write_file(path, b"")
        os.setxattr(path, "user.a", b"1")
        self.assertErrno(errno.EEXIST, os.setxattr, path, "user.a", b"2", os.XATTR_CREATE)
        self.assertErrno(errno.ENODATA, os.setxattr, path, "user.b", b"2", os.XATTR_REPLACE)
        os.setxattr(path, "user.b", b"\0\xff" * 100)
        os.setxattr(path, "user.a", b"", os.XATTR_REPLACE)
        self.assertEqual(sorted(k for k in os.listxattr(path) if k.startswith("user.")),
                         ["user.a", "user.b"])
        self.assertEqual(os.getxattr(path, "user.a"), b"")
        self.assertEqual(os.getxattr(path, "user.b"), b"\0\xff" * 100)
        os.removexattr(path, "user.a")
        self.assertErrno(errno.ENODATA, os.getxattr, path, "user.a")
        self.assertErrno(errno.ENODATA, os.removexattr, path, "user.a")

    def test_permissions_are_checked_against_the_caller(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        for folder in (self.base, self.root):
            os.chmod(folder, 0o755)
        write_file(self.path("secret"), b"x")
        os.chmod(self.path("secret"), 0o600)
        os.mkdir(self.path("sticky"))
        os.chmod(self.path("sticky"), 0o1777)
        write_file(self.path("sticky/roots"), b"x")
        program = ("import os,sys\nos.setgroups([]);os.setgid(1234);os.setuid(1234)\nos.chdir(sys.argv[1])\n"
                   "def denied(f,*a):\n"
                   "  try: f(*a)\n"
                   "  except PermissionError: return True\n"
                   "ok=[denied(open,'secret'),denied(open,'new','w'),denied(os.unlink,'sticky/roots'),\n"
                   "    denied(os.chown,'secret',1,1),denied(os.chmod,'secret',0o777)]\n"
                   "open('sticky/mine','w').write('y'); i=os.stat('sticky/mine')\n"
                   "ok.append((i.st_uid,i.st_gid)==(1234,1234)); os.unlink('sticky/mine')\n"
                   "assert all(ok), ok\n")
        root_mode = self.reachable_by_all()
        result = subprocess.run(["/usr/bin/python3", "-c", program, self.root],
                                stderr=subprocess.PIPE, text=True)
        self.assertEqual(result.returncode, 0, result.stderr + root_mode)

    def reachable_by_all(self):
        folder, note = os.path.dirname(self.base), ""
        while folder != "/":
            if not os.stat(folder).st_mode & 0o001:
                os.chmod(folder, stat.S_IMODE(os.stat(folder).st_mode) | 0o011)
                note += f" opened {folder}"
            folder = os.path.dirname(folder)
        return note

    def test_set_group_id_directories_give_their_group(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        os.mkdir(self.path("d"))
        os.chown(self.path("d"), 0, 4321)
        os.chmod(self.path("d"), 0o2775)
        write_file(self.path("d/f"), b"")
        os.mkdir(self.path("d/e"))
        self.assertEqual(os.stat(self.path("d/f")).st_gid, 4321)
        self.assertEqual(os.stat(self.path("d/e")).st_gid, 4321)
        self.assertTrue(os.stat(self.path("d/e")).st_mode & stat.S_ISGID)

    def test_statfs_and_df_tell_the_space(self):
        info = os.statvfs(self.root)
        self.assertGreater(info.f_blocks, 0)
        self.assertLessEqual(info.f_bavail, info.f_blocks)
        self.assertEqual(info.f_namemax, 255)
        self.assertIn("%", self.shell("df", "-h", self.root))

    def test_blocks_tell_what_is_stored(self):
        write_file(self.path("f"), os.urandom(1 << 20))
        self.assertGreaterEqual(os.stat(self.path("f")).st_blocks * 512, 1 << 20)

    def test_rename_exchange_and_noreplace(self):
        from random_operations import check_libc, libc
        library = libc()

        def renameat2(old, new, flags):
            check_libc(library.renameat2(-100, self.path(old).encode(), -100,
                                         self.path(new).encode(), flags))
        write_file(self.path("a"), b"a")
        os.mkdir(self.path("d"))
        write_file(self.path("d/x"), b"x")
        self.assertErrno(errno.EEXIST, renameat2, "a", "d", 1)
        renameat2("a", "d", 2)
        self.assertEqual(read_file(self.path("d")), b"a")
        self.assertEqual(read_file(self.path("a/x")), b"x")
        self.assertErrno(errno.ENOENT, renameat2, "a", "none", 2)
        renameat2("a", "b", 1)
        self.assertEqual(sorted(os.listdir(self.root)), ["b", "d"])

    def test_the_largest_offset_is_refused_beyond_the_limit(self):
        path = self.path("f")
        write_file(path, b"x")
        with open(path, "r+b", buffering=0) as file:
            with self.assertRaises(OSError) as caught:
                os.pwrite(file.fileno(), b"x", (1 << 63) - 1)
            self.assertIn(caught.exception.errno, (errno.EFBIG, errno.EINVAL, errno.EOVERFLOW))
        self.assertEqual(read_file(path), b"x")

    def test_ioctl_that_is_unknown_says_enotty(self):
        write_file(self.path("f"), b"")
        with open(self.path("f"), "rb") as file:
            self.assertErrno(errno.ENOTTY, fcntl.ioctl, file, 0x12345, struct.pack("i", 0))
