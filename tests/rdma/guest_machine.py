"""The virtual machine: what it takes to run one, QEMU's command line, one run."""

import ctypes
import fcntl
import functools
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

import guest_files
from run_directory import PARENT, run_directory
from unfit import Unfit

TIMED_OUT = 124
NO_GUEST = 125
BOOT_S = 300  # it takes 6 s where nothing else runs
LEAST_MEMORY_MIB = 512
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "mke2fs": "e2fsprogs", "ip": "iproute2",
         "rdma": "iproute2", "setsid": "util-linux"}
KVM_CREATE_VM = 0xAE01
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
KERNEL_OPTIONS = ("console=ttyS0 quiet loglevel=4 panic=-1 oops=panic random.trust_cpu=on "
                  "mitigations=off nokaslr tsc=reliable no_timer_check nowatchdog audit=0")


def check(arguments):
    """Unfit: this machine cannot run a guest with that memory and disk."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise Unfit(f"the guest is for Linux on x86_64, this is {platform.system()} on "
                    f"{platform.machine()}")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = {package for tool, package in TOOLS.items() if not shutil.which(tool, path=path)}
    if not os.path.exists(guest_files.BUSYBOX):
        missing.add("busybox-static")
    if missing:
        raise Unfit(f"missing packages: {' '.join(sorted(missing))} (apt-get install)")
    if arguments.memory < LEAST_MEMORY_MIB:
        raise Unfit(f"the guest needs at least {LEAST_MEMORY_MIB} MiB of memory")
    with open("/proc/meminfo") as file:
        free_mib = int(re.search(r"MemAvailable: *(\d+) kB", file.read()).group(1)) // 1024
    if free_mib < arguments.memory:
        raise Unfit(f"the guest needs {arguments.memory} MiB of memory, {free_mib} MiB are free")
    free = shutil.disk_usage(PARENT).free
    if arguments.disk and free < arguments.disk:
        raise Unfit(f"the guest's disk may take {arguments.disk >> 20} MiB, {PARENT} has "
                    f"{free >> 20} MiB")


@functools.cache
def accelerator():
    """'kvm' where it works (the device may be there without), else 'tcg', which emulates."""
    try:
        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return "tcg"
    try:
        os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
        return "kvm"
    except OSError:
        return "tcg"
    finally:
        os.close(device)


def run(arguments, files):
    """Boots the guest, runs the command, and returns its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end_by_signal)
    with run_directory() as directory:
        _write_settings(directory, arguments)
        if arguments.disk:
            _make_disk(os.path.join(directory, "disk"), arguments.disk)
        return _boot(directory, arguments, files)


def _end_by_signal(number, frame):
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def _write_settings(directory, arguments):
    """What the guest reads: its shares and disk, and the command as a bash script."""
    environment = dict(os.environ, PENSTOCK_RDMA_VM="1")
    words = ["exec", "/usr/bin/env", "-i", *(f"{k}={v}" for k, v in environment.items()),
             *arguments.command]
    with open(os.path.join(directory, "command"), "w", errors="surrogateescape") as file:
        file.write(f"cd -- {shlex.quote(os.getcwd())} || exit {NO_GUEST}\n{shlex.join(words)}\n")
    with open(os.path.join(directory, "settings"), "w", errors="surrogateescape") as file:
        file.write(f"SHARES='{' '.join(arguments.share)}'\nDISK={1 if arguments.disk else 0}\n"
                   f"DEVICE={'siw' if arguments.siw else 'rxe'}\n")


