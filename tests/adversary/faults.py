"""What the adversary can do. Each fault says in which mode the load works meanwhile, hurts the
cluster for a time, and heals it again (`Rounds.heal` does what is common to all)."""

import os
import signal
import time

import disks


class Fault:
    mode = "strict"  # of the load: see load.py
    lost = False     # what was not synced may be gone
    needs_disks = False

    def __init__(self, rounds, random):
        self.rounds = rounds
        self.random = random
        self.victim = random.choice(sorted(rounds.CHUNKSERVERS))
        self.share = random.random()  # of the range of times
        self.choose()

    def choose(self):
        """Everything random is chosen here, so that a seed replays it."""

    def __str__(self):
        return f"{type(self).__name__} of chunkserver {self.victim}"

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
    def __str__(self):
        return "KillMetaserver"

    def hurt(self):
        self.rounds.kill("meta-server")
        self.wait(0, 4)


class KillEverything(Fault):
    def __str__(self):
        return "KillEverything"

    def hurt(self):
        for name in sorted(self.rounds.servers):
            self.rounds.kill(name)
        self.wait(0, 3)


class StopChunkserver(Fault):
    """For less and for more than its fence and the offline time."""

    def hurt(self):
        self.rounds.signal(self.server(), signal.SIGSTOP)
        self.wait(0.2, 9)
        self.rounds.signal(self.server(), signal.SIGCONT)


class StopMetaserver(Fault):
    def __str__(self):
        return "StopMetaserver"

    def hurt(self):
        self.rounds.signal("meta-server", signal.SIGSTOP)
        self.wait(0.2, 6)
        self.rounds.signal("meta-server", signal.SIGCONT)


class CutData(Fault):
    """Everybody's way to a chunkserver; its own ways out stay."""

    def choose(self):
        self.command = self.random.choice(
            ["stall both", "stall up", "stall down", "reset", "delay 30", "delay 300"])

    def __str__(self):
        return f"CutData ({self.command}) of chunkserver {self.victim}"

    def hurt(self):
        self.rounds.relays[f"data{self.victim}"].tell(self.command)
        self.wait(1, 9)


class CutHeartbeats(CutData):
    """A chunkserver's way to the metaserver."""

    def __str__(self):
        return f"CutHeartbeats ({self.command}) of chunkserver {self.victim}"

    def hurt(self):
        self.rounds.relays[f"control{self.victim}"].tell(self.command)
        self.wait(1, 9)


class CutClient(CutData):
    """The second client's way to the metaserver, for less than makes it lose its session."""
    mode = "errors"  # what others ask of a silent session is taken from it

    def __str__(self):
        return f"CutClient ({self.command})"

    def hurt(self):
        self.rounds.relays["client"].tell(self.command)
        self.wait(1, 8)


class KillClient(Fault):
    """Its supervisor starts another; what it had not written yet is an error of the close."""
    mode = "errors"

    def __str__(self):
        return "KillClient"

    def hurt(self):
        self.rounds.kill_client()
        self.wait(1, 4)


class StopClient(Fault):
    mode = "errors"

    def __str__(self):
        return "StopClient"

    def hurt(self):
        pid = self.rounds.client_pid()
        os.kill(pid, signal.SIGSTOP)
        self.wait(0.5, 14)
        os.kill(pid, signal.SIGCONT)


class EvictClient(Fault):
    mode = "errors"

    def __str__(self):
        return "EvictClient"

    def hurt(self):
        self.rounds.evict_client()
        self.wait(1, 3)


class FillDisk(Fault):
    mode = "errors"
    needs_disks = True

    def hurt(self):
        self.rounds.disks[self.victim].fill()
        self.wait(1, 5)


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

    def __str__(self):
        return "CutAllPower"

    def hurt(self):
        self.rounds.cut_power(sorted(self.rounds.CHUNKSERVERS))
        self.wait(0, 3)


ALL = [KillChunkserver, KillMetaserver, KillEverything, StopChunkserver, StopMetaserver, CutData,
       CutHeartbeats, CutClient, KillClient, StopClient, EvictClient, FillDisk, CutPower,
       CutAllPower]


def possible():
    """The kinds that this machine allows, and the reason why others are left out."""
    reason = disks.why_not()
    return [kind for kind in ALL if not (kind.needs_disks and reason)], reason
