"""Packages fetched through apt, never installed."""

import os
import re
import shutil
import subprocess

from unfit import Unfit


def _apt(*command, cwd=None):
    return subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=600)


def _last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _download(package, folder):
    """The file, or None and why."""
    before = set(os.listdir(folder))
    result = _apt("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package,
                  cwd=folder)
    new = [name for name in os.listdir(folder) if name not in before and name.endswith(".deb")]
    if result.returncode != 0 or not new:
        return None, _last_line(result.stderr)
    return os.path.join(folder, new[0]), ""


def behind(package):
    """What a package such as linux-image-amd64 stands for; None if apt knows none."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if not shutil.which(tool):
            raise Unfit(f"no {tool} here: the guest's kernel comes as a Debian package")
    prefix = re.escape(package.rsplit("-", 1)[0])
    found = re.search(rf"^ *Depends: ({prefix}-\d\S*)$",
                      _apt("apt-cache", "depends", "--important", package).stdout, re.MULTILINE)
    return found.group(1) if found else None


def update():
    return _last_line(_apt("apt-get", "update", "-qq").stderr)


def fetch(package, folder):
    """The path of the .deb in `folder`. Lists that are missing or name what is gone are renewed."""
    path, _ = _download(package, folder)
    if path is None:
        update()
        path, why = _download(package, folder)
        if path is None:
            raise Unfit(f"cannot fetch {package}: {why}")
    return path
