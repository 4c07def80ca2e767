// The sending half of ServerConnection: any thread, under mu_.
#include <sys/epoll.h>

#include "common/clock.h"
#include "common/net/rpc_server_connection.h"

namespace penstock::net {

void ServerConnection::SendReply(Reply reply) {
  bool close = false;
  bool resume = false;
  bool drained = false;
  {
    absl::MutexLock lock(&mu_);
    if (closed_ || broken_) return;
    const bool idle = output_.empty();
    output_.push_back(std::move(reply));
    if (idle) {
      last_sent_ = SystemClock()->SinceBoot();
      FlushLocked();
    }
    close = broken_;
    resume = MayResumeLocked();
    drained = notify_drained_ && in_flight_ == 0 && output_.empty();
  }
  // Never closes here: the caller may stand in the midst of a frame of this very connection.
  if (close || drained) {
    reactor_->Post([self = shared_from_this(), close] {
      if (close) return self->Close();
      (void)self->CloseIfDrained();
    });
  } else if (resume) {
    reactor_->Post([self = shared_from_this()] { self->ResumeReading(); });
  }
}

// Only when half of the calls are done, so that reading is not switched on and off for each.
bool ServerConnection::MayResumeLocked() const {
  return paused_ && in_flight_ <= state_->options.max_in_flight_per_connection / 2;
}

void ServerConnection::FlushLocked() {
  const absl::Duration now = SystemClock()->SinceBoot();
  while (!output_.empty()) {
    Reply& reply = output_.front();
    const size_t before = reply.frame.sent_bytes;
    reply.frame.owner = &reply.payload;
    auto progress = link_->Send(&reply.frame);
    if (!progress.ok()) {
      broken_ = true;
      return;
    }
    if (reply.frame.sent_bytes != before) last_sent_ = now;
    if (*progress == Progress::kAgain) break;
    if (reply.ends_call) --in_flight_;
    output_.pop_front();
  }
  UpdateInterestLocked();
}

void ServerConnection::UpdateInterestLocked() {
  uint32_t interest = 0;
  if (reading_ && !paused_) interest |= EPOLLIN | EPOLLRDHUP;
  if (!output_.empty()) interest |= EPOLLOUT;
  if (closed_ || interest == interest_) return;
  interest_ = interest;
  reactor_->SetInterest(this, link_->fd(), link_->WaitEvents(interest));
}

bool ServerConnection::all_sent() {
  absl::MutexLock lock(&mu_);
  return output_.empty();
}

}  // namespace penstock::net
