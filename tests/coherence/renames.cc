#include <cerrno>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"
#include "tests/coherence/window.h"

namespace penstock::coherence {
namespace {

constexpr int kTarget = 0;  // of Node::Value

// True if the name is there; any error but ENOENT is a violation.
bool IsThere(Node& node, const std::string& name) {
  struct stat info;
  const int result = node.own().OneIn(3) ? node.calls.Access(name) : node.calls.Stat(name, &info);
  if (result != -ENOENT) node.Must(result);
  node.CountLook();
  return result == 0;
}

// One node replaces or moves a name while the others look without pause.
class Rename : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() != 0) return;
    node.Must(node.calls.WriteFile("target", "", O_CREAT | O_WRONLY));
    for (const char* folder : {"left", "right"}) node.Must(node.calls.Mkdir(folder));
  }

  void Round(Node& node) override {
    const int mover = node.plan().Below(node.count());
    const int kind = node.plan().Below(3);
    if (kind == 0) {
      Replace(node, mover);
    } else {
      Move(node, mover, kind == 2 ? "/inner" : "");
    }
  }

 private:
  // The target is always there, whatever it is.
  void Replace(Node& node, int mover) {
    node.Barrier();
    if (node.id() == mover) {
      for (int i = 0; i < 3; ++i) {
        node.Must(node.calls.WriteFile("new", "", O_CREAT | O_EXCL | O_WRONLY));
        node.Must(node.calls.Rename("new", "target"));
      }
      node.Tell(0, node.value());
      return;
    }
    node.Stagger();
    while (node.Told(mover, 0) != node.value()) {
      node.Yield();
      if (IsThere(node, "target")) continue;
      node.Fail("node %d replaces target by rename, and node %d's %s found no target", mover,
                node.id(), node.calls.LastCall().c_str());
    }
  }

  // A name, or a directory with one inside, goes from left to right: in one move, so nobody finds
  // it on the right and then still on the left, or gone on the left and then not yet on the right.
  void Move(Node& node, int mover, const std::string& inner) {
    if (node.id() == mover) Prepare(node, inner);
    node.Barrier();
    if (node.own().OneIn(2) &&
        (!IsThere(node, "left/n" + inner) || IsThere(node, "right/n" + inner))) {
      node.Fail("node %d made left/n%s, and then node %d's %s", mover, inner.c_str(), node.id(),
                node.calls.LastCall().c_str());
    }
    node.Barrier();
    if (node.id() == mover) {
      node.Stagger();
      node.Must(node.calls.Rename("left/n", "right/n"));
      node.Tell(0, node.value());
      node.Barrier();
      if (!inner.empty()) node.Must(node.calls.Unlink("right/n" + inner));
      node.Must(inner.empty() ? node.calls.Unlink("right/n") : node.calls.Rmdir("right/n"));
      return;
    }
    LookForIt(node, mover, inner);
    node.Barrier();
  }

  static void Prepare(Node& node, const std::string& inner) {
    if (!inner.empty()) node.Must(node.calls.Mkdir("left/n"));
    node.Must(node.calls.WriteFile("left/n" + inner, "", O_CREAT | O_EXCL | O_WRONLY));
  }

  static void LookForIt(Node& node, int mover, const std::string& inner) {
    const std::string left = "left/n" + inner, right = "right/n" + inner;
    bool moved = false;
    while (!moved) {
      node.Yield();
      moved = node.Told(mover, 0) == node.value();  // then this look must find it so
      bool on_left = false, on_right = false;
      const bool left_first = node.own().OneIn(2);
      if (left_first) on_left = IsThere(node, left);
      on_right = IsThere(node, right);
      if (!left_first) on_left = IsThere(node, left);
      const bool lost = left_first && !on_left && !on_right;
      const bool twice = !left_first && on_left && on_right;
      if (!lost && !twice && !(moved && (on_left || !on_right))) continue;
      node.Fail(
          "node %d moves %s to %s; node %d looked %s first: %s on the left, %s on the right%s",
          mover, left.c_str(), right.c_str(), node.id(), left_first ? "left" : "right",
          on_left ? "there" : "missing", on_right ? "there" : "missing",
          moved ? ", after the move was done" : "");
    }
  }
};

