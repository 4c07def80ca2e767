#include <unistd.h>

#include <cerrno>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

constexpr int kFiles = 3;
constexpr int kFields = 8;

// What must be the same on every node: all but the time of access, the device and the blocks.
void TellAll(Node& node, const struct stat& info) {
  const int64_t fields[kFields] = {static_cast<int64_t>(info.st_ino),
                                   info.st_mode,
                                   info.st_uid,
                                   info.st_gid,
                                   static_cast<int64_t>(info.st_nlink),
                                   info.st_size,
                                   info.st_mtim.tv_sec * 1'000'000'000ll + info.st_mtim.tv_nsec,
                                   info.st_ctim.tv_sec * 1'000'000'000ll + info.st_ctim.tv_nsec};
  for (int i = 0; i < kFields; ++i) node.Tell(i, fields[i]);
}

void Compare(Node& node, int actor, const std::string& name, const std::string& change) {
  constexpr const char* kNamesOf[] = {"ino",   "mode", "uid",   "gid",
                                      "nlink", "size", "mtime", "ctime"};
  for (int i = 0; i < kFields; ++i) {
    const int64_t theirs = node.Told(actor, i), mine = node.Told(node.id(), i);
    if (theirs == mine) continue;
    node.Fail("after node %d's change of %s (%s) its %s is %lld there, and %lld on node %d", actor,
              name.c_str(), change.c_str(), kNamesOf[i], static_cast<long long>(theirs),
              static_cast<long long>(mine), node.id());
  }
}

// One node changes attributes and looks at them; then all others look, in several ways, and must
// find what it found.
class Attributes : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() == 0) {
      for (int i = 0; i < kFiles; ++i) {
        node.Must(node.calls.WriteFile(Name(i), Filled(1, 100), O_CREAT | O_WRONLY));
      }
      const int result = node.calls.SetXattr(Name(0), "user.value", "0");
      if (result != -EOPNOTSUPP) node.Must(result);
      node.Tell(kFields, result == 0);
    }
    node.Barrier();
    for (int i = 0; i < kFiles; ++i) {
      held_[i] = static_cast<int>(node.Must(node.calls.Open(Name(i), O_RDONLY)));
    }
  }

  void Round(Node& node) override {
    Random& plan = node.plan();
    const int actor = plan.Below(node.count());
    const int which = plan.Below(kFiles);
    const int change = plan.Below(7);
    const int argument = plan.Below(1000);
    struct stat info;
    if (node.id() == actor) {
      node.Must(Make(node, Name(which), change, argument));
      node.Must(node.calls.Stat(Name(which), &info));
      TellAll(node, info);
    }
    node.Barrier();
    if (node.id() == actor) return;
    node.CountLook();
    if (change == 6 && node.Told(0, kFields)) {
      CheckXattr(node, actor, Name(which), std::to_string(argument));
      return;
    }
    Look(node, which, &info);
    TellAll(node, info);
    Compare(node, actor, Name(which), kWords[change]);
  }

 protected:
  static constexpr const char* kWords[] = {"chmod",  "chown",   "utimensat", "truncate",
                                           "append", "rewrite", "setxattr"};

  static std::string Name(int which) { return "f" + std::to_string(which); }

  static int Make(Node& node, const std::string& name, int change, int argument) {
    Calls& calls = node.calls;
    const bool root = geteuid() == 0;
    switch (change) {
      case 0:
        return calls.Chmod(name, 0600 | (argument % 64));
      case 1:
        return calls.Chown(name, root ? argument : geteuid(), root ? argument + 1 : getegid());
      case 2:
        return calls.SetMtime(name, 1'000'000 + argument);
      case 3:
        return calls.Truncate(name, argument * 10);
      case 4:
        return Append(node, name);
      case 5:
        return calls.WriteFile(name, Filled(argument, 8 * (1 + argument)), O_WRONLY | O_TRUNC);
      default:
        return node.Told(0, kFields) ? calls.SetXattr(name, "user.value", std::to_string(argument))
                                     : calls.Chmod(name, 0644);
    }
  }

  static int Append(Node& node, const std::string& name) {
    const int fd = static_cast<int>(node.Must(node.calls.Open(name, O_WRONLY | O_APPEND)));
    node.Must(node.calls.Append(fd, Filled(7, 64)));
    return node.calls.Close(fd);
  }

  static void CheckXattr(Node& node, int actor, const std::string& name,
                         const std::string& expected) {
    std::string value;
    node.Must(node.calls.GetXattr(name, "user.value", &value));
    if (value == expected) return;
    node.Fail("node %d set the xattr of %s to %s, and then node %d read %s", actor, name.c_str(),
              expected.c_str(), node.id(), value.c_str());
  }

  void Look(Node& node, int which, struct stat* info) {
    if (node.own().OneIn(3)) {
      node.Must(node.calls.Fstat(held_[which], info));
    } else if (node.own().OneIn(3)) {
      const int fd = static_cast<int>(node.Must(node.calls.Open(Name(which), O_RDONLY)));
      node.Must(node.calls.Fstat(fd, info));
      node.Must(node.calls.Close(fd));
    } else {
      node.Must(node.calls.Stat(Name(which), info));
    }
  }

 private:
  int held_[kFiles] = {};  // open on every node all the time
};

// Links and names of one file, made and removed by all nodes.
class HardLinks : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() == 0) {
      node.Must(node.calls.WriteFile("file", "x", O_CREAT | O_WRONLY));
      node.Must(node.calls.Mkdir("far"));
    }
    node.Barrier();
    held_ = static_cast<int>(node.Must(node.calls.Open("file", O_RDONLY)));
  }

  void Round(Node& node) override {
    const int actor = node.plan().Below(node.count());
    const int which = node.plan().Below(4);
    const std::string name = (which % 2 ? "far/l" : "l") + std::to_string(which);
    struct stat info;
    if (node.id() == actor) {
      node.Must(there_[which] ? node.calls.Unlink(name) : node.calls.Link("file", name));
    }
    there_[which] = !there_[which];
    links_ += there_[which] ? 1 : -1;
    node.Barrier();
    node.CountLook();
    if (node.own().OneIn(3)) {
      node.Must(node.calls.Fstat(held_, &info));
    } else {
      node.Must(node.calls.Stat(there_[which] && node.own().OneIn(2) ? name : "file", &info));
    }
    if (static_cast<int>(info.st_nlink) == links_) return;
    node.Fail("node %d %s %s, the file has %d links, and then node %d's %s says %d", actor,
              there_[which] ? "linked" : "unlinked", name.c_str(), links_, node.id(),
              node.calls.LastCall().c_str(), static_cast<int>(info.st_nlink));
  }

 private:
  int held_ = -1;
  int links_ = 1;
  bool there_[4] = {};
};

}  // namespace

std::unique_ptr<Litmus> MakeAttributes() { return std::make_unique<Attributes>(); }
std::unique_ptr<Litmus> MakeHardLinks() { return std::make_unique<HardLinks>(); }

}  // namespace penstock::coherence
