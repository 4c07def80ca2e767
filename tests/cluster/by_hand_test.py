"""Servers started by hand, each with a --config file, as on several machines."""

import os
import subprocess

from by_hand import ServersByHand
from cluster_under_test import program
from harness import read_file, write_file


class ByHandTest(ServersByHand):
    def test_servers_with_config_files_serve_stop_cleanly_and_come_back(self):
        self.start_all()
        self.mount()
        data = os.urandom(5 << 20)
        write_file(self.at("mnt/f"), data)
        self.assertEqual(read_file(self.at("mnt/f")), data)
        self.run_command("umount", self.at("mnt"))
        self.assertEqual(set(self.stop_all().values()), {0}, self.output())
        self.start_all()
        self.mount()
        self.assertEqual(read_file(self.at("mnt/f")), data)
        self.run_command("umount", self.at("mnt"))

    def test_a_target_that_vanished_is_absent_not_empty(self):
        self.start_all()
        self.mount()
        data = os.urandom(9 << 20)
        write_file(self.at("mnt/f"), data)
        self.run_command("umount", self.at("mnt"))
        self.stop_all()
        os.rename(self.at("cs1/t1"), self.at("away"))
        os.mkdir(self.at("cs1/t1"))
        self.start_all()
        self.mount()
        self.assertEqual(read_file(self.at("mnt/f")), data)  # from the other copies
        self.assertEqual(os.listdir(self.at("cs1/t1")), [], "an absent target must not be formatted")
        self.run_command("umount", self.at("mnt"))
        self.stop_all()
        os.rmdir(self.at("cs1/t1"))
        os.rename(self.at("away"), self.at("cs1/t1"))
        self.start_all()
        self.mount()
        write_file(self.at("mnt/f"), data[::-1])
        self.assertEqual(read_file(self.at("mnt/f")), data[::-1])
        self.run_command("umount", self.at("mnt"))

    def test_what_is_missing_or_wrong_in_a_config_is_named(self):
        for name, lines, word in (("m1", [f'dir = "{self.at("meta")}"', 'nonsense = "1"'], "nonsense"),
                                  ("m2", [f'dir = "{self.at("meta")}"', "port = 99999"], "port"),
                                  ("m3", [], "dir")):
            self.config(name, lines)
            result = subprocess.run([program("penstock-metaserver"), "--config",
                                     self.at(f"{name}.conf")], stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30)
            self.assertNotEqual(result.returncode, 0, name)
            self.assertIn(word, result.stdout, name)
