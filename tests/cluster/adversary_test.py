"""A few rounds of tests/chaos in every run."""

import os
import sys

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "adversary"))

import rounds  # noqa: E402

ROUNDS = 3


class AdversaryTest(rounds.Rounds):
    def test_every_byte_is_right_whatever_breaks(self):
        self.run_rounds(ROUNDS * harness.rounds())
