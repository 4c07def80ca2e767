#include <sys/file.h>

#include <cerrno>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

constexpr const char* kKinds[] = {"flock", "fcntl", "OFD lock"};
constexpr const char* kWays[] = {"open and close", "fsync and pread", "pread and pwrite"};
constexpr int kTurns = 3;

// All nodes add to a counter in a file, each while it holds the lock: nobody is inside with
// another, and each finds the number that the last one left, whether that one closed the file,
// synced it, or just wrote to it.
class LockHandover : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() == 0) {
      node.Must(node.calls.WriteFile("counter", Filled(0, 8), O_CREAT | O_WRONLY));
      node.Must(node.calls.WriteFile("lock", "", O_CREAT | O_WRONLY));
    }
    node.Barrier();
    lock_ = static_cast<int>(node.Must(node.calls.Open("lock", O_RDWR)));
    counter_ = static_cast<int>(node.Must(node.calls.Open("counter", O_RDWR)));
  }

  void Round(Node& node) override {
    kind_ = node.plan().Below(3);
    way_ = node.plan().Below(3);
    node.Stagger();
    for (int turn = 0; turn < kTurns; ++turn) Turn(node);
  }

 private:
  void Turn(Node& node) {
    std::atomic<int64_t>& inside = node.Value(1).seen;
    Register& truth = node.Value(0);
    node.Must(Lock(node, true));
    const int64_t other = inside.exchange(node.id() + 1);
    if (other != 0) {
      node.Fail("node %d got the %s while node %d held it", node.id(), kKinds[kind_],
                static_cast<int>(other) - 1);
    }
    const int64_t expected = truth.done.load();
    const int64_t found = Add(node, expected);
    if (found != expected) {
      node.Fail("under the %s node %d read %lld, but the holder before left %lld (%s)",
                kKinds[kind_], node.id(), static_cast<long long>(found),
                static_cast<long long>(expected), kWays[way_]);
    }
    truth.done.store(expected + 1);
    inside.store(0);
    node.CountLook();
    node.Must(Lock(node, false));
  }

  int Lock(Node& node, bool take) const {
    if (kind_ == 0) return node.calls.Flock(lock_, take ? LOCK_EX : LOCK_UN);
    return node.calls.Lock(lock_, kind_ == 1 ? F_SETLKW : F_OFD_SETLKW, take ? F_WRLCK : F_UNLCK, 0,
                           16);
  }

  // What the file said before; it says one more afterwards.
  int64_t Add(Node& node, int64_t expected) const {
    std::string text;
    if (way_ == 0) {
      node.Must(node.calls.ReadFile("counter", &text));
      node.Must(node.calls.WriteFile("counter", Filled(expected + 1, 8), O_WRONLY));
      return ValueOf(text);
    }
    node.Must(node.calls.Pread(counter_, &text, 8, 0));
    node.Must(node.calls.Pwrite(counter_, Filled(expected + 1, 8), 0));
    if (way_ == 1) node.Must(node.calls.Fsync(counter_));
    return ValueOf(text);
  }

  int lock_ = -1, counter_ = -1;
  int kind_ = 0, way_ = 0;
};

// A name is made by all nodes at once, in one way a round: one of them wins.
class ExclusiveCreate : public Litmus {
 public:
  void Setup(Node& node) override {
    node.Must(node.calls.WriteFile("own" + std::to_string(node.id()), "", O_CREAT | O_WRONLY));
  }

  void Round(Node& node) override {
    const int way = node.plan().Below(5);
    const int cleaner = node.plan().Below(node.count());
    const std::string own = "own" + std::to_string(node.id());
    if (way == 4) node.Must(node.calls.WriteFile(own + "m", "", O_CREAT | O_WRONLY));
    node.Barrier();
    node.Stagger();
    const int result = Make(node, way, own);
    if (result != -EEXIST) node.Must(result);
    node.Tell(0, result >= 0);
    node.CountLook();
    struct stat info;
    if (result < 0 && node.calls.Stat("prize", &info) != 0) {
      node.Fail("node %d was told that prize exists, and then %s", node.id(),
                node.calls.LastCall().c_str());
    }
    node.Barrier();
    int winners = 0;
    for (int id = 0; id < node.count(); ++id) winners += node.Told(id, 0) == 1;
    if (winners != 1) node.Fail("%d of %d nodes won the exclusive name", winners, node.count());
    if (way == 4 && result < 0) node.Must(node.calls.Unlink(own + "m"));
    if (node.id() == cleaner) {
      node.Must(way == 1 ? node.calls.Rmdir("prize") : node.calls.Unlink("prize"));
    }
  }

