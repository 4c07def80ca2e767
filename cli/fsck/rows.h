// Rows of fixed size that fsck sorts and merges. Each is ordered by its first fields.
#pragma once

#include <cstdint>
#include <cstring>
#include <tuple>

namespace penstock::cli {

struct InodeRow {
  uint64_t ino = 0;
  uint64_t change = 0;
  uint64_t size = 0;
  uint64_t parent = 0;  // local number
  uint32_t mode = 0;
  uint32_t nlink = 0;
  bool damaged = false;
  bool truncating = false;
  bool operator<(const InodeRow& o) const { return ino < o.ino; }
};

// What the names of one directory say.
struct DirectoryRow {
  uint64_t ino = 0;
  uint64_t entries = 0;
  uint64_t subdirectories = 0;
  bool operator<(const DirectoryRow& o) const { return ino < o.ino; }
};

struct NameRow {
  uint64_t child = 0;
  uint64_t parent = 0;
  uint32_t type = 0;       // S_IFMT bits
  bool no_parent = false;  // the directory that it stands in does not exist
  bool operator<(const NameRow& o) const {
    return std::tie(child, parent) < std::tie(o.child, o.parent);
  }
};

struct ListRow {
  uint64_t ino = 0;
  uint8_t key_bytes = 0;
  char key[31] = {};  // of the record
  bool operator<(const ListRow& o) const {
    if (ino != o.ino) return ino < o.ino;
    return std::memcmp(key, o.key, sizeof key) < 0;
  }
};

struct FileRow {
  uint64_t content = 0;
  uint64_t ino = 0;  // 0: a dead content
  uint64_t size = 0;
  uint64_t allocated = 0;
  uint64_t change = 0;
  uint32_t seed = 0;
  uint8_t chunk_size_log2 = 0;
  bool is_inline = false;
  bool truncating = false;
  bool operator<(const FileRow& o) const {
    return std::tie(content, ino) < std::tie(o.content, o.ino);
  }
};

struct ChunkRow {
  uint64_t content = 0;
  uint32_t index = 0;
  uint32_t position = 0;
  uint32_t length = 0;  // the longest of the copies
  uint32_t storage_class = 0;
  bool operator<(const ChunkRow& o) const {
    return std::tie(content, index, position) < std::tie(o.content, o.index, o.position);
  }
};

}  // namespace penstock::cli
