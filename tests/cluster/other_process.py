"""Works on files in a process of its own.

A process that starts another one while it has a file of the mount open makes the kernel send a
FLUSH for the inherited descriptor, which waits for the servers: the test that is about to restart
those servers must not be that process.
"""

import multiprocessing
import os


class OtherProcess:
    """Calls functions there: call(f, ...) waits, start(f, ...) and result() don't."""

    def __init__(self):
        here, there = multiprocessing.Pipe()
        self.pipe = here
        self.process = multiprocessing.get_context("fork").Process(
            target=self.serve, args=(here, there), daemon=True)
        self.process.start()
        there.close()

    @staticmethod
    def serve(here, there):
        here.close()
        while True:
            try:
                function, arguments = there.recv()
            except EOFError:
                os._exit(0)
            try:
                there.send((True, function(*arguments)))
            except Exception as error:  # raised again where result() is called
                there.send((False, error))

    def start(self, function, *arguments):
        self.pipe.send((function, arguments))

    def finished(self, within_s=0):
        return self.pipe.poll(within_s)

    def result(self, within_s=120):
        if not self.finished(within_s):
            raise AssertionError(f"no result within {within_s} s")
        well, value = self.pipe.recv()
        if not well:
            raise value
        return value

    def call(self, function, *arguments):
        self.start(function, *arguments)
        return self.result()

    def stop(self):
        self.pipe.close()
        self.process.join(10)
        self.process.kill()
        self.process.join()
