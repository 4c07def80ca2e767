"""What damages a chunkserver's disk, for tests: flipped bits in slabs and index."""

import glob
import os


def used_ranges(path):
    """(offset, length) of what is not a hole in a sparse file."""
    ranges = []
    fd = os.open(path, os.O_RDONLY)
    try:
        at, end = 0, os.fstat(fd).st_size
        while at < end:
            try:
                start = os.lseek(fd, at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(fd, start, os.SEEK_HOLE)
            ranges.append((start, at - start))
    finally:
        os.close(fd)
    return ranges


def flip_bit(path, at, generator):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ (1 << generator.randrange(8))]))


def places_in_slabs(target):
    """(path, offset, length) of what a target's slabs hold."""
    return [(path, start, length)
            for path in sorted(glob.glob(os.path.join(target, "slabs", "*.slab")))
            for start, length in used_ranges(path)]


def anything_in_slabs(target):
    return bool(places_in_slabs(target))


def flip_in_slabs(target, generator, count):
    """Flips `count` bits at random places of what a target's slabs hold; (path, offset) of each."""
    places = places_in_slabs(target)
    assert places, f"{target} holds nothing"
    flipped = []
    weights = [length for _, _, length in places]
    for path, start, length in generator.choices(places, weights=weights, k=count):
        at = start + generator.randrange(length)
        flip_bit(path, at, generator)
        flipped.append((path, at))
    return flipped


def flip_in_index(target, generator, kind="*.sst"):
    """Flips a bit in one file of a stopped chunkserver's index; its path."""
    paths = [path for path in sorted(glob.glob(os.path.join(target, "index", kind)))
             if os.path.getsize(path) > 200]
    assert paths, f"{target} has no {kind} in its index"
    path = generator.choice(paths)
    # The last bytes of a table file partly only fill the space.
    flip_bit(path, generator.randrange(os.path.getsize(path) - 64), generator)
    return path