// Two names change places again and again: both are always there, and after one exchange nobody
// who saw the new state of one sees the old state of the other.
class Exchange : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() == 0) {
      node.Must(node.calls.WriteFile("p", Filled(1, 8), O_CREAT | O_WRONLY));
      node.Must(node.calls.WriteFile("q", Filled(2, 16), O_CREAT | O_WRONLY));
      const int result = node.calls.Rename("p", "q", RENAME_EXCHANGE);
      node.Tell(1, result != -EINVAL && result != -ENOSYS);
      if (result == 0) node.Must(node.calls.Rename("p", "q", RENAME_EXCHANGE));
    }
    node.Barrier();
    if (!node.Told(0, 1)) node.Skip("the file system has no RENAME_EXCHANGE");
  }

  void Round(Node& node) override {
    const int mover = node.plan().Below(node.count());
    node.Barrier();
    if (node.id() == mover) {
      node.Stagger();
      node.Must(node.calls.Rename("p", "q", RENAME_EXCHANGE));
      node.Tell(0, node.value());
    } else {
      Watch(node, mover);
    }
    exchanged_ = !exchanged_;
  }

 private:
  bool IsNew(Node& node, bool first) {
    struct stat info;
    node.CountLook();
    node.Must(node.calls.Stat(first ? "p" : "q", &info));
    return (info.st_size == (first ? 16 : 8)) != exchanged_;
  }

  void Watch(Node& node, int mover) {
    for (bool over = false; !over;) {
      node.Yield();
      over = node.Told(mover, 0) == node.value();
      const bool first = node.own().OneIn(2);
      const bool one = IsNew(node, first), other = IsNew(node, !first);
      if ((one && !other) || (over && !one)) {
        node.Fail("node %d exchanges p and q; node %d saw %s %s and then %s %s%s", mover, node.id(),
                  first ? "p" : "q", one ? "new" : "old", first ? "q" : "p", other ? "new" : "old",
                  over ? ", after the exchange was done" : "");
      }
    }
  }

  bool exchanged_ = false;
};

// A file is saved by writing another and renaming it over the first. Readers get a whole version,
// none that was replaced before they opened the file, and none from the future.
class SaveByRename : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() == 0) node.Must(node.calls.WriteFile("saved", Filled(0, 8), O_CREAT | O_WRONLY));
  }

  void Round(Node& node) override {
    const int writer = node.plan().Below(node.count());
    const bool sync = node.plan().OneIn(4);
    Register& version = node.Value(kTarget);
    const int64_t last = version.done.load() + kSaves;
    node.Barrier();
    if (node.id() == writer) {
      for (int i = 0; i < kSaves; ++i) Save(node, &version, sync);
      return;
    }
    node.Stagger();
    while (Read(node, &version) != last) node.Yield();
  }

 private:
  static constexpr int kSaves = 3;

  void Save(Node& node, Register* version, bool sync) {
    const int64_t next = version->started.load() + 1;
    const size_t size = node.own().Pick<size_t>({8, 400, 4096, 4104, 30000});
    version->started.store(next);
    node.Must(
        node.calls.WriteFile("saving", Filled(next, size), O_CREAT | O_TRUNC | O_WRONLY, sync));
    node.Must(node.calls.Rename("saving", "saved"));
    version->done.store(next);
  }

  int64_t Read(Node& node, Register* version) {
    std::string data;
    Window window = BeginLook(*version);
    node.Must(node.calls.ReadFile("saved", &data));
    const int64_t value = ValueOf(data);
    EndLook(version, &window);
    node.CountLook();
    const std::string wrong = WrongValue(window, value);
    if (!wrong.empty()) node.Fail("node %d read the saved file: %s", node.id(), wrong.c_str());
    HaveSeen(version, value);
    return value;
  }
};

}  // namespace

std::unique_ptr<Litmus> MakeRename() { return std::make_unique<Rename>(); }
std::unique_ptr<Litmus> MakeExchange() { return std::make_unique<Exchange>(); }
std::unique_ptr<Litmus> MakeSaveByRename() { return std::make_unique<SaveByRename>(); }

}  // namespace penstock::coherence
