#include <cerrno>

#include "tests/coherence/litmus.h"
#include "tests/coherence/node.h"

namespace penstock::coherence {
namespace {

enum Flag { kContent, kName, kSize, kMtime, kXattr, kRename };
constexpr int kDone = 0;  // the cell of the writer: its flag is up

// The writer closes data and then raises a flag; the others wait for the flag and then open the
// data, which must be the new one. Flags are the content of a file, a name, a size, a time, an
// extended attribute, and a file moved into place.
class MessagePassing : public Litmus {
 public:
  void Setup(Node& node) override {
    if (node.id() != 0) return;
    for (const char* name : {"flag", "data", "data-in-place"}) {
      node.Must(node.calls.WriteFile(name, Filled(0, kInPlace), O_CREAT | O_WRONLY));
    }
    const int result = node.calls.SetXattr("flag", "user.value", "0");
    if (result != -EOPNOTSUPP) node.Must(result);
    node.Tell(1, result == 0);
  }

  void Round(Node& node) override {
    Random& plan = node.plan();
    const int writer = plan.Below(node.count());
    flag_ = plan.Pick({kContent, kName, kSize, kMtime, kXattr, kRename});
    if (flag_ == kXattr && !node.Told(0, 1)) flag_ = kName;
    in_place_ = plan.OneIn(2);
    size_ = in_place_ ? kInPlace : plan.Pick<size_t>({8, 512, 4096, 4104, 20000});
    if (node.id() == writer) {
      node.Stagger();
      Write(node);
      node.Tell(kDone, node.value());
    } else {
      if (node.own().OneIn(2)) Read(node, writer, false);
      Await(node, writer);
      Read(node, writer, true);
    }
    node.Barrier();
    if (node.id() == writer && flag_ == kName) node.Must(node.calls.Unlink("raised"));
    if (node.id() == writer && flag_ == kRename) node.Must(node.calls.Unlink("moved"));
  }

 private:
  static constexpr size_t kInPlace = 6000;

  const char* Data() const { return in_place_ ? "data-in-place" : "data"; }

  void Write(Node& node) {
    Calls& calls = node.calls;
    const int flags = O_WRONLY | (in_place_ ? 0 : O_TRUNC);
    node.Must(calls.WriteFile(Data(), Filled(node.value(), size_), flags));
    switch (flag_) {
      case kContent:
        node.Must(calls.WriteFile("flag", Filled(node.value(), 8), O_WRONLY));
        break;
      case kName:
        node.Must(calls.WriteFile("raised", "", O_CREAT | O_EXCL | O_WRONLY));
        break;
      case kSize:
        node.Must(calls.Truncate("flag", static_cast<int64_t>(kInPlace) + node.value()));
        break;
      case kMtime:
        node.Must(calls.SetMtime("flag", node.value()));
        break;
      case kXattr:
        node.Must(calls.SetXattr("flag", "user.value", std::to_string(node.value())));
        break;
      case kRename:
        node.Must(calls.WriteFile("moving", "", O_CREAT | O_WRONLY));
        node.Must(calls.Rename("moving", "moved"));
        break;
    }
  }

  bool IsRaised(Node& node) {
    Calls& calls = node.calls;
    struct stat info;
    std::string text;
    node.CountLook();
    switch (flag_) {
      case kContent:
        node.Must(calls.ReadFile("flag", &text));
        return ValueOf(text.substr(0, 8)) == node.value();
      case kName:
        return node.own().OneIn(2) ? calls.Stat("raised", &info) == 0 : calls.Access("raised") == 0;
      case kSize:
        node.Must(calls.Stat("flag", &info));
        return info.st_size == static_cast<int64_t>(kInPlace) + node.value();
      case kMtime:
        node.Must(calls.Stat("flag", &info));
        return info.st_mtim.tv_sec == node.value();
      case kXattr:
        node.Must(calls.GetXattr("flag", "user.value", &text));
        return text == std::to_string(node.value());
      case kRename:
        return calls.Stat("moved", &info) == 0;
    }
    return false;
  }

  // A look that begins after the flag was raised must find it.
  void Await(Node& node, int writer) {
    for (;;) {
      const bool raised = node.Told(writer, kDone) == node.value();
      if (IsRaised(node)) return;
      if (raised) {
        node.Fail("node %d raised the flag, and then node %d's %s did not see it", writer,
                  node.id(), node.calls.LastCall().c_str());
      }
      node.Yield();
    }
  }

  void Read(Node& node, int writer, bool check) {
    std::string data;
    node.Must(node.calls.ReadFile(Data(), &data));
    node.CountLook();
    if (!check || data == Filled(node.value(), size_)) return;
    node.Fail(
        "node %d saw the flag of node %d, but not the %zu bytes of %lld written to %s and "
        "closed before it: %zu bytes of %lld",
        node.id(), writer, size_, static_cast<long long>(node.value()), Data(), data.size(),
        static_cast<long long>(ValueOf(data)));
  }

  Flag flag_ = kContent;
  bool in_place_ = false;
  size_t size_ = 0;
};

}  // namespace

std::unique_ptr<Litmus> MakeMessagePassing() { return std::make_unique<MessagePassing>(); }

}  // namespace penstock::coherence