def _make_disk(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    path_with_sbin = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    subprocess.run([shutil.which("mke2fs", path=path_with_sbin), "-q", "-F", "-t", "ext4", "-E",
                    "lazy_itable_init=1,lazy_journal_init=1", path], check=True)


def _qemu(directory, arguments, files, ports):
    if accelerator() == "kvm":
        processor = ["-accel", "kvm", "-cpu", "host"]
    else:  # without fast string moves, whose emulation is slow
        processor = ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,erms=off,fsrm=off"]
    command = ["qemu-system-x86_64", "-machine", "pc,usb=off,vmport=off,hpet=off", *processor,
               "-smp", str(arguments.cpus), "-m", str(arguments.memory), "-nodefaults",
               "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none",
               "-rtc", "base=utc", "-kernel", files.kernel, "-initrd", files.initramfs,
               "-append", f"{KERNEL_OPTIONS} vm.directory={directory}",
               "-chardev", f"file,id=console,path={directory}/console",
               "-serial", "chardev:console", "-device", "virtio-serial-pci"]
    for name, fd in ports.items():
        command += ["-chardev", f"file,id={name},path=/proc/self/fd/{fd}",
                    "-device", f"virtserialport,chardev={name},name={name}"]
    command += ["-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=root,mount_tag=hostroot"]
    for i, share in enumerate(arguments.share):
        command += ["-fsdev", f"local,id=share{i},path={share},security_model=none,multidevs=remap",
                    "-device", f"virtio-9p-pci,fsdev=share{i},mount_tag=share{i}"]
    if arguments.disk:
        command += ["-drive", f"file={directory}/disk,if=none,id=scratch,format=raw,cache=unsafe",
                    "-device", "virtio-blk-pci,drive=scratch"]
    return command


def _copy(fd, out):
    """Copies until the end; when nobody takes the output any more, goes on reading the guest's."""
    with open(fd, "rb", buffering=0) as source:
        while data := source.read(1 << 16):
            view = memoryview(data)
            while out is not None and view:
                try:
                    view = view[os.write(out, view):]
                except OSError:
                    out = None


def _boot(directory, arguments, files):
    pipes = {name: os.pipe() for name in ("out", "err", "status")}
    ports = {name: write_end for name, (_, write_end) in pipes.items()}
    runner = os.getpid()

    def end_with_runner():
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != runner:
            os._exit(1)

    with open(os.path.join(directory, "qemu.log"), "w") as log:
        qemu = subprocess.Popen(_qemu(directory, arguments, files, ports), stdin=subprocess.DEVNULL,
                                stdout=log, stderr=log, pass_fds=list(ports.values()),
                                preexec_fn=end_with_runner)
    for fd in ports.values():
        os.close(fd)
    readers = [threading.Thread(target=_copy, args=(pipes[name][0], out), daemon=True)
               for name, out in (("out", 1), ("err", 2))]
    status = Status(pipes["status"][0])
    readers.append(status)
    for reader in readers:
        reader.start()
    try:
        reason = _wait(qemu, status, arguments.timeout)
    finally:
        qemu.kill()
        qemu.wait()
    for reader in readers:
        reader.join()
    return _result(directory, status, reason)


class Status(threading.Thread):
    """Reads what the guest says of itself: "running" before the command, "exit N" after it, or
    "failed REASON"."""

    def __init__(self, fd):
        super().__init__(daemon=True)
        self.fd = fd
        self.spoke = threading.Event()
        self.last = ""

    def run(self):
        with open(self.fd) as source:
            for line in source:
                self.last = line.strip()
                self.spoke.set()
        self.spoke.set()  # QEMU has ended


def _wait(qemu, status, timeout_s):
    """Waits for the end. Returns '' or why it was not waited for any longer."""
    deadline = time.monotonic() + timeout_s
    if not status.spoke.wait(min(timeout_s, BOOT_S)) and timeout_s > BOOT_S:
        return f"it did not come up within {BOOT_S} s"
    try:
        qemu.wait(max(0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"the time ran out after {timeout_s} s"
    return ""


def _result(directory, status, reason):
    if re.fullmatch(r"exit \d+", status.last):
        return int(status.last.split()[1])
    if reason.startswith("the time ran out"):
        print(f"vm: {reason}", file=sys.stderr)
        return TIMED_OUT
    if status.last == "running":
        reason = "the guest died"
    elif status.last:
        reason = f"the guest did not run the command: {status.last.removeprefix('failed ')}"
    else:
        reason = f"the guest did not run the command: {reason or 'it ended at once'}"
    print(f"vm: {reason}", file=sys.stderr)
    for name in ("qemu.log", "console"):
        try:
            with open(os.path.join(directory, name), errors="replace") as file:
                sys.stderr.writelines(f"vm: {name}: {line}" for line in file.readlines()[-20:])
        except FileNotFoundError:
            pass
    return NO_GUEST
