#include <algorithm>
#include <cerrno>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

enum Change { kCreate, kCreateList, kUnlink, kMode, kMtime, kXattr, kContent, kSize, kChanges };
constexpr const char* kWords[] = {"created",          "created",         "removed",
                                  "set the mode of",  "set the time of", "set the xattr of",
                                  "wrote and closed", "set the size of"};

// Each node changes a name or file of its own and then looks at its neighbour's. The one whose
// change came last must see the neighbour's: that all see the old state is forbidden.
class StoreBuffering : public Litmus {
 public:
  void Setup(Node& node) override {
    const std::string mine = File(node.id());
    node.Must(node.calls.WriteFile(mine, Filled(0, 8), O_CREAT | O_WRONLY));
    const int result = node.calls.SetXattr(mine, "user.value", "0");
    if (result != -EOPNOTSUPP) node.Must(result);
    node.Tell(1, result == 0);
  }

  void Round(Node& node) override {
    change_ = static_cast<Change>(node.plan().Below(kChanges));
    if (change_ == kXattr && !node.Told(node.id(), 1)) change_ = kMode;
    // A mode that the file has already would look new before it is set.
    if (change_ == kMode && Mode(node) == last_mode_) change_ = kMtime;
    if (change_ == kMode) last_mode_ = Mode(node);
    const int neighbour = (node.id() + 1) % node.count();
    if (change_ == kUnlink) {
      node.Must(node.calls.WriteFile(Name(node.id()), "", O_CREAT | O_WRONLY));
      node.Barrier();
    }
    if (node.plan().OneIn(2) && SeesNew(node, neighbour)) {  // a warm cache
      node.Fail("node %d sees the change of node %d before it was made", node.id(), neighbour);
    }
    node.Barrier();
    node.Stagger();
    Make(node);
    node.Tell(0, SeesNew(node, neighbour));
    node.CountLook();
    node.Barrier();
    if (node.id() == 0) Check(node);
    if (change_ == kCreate || change_ == kCreateList) {
      node.Must(node.calls.Unlink(Name(node.id())));
    }
  }

 private:
  static std::string File(int id) { return "f" + std::to_string(id); }
  static std::string Name(int id) { return "x" + std::to_string(id); }

  static mode_t Mode(const Node& node) { return 0600 | (node.value() % 64); }

  void Make(Node& node) {
    Calls& calls = node.calls;
    const std::string file = File(node.id()), name = Name(node.id());
    switch (change_) {
      case kCreate:
      case kCreateList:
        node.Must(calls.Close(
            static_cast<int>(node.Must(calls.Open(name, O_CREAT | O_EXCL | O_WRONLY)))));
        return;
      case kUnlink:
        node.Must(calls.Unlink(name));
        return;
      case kMode:
        node.Must(calls.Chmod(file, Mode(node)));
        return;
      case kMtime:
        node.Must(calls.SetMtime(file, node.value()));
        return;
      case kXattr:
        node.Must(calls.SetXattr(file, "user.value", std::to_string(node.value())));
        return;
      case kContent:
        node.Must(calls.WriteFile(file, Filled(node.value(), 8), O_WRONLY));
        return;
      default:
        node.Must(calls.Truncate(file, 8 + node.value()));
    }
  }

  bool SeesNew(Node& node, int neighbour) {
    Calls& calls = node.calls;
    const std::string file = File(neighbour), name = Name(neighbour);
    struct stat info;
    std::string text;
    std::vector<std::string> names;
    switch (change_) {
      case kCreate:
        return calls.Stat(name, &info) == 0;
      case kCreateList:
        node.Must(calls.List("", &names));
        return std::find(names.begin(), names.end(), name) != names.end();
      case kUnlink:
        return calls.Stat(name, &info) == -ENOENT;
      case kXattr:
        node.Must(calls.GetXattr(file, "user.value", &text));
        return text == std::to_string(node.value());
      case kContent:
        node.Must(calls.ReadFile(file, &text));
        return ValueOf(text.substr(0, 8)) == node.value();
      default:
        node.Must(calls.Stat(file, &info));
        if (change_ == kMode) return (info.st_mode & 07777) == Mode(node);
        if (change_ == kMtime) return info.st_mtim.tv_sec == node.value();
        return info.st_size == 8 + node.value();
    }
  }

  void Check(Node& node) {
    for (int id = 0; id < node.count(); ++id) {
      if (node.Told(id, 0)) return;
    }
    std::string text;
    for (int id = 0; id < node.count(); ++id) {
      const int neighbour = (id + 1) % node.count();
      text += "node " + std::to_string(id) + " " + kWords[change_] +
              " its file and then saw node " + std::to_string(neighbour) + "'s as before; ";
    }
    node.Fail("%sone of them must have come last", text.c_str());
  }

  Change change_ = kCreate;
  mode_t last_mode_ = 0;
};

}  // namespace

std::unique_ptr<Litmus> MakeStoreBuffering() { return std::make_unique<StoreBuffering>(); }

}  // namespace penstock::coherence
