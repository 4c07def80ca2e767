"""A program with all the processes that it starts, in a session of their own: they end together.

`shell` of the harness ends only the one process it started; stress-ng, fio, bonnie++ and databases
are many.
"""

import os
import signal
import subprocess


def run_group(command, cwd, timeout_s=120, env=None):
    """Runs a program to its end, or kills it with all its children: (exit code, output)."""
    program = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True)
    try:
        output = program.communicate(timeout=timeout_s)[0]
        return program.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        end_group(program)
        output = program.communicate()[0].decode(errors="replace")
        return None, f"{output}\nnot done within {timeout_s} s"
    finally:
        end_group(program)


def end_group(program):
    """Kills what is left of a program that was started with start_new_session."""
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    program.wait()


def descendants(pid):
    """Pids of the children of `pid`, and of theirs."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, look_at = [], [pid]
    while look_at:
        parent = look_at.pop()
        children = [child for child, of in parents.items() if of == parent]
        found += children
        look_at += children
    return found


def kill_with_descendants(pid):
    """`kill -9` of a process and all below it. Stopped first, so that it can mourn no child."""
    os.kill(pid, signal.SIGSTOP)
    victims = descendants(pid) + [pid]
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return victims
