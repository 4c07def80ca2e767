"""The workloads: each is a name, a unit (more is better) and a function of an empty directory."""

import dataclasses
import mmap
import os
import random
import threading
import time

MIB = 1 << 20


class Scale:
    """How much each workload does."""

    def __init__(self, quick=False):
        self.large_bytes = 64 * MIB if quick else 512 * MIB
        self.small_files = 500 if quick else 4000
        self.random_reads = 500 if quick else 4000
        self.names = 500 if quick else 4000
        self.images = 300 if quick else 2000
        self.threads = 4


@dataclasses.dataclass
class Workload:
    name: str
    unit: str
    about: str
    run: callable  # (directory, scale) -> units per second


def can_drop_caches():
    return os.access("/proc/sys/vm/drop_caches", os.W_OK) and os.geteuid() == 0


def drop_caches():
    os.sync()
    if can_drop_caches():
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")


def expect(got, wanted):
    """A run that did less than it claims is no measurement."""
    if got != wanted:
        raise RuntimeError(f"{got} instead of {wanted}")


def timed(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def in_threads(count, function):
    """Runs function(number) in `count` threads; the first error is raised."""
    errors = []

    def work(number):
        try:
            function(number)
        except Exception as error:  # handed to the caller below
            errors.append(error)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def write_large(path, size):
    block = random.Random(1).randbytes(MIB)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for _ in range(size // MIB):
        expect(os.write(fd, block), MIB)
    os.fsync(fd)
    os.close(fd)


def read_through(path):
    fd = os.open(path, os.O_RDONLY)
    buffer = bytearray(MIB)
    total = 0
    while got := os.readv(fd, [buffer]):
        total += got
    os.close(fd)
    expect(total, os.stat(path).st_size)


def sequential_write(directory, scale):
    path = os.path.join(directory, "large")
    return scale.large_bytes / MIB / timed(lambda: write_large(path, scale.large_bytes))


def sequential_read(directory, scale):
    path = os.path.join(directory, "large")
    write_large(path, scale.large_bytes)
    drop_caches()
    return scale.large_bytes / MIB / timed(lambda: read_through(path))


def parallel_read(directory, scale):
    paths = [os.path.join(directory, str(i)) for i in range(scale.threads)]
    for path in paths:
        write_large(path, scale.large_bytes // scale.threads)
    drop_caches()
    return scale.large_bytes / MIB / timed(
        lambda: in_threads(scale.threads, lambda number: read_through(paths[number])))


def random_read(size, threads):
    def run(directory, scale):
        path = os.path.join(directory, "large")
        write_large(path, scale.large_bytes)
        drop_caches()
        each = scale.random_reads // threads

        def work(number):
            generator = random.Random(number)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
            buffer = mmap.mmap(-1, size)
            for _ in range(each):
                expect(os.preadv(fd, [buffer],
                                 generator.randrange(scale.large_bytes // size) * size), size)
            os.close(fd)
        return each * threads / timed(lambda: in_threads(threads, work))
    return run


def create_small(directory, scale, size=4096):
    data = random.Random(2).randbytes(size)
    for number in range(scale.small_files):
        folder = os.path.join(directory, str(number % 10))
        if number < 10:
            os.mkdir(folder)
        fd = os.open(os.path.join(folder, str(number)), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        expect(os.write(fd, data), size)
        os.close(fd)


def small_create(size):
    return lambda directory, scale: scale.small_files / timed(
        lambda: create_small(directory, scale, size))


def small_stat(directory, scale):
    create_small(directory, scale)
    drop_caches()

    def work():
        for number in range(scale.small_files):
            os.stat(os.path.join(directory, str(number % 10), str(number)))
    return scale.small_files / timed(work)


def small_read(size, threads):
    def run(directory, scale):
        create_small(directory, scale, size)
        drop_caches()
        order = list(range(scale.small_files))
        random.Random(3).shuffle(order)

        def work(thread):
            for number in order[thread::threads]:
                fd = os.open(os.path.join(directory, str(number % 10), str(number)), os.O_RDONLY)
                while os.read(fd, 1 << 17):
                    pass
                os.close(fd)
        return scale.small_files / timed(lambda: in_threads(threads, work))
    return run


def names(prepare, operation):
    """Operations a second of operation(path), after prepare(path) of every path."""
    def run(directory, scale):
        paths = [os.path.join(directory, f"name-{number}") for number in range(scale.names)]
        for path in paths:
            prepare(path)

        def work():
            for path in paths:
                operation(path)
        return scale.names / timed(work)
    return run


def touch(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))


def list_directory(directory, scale):
    for number in range(scale.names):
        touch(os.path.join(directory, str(number)))
    drop_caches()
    count = 0

    def work():
        nonlocal count
        for entry in os.scandir(directory):
            entry.stat(follow_symlinks=False)
            count += 1
    seconds = timed(work)
    expect(count, scale.names)
    return count / seconds


def nothing(path):
    pass


ALL = [
    Workload("sequential write", "MiB/s", "one file, 1 MiB writes, fsync", sequential_write),
    Workload("sequential read, cold", "MiB/s", "one file, 1 MiB reads", sequential_read),
    Workload("parallel read, cold", "MiB/s", "four threads, a file each", parallel_read),
    Workload("random read 4 KiB", "reads/s", "O_DIRECT, one thread", random_read(4096, 1)),
    Workload("random read 4 KiB, 4 threads", "reads/s", "O_DIRECT", random_read(4096, 4)),
    Workload("random read 128 KiB", "reads/s", "O_DIRECT, one thread", random_read(131072, 1)),
    Workload("random read 128 KiB, 4 threads", "reads/s", "O_DIRECT", random_read(131072, 4)),
    Workload("create 4 KiB files", "files/s", "create, write, close", small_create(4096)),
    Workload("create 64 KiB files", "files/s", "create, write, close", small_create(65536)),
    Workload("stat, cold", "files/s", "of small files", small_stat),
    Workload("read 4 KiB files, cold", "files/s", "open, read, close in random order",
             small_read(4096, 1)),
    Workload("read 64 KiB files, cold", "files/s", "open, read, close in random order",
             small_read(65536, 1)),
    Workload("read 64 KiB files, cold, 4 thr.", "files/s", "open, read, close in random order",
             small_read(65536, 4)),
    Workload("create empty files", "ops/s", "open(O_CREAT|O_EXCL), close", names(nothing, touch)),
    Workload("mkdir", "ops/s", "in one directory", names(nothing, os.mkdir)),
    Workload("rename", "ops/s", "in one directory",
             names(touch, lambda path: os.rename(path, path + ".r"))),
    Workload("chmod", "ops/s", "of files", names(touch, lambda path: os.chmod(path, 0o600))),
    Workload("unlink", "ops/s", "of empty files", names(touch, os.unlink)),
    Workload("list with stat, cold", "names/s", "scandir and stat of one directory", list_directory),
]
