// FenceTable refuses the sessions that the metaserver has fenced, and knows when that holds: a
// version of the list is confirmed once no write of a fenced session is under way here. Before the
// first list since the start nobody is known to be fenced, and nothing may be served: known().
// Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/types/span.h>

#include <atomic>
#include <utility>

#include "common/ids.h"

namespace penstock::chunkserver {

class FenceTable {
 public:
  // A write of a session under way; it must be over before a fence on it is confirmed.
  class Pass {
   public:
    Pass() = default;
    Pass(FenceTable* table, SessionId session) : table_(table), session_(session) {}
    Pass(Pass&& other) noexcept { *this = std::move(other); }
    Pass& operator=(Pass&& other) noexcept {
      if (table_ != nullptr) table_->Leave(session_);
      table_ = std::exchange(other.table_, nullptr);
      session_ = other.session_;
      return *this;
    }
    ~Pass() {
      if (table_ != nullptr) table_->Leave(session_);
    }

   private:
    FenceTable* table_ = nullptr;
    SessionId session_;
  };

  // PERMISSION_DENIED with kFenced: the session may not write any more.
  absl::StatusOr<Pass> Enter(SessionId session);
  // The whole list as of `version`.
  void Update(uint64_t version, absl::Span<const uint64_t> fenced);
  // A list has come since the start.
  bool known() const { return known_.load(std::memory_order_acquire); }
  // Fences up to here are obeyed and no write from before them is under way.
  uint64_t confirmed_version() const;

 private:
  void Leave(SessionId session);

  std::atomic<bool> known_{false};
  mutable absl::Mutex mu_;  // innermost
  uint64_t version_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t confirmed_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_set<SessionId> fenced_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<SessionId, int> writing_ ABSL_GUARDED_BY(mu_);
  void Confirm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
};

}  // namespace penstock::chunkserver
