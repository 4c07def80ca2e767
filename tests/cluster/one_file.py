"""Random reads and writes of one file against a model in memory, in the manner of fsx."""

import mmap
import os

from random_operations import (CHUNK, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE, FALLOC_ZERO_RANGE,
                               check_libc, libc)


class OneFile:
    def __init__(self, path, generator, largest=2 * CHUNK + 100_000, before_open=None):
        self.path, self.random, self.largest = path, generator, largest
        self.model = bytearray()
        self.history = []
        self.libc = libc()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.before_open = before_open  # called between close and open, to meet restarts

    def run(self, steps):
        operations = [self.read] * 6 + [self.write] * 8 + [self.truncate] * 2 + [self.map_read] * 2
        operations += [self.map_write] * 2 + [self.punch] * 2 + [self.zero, self.reopen, self.sync]
        operations += [self.direct_write, self.direct_read, self.append]
        for _ in range(steps):
            self.random.choice(operations)()
            size = os.fstat(self.fd).st_size
            if size != len(self.model):
                self.fail(f"the size is {size}, should be {len(self.model)}")
        self.reopen()
        self.compare(0, len(self.model) + 10, os.pread(self.fd, len(self.model) + 10, 0))
        os.close(self.fd)

    def fail(self, message):
        recent = "\n  ".join(self.history[-40:])
        raise AssertionError(f"{self.path} step {len(self.history)}: {message}\n"
                             f"the last steps:\n  {recent}")

    def note(self, text):
        self.history.append(f"{len(self.history)}: {text}")

    def place(self):
        near = self.random.choice([0, 0, 4096, 65536, CHUNK, CHUNK, 2 * CHUNK])
        spread = self.random.choice([20, 5000, 300_000])
        return min(max(0, near + self.random.randrange(-spread, spread)), self.largest - 1)

    def span(self):
        start = self.place()
        length = self.random.choice([1, 5, 511, 4096, self.random.randrange(1, 70_000),
                                     self.random.randrange(1, 1_500_000)])
        return start, min(length, self.largest - start)

    def compare(self, start, length, found):
        expected = bytes(self.model[start:start + length])
        if found == expected:
            return
        at = next((i for i, (a, b) in enumerate(zip(expected, found)) if a != b),
                  min(len(expected), len(found)))
        self.fail(f"read of {length} at {start}: {len(found)} bytes, expected {len(expected)}; first "
                  f"difference at {start + at}: {found[at:at + 8].hex()} instead of "
                  f"{expected[at:at + 8].hex()}; {self.look_again(start + at)}")

    def look_again(self, at):
        """Whether it is the kernel, or the file system below, that has the wrong bytes."""
        here = at // 4096 * 4096
        expected = bytes(self.model[at:at + 8])
        again = os.pread(self.fd, 8, at)
        buffer = mmap.mmap(-1, 4096)
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECT)
        done = os.preadv(fd, [buffer], here)
        os.close(fd)
        below = buffer[at - here:done][:8]
        return (f"read again: {'right' if again == expected else again.hex()}, past the kernel's "
                f"pages: {'right' if below == expected else below.hex()}")

    def put(self, start, data):
        if start > len(self.model):
            self.model.extend(bytes(start - len(self.model)))
        self.model[start:start + len(data)] = data

    # --- operations --------------------------------------------------------------------------------
    def read(self):
        start, length = self.span()
        self.note(f"pread {length} at {start}")
        self.compare(start, length, os.pread(self.fd, length, start))

    def write(self):
        start, length = self.span()
        data = self.random.randbytes(length)
        self.note(f"pwrite {length} at {start}")
        done = os.pwrite(self.fd, data, start)
        if done != length:
            self.fail(f"wrote {done} of {length}")
        self.put(start, data)

    def append(self):
        data = self.random.randbytes(self.random.randrange(1, 20_000))
        if len(self.model) + len(data) > self.largest:
            return
        self.note(f"append {len(data)}")
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, data)
        os.close(fd)
        self.put(len(self.model), data)

    def truncate(self):
        size = self.random.choice([0, self.place(), self.place()])
        self.note(f"ftruncate {size}")
        os.ftruncate(self.fd, size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def map_read(self):
        if not self.model:
            return
        start, length = self.span()
        self.note(f"mmap read {length} at {start}")
        with mmap.mmap(self.fd, len(self.model), prot=mmap.PROT_READ) as mapped:
            self.compare(start, length, mapped[start:start + length])

    def map_write(self):
        start, length = self.span()
        length = min(length, len(self.model) - start)
        if length <= 0:
            return
        data = self.random.randbytes(length)
        self.note(f"mmap write {length} at {start}")
        with mmap.mmap(self.fd, len(self.model)) as mapped:
            mapped[start:start + length] = data
            if self.random.random() < 0.5:
                mapped.flush()
        self.put(start, data)

    def punch(self):
        start, length = self.span()
        self.note(f"punch {length} at {start}")
        check_libc(self.libc.fallocate(self.fd, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, start, length))
        end = min(start + length, len(self.model))
        if end > start:
            self.model[start:end] = bytes(end - start)

    def zero(self):
        start, length = self.span()
        self.note(f"zero {length} at {start}")
        check_libc(self.libc.fallocate(self.fd, FALLOC_ZERO_RANGE, start, length))
        self.put(start, bytes(length))

    def direct_write(self):
        start, length = self.place() // 4096 * 4096, 4096 * self.random.randrange(1, 40)
        length = min(length, (self.largest - start) // 4096 * 4096)
        if length <= 0:
            return
        data = self.random.randbytes(length)
        self.note(f"O_DIRECT write {length} at {start}")
        buffer = mmap.mmap(-1, length)
        buffer[:] = data
        fd = os.open(self.path, os.O_WRONLY | os.O_DIRECT)
        done = os.pwritev(fd, [buffer], start)
        os.close(fd)
        if done != length:
            self.fail(f"wrote {done} of {length}")
        self.put(start, data)

    def direct_read(self):
        start, length = self.place() // 4096 * 4096, 4096 * self.random.randrange(1, 40)
        self.note(f"O_DIRECT read {length} at {start}")
        buffer = mmap.mmap(-1, length)
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECT)
        done = os.preadv(fd, [buffer], start)
        os.close(fd)
        self.compare(start, length, buffer[:done])

    def sync(self):
        self.note("fsync")
        os.fsync(self.fd)

    def reopen(self):
        self.note("close and open")
        os.close(self.fd)
        if self.before_open:
            self.before_open()
        self.fd = os.open(self.path, os.O_RDWR)
