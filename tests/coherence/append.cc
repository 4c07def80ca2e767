#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"
#include "tests/coherence/records.h"

namespace penstock::coherence {
namespace {

// All nodes append records to one file at once. Afterwards each record is there, whole, once. Files
// begin just below the limits where their storage changes: inline bytes, and the chunk.
class Append : public Litmus {
 public:
  void Round(Node& node) override {
    Random& plan = node.plan();
    const int maker = plan.Below(node.count());
    const int64_t start = plan.OneIn(20)  ? node.options().chunk_bytes - 64
                          : plan.OneIn(2) ? 0
                                          : 4096 - 64;
    const size_t size = plan.Pick<size_t>({16, 64, 400, 5000});
    const bool keep_open = plan.OneIn(2);
    if (node.id() == maker) {
      const int fd =
          static_cast<int>(node.Must(node.calls.Open("log", O_CREAT | O_WRONLY | O_TRUNC)));
      node.Must(node.calls.Ftruncate(fd, start));
      node.Must(node.calls.Close(fd));
    }
    node.Barrier();
    node.Stagger();
    AppendAll(node, size, keep_open);
    node.Barrier();
    if (plan.Below(node.count()) == node.id() || node.own().OneIn(4)) Check(node, start);
  }

 private:
  static constexpr int kRecords = 3;

  void AppendAll(Node& node, size_t size, bool keep_open) {
    int fd = -1;
    for (int i = 0; i < kRecords; ++i) {
      if (fd < 0) fd = static_cast<int>(node.Must(node.calls.Open("log", O_WRONLY | O_APPEND)));
      const std::string record = Record(node.id(), i, size);
      const int64_t written = node.Must(node.calls.Append(fd, record));
      node.calls.Note(" record %d", i);
      if (written != static_cast<int64_t>(record.size())) {
        node.Fail("an append was cut short: %s", node.calls.LastCall().c_str());
      }
      if (!keep_open || i + 1 == kRecords) {
        node.Must(node.calls.Close(fd));
        fd = -1;
      }
    }
  }

  void Check(Node& node, int64_t start) {
    std::string data;
    const int fd = static_cast<int>(node.Must(node.calls.Open("log", O_RDONLY)));
    node.Must(node.calls.Pread(fd, &data, 1 << 17, start));
    node.Must(node.calls.Close(fd));
    node.CountLook();
    std::array<int, kMaxNodes> counts = {};
    for (int id = 0; id < node.count(); ++id) counts[id] = kRecords;
    const std::string wrong = WrongRecords(data, counts);
    if (wrong.empty()) return;
    node.Fail(
        "%d nodes appended %d records each from byte %lld on; node %d reads %zu bytes: %s "
        "(counted from there)",
        node.count(), kRecords, static_cast<long long>(start), node.id(), data.size(),
        wrong.c_str());
  }
};

}  // namespace

std::unique_ptr<Litmus> MakeAppend() { return std::make_unique<Append>(); }

}  // namespace penstock::coherence
