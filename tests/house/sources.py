"""The project's own files, as Git would list them (built and ignored ones left out)."""

import os
import re

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOMS = ("proto", "common", "metaserver", "chunkserver", "client", "cli", "tests", "bench", "deploy")
IGNORED = re.compile(r"^(build.*|__pycache__|\.git)$")


def files(*endings, rooms=ROOMS):
    """Paths relative to the repository of the files with one of the endings."""
    found = []
    for room in rooms:
        for folder, directories, names in os.walk(os.path.join(REPOSITORY, room)):
            directories[:] = sorted(d for d in directories if not IGNORED.match(d))
            for name in sorted(names):
                if name.endswith(endings):
                    found.append(os.path.relpath(os.path.join(folder, name), REPOSITORY))
    return found


def text(path):
    with open(os.path.join(REPOSITORY, path), encoding="utf-8") as file:
        return file.read()
