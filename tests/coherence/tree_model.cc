#include "tests/coherence/tree_model.h"

#include <cerrno>

namespace penstock::coherence {

int TreeModel::Walk(int path) const {
  const int parent = ParentOf(path);
  if (parent == kNoParent) return 0;
  if (names_[parent] == kNone) return ENOENT;
  return inodes_[names_[parent]].is_directory ? 0 : ENOTDIR;
}

int TreeModel::Resolve(int path, int* error) const {
  *error = Walk(path);
  if (*error == 0 && names_[path] == kNone) *error = ENOENT;
  return *error ? kNone : names_[path];
}

int TreeModel::Make(int path, bool directory, int32_t mode, int number) {
  if (int error = Walk(path)) return error;
  if (names_[path] != kNone) return EEXIST;
  inodes_[number] = {directory, mode, 0, 1};
  names_[path] = number;
  return 0;
}

void TreeModel::Drop(int path) {
  --inodes_[names_[path]].nlink;
  names_[path] = kNone;
}

int TreeModel::Unlink(int path) {
  int error = 0;
  const int number = Resolve(path, &error);
  if (error) return error;
  if (inodes_[number].is_directory) return EISDIR;
  Drop(path);
  return 0;
}

int TreeModel::Rmdir(int path) {
  int error = 0;
  const int number = Resolve(path, &error);
  if (error) return error;
  if (!inodes_[number].is_directory) return ENOTDIR;
  for (size_t child = 0; child < kPaths.size(); ++child) {
    if (ParentOf(static_cast<int>(child)) == path && names_[child] != kNone) return ENOTEMPTY;
  }
  Drop(path);
  return 0;
}

int TreeModel::Rename(int from, int to, bool replace) {
  int error = 0;
  const int number = Resolve(from, &error);
  if (error) return error;
  if ((error = Walk(to))) return error;
  const int target = names_[to];
  if (target != kNone) {
    if (!replace) return EEXIST;
    if (target == number) return 0;  // two names of one file: nothing happens
    if (inodes_[number].is_directory && !inodes_[target].is_directory) return ENOTDIR;
    if (!inodes_[number].is_directory && inodes_[target].is_directory) return EISDIR;
    Drop(to);
  }
  names_[to] = number;
  names_[from] = kNone;
  return 0;
}

int TreeModel::Exchange(int from, int to) {
  int error = 0;
  Resolve(from, &error);
  if (error) return error;
  Resolve(to, &error);
  if (error) return error;
  std::swap(names_[from], names_[to]);
  return 0;
}

int TreeModel::LinkTo(int number, int path) {
  if (int error = Walk(path)) return error;
  if (names_[path] != kNone) return EEXIST;
  if (inodes_[number].is_directory) return EPERM;
  if (inodes_[number].nlink == 0) return ENOENT;
  ++inodes_[number].nlink;
  names_[path] = number;
  return 0;
}

int TreeModel::Chmod(int number, int32_t mode) {
  inodes_[number].mode = mode;
  return 0;
}

int TreeModel::Truncate(int number, int64_t size) {
  if (inodes_[number].is_directory) return EISDIR;
  inodes_[number].size = size;
  return 0;
}

std::string TreeModel::Key(const std::vector<int>& kept) const {
  std::string key;
  auto add = [&](int number) {
    key += static_cast<char>(number);
    if (number == kNone) return;
    const Inode& inode = inodes_[number];
    key += static_cast<char>(inode.is_directory);
    key.append(reinterpret_cast<const char*>(&inode.mode), sizeof(inode.mode));
    key.append(reinterpret_cast<const char*>(&inode.size), sizeof(inode.size));
    key += static_cast<char>(inode.nlink);
  };
  for (int number : names_) add(number);
  for (int number : kept) add(number);
  return key;
}

}  // namespace penstock::coherence
