"""Verified reads at a steady pace, and how long each took."""

import mmap
import os
import random
import threading
import time

import workloads

PERIOD = (16 << 20) + 4099  # bytes after which the content of files repeats: no power of two


class Content:
    """What the files hold: any piece of any file is known without being kept."""

    def __init__(self, seed):
        self.bytes = random.Random(f"content{seed}").randbytes(PERIOD)

    def piece(self, file, offset, size):
        at = (file * 7_340_033 + offset) % PERIOD
        piece = self.bytes[at:at + size]
        return piece + self.bytes[:size - len(piece)]

    def fill(self, folder, files, file_bytes):
        for file in range(files):
            with open(os.path.join(folder, str(file)), "wb") as out:
                out.write(self.piece(file, 0, file_bytes))
        os.sync()


def forget_pages(folders):
    """Takes the files below `folders` out of the machine's page cache, and nothing else's."""
    for folder in folders:
        for name in os.listdir(folder):
            fd = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


class ReadLoad:
    """`threads` threads, each of which reads one random piece every `every_s` seconds.

    A read that has to wait because the one before it took too long counts from when it was due.
    Every byte is compared. Beside them a thread forgets the pages of `cold`() every 0.2 s.
    """

    def __init__(self, folder, content, shape, cold):
        self.folder, self.content, self.shape, self.cold = folder, content, shape, cold
        self.samples = []  # (when it ended, seconds it took)
        self.error = None
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.keep, args=(self.read, number), daemon=True)
                        for number in range(shape.threads)]
        self.threads.append(threading.Thread(target=self.keep, args=(self.forget, None), daemon=True))
        for thread in self.threads:
            thread.start()

    def keep(self, work, number):
        try:
            work(number)
        except Exception as error:  # told by stop()
            self.error = error
            self.ending.set()

    def forget(self, _):
        while not self.ending.wait(0.2):
            forget_pages(self.cold())

    def read(self, number):
        shape = self.shape
        generator = random.Random(number)
        buffer = mmap.mmap(-1, shape.read_bytes)  # aligned, as O_DIRECT wants it
        due = time.monotonic() + shape.every_s * number / shape.threads
        while not self.ending.is_set():
            due += shape.every_s
            begun = time.monotonic()
            if begun < due:
                time.sleep(due - begun)
                begun = time.monotonic()
            else:
                begun = due
            file = generator.randrange(shape.files)
            offset = generator.randrange(shape.file_bytes // shape.read_bytes) * shape.read_bytes
            fd = os.open(os.path.join(self.folder, str(file)), os.O_RDONLY | os.O_DIRECT)
            workloads.expect(os.preadv(fd, [buffer], offset), shape.read_bytes)
            ended = time.monotonic()
            os.close(fd)
            if buffer[:] != self.content.piece(file, offset, shape.read_bytes):
                raise RuntimeError(f"wrong bytes in file {file} at {offset}")
            self.samples.append((ended, ended - begun))

    def between(self, begin, end):
        """The sorted times of the reads that ended then."""
        return sorted(took for when, took in list(self.samples) if begin <= when < end)

    def check(self):
        if self.error:
            raise self.error

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        self.check()


def percentile(ordered, part):
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")
