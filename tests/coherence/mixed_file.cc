#include "tests/coherence/mixed_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace penstock::coherence {

bool MixedFile::Tolerated(Node& node, int64_t error) {
  if (!node.Allowed(error)) return false;
  Forget(node);
  usleep(20'000);  // a mount that is gone answers at once, again and again
  return true;
}

void MixedFile::Make(Node& node) { node.Must(MakeFirst(node)); }

void MixedFile::Change(Node& node) {
  Register& value = Value(node);
  const int64_t version = value.started.load() + 1;
  value.started.store(version);
  int64_t result = Apply(node, version);
  if (Tolerated(node, result)) {
    unsettled_ = true;
    return;
  }
  if (unsettled_ && (result == -EEXIST || result == -ENOENT)) result = 0;
  if (result < 0) {
    node.FailAbout(Name(), "node " + std::to_string(node.id()) + " could not bring " + Name() +
                               " to version " + std::to_string(version) + ": " +
                               node.calls.LastCall());
  }
  unsettled_ = false;
  value.done.store(version);
}

void MixedFile::Look(Node& node) {
  Register& value = Value(node);
  Window window = BeginLook(value, ShowsToAllAtOnce() ? value.seen.load() : seen_here_);
  const Found found = Observe(node);
  EndLook(&value, &window);
  if (Tolerated(node, found.error)) return;
  if (window.lowest <= NotPromised()) window.lowest = 0;
  node.CountLook();
  const std::string wrong = WrongIn(window, found);
  if (!wrong.empty()) {
    node.FailAbout(Name(), "node " + std::to_string(node.id()) + " looked at " + Name() +
                               " of node " + std::to_string(owner_) + ": " + wrong + " (" +
                               node.calls.LastCall() + ")");
  }
  // The owner may see what it still has to itself, and lose it with an error.
  const bool own = node.id() == owner_ && found.version > value.done.load();
  if (found.parity_only || own) return;
  seen_here_ = found.version;
  HaveSeen(&value, found.version);
}

std::string MixedFile::WrongIn(const Window& window, const Found& found) const {
  if (found.error < 0)
    return std::string("it met ") + strerrorname_np(static_cast<int>(-found.error));
  return found.parity_only ? WrongParity(window, found.version % 2 == 1)
                           : WrongValue(window, found.version);
}

}  // namespace penstock::coherence
