// ReadTimes keeps the time of last access: it decides which reads change a file's atime (the mount
// options relatime, strictatime, noatime, nodiratime) and tells the metaserver of them in the
// background. A read never waits for it; this mount shows the new atime at once (Inode::Merged).
//
// At most one call an inode is under way, and the queue is bounded: what does not fit is forgotten,
// and the next read of that file is due again. A read that the kernel answers from its own pages is
// not seen here and changes nothing. Thread-safe. Locks: an Inode's `mu` before its own.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <memory>
#include <utility>

#include "client/client_options.h"
#include "client/inode.h"
#include "client/op_context.h"
#include "common/net/rpc_client.h"
#include "common/worker_pool.h"

namespace penstock::client {

class ReadTimes {
 public:
  static constexpr size_t kMostQueued = 10'000;  // files whose new atime has not been sent yet
  static constexpr int kThreads = 2;

  // How records are asked for and changed. What the functions use must outlive it.
  struct Calls {
    std::function<absl::StatusOr<wire::Entry>(InodeNumber, const OpContext&)> get;
    std::function<absl::StatusOr<wire::Entry>(const wire::SetattrRequest&, const OpContext&)> set;
  };
  ReadTimes(Calls calls, AtimeRule rule) : calls_(std::move(calls)), rule_(rule) {}
  ~ReadTimes() { Stop(); }
  void Start() { senders_.Start(); }
  void Stop();  // sends what is queued, for a moment at most

  // `inode` was read: a file, a directory or a symbolic link. Its record need not be known.
  void NoteRead(const std::shared_ptr<Inode>& inode);
  // Before an application sets the atime itself: no earlier read comes after that.
  absl::Status Forget(Inode& inode, const OpContext& op);

 private:
  // By the mount's rule, of a read at `now`. True while nothing is known of the inode.
  bool IsDue(Inode& inode, absl::Time now) const ABSL_SHARED_LOCKS_REQUIRED(inode.mu);
  void Send(Inode& inode);
  absl::Status SendOnce(Inode& inode, absl::Time at);

  const Calls calls_;
  const AtimeRule rule_;
  net::Interrupt stop_;
  WorkerPool senders_{{.name = "read-times", .threads = kThreads, .queue_limit = kMostQueued}};
  absl::Mutex mu_;  // innermost
  int queued_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace penstock::client
