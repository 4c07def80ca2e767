#include <cerrno>
#include <vector>

#include "tests/coherence/linearizer.h"
#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

constexpr int kOperations = 3;  // of each node, all at once

class Linearizable : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() != 0) return;
    node.Must(node.calls.Mkdir("tree"));
  }

  void Round(Node& node) override {
    node.HistoryOf(node.id()).count = 0;
    const int first = node.plan().Below(node.count());
    if (node.id() == first) {
      for (int i = node.own().Below(4); i > 0; --i) Perform(node, RandomChange(node));
    }
    node.Barrier();
    node.Stagger();
    for (int i = 0; i < kOperations; ++i) {
      Perform(node, node.own().OneIn(3) ? RandomLook(node) : RandomChange(node));
    }
    node.Barrier();
    LookAtAll(node);
    node.Barrier();
    if (node.id() == first) {
      Check(node);
      RemoveAll(node);
      CheckLinks(node);
    }
  }

 private:
  // Any path but `s`, whose renames no walk survives.
  static uint8_t FilePath(Node& node) { return node.own().Pick<uint8_t>({0, 0, 1, 1, 2, 4, 5}); }

  Op RandomLook(Node& node) const {
    Op op;
    op.kind = node.own().Pick(
        {OpKind::kStat, OpKind::kStat, OpKind::kStat, OpKind::kListRoot, OpKind::kListSub});
    op.path = static_cast<uint8_t>(node.own().Below(kPaths.size()));
    return op;
  }

  Op RandomChange(Node& node) const {
    Random& random = node.own();
    Op op;
    op.kind = random.Pick({OpKind::kCreate, OpKind::kCreate, OpKind::kCreate, OpKind::kUnlink,
                           OpKind::kUnlink, OpKind::kMkdir, OpKind::kMkdir, OpKind::kRmdir,
                           OpKind::kRename, OpKind::kRename, OpKind::kRename,
                           OpKind::kRenameNoReplace, OpKind::kExchange, OpKind::kLink,
                           OpKind::kLink, OpKind::kChmod, OpKind::kTruncate});
    op.path = FilePath(node);
    op.other = FilePath(node);
    op.argument = 0700 | random.Below(64);
    if (op.kind == OpKind::kTruncate) op.argument = random.Below(6000);
    const bool directory = op.kind == OpKind::kMkdir || op.kind == OpKind::kRmdir;
    if (directory && random.OneIn(2)) op.path = kPathOfSub;
    return op;
  }

  // Performs it and records the answer.
  void Perform(Node& node, Op op) const {
    Calls& calls = node.calls;
    op.node = static_cast<uint8_t>(node.id());
    int fd = -1;
    int result = Call(calls, &op, &fd);
    op.begin_ns = calls.last().begin_ns;
    op.end_ns = calls.last().end_ns;
    op.error = result < 0 ? -result : 0;
    node.CountLook();
    if (fd >= 0) node.Must(calls.Close(fd));
    History& history = node.HistoryOf(node.id());
    if (history.count < history.ops.size()) history.ops[history.count++] = op;
  }

  static std::string At(int path) { return std::string("tree/") + kPaths[path]; }

  static int Call(Calls& calls, Op* op, int* fd) {
    const std::string path = At(op->path), other = At(op->other);
    switch (op->kind) {
      case OpKind::kCreate:
        return *fd = calls.Open(path, O_CREAT | O_EXCL | O_WRONLY, op->argument);
      case OpKind::kUnlink:
        return calls.Unlink(path);
      case OpKind::kMkdir:
        return calls.Mkdir(path, op->argument);
      case OpKind::kRmdir:
        return calls.Rmdir(path);
      case OpKind::kRename:
        return calls.Rename(path, other);
      case OpKind::kRenameNoReplace:
        return calls.Rename(path, other, RENAME_NOREPLACE);
      case OpKind::kExchange:
        return calls.Rename(path, other, RENAME_EXCHANGE);
      case OpKind::kLink:
        return calls.Link(path, other);
      case OpKind::kChmod:
        return calls.Chmod(path, op->argument);
      case OpKind::kTruncate:
        return calls.Truncate(path, op->argument);
      case OpKind::kStat:
        return Stat(calls, path, op);
      case OpKind::kListRoot:
        return List(calls, "tree", "", op);
      case OpKind::kListSub:
        return List(calls, "tree/s", "s/", op);
    }
    return -EINVAL;
  }

  static int Stat(Calls& calls, const std::string& path, Op* op) {
    struct stat info = {};
    const int result = calls.Stat(path, &info);
    op->is_directory = S_ISDIR(info.st_mode);
    op->mode = info.st_mode & 07777;
    op->size = info.st_size;
    op->nlink = static_cast<int32_t>(info.st_nlink);
    return result;
  }

  static int List(Calls& calls, const std::string& folder, const std::string& prefix, Op* op) {
    std::vector<std::string> names;
    const int result = calls.List(folder, &names);
    for (const std::string& name : names) {
      for (size_t path = 0; path < kPaths.size(); ++path) {
        if (prefix + name == kPaths[path]) op->listed |= 1u << path;
      }
    }
    return result;
  }

  void LookAtAll(Node& node) const {
    Op op;
    op.kind = node.own().OneIn(2) ? OpKind::kListRoot : OpKind::kListSub;
    Perform(node, op);
    op.kind = OpKind::kStat;
    const int first = node.own().Below(kPaths.size());
    for (size_t i = 0; i < (node.id() == 0 ? kPaths.size() : 3); ++i) {
      op.path = static_cast<uint8_t>((first + i) % kPaths.size());
      Perform(node, op);
    }
  }

  void Check(Node& node) const {
    std::vector<Op> all;
    for (int id = 0; id < node.count(); ++id) {
      const History& history = node.HistoryOf(id);
      all.insert(all.end(), history.ops.begin(), history.ops.begin() + history.count);
    }
    const std::string wrong = Unexplained(all);
    if (!wrong.empty()) node.Fail("%s", wrong.c_str());
  }

  // A directory's links are counted along with every change below it.
  void CheckLinks(Node& node) {
    struct stat info = {};
    node.Must(node.calls.Stat("tree", &info));
    if (links_ == 0) links_ = info.st_nlink;  // 2, but on file systems that do not count
    if (info.st_nlink == links_) return;
    node.Fail("the empty directory has %llu links, %llu before",
              static_cast<unsigned long long>(info.st_nlink),
              static_cast<unsigned long long>(links_));
  }

  void RemoveAll(Node& node) const {
    for (int path : {4, 5, 0, 1, 2, 3}) {
      const int result = path == kPathOfSub ? -EISDIR : node.calls.Unlink(At(path));
      if (result == -EISDIR) {
        const int removed = node.calls.Rmdir(At(path));
        if (removed != -ENOENT) node.Must(removed);
      } else if (result != -ENOENT && result != -ENOTDIR) {
        node.Must(result);
      }
    }
  }

  nlink_t links_ = 0;  // of the empty tree
};

}  // namespace

std::unique_ptr<Litmus> MakeLinearizable() { return std::make_unique<Linearizable>(); }

}  // namespace penstock::coherence
