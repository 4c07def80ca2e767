"""Disks of the tests' own: a file system in a file, which loses what was not synced at a power cut."""

import fcntl
import os
import struct
import subprocess
import time

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32); also XFS_IOC_GOINGDOWN
NO_LOG_FLUSH = 2
FILLER = "filler"


def why_not():
    """The reason why there can be none here; empty: there can."""
    if os.geteuid() != 0:
        return "disks of their own need root"
    if not os.path.exists("/dev/loop-control"):
        return "there are no loop devices here"
    return ""


class Disk:
    def __init__(self, image, mountpoint, megabytes):
        self.image = image
        self.mountpoint = mountpoint
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", image], check=True)
        os.makedirs(mountpoint, exist_ok=True)
        self.mount()

    def mount(self):
        subprocess.run(["mount", "-o", "loop", self.image, self.mountpoint], check=True)

    def unmount(self):
        """A process that has just ended may still hold it for a moment."""
        deadline = time.monotonic() + 20
        while subprocess.run(["umount", self.mountpoint], stderr=subprocess.DEVNULL,
                             check=False).returncode != 0:
            assert time.monotonic() < deadline, f"{self.mountpoint} cannot be unmounted"
            time.sleep(0.05)

    def cut_power(self):
        """What was not synced is gone. Nobody may have a file open there."""
        fd = os.open(self.mountpoint, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(fd)
        self.unmount()
        self.mount()

    def fill(self):
        """Until nothing fits any more."""
        with open(os.path.join(self.mountpoint, FILLER), "wb") as file:
            step = 1 << 24
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                except OSError:
                    step //= 4

    def free(self):
        path = os.path.join(self.mountpoint, FILLER)
        if os.path.exists(path):
            os.unlink(path)
