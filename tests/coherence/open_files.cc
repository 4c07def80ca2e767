// Files that several nodes have open at once: what one wrote, the others' next read has.
#include <cstring>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"
#include "tests/coherence/window.h"

namespace penstock::coherence {
namespace {

// Opens a file on all nodes for a while: every eighth round it is closed and opened again.
class OpenFile {
 public:
  int Get(Node& node) {
    if (fd_ >= 0 && node.round() % 8 == 0) {
      node.Must(node.calls.Close(fd_));
      fd_ = -1;
    }
    if (fd_ < 0) fd_ = static_cast<int>(node.Must(node.calls.Open("file", O_RDWR | O_CREAT)));
    return fd_;
  }

  void Drop(Node& node) {
    if (fd_ >= 0) node.Must(node.calls.Close(fd_));
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

// All nodes write blocks of their own, that lie side by side.
class DisjointWriters : public Litmus {
 public:
  void Round(Node& node) override {
    Random& plan = node.plan();
    const size_t size = plan.Pick<size_t>({8, 96, 1000, 4096, 5000});
    const int64_t start = plan.OneIn(16) ? node.options().chunk_bytes - 512 : 0;
    const bool close = plan.OneIn(3);
    int fd = file_.Get(node);
    node.Barrier();
    node.Stagger();
    for (int i = 0; i < kBlocks; ++i) {
      const int block = i * node.count() + node.id();
      const int64_t at = start + block * static_cast<int64_t>(size);
      node.Must(node.calls.Pwrite(fd, Block(node.value(), block, size), at));
    }
    if (close) file_.Drop(node);
    node.Barrier();
    fd = file_.Get(node);
    Check(node, fd, start, size, close);
  }

 private:
  static constexpr int kBlocks = 3;

  static std::string Block(int64_t value, int block, size_t size) {
    return Filled(value * 64 + block, size);
  }

  void Check(Node& node, int fd, int64_t start, size_t size, bool closed) {
    std::string data;
    const int blocks = kBlocks * node.count();
    node.Must(node.calls.Pread(fd, &data, blocks * size, start));
    node.CountLook();
    for (int block = 0; block < blocks; ++block) {
      const size_t at = block * size;
      const std::string found = data.size() < at ? "" : data.substr(at, size);
      if (found == Block(node.value(), block, size)) continue;
      node.Fail("node %d wrote block %d (%zu bytes at %lld)%s, and then node %d did not read it",
                block % node.count(), block, size, static_cast<long long>(start + block * size),
                closed ? " and closed" : " of the file that all have open", node.id());
    }
  }

  OpenFile file_;
};

// One node appends or cuts; the others read past what was the end.
class Growth : public Litmus {
 public:
  void Round(Node& node) override {
    Random& plan = node.plan();
    const int writer = plan.Below(node.count());
    const bool cut = plan.OneIn(10);
    const size_t length = 8 * (1 + plan.Below(200));
    const int fd = file_.Get(node);
    if (node.round() % 8 == 0) node.Barrier();  // all have it open
    if (node.id() == writer) {
      if (cut) {
        node.Must(node.calls.Ftruncate(fd, 0));
      } else {
        node.Must(node.calls.Pwrite(fd, Filled(node.value(), length), size_));
      }
    }
    const int64_t old_size = cut ? 0 : size_;
    size_ = cut ? 0 : size_ + static_cast<int64_t>(length);
    node.Barrier();
    node.CountLook();
    if (node.own().OneIn(2)) {
      CheckBytes(node, fd, writer, old_size);
    } else {
      CheckSize(node, fd, writer);
    }
  }

 private:
  void CheckBytes(Node& node, int fd, int writer, int64_t from) {
    std::string data;
    node.Must(node.calls.Pread(fd, &data, 1 << 14, from));
    if (data == Filled(node.value(), size_ - from)) return;
    node.Fail(
        "node %d made the open file %lld bytes long, %lld of them new; node %d's %s got others",
        writer, static_cast<long long>(size_), static_cast<long long>(size_ - from), node.id(),
        node.calls.LastCall().c_str());
  }

  void CheckSize(Node& node, int fd, int writer) {
    struct stat info;
    int64_t size = 0;
    const int way = node.own().Below(3);
    if (way == 0) {
      size = node.Must(node.calls.SeekEnd(fd));
    } else {
      node.Must(way == 1 ? node.calls.Fstat(fd, &info) : node.calls.Stat("file", &info));
      size = info.st_size;
    }
    if (size == size_) return;
    node.Fail("node %d made the open file %lld bytes long; node %d's %s says %lld", writer,
              static_cast<long long>(size_), node.id(), node.calls.LastCall().c_str(),
              static_cast<long long>(size));
  }

  OpenFile file_;
  int64_t size_ = 0;
};

// One node opens the file, appends a word that says which it is and closes it, again and again; the
// others open it, ask for its size and read the last word.
class SizeThenRead : public Litmus {
 public:
  void Round(Node& node) override {
    const int writer = node.plan().Below(node.count());
    const int64_t last = words_ + kAppends;
    if (words_ == 0 && node.id() == 0) {
      const int fd = static_cast<int>(node.Must(node.calls.Open("grows", O_RDWR | O_CREAT)));
      node.Must(node.calls.Ftruncate(fd, 0));
      node.Must(node.calls.Close(fd));
    }
    node.Barrier();
    if (node.id() == writer) {
      for (int64_t word = words_ + 1; word <= last; ++word) Append(node, word);
    } else {
      node.Stagger();
      while (Look(node) != last) node.Yield();
    }
    node.Barrier();
    words_ = last < kMostWords ? last : 0;
  }

 private:
  static constexpr int kAppends = 10;
  static constexpr int64_t kMostWords = 600;  // from the record into chunks

  static void Append(Node& node, int64_t word) {
    const int fd = static_cast<int>(node.Must(node.calls.Open("grows", O_WRONLY)));
    node.Must(node.calls.Pwrite(fd, Filled(word, 8), 8 * (word - 1)));
    node.Must(node.calls.Close(fd));
  }

  static int64_t Look(Node& node) {
    struct stat info = {};
    const int fd = static_cast<int>(node.Must(node.calls.Open("grows", O_RDONLY)));
    node.Must(node.calls.Fstat(fd, &info));
    const int64_t words = info.st_size / 8;
    std::string word;
    if (words > 0) node.Must(node.calls.Pread(fd, &word, 8, 8 * (words - 1)));
    node.CountLook();
    if (words > 0 && (word.size() != 8 || ValueOf(word) != words)) {
      node.Fail("node %d was told %lld bytes, and read %zu at the last 8 of them that say %lld",
                node.id(), static_cast<long long>(info.st_size), word.size(),
                static_cast<long long>(ValueOf(word)));
    }
    node.Must(node.calls.Close(fd));
    return words;
  }

  int64_t words_ = 0;
};

// One node writes ever larger numbers to one word and then to another; the others read them. What a
// node has read it never reads older; of two nodes, one may see a write earlier that is under way.
class OpenInOrder : public Litmus {
 public:
  void Round(Node& node) override {
    const int writer = node.plan().Below(node.count());
    // Apart by a word, a page, or more than the pages that are read ahead.
    const int64_t far = node.plan().Pick<int64_t>({8, 4096, 300'000});
    const int fd = file_.Get(node);
    if (first_) Fill(node, fd);
    node.Barrier();
    const int64_t last = node.Value(0).done.load() + kWrites;
    node.Barrier();
    if (node.id() == writer) {
      for (int i = 0; i < kWrites; ++i) Write(node, fd, far);
      return;
    }
    node.Stagger();
    while (Read(node, fd, far) != last) node.Yield();
  }

 private:
  static constexpr int kWrites = 5;

  void Fill(Node& node, int fd) {
    first_ = false;
    if (node.id() == 0) node.Must(node.calls.Pwrite(fd, Filled(0, 400'000), 0));
  }

  static void Write(Node& node, int fd, int64_t far) {
    Register& value = node.Value(0);
    const int64_t next = value.started.load() + 1;
    value.started.store(next);
    node.Must(node.calls.Pwrite(fd, Filled(next, 8), 0));
    value.done.store(next);
    node.Must(node.calls.Pwrite(fd, Filled(next, 8), far));
  }

  // Reads the second word before the first, which must be at least as new.
  int64_t Read(Node& node, int fd, int64_t far) {
    Register& value = node.Value(0);
    std::string second, first;
    Window window = BeginLook(value, seen_);
    node.Must(node.calls.Pread(fd, &second, 8, far));
    node.Must(node.calls.Pread(fd, &first, 8, 0));
    EndLook(&value, &window);
    node.CountLook();
    const int64_t found = ValueOf(first);
    const std::string wrong = WrongValue(window, found);
    if (!wrong.empty()) node.Fail("node %d read the open file: %s", node.id(), wrong.c_str());
    if (ValueOf(second) > found) {
      node.Fail("node %d read %lld at %lld and then, in the word that is written first, only %lld",
                node.id(), static_cast<long long>(ValueOf(second)), static_cast<long long>(far),
                static_cast<long long>(found));
    }
    seen_ = found;
    return found;
  }

  OpenFile file_;
  int64_t seen_ = 0;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<Litmus> MakeDisjointWriters() { return std::make_unique<DisjointWriters>(); }
std::unique_ptr<Litmus> MakeGrowth() { return std::make_unique<Growth>(); }
std::unique_ptr<Litmus> MakeSizeThenRead() { return std::make_unique<SizeThenRead>(); }
std::unique_ptr<Litmus> MakeOpenInOrder() { return std::make_unique<OpenInOrder>(); }

}  // namespace penstock::coherence