 private:
  static int Make(Node& node, int way, const std::string& own) {
    switch (way) {
      case 0: {
        const int fd = node.calls.Open("prize", O_CREAT | O_EXCL | O_WRONLY);
        return fd < 0 ? fd : node.calls.Close(fd);
      }
      case 1:
        return node.calls.Mkdir("prize");
      case 2:
        return node.calls.Link(own, "prize");
      case 3:
        return node.calls.Symlink("x", "prize");
      default:
        return node.calls.Rename(own + "m", "prize", RENAME_NOREPLACE);
    }
  }
};

// A file loses its last name while nodes have it open: they read and write it as before.
class UnlinkedOpen : public Litmus {
 public:
  void Round(Node& node) override {
    Random& plan = node.plan();
    const int maker = plan.Below(node.count());
    const int remover = plan.Below(node.count());
    const bool replaced = plan.OneIn(2);
    const size_t size = plan.Pick<size_t>({8, 4000, 5000, 40'000});
    if (node.id() == maker) {
      node.Must(node.calls.WriteFile("file", Filled(node.value(), size), O_CREAT | O_WRONLY));
    }
    node.Barrier();
    const int fd = static_cast<int>(node.Must(node.calls.Open("file", O_RDWR)));
    node.Barrier();
    if (node.id() == remover) Remove(node, replaced);
    node.Barrier();
    CheckContent(node, fd, node.value(), size);
    CheckName(node, fd, remover, replaced);
    node.Barrier();
    if (node.id() == maker) {
      node.Must(node.calls.Pwrite(fd, Filled(-node.value() & 0xffffff, size), 0));
    }
    node.Barrier();
    CheckContent(node, fd, -node.value() & 0xffffff, size);
    node.Must(node.calls.Close(fd));
    if (replaced && node.id() == remover) node.Must(node.calls.Unlink("file"));
  }

 private:
  static void Remove(Node& node, bool replaced) {
    if (!replaced) {
      node.Must(node.calls.Unlink("file"));
      return;
    }
    node.Must(node.calls.WriteFile("other", "", O_CREAT | O_WRONLY));
    node.Must(node.calls.Rename("other", "file"));
  }

  static void CheckContent(Node& node, int fd, int64_t value, size_t size) {
    std::string data;
    node.Must(node.calls.Pread(fd, &data, size + 100, 0));
    node.CountLook();
    if (data == Filled(value, size)) return;
    node.Fail(
        "of the file without a name, that it has open, node %d read %zu bytes of %lld, not "
        "%zu of %lld",
        node.id(), data.size(), static_cast<long long>(ValueOf(data)), size,
        static_cast<long long>(value));
  }

  static void CheckName(Node& node, int fd, int remover, bool replaced) {
    struct stat info;
    const int result = node.calls.Stat("file", &info);
    if (replaced ? result != 0 || info.st_size != 0 : result != -ENOENT) {
      node.Fail("node %d %s the file, and then node %d's %s", remover,
                replaced ? "put an empty one in the place of" : "unlinked", node.id(),
                node.calls.LastCall().c_str());
    }
    node.Must(node.calls.Fstat(fd, &info));
    if (info.st_nlink != 0) {
      node.Fail("node %d removed the last name, and then node %d's %s", remover, node.id(),
                node.calls.LastCall().c_str());
    }
  }
};

}  // namespace

std::unique_ptr<Litmus> MakeLockHandover() { return std::make_unique<LockHandover>(); }
std::unique_ptr<Litmus> MakeExclusiveCreate() { return std::make_unique<ExclusiveCreate>(); }
std::unique_ptr<Litmus> MakeUnlinkedOpen() { return std::make_unique<UnlinkedOpen>(); }

}  // namespace penstock::coherence
