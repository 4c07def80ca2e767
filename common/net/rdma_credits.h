// RdmaCredits counts the SENDs that each side of a connection may still make: never more than the
// other has posted receives for. Sans-I/O; not thread-safe.
//
// Data needs two credits, so that the last one is left for the update that gives the other side
// some: two sides out of credits would otherwise wait for each other for ever.
#pragma once

#include <absl/status/status.h>

#include <algorithm>
#include <cstdint>

namespace penstock::net {

class RdmaCredits {
 public:
  // `mine`: receives posted here; `theirs`: those that the peer has said to have posted.
  RdmaCredits(int mine, int theirs) : mine_(mine), theirs_limit_(theirs), theirs_(theirs) {}

  bool MaySendData() const { return theirs_ >= 2; }
  bool MaySendUpdate() const { return theirs_ >= 1; }
  // One SEND goes out; returns the credits that it carries.
  uint16_t TakeForSend() {
    --theirs_;
    return static_cast<uint16_t>(std::exchange(owed_, 0));
  }
  // A SEND has come with `granted` credits. An error: the peer gives more than it can have.
  absl::Status OnReceived(uint16_t granted) {
    theirs_ += granted;
    if (theirs_ > theirs_limit_) {
      return absl::InvalidArgumentError("RDMA peer granted more credits than it has receives");
    }
    return absl::OkStatus();
  }
  // The receive of an earlier SEND was posted again.
  void OnReposted() { ++owed_; }
  // Enough is owed that the peer should hear of it even when nothing else is to be said.
  bool UpdateDue() const { return owed_ >= std::max(1, mine_ / 2); }

 private:
  const int mine_;
  const int theirs_limit_;
  int theirs_;    // SENDs that may go out
  int owed_ = 0;  // reposted, not told yet
};

}  // namespace penstock::net
