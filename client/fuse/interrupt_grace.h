// InterruptGrace decides when a FUSE_INTERRUPT ends a request's waits. The kernel sends one for any
// signal, but a program whose timer ticks must not see EINTR from a file, as on a local disk. So a
// fatal signal ends the waits at once; one that a person sends to stop a program (SIGINT, SIGTERM,
// SIGHUP, SIGQUIT) and that it handles, after the grace; any other one never. The kernel sends none
// for what it closes on behalf of a killed process, and none for direct reads, which it waits for
// in whatever state the reader is: nobody must linger for a server that hangs, so whether the
// caller was killed is looked for here. Thread-safe.
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
  // A request that the kernel does not interrupt: fires `interrupt` when it lasts longer than the
  // grace and `thread` was killed. After a close, what was written stays with the client, which
  // goes on sending it.
  void Watch(uint64_t thread, net::Interrupt* interrupt);
  // The request is over: `interrupt` will not be fired any more.
  void Forget(net::Interrupt* interrupt);

 private:
  struct Waiting {
    uint64_t thread = 0;
    absl::Time grace_ends;
  };
  using Requests = absl::btree_map<net::Interrupt*, Waiting>;
  void Run();
  void LookAtInterrupted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LookAtWatched() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const absl::Duration grace_;
  std::thread thread_;
  absl::Mutex mu_;
  Requests waiting_ ABSL_GUARDED_BY(mu_);
  Requests watched_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

enum class PendingSignal { kNone, kStop, kFatal };
// What is on its way to `thread`. kStop too when that cannot be seen.
PendingSignal PendingSignalOf(uint64_t thread);
// The process of `thread` is on its way out because of a signal.
bool EndedBySignal(uint64_t thread);

}  // namespace penstock::client
