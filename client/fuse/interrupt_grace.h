// InterruptGrace decides when a FUSE_INTERRUPT ends a request's waits. The kernel sends one for any
// signal, but a program whose timer ticks must not see EINTR from a file, as on a local disk. So a
// fatal signal ends the waits at once; one that a person sends to stop a program (SIGINT, SIGTERM,
// SIGHUP, SIGQUIT) and that it handles, after the grace; any other one never. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/btree_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <thread>

#include "common/net/rpc_client.h"

namespace penstock::client {

class InterruptGrace {
 public:
  explicit InterruptGrace(absl::Duration grace) : grace_(grace) {}
  ~InterruptGrace() { Stop(); }
  void Start();
  void Stop();

  // The request of `thread` was interrupted: fires `interrupt` now or after the grace.
  void Interrupted(uint64_t thread, net::Interrupt* interrupt);
  // The request is over: `interrupt` will not be fired any more.
  void Forget(net::Interrupt* interrupt);

 private:
  struct Waiting {
    uint64_t thread = 0;
    absl::Time grace_ends;
  };
  void Run();

  const absl::Duration grace_;
  std::thread thread_;
  absl::Mutex mu_;
  absl::btree_map<net::Interrupt*, Waiting> waiting_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

enum class PendingSignal { kNone, kStop, kFatal };
// What is on its way to `thread`. kStop too when that cannot be seen.
PendingSignal PendingSignalOf(uint64_t thread);

}  // namespace penstock::client
