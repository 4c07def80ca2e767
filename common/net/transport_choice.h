// TransportChoice decides, for each peer, whether a new connection is tried over RDMA, and
// remembers why it is not. Sans-I/O; thread-safe.
//
// After a failure the peer is left alone for a while; then one connection tries again while all
// others go on over TCP. What fails on this machine (no device, locked memory) counts for all
// peers.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/net/rdma_failure.h"

namespace penstock::net {

enum class TransportMode {
  kAuto,  // RDMA where it works, else TCP
  kRdma,  // RDMA only
  kTcp,   // TCP only
};
std::optional<TransportMode> ParseTransportMode(std::string_view text);
std::string_view TransportModeName(TransportMode mode);

struct TransportOptions {
  TransportMode mode = TransportMode::kAuto;
  absl::Duration rdma_timeout = absl::Milliseconds(500);  // to connect, in `auto`; then TCP
  absl::Duration rdma_retry = absl::Seconds(30);  // after a failure RDMA is left alone for so long
};

class TransportChoice {
 public:
  explicit TransportChoice(absl::Duration retry_after) : retry_after_(retry_after) {}

  // Whether a connection to `peer` ("host:port") should be tried over RDMA now.
  bool WouldTry(const std::string& peer, absl::Duration now) const;
  // The same, and the caller is the one who tries: Worked, Failed or GaveUp follows.
  bool Try(const std::string& peer, absl::Duration now);

  void Worked(const std::string& peer);
  // True: news, worth a line in the log.
  bool Failed(const std::string& peer, RdmaFailure failure, absl::Duration now);
  // Interrupted before anything was learned.
  void GaveUp(const std::string& peer);
  // A connection that had worked broke. Several in a row count as a failure; true as in Failed.
  bool Broke(const std::string& peer, absl::Duration now);

  // Why connections to this peer do not use RDMA; none: they do, or nobody tried yet.
  std::optional<RdmaFailure> WhyNot(const std::string& peer) const;
  uint64_t failures(RdmaFailure failure) const;  // since the start

 private:
  struct State {
    std::optional<RdmaFailure> why;
    absl::Duration retry_at = -absl::InfiniteDuration();
    bool trying = false;  // someone is finding out whether it works again
    int breaks = 0;       // since first_break
    absl::Duration first_break;
  };
  const State* Find(const std::string& peer) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WouldTryLocked(const std::string& peer, absl::Duration now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool FailedLocked(const std::string& peer, RdmaFailure failure, absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const absl::Duration retry_after_;
  mutable absl::Mutex mu_;
  absl::flat_hash_map<std::string, State> peers_ ABSL_GUARDED_BY(mu_);
  State here_ ABSL_GUARDED_BY(mu_);  // of this machine, for all peers
  std::array<uint64_t, std::size(kAllRdmaFailures)> failures_ ABSL_GUARDED_BY(mu_) = {};
};

}  // namespace penstock::net
