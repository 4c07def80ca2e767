"""What the adversary can do. Each fault says in which mode the load works meanwhile, hurts the
cluster for a time, and heals it again (`Rounds.heal` does what is common to all)."""

import os
import signal
import time

import disk_faults
import disks


class Fault:
    mode = "strict"  # of the load: see load.py
    lost = False     # what was not synced may be gone
    needs_disks = False
    of_chunkserver = True  # the victim's; False: of something that there is one of
    command = ""     # to a relay

    def __init__(self, rounds, random):
        self.rounds = rounds
        self.random = random
        self.victim = random.choice(sorted(rounds.CHUNKSERVERS))
        self.share = random.random()  # of the range of times
        self.choose()

    def choose(self):
        """Everything random is chosen here, so that a seed replays it."""

    def __str__(self):
        return (type(self).__name__ + (f" ({self.command})" if self.command else "") +
                (f" of chunkserver {self.victim}" if self.of_chunkserver else ""))

    def hurt(self):
        raise NotImplementedError

    def server(self):
        return f"chunk-server{self.victim}"

    def wait(self, shortest, longest):
        time.sleep(shortest + (longest - shortest) * self.share)


class KillChunkserver(Fault):
    def hurt(self):
        self.rounds.kill(self.server())
        self.wait(0, 9)


class KillMetaserver(Fault):
    of_chunkserver = False

    def hurt(self):
        self.rounds.kill("meta-server")
        self.wait(0, 4)


class KillEverything(Fault):
    of_chunkserver = False

    def hurt(self):
        for name in sorted(self.rounds.servers):
            self.rounds.kill(name)
        self.wait(0, 3)


class StopChunkserver(Fault):
    """For less and for more than its fence and the offline time."""
    longest_s = 9

    def hurt(self):
        self.rounds.signal(self.server(), signal.SIGSTOP)
        self.wait(0.2, self.longest_s)
        self.rounds.signal(self.server(), signal.SIGCONT)


class StopMetaserver(StopChunkserver):
    of_chunkserver = False
    longest_s = 6

    def server(self):
        return "meta-server"


class CutData(Fault):
    """Everybody's way to a chunkserver; its own ways out stay."""
    longest_s = 9

    def choose(self):
        self.command = self.random.choice(
            ["stall both", "stall up", "stall down", "reset", "delay 30", "delay 300"])

    def relay(self):
        return f"data{self.victim}"

    def hurt(self):
        self.rounds.relays[self.relay()].tell(self.command)
        self.wait(1, self.longest_s)


class CutHeartbeats(CutData):
    """A chunkserver's way to the metaserver."""

    def relay(self):
        return f"control{self.victim}"


class CutClient(CutData):
    """The second client's way to the metaserver, for less than makes it lose its session."""
    mode = "errors"  # what others ask of a silent session is taken from it
    of_chunkserver = False
    longest_s = 8

    def relay(self):
        return "client"


class KillClient(Fault):
    """Its supervisor starts another; what it had not written yet is an error of the close."""
    mode = "errors"
    of_chunkserver = False

    def hurt(self):
        self.rounds.kill_client()
        self.wait(1, 4)


class StopClient(Fault):
    mode = "errors"
    of_chunkserver = False

    def hurt(self):
        pid = self.rounds.client_pid()
        os.kill(pid, signal.SIGSTOP)
        self.wait(0.5, 14)
        os.kill(pid, signal.SIGCONT)


class EvictClient(Fault):
    mode = "errors"
    of_chunkserver = False

    def hurt(self):
        self.rounds.evict_client()
        self.wait(1, 3)


class FillDisk(Fault):
    mode = "errors"
    needs_disks = True

    def hurt(self):
        self.rounds.disks[self.victim].fill()
        self.wait(1, 5)


class FlipBits(Fault):
    """On one disk, under the running server; nobody may notice, and a scrub mends all of it."""

    def choose(self):
        self.count = self.random.randrange(1, 40)

    def __str__(self):
        return f"{super().__str__()}, {self.count}"

    def hurt(self):
        # In the first rounds there may be nothing to damage yet.
        target = self.rounds.at(f"cs{self.victim}", self.rounds.CHUNKSERVERS[self.victim][0])
        if disk_faults.anything_in_slabs(target):
            disk_faults.flip_in_slabs(target, self.random, self.count)
        self.wait(0, 3)


class CutPower(Fault):
    """One machine starts again, without what was not synced there. The others have it."""
    needs_disks = True

    def hurt(self):
        self.rounds.cut_power([self.victim])
        self.wait(0, 7)


class CutAllPower(Fault):
    mode = "loose"
    lost = True
    needs_disks = True
    of_chunkserver = False

    def hurt(self):
        self.rounds.cut_power(sorted(self.rounds.CHUNKSERVERS))
        self.wait(0, 3)


ALL = [KillChunkserver, KillMetaserver, KillEverything, StopChunkserver, StopMetaserver, CutData,
       CutHeartbeats, CutClient, KillClient, StopClient, EvictClient, FillDisk, FlipBits,
       CutPower, CutAllPower]


def possible():
    """The kinds that this machine allows, and the reason why others are left out."""
    reason = disks.why_not()
    return [kind for kind in ALL if not (kind.needs_disks and reason)], reason
