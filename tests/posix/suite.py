"""The register of cases: a case is one rule of the standard on one combination, with a name of its own."""

import glob
import importlib
import os
from typing import Callable, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))


class Failure(Exception):
    """The file system does not do what the rule says."""


class Skipped(Exception):
    """The rule cannot be tried here; the message says why."""


class Case(NamedTuple):
    name: str  # subject/rule or subject/rule[combination]
    cite: str  # the section that says so
    function: Callable
    arguments: tuple
    needs: tuple  # features that a file system may lack (features.py)


_cases = []


def rule(cite, rows=None, needs=()):
    """Registers a function as a case, or, with rows of (label, arguments...), as a case a row.

    A case runs in a process of its own, as root, with umask 0, in an empty directory of its own.
    """
    def register(function):
        subject = function.__module__.removesuffix("_cases")
        name = f"{subject}/{function.__name__.replace('_', '-')}"
        if rows is None:
            _cases.append(Case(name, cite, function, (), tuple(needs)))
            return function
        for label, *arguments in rows:
            _cases.append(Case(f"{name}[{label}]", cite, function, tuple(arguments), tuple(needs)))
        return function
    return register


def load():
    """Every case of every *_cases.py, in the order of the files."""
    if not _cases:
        for path in sorted(glob.glob(os.path.join(HERE, "*_cases.py"))):
            importlib.import_module(os.path.basename(path)[:-3])
        names = [case.name for case in _cases]
        twice = sorted({name for name in names if names.count(name) > 1})
        assert not twice, f"two cases of one name: {twice}"
    return list(_cases)
