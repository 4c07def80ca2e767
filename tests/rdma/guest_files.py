"""The guest's kernel and initramfs: Debian's, fetched through apt, unpacked and never installed.

They lie in a cache. Whoever finds nothing there makes it in a folder of its own and renames that
into place, so a run that is killed leaves nothing half done for the next.
"""

import collections
import contextlib
import fcntl
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import tempfile
import time

import debian_packages
import siw_module
from unfit import Unfit

HERE = os.path.dirname(os.path.abspath(__file__))
KERNEL = "linux-image-amd64"  # Debian's `cloud` kernel has neither rxe nor 9p
# In the order of loading; what they need themselves comes before them. A name that the kernel has
# built in has no file.
MODULES = ["virtio_pci", "virtio_console", "virtio_blk", "9pnet_virtio", "9p", "overlay", "fuse",
           "crc32c_generic", "libcrc32c", "ext4", "veth", "sch_netem", "ib_uverbs", "rdma_ucm",
           "crc32_generic", "rdma_rxe"]
NEEDED = ["9p", "overlay", "fuse", "ext4", "veth", "rdma_ucm", "rdma_rxe"]
FOLDERS = ["drivers/infiniband", "drivers/virtio", "drivers/char", "drivers/block", "drivers/net",
           "net", "fs", "lib", "crypto", "arch/x86/crypto"]
BUSYBOX = "/bin/busybox"
UNFINISHED = "new-"
KEEP_S = 7 * 86400  # what another version of these programs made goes after that long unused

GuestFiles = collections.namedtuple("GuestFiles", "version kernel initramfs")


def cache_dir():
    return os.path.join(os.environ.get("XDG_CACHE_HOME") or "/var/tmp", "penstock-rdma-vm")


def clean():
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(cache_dir())


def prepare(siw):
    """The guest's files, made if need be; with the module siw on request. Two runs wait for each other here."""
    cache = cache_dir()
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(cache):
            if name.startswith(UNFINISHED):  # of a run that was killed
                shutil.rmtree(os.path.join(cache, name))
        wanted = hashlib.sha256(" ".join(MODULES).encode()).hexdigest()
        kernel = os.path.join(cache, f"kernel-{wanted[:16]}")
        if not os.path.exists(kernel):
            with _work_folder(cache) as work:
                _fetch_kernel(work)
                os.chmod(work, 0o755)
                os.rename(work, kernel)
        with open(os.path.join(kernel, "version")) as file:
            version = file.read().strip()
        module = os.path.join(kernel, "modules", "siw.ko")
        if siw and not os.path.exists(module):
            with _work_folder(cache) as work:
                siw_module.build(version, work)
                os.rename(os.path.join(work, "siw.ko"), module)
        files = GuestFiles(version, os.path.join(kernel, "image"), _initramfs(cache, kernel))
        os.utime(kernel)
        _remove_old(cache)
        return files


