"""A TCP relay between two parties, which a test makes slow, deaf or dead.

Started as a process: `relay.py HOST:PORT HOST:PORT` listens at the first and passes on to the
second. Commands come as lines on stdin: `pass`, `stall up|down|both` (bytes in that direction wait;
up: from who connected), `delay MS`, `reset` (every connection ends, and so does each new one).
"""

import asyncio
import os
import socket
import struct
import subprocess
import sys


class Relay:
    """The process, from the test's side."""

    def __init__(self, listen, to):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), listen, to], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.process.stdout.readline() == "ready\n", f"no relay at {listen}"

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n", command

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class _State:
    def __init__(self):
        self.stalled = set()
        self.delay_s = 0.0
        self.resets = False
        self.changed = asyncio.Condition()
        self.connections = set()

    async def set(self, words):
        command = words[0]
        self.resets = command == "reset"
        self.stalled = {"stall": {"both": {"up", "down"}}.get(words[-1], {words[-1]})}.get(
            command, set())
        self.delay_s = float(words[1]) / 1000 if command == "delay" else 0.0
        if self.resets:
            for writer in list(self.connections):
                _reset(writer)
        async with self.changed:
            self.changed.notify_all()

    async def may_pass(self, direction):
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        async with self.changed:
            await self.changed.wait_for(lambda: direction not in self.stalled)


def _reset(writer):
    raw = writer.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _copy(state, direction, reader, writer):
    try:
        while data := await reader.read(1 << 18):
            await state.may_pass(direction)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _serve(state, to, reader, writer):
    if state.resets:
        return _reset(writer)
    try:
        far_reader, far_writer = await asyncio.open_connection(*to)
    except OSError:
        return _reset(writer)
    pair = {writer, far_writer}
    state.connections |= pair
    await asyncio.gather(_copy(state, "up", reader, far_writer),
                         _copy(state, "down", far_reader, writer))
    state.connections -= pair
    return None


def _address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def _main(listen, to):
    state = _State()
    await asyncio.start_server(lambda r, w: _serve(state, _address(to), r, w), *_address(listen))
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await state.set(line.split())
        print("done", flush=True)
    os._exit(0)  # whoever started it is gone, or done


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:3]))
