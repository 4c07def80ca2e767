"""The kernel module siw (iWARP over TCP), which Debian's kernels leave out: built from Debian's own
source package against the guest kernel's headers, nothing installed."""

import os
import re
import shutil
import subprocess

import debian_packages
from unfit import Unfit

TOOLS = {"make": "make", "gcc-12": "gcc-12", "strip": "binutils", "xz": "xz-utils"}


def build(version, work):
    """Makes `work`/siw.ko for kernel `version`, such as 6.1.0-38-amd64. 130 MB come over the net."""
    missing = {package for tool, package in TOOLS.items() if not shutil.which(tool)}
    if missing:
        raise Unfit(f"siw has to be built; missing packages: {' '.join(sorted(missing))}")
    base = re.sub(r"-amd64$", "", version)
    series = ".".join(base.split(".")[:2])
    root = os.path.join(work, "root")
    for package in (f"linux-headers-{version}", f"linux-headers-{base}-common",
                    f"linux-kbuild-{series}"):
        subprocess.run(["dpkg-deb", "-x", debian_packages.fetch(package, work), root], check=True)
    source = debian_packages.fetch(f"linux-source-{series}", work)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", source], stdout=subprocess.PIPE) as deb, \
            subprocess.Popen(["tar", "-xO", "--wildcards", "./usr/src/linux-source-*.tar.xz"],
                             stdin=deb.stdout, stdout=subprocess.PIPE) as inner:
        subprocess.run(["tar", "-xJ", "-C", work, "--wildcards", "--strip-components=4",
                        "*/drivers/infiniband/sw/siw"], stdin=inner.stdout, check=True)
    headers = os.path.join(root, "usr/src", f"linux-headers-{version}")
    makefile = os.path.join(headers, "Makefile")
    with open(makefile) as file:
        text = file.read()
    with open(makefile, "w") as file:
        file.write(text.replace("/usr/src/", f"{root}/usr/src/"))
    make = subprocess.run(["make", "-C", headers, f"M={work}/siw", "CONFIG_RDMA_SIW=m",
                           "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if make.returncode != 0:
        raise Unfit(f"cannot build siw for {version}:\n{make.stdout[-2000:]}")
    built = os.path.join(work, "siw", "siw.ko")
    if os.path.exists(built + ".xz"):
        subprocess.run(["xz", "-d", built + ".xz"], check=True)
    subprocess.run(["strip", "--strip-debug", built], check=True)
    os.rename(built, os.path.join(work, "siw.ko"))
