"""Work that checks every byte it reads, and knows what it may find.

A file is a row of blocks. Each block says which file, which block and which generation it is, so a
block read tells which write it came from. Of every block the load remembers `now`, the generations
that a read may give (one, unless a write failed), and `since_sync`, those that may be left after a
power cut: everything written since the last fsync, and what that fsync made safe. 0: never written.
"""

import errno
import os
import random
import struct

BLOCK = 4096
HEAD = struct.Struct("<8sIIQ")
FILES = 16
MOST_BLOCKS = 900


class Wrong(AssertionError):
    pass


def block_bytes(name, index, generation):
    head = HEAD.pack(b"penstock", name, index, generation)
    return head + random.Random(f"{name}.{index}.{generation}").randbytes(BLOCK - len(head))


class Load:
    """One worker's files. `control` is a file that holds its mode: `strict`, `errors` (calls may
    fail) or `loose` (and what is not synced may be lost)."""

    def __init__(self, folder, control, seed):
        self.folder = folder
        self.control = control
        self.random = random.Random(seed)
        self.now = [{} for _ in range(FILES)]  # by block: a set of generations
        self.since_sync = [{} for _ in range(FILES)]
        self.generation = 0
        self.operations = 0
        self.errors = 0
        os.makedirs(folder, exist_ok=True)

    def mode(self):
        with open(self.control) as file:
            return file.read().strip()

    def path(self, name, folder=None):
        return os.path.join(folder or self.folder, f"f{name}")

    def run(self):
        """Until the control file says stop; (operations, errors) so far."""
        while self.mode() != "stop":
            try:
                self.one_operation()
            except OSError as error:
                # The mode of now: the fault may have come after the operation began.
                if self.mode() == "strict" or error.errno == errno.EUCLEAN:
                    raise Wrong(f"{error} in operation {self.operations}") from error
                self.errors += 1
            self.operations += 1
        return self.operations, self.errors

    def one_operation(self):
        name = self.random.randrange(FILES)
        choice = self.random.random()
        first = self.random.randrange(MOST_BLOCKS)
        count = self.random.choice([1, 2, 7, 64, 256])
        if choice < 0.45:
            self.read(name, first, count)
        elif choice < 0.95:
            self.write(name, first, count, sync=self.random.random() < 0.5)
        else:
            self.sync(name)

    def write(self, name, first, count, sync):
        self.generation += 1
        mine = self.generation
        data = b"".join(block_bytes(name, i, mine) for i in range(first, first + count))
        blocks = range(first, first + count)
        for i in blocks:  # from here on any of them may be there
            self.now[name].setdefault(i, {0}).add(mine)
            self.since_sync[name].setdefault(i, {0}).add(mine)
        fd = os.open(self.path(name), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            done = os.pwrite(fd, data, first * BLOCK)
            if done != len(data):
                raise OSError(errno.EIO, "short write")
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        for i in blocks:
            self.now[name][i] = {mine}
            if sync:
                self.since_sync[name][i] = {mine}

    def sync(self, name):
        try:
            fd = os.open(self.path(name), os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        if self.mode() == "strict":  # else an earlier close's bytes may have been lost before
            self.since_sync[name] = {i: set(now) for i, now in self.now[name].items()}

    def forget_pages(self, name, folder):
        """What the kernel of that mount keeps may be what the servers have lost."""
        try:
            fd = os.open(self.path(name, folder), os.O_RDONLY)
        except FileNotFoundError:
            return
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)

    def read(self, name, first, count, folder=None):
        loose = self.mode() == "loose"
        try:
            fd = os.open(self.path(name, folder), os.O_RDONLY)
        except FileNotFoundError:
            data = b""
        else:
            try:
                data = os.pread(fd, count * BLOCK, first * BLOCK)
            finally:
                os.close(fd)
        found = [self.generation_of(name, first + i, data[i * BLOCK:(i + 1) * BLOCK])
                 for i in range(count)]
        for i, generation in enumerate(found, first):
            allowed = (self.since_sync if loose else self.now)[name].get(i, {0})
            if generation not in allowed:
                raise Wrong(f"{self.path(name, folder)} block {i} is of generation {generation}, "
                            f"allowed are {sorted(allowed)}")
        return found

    def generation_of(self, name, index, block):
        if not block.strip(b"\0"):
            return 0
        magic, of_name, of_index, generation = HEAD.unpack(block[:HEAD.size].ljust(HEAD.size))
        if magic != b"penstock" or (of_name, of_index) != (name, index) \
                or block != block_bytes(name, index, generation)[:len(block)]:
            raise Wrong(f"{self.path(name)} block {index} holds what nobody wrote: {block[:64]!r}")
        return generation

    def settle(self, lost, folders):
        """Everything is read, through every folder given. What is found is what is there from now
        on. `lost`: a power cut may have taken what was not synced."""
        for name in range(FILES):
            if not self.now[name]:
                continue
            count = max(self.now[name]) + 1
            if lost:
                self.now[name] = {i: set(g) for i, g in self.since_sync[name].items()}
            for folder in folders:
                if lost:
                    self.forget_pages(name, folder)
                for i, generation in enumerate(self.read(name, 0, count, folder)):
                    if i in self.now[name]:
                        self.now[name][i] = {generation}


_load = None


def begin(folder, control, seed):
    global _load
    _load = Load(folder, control, seed)


def run():
    return _load.run()


def settle(lost, folders):
    _load.settle(lost, folders)
