#include <cerrno>
#include <vector>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

constexpr size_t kLargest = 9000;

// One node cuts, lengthens or writes a piece of a file, and then every node reads exactly what the
// file should be: cut bytes stay away, and come back as zeros.
class Truncate : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() == 0) node.Must(node.calls.WriteFile("file", "", O_CREAT | O_WRONLY));
    node.Barrier();
    held_ = static_cast<int>(node.Must(node.calls.Open("file", O_RDWR)));
  }

  void Round(Node& node) override {
    Random& plan = node.plan();
    const int actor = plan.Below(node.count());
    const size_t size = plan.Below(kLargest), length = 1 + plan.Below(300);
    const int change = plan.Below(4);
    const std::string piece(length, static_cast<char>('a' + node.round() % 26));
    if (node.id() == actor) Make(node, change, size, piece);
    Expect(change, size, piece);
    node.Barrier();
    std::string data;
    node.CountLook();
    if (node.own().OneIn(3)) {
      node.Must(node.calls.Pread(held_, &data, kLargest + 1000, 0));
    } else {
      node.Must(node.calls.ReadFile("file", &data));
    }
    if (data == expected_) return;
    size_t at = 0;
    while (at < data.size() && at < expected_.size() && data[at] == expected_[at]) ++at;
    node.Fail("after node %d's change node %d read %zu bytes for %zu, different from byte %zu on",
              actor, node.id(), data.size(), expected_.size(), at);
  }

 private:
  void Make(Node& node, int change, size_t size, const std::string& piece) {
    Calls& calls = node.calls;
    if (change == 0) {
      node.Must(calls.Truncate("file", static_cast<int64_t>(size)));
    } else if (change == 1) {
      node.Must(calls.Ftruncate(held_, static_cast<int64_t>(size)));
    } else if (change == 2) {
      node.Must(calls.WriteFile("file", piece, O_WRONLY | O_TRUNC));
    } else {
      const int fd = static_cast<int>(node.Must(calls.Open("file", O_WRONLY)));
      node.Must(calls.Pwrite(fd, piece, static_cast<int64_t>(size)));
      node.Must(calls.Close(fd));
    }
  }

  void Expect(int change, size_t size, const std::string& piece) {
    if (change < 2) {
      expected_.resize(size);
    } else if (change == 2) {
      expected_ = piece;
    } else {
      if (expected_.size() < size + piece.size()) expected_.resize(size + piece.size());
      expected_.replace(size, piece.size(), piece);
    }
  }

  int held_ = -1;
  std::string expected_;
};

}  // namespace

std::unique_ptr<Litmus> MakeTruncate() { return std::make_unique<Truncate>(); }

}  // namespace penstock::coherence
