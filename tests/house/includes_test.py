"""Who may include whom (docs/ARCHITECTURE.md): a wrong include is easy to make and hard to see."""

import re
import unittest

import sources

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)

# folder -> the folders of ours that it may include, itself aside. The longest match counts.
MAY_INCLUDE = {
    "common": [],
    "common/net": ["common", "proto"],
    "metaserver": ["common", "proto"],
    "chunkserver": ["common", "proto"],
    "client": ["common", "proto"],
    "cli": ["client", "common", "proto"],
    "tests": ["common", "proto", "metaserver", "chunkserver", "client", "cli"],
    "bench": ["common", "proto"],
    "cmake": [],
}
# common includes its own folder net nowhere, and needs generated words in few places, each by name.
PROTO_IN_COMMON = {"common/cluster_map.h", "common/cluster_map.cc", "common/file_layout.h"}

# An outside library has one home: header pattern -> folders or files that may include it.
HOMES = {
    # read_view is the snapshot that Read works on; everything else goes through the stores.
    r"^rocksdb/": ["metaserver/store", "metaserver/log", "metaserver/read_view", "chunkserver/store",
                   "tests/metaserver", "tests/chunkserver"],
    r"^(fuse|fuse3/|fuse_lowlevel|fuse_kernel|fuse_opt)": ["client/fuse", "tests/client"],
    r"^(isa-l|crc\.h)": ["common/checksum"],
    r"^(infiniband|rdma)/": ["common/net/rdma_"],
    r"^openssl/": ["common/net", "common/program", "cli/certificates", "cli/key", "tests"],
    r"^CLI/": ["cli", "common/program", "tests/cli", "bench/transport/main.cc"],
    r"^systemd/": ["common/program"],
    r"^(lz4|zstd)": ["common/compression"],
    r"^prometheus/": ["common/metrics_server"],
    r"^(grpcpp|grpc)/": ["common/net", "metaserver/service", "metaserver/main.cc",
                         "metaserver/server", "metaserver/wiring", "metaserver/metaserver",
                         "chunkserver/service", "chunkserver/main.cc", "chunkserver/server",
                         "chunkserver/wiring", "chunkserver/control", "cli", "tests"],
}
# Prepare builds RocksDB write batches, so the state machine's operations may name that one class.
WRITE_BATCH_ONLY = ["metaserver/ops", "metaserver/namespace", "metaserver/mutation",
                    "metaserver/session", "metaserver/cluster", "metaserver/reclaim",
                    "metaserver/backup", "metaserver/events"]


def folder_of(path):
    """The entry of MAY_INCLUDE that rules `path`."""
    best = ""
    for folder in MAY_INCLUDE:
        if (path.startswith(folder + "/")) and len(folder) > len(best):
            best = folder
    return best


class IncludesTest(unittest.TestCase):
    def includes(self):
        for path in sources.files(".h", ".cc"):
            for kind, header in INCLUDE.findall(sources.text(path)):
                yield path, kind, header

    def test_rooms_include_only_what_stands_below_them(self):
        wrong = []
        for path, kind, header in self.includes():
            target = header.split("/")[0]
            if kind != '"' or target not in sources.ROOMS:
                continue
            room = folder_of(path)
            if path in PROTO_IN_COMMON and target == "proto":
                continue
            own = room.split("/")[0]
            allowed = MAY_INCLUDE[room] + [own]
            if room == "common" and header.startswith("common/net/"):
                wrong.append(f"{path}: {header} (common does not know its folder net)")
            elif target not in allowed:
                wrong.append(f"{path}: {header}")
        self.assertEqual(wrong, [])

    def test_own_headers_are_written_from_the_root_of_the_repository(self):
        wrong = [f"{path}: {header}" for path, kind, header in self.includes()
                 if kind == '"' and header.split("/")[0] not in sources.ROOMS]
        self.assertEqual(wrong, [])

    def test_who_logs_includes_the_logger(self):
        # A precompiled header has it as well, but not every tool that reads a file knows that one.
        logs = re.compile(r"^[^/]*(SPDLOG_[A-Z]+\(|spdlog::\w+\()", re.MULTILINE)
        wrong = [path for path in sources.files(".h", ".cc") if logs.search(sources.text(path)) and
                 "#include <spdlog/spdlog.h>" not in sources.text(path)]
        self.assertEqual(wrong, [])

    def test_outside_libraries_stay_at_home(self):
        wrong = []
        for path, kind, header in self.includes():
            for pattern, homes in HOMES.items():
                if not re.match(pattern, header) or any(path.startswith(home) for home in homes):
                    continue
                if header == "rocksdb/write_batch.h" and any(
                        path.startswith(folder) for folder in WRITE_BATCH_ONLY):
                    continue
                wrong.append(f"{path}: {header}")
        self.assertEqual(wrong, [])

    def test_the_file_system_logic_knows_no_fuse(self):
        wrong = [path for path in sources.files(".h", ".cc", rooms=("client",))
                 if not path.startswith("client/fuse/") and "fuse_" in sources.text(path)
                 and re.search(r"\bfuse_(ino_t|req_t|reply_|lowlevel|file_info)", sources.text(path))]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
