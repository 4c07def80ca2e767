#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/coherence/history.h"

namespace penstock::coherence {

// What the small tree should be: names, inodes, and the errno of each operation as Linux gives it.
// An inode is known by the number of the operation that made it, so that the same tree reached in
// two ways is the same.
class TreeModel {
 public:
  static constexpr int kNone = -1;

  struct Inode {
    bool is_directory = false;
    int32_t mode = 0;
    int64_t size = 0;
    int32_t nlink = 0;
  };

  explicit TreeModel(size_t operations) : inodes_(operations) { names_.fill(kNone); }

  // The inode that a name leads to; kNone with *error set.
  int Resolve(int path, int* error) const;
  bool Has(int path) const { return names_[path] != kNone; }
  const Inode& inode(int number) const { return inodes_[number]; }

  // Each is one step and answers with an errno, 0 when it went well.
  int Make(int path, bool directory, int32_t mode, int number);
  int Unlink(int path);
  int Rmdir(int path);
  int Rename(int from, int to, bool replace);
  int Exchange(int from, int to);
  int LinkTo(int number, int path);  // to an inode resolved before
  int Chmod(int number, int32_t mode);
  int Truncate(int number, int64_t size);

  // Equal for equal trees; `kept` are inodes that still matter though no name leads there.
  std::string Key(const std::vector<int>& kept) const;

 private:
  int Walk(int path) const;  // 0 if the parent is there, else the errno
  void Drop(int path);

  std::array<int, kPaths.size()> names_;
  std::vector<Inode> inodes_;
};

}  // namespace penstock::coherence