@contextlib.contextmanager
def _work_folder(cache):
    work = tempfile.mkdtemp(prefix=UNFINISHED, dir=cache)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetch_kernel(work):
    """Fills `work` with image, modules/ and version."""
    package = debian_packages.behind(KERNEL)
    if not package:
        why = debian_packages.update()
        package = debian_packages.behind(KERNEL)
    if not package:
        raise Unfit(f"apt knows no {KERNEL}: {why or 'apt-get update'}")
    deb = debian_packages.fetch(package, work)
    tree = os.path.join(work, "tree")
    os.mkdir(tree)
    wanted = ["./boot/vmlinuz-*"] + [f"*/kernel/{folder}/*" for folder in FOLDERS]
    # tar complains of folders that this kernel has not; what counts is looked at below.
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as source:
        subprocess.run(["tar", "-x", "-C", tree, "--wildcards", *wanted], stdin=source.stdout,
                       stderr=subprocess.DEVNULL)
    if source.returncode != 0:
        raise Unfit(f"cannot unpack {package}: {os.path.dirname(work)} full?")
    boot = os.path.join(tree, "boot")
    with open(os.path.join(boot, os.listdir(boot)[0]), "rb") as file:
        image = _unpacked(file.read())
    _write(os.path.join(work, "image"), image)
    _copy_modules(tree, os.path.join(work, "modules"), package)
    shutil.rmtree(tree)
    os.unlink(deb)
    _write(os.path.join(work, "version"), package.removeprefix("linux-image-").encode())


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def _unpacked(image):
    """The ELF file inside a bzImage (Linux, Documentation/arch/x86/boot.rst): the emulated guest
    need not unpack it then, which saves 3 s. The bzImage itself when it is packed in another way."""
    start = ((image[0x1F1] or 4) + 1) * 512 + int.from_bytes(image[0x248:0x24C], "little")
    length = int.from_bytes(image[0x24C:0x250], "little")
    try:
        unpacked = lzma.LZMADecompressor().decompress(image[start:start + length])
    except lzma.LZMAError:
        return image
    return unpacked if unpacked[:4] == b"\x7fELF" else image


def _copy_modules(tree, out, package):
    """MODULES and what they need, flat, with their names in loading order in `out`/order."""
    files = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            match = re.fullmatch(r"(.*)\.ko(\.xz)?", name)
            if match:
                files[match.group(1).replace("-", "_")] = os.path.join(folder, name)
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise Unfit(f"{package} has no module {', '.join(missing)}")
    os.mkdir(out)
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name in order or name not in files:
            return
        with open(files[name], "rb") as file:
            data = file.read()
        if files[name].endswith(".xz"):
            data = lzma.decompress(data)
        for needed in re.search(rb"\0depends=([^\0]*)\0", data).group(1).decode().split(","):
            add(needed)
        order.append(name)
        _write(os.path.join(out, name + ".ko"), data)

    for name in MODULES:
        add(name)
    _write(os.path.join(out, "order"), "".join(f"{name}\n" for name in order).encode())


def _initramfs(cache, kernel):
    """An archive of busybox, guest/ and the modules, named after what is in it."""
    guest = os.path.join(HERE, "guest")
    digest = hashlib.sha256()
    modules = os.path.join(kernel, "modules")
    digest.update(" ".join(sorted(os.listdir(modules))).encode())
    for path in [os.path.join(guest, name) for name in sorted(os.listdir(guest))] + [
            os.path.join(kernel, "version"), BUSYBOX]:
        with open(path, "rb") as file:
            digest.update(file.read())
    path = os.path.join(cache, f"initramfs-{digest.hexdigest()[:16]}")
    if os.path.exists(path):
        os.utime(path)
        return path

    with _work_folder(cache) as work:
        archive = os.path.join(work, "archive")
        root = os.path.join(work, "root")
        os.makedirs(os.path.join(root, "bin"))
        shutil.copy(BUSYBOX, os.path.join(root, "bin"))
        shutil.copytree(modules, os.path.join(root, "modules"))
        for name in os.listdir(guest):
            shutil.copy(os.path.join(guest, name), root)
        os.chmod(os.path.join(root, "init"), 0o755)
        names = "".join(f"{os.path.relpath(os.path.join(folder, name), root)}\n"
                        for folder, folders, files in os.walk(root) for name in folders + files)
        with open(archive, "wb") as file:
            subprocess.run([BUSYBOX, "cpio", "-o", "-H", "newc"], cwd=root, input=names.encode(),
                           stdout=file, stderr=subprocess.DEVNULL, check=True)
        os.rename(archive, path)
    return path


def _remove_old(cache):
    for name in os.listdir(cache):
        path = os.path.join(cache, name)
        if name.startswith(("kernel-", "initramfs-")) and \
                time.time() - os.path.getmtime(path) > KEEP_S:
            subprocess.run(["rm", "-rf", path], check=True)
