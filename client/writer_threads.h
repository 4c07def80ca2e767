// WriterThreads knows which threads wrote through a handle, to tell whose close(2) must wait for
// the bytes. A process that inherited the descriptor (fork, then exec or close) and never wrote
// closes at once: whoever wrote still has the file open, and its own close waits. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <vector>

namespace penstock::client {

class WriterThreads {
 public:
  void Add(uint64_t thread);  // 0: not known which
  // False only when it is certain that no thread of `thread`'s process wrote.
  bool MayHaveWritten(uint64_t thread) const;

 private:
  static constexpr size_t kRemembered = 8;
  struct Writer {
    uint64_t thread = 0;
    absl::Duration at;  // since boot: a thread that began later is another one of that number
  };
  mutable absl::Mutex mu_;
  std::vector<Writer> writers_ ABSL_GUARDED_BY(mu_);
  bool unknown_ ABSL_GUARDED_BY(mu_) = false;  // too many, or not known
};

}  // namespace penstock::client
