"""The yardstick of RDMA: perftest's programs between the same two addresses.

A read of Penstock is an RDMA WRITE of the server, hence ib_write_bw; a write is an RDMA READ, hence
ib_read_bw. `-t` work requests are under way, as many as Penstock has calls.
"""

import re
import shutil
import subprocess
import time

PROGRAMS = {"read": "ib_write_bw", "write": "ib_read_bw", "message": "ib_send_lat"}
MESSAGE_BYTES = 80  # a frame's header and a small message
ROUNDS = 2000
READS_UNDER_WAY = 16  # what one queue pair allows at most


class PerftestError(Exception):
    pass


def missing():
    """The programs that are not installed."""
    return [name for name in PROGRAMS.values() if not shutil.which(name)]


def run(arguments):
    """One run of every case; figures as those of the program, with what perftest does not say None."""
    found = [_latency(arguments)]
    for in_flight in arguments.in_flight:
        for case in ("read", "write"):
            for size in arguments.sizes:
                found.append(_bandwidth(case, size, in_flight, arguments))
    return found


def _figures(case, size, in_flight, **known):
    return dict(dict.fromkeys(("median_us", "p99_us", "calls_per_s", "mib_per_s",
                               "cpu_us_per_call", "cpu_s_per_gib")),
                case=case, bytes=size, in_flight=in_flight, **known)


def _bandwidth(case, size, in_flight, arguments):
    options = ["-s", str(size), "-t", str(in_flight), "-D", str(max(2, round(arguments.seconds)))]
    if case == "write":
        options += ["-o", str(min(in_flight, READS_UNDER_WAY))]
    _, rounds, _, average, _ = _pair(PROGRAMS[case], options, arguments, columns=5)
    return _figures(case, size, in_flight, calls=int(rounds), mib_per_s=average,
                    calls_per_s=average * (1 << 20) / size)


def _latency(arguments):
    options = ["-s", str(MESSAGE_BYTES), "-n", str(ROUNDS)]
    columns = _pair(PROGRAMS["message"], options, arguments, columns=9)
    typical, p99 = columns[4], columns[7]  # of one way
    return _figures("message", 0, 1, calls=ROUNDS, median_us=2 * typical, p99_us=2 * p99)


def _pair(program, options, arguments, columns):
    """Runs server and client; the numbers of the line that the client prints."""
    def command(own, *peer):
        return [program, "-F", "-R", "-p", str(arguments.perftest_port), "--source_ip", own,
                *options, *peer]

    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command(arguments.server), stdout=subprocess.DEVNULL, **quiet) as server:
        try:
            deadline = time.monotonic() + 10
            while True:  # the server takes a moment to listen, and does not say when it does
                client = subprocess.run(command(arguments.client, arguments.server), timeout=120,
                                        stdout=subprocess.PIPE, **quiet)
                line = re.search(r"^[ \t]*\d+(?:[ \t]+[\d.]+){%d}[ \t]*$" % (columns - 1),
                                 client.stdout, re.MULTILINE)
                if client.returncode == 0 and line:
                    return [float(word) for word in line.group().split()]
                if time.monotonic() > deadline or server.poll() is not None:
                    raise PerftestError(f"{program}: {client.stdout.strip()[-500:]}")
                time.sleep(0.2)
        finally:
            server.kill()
