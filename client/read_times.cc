#include "client/read_times.h"

#include <absl/time/clock.h>

#include <utility>

#include "client/wait.h"
#include "common/relatime.h"
#include "common/status.h"

namespace penstock::client {
namespace {

constexpr absl::Duration kCallWait = absl::Minutes(2);  // a call's own limit is shorter
constexpr absl::Duration kStopWait = absl::Seconds(2);  // for what is queued at the unmount

}  // namespace

void ReadTimes::Stop() {
  {
    absl::MutexLock lock(&mu_);
    auto empty = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) { return queued_ == 0; };
    mu_.AwaitWithTimeout(absl::Condition(&empty), kStopWait);
  }
  stop_.Fire();
  senders_.Stop();
}

bool ReadTimes::IsDue(Inode& inode, absl::Time now) const {
  if (rule_ == AtimeRule::kAlways || !inode.has_record()) return true;
  AccessTimes times = inode.Times();
  // A change in the future (a clock is wrong, or somebody set it so) would make every read due.
  for (absl::Time* change : {&times.mtime, &times.ctime}) {
    if (*change > now) *change = absl::InfinitePast();
  }
  times.now = now;
  return RelatimeIsDue(times);
}

void ReadTimes::NoteRead(const std::shared_ptr<Inode>& inode) {
  if (rule_ == AtimeRule::kNever) return;
  absl::MutexLock lock(&inode->mu);
  const absl::Time now = absl::Now();
  if (!IsDue(*inode, now)) return;
  UnsentRead& read = inode->unsent_read;
  read.at = now;
  read.is_due = rule_ == AtimeRule::kAlways || inode->has_record();
  if (std::exchange(read.queued, true)) return;
  if (senders_.Post([this, inode] { Send(*inode); })) {
    absl::MutexLock mine(&mu_);
    ++queued_;
  } else {
    read = UnsentRead();
  }
}

absl::Status ReadTimes::Forget(Inode& inode, const OpContext& op) {
  absl::MutexLock lock(&inode.mu);
  inode.unsent_read.at = absl::InfinitePast();
  auto idle = [&]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !inode.unsent_read.sending; };
  return WaitUntil(&inode.mu, idle, kCallWait, op);
}

void ReadTimes::Send(Inode& inode) {
  while (true) {
    absl::Time at;
    {
      absl::MutexLock lock(&inode.mu);
      at = inode.unsent_read.at;
      inode.unsent_read.sending = at != absl::InfinitePast();
      if (!inode.unsent_read.sending) {
        inode.unsent_read = UnsentRead();
        break;
      }
    }
    absl::Status status = SendOnce(inode, at);
    absl::MutexLock lock(&inode.mu);
    inode.unsent_read.sending = false;
    // When it failed, the next read is due again.
    const absl::Time later = std::exchange(inode.unsent_read.at, absl::InfinitePast());
    if (status.ok() && later > at && IsDue(inode, later)) inode.unsent_read.at = later;
  }
  absl::MutexLock mine(&mu_);
  --queued_;
}

absl::Status ReadTimes::SendOnce(Inode& inode, absl::Time at) {
  bool known = false;
  {
    absl::MutexLock lock(&inode.mu);
    known = inode.has_record();
  }
  const OpContext op{.credentials = {}, .thread = 0, .interrupt = &stop_};
  if (!known) {
    // A directory or link, whose record nobody may have asked for lately.
    ASSIGN_OR_RETURN(wire::Entry found, calls_.get(inode.ino, op));
    absl::MutexLock lock(&inode.mu);
    inode.AbsorbInPassing(found);
  }
  {
    absl::MutexLock lock(&inode.mu);
    if (!inode.unsent_read.is_due && !IsDue(inode, at)) return absl::OkStatus();
    inode.unsent_read.is_due = true;
  }
  wire::SetattrRequest request;
  request.set_ino(inode.ino.value());
  request.set_fields(wire::SETATTR_ATIME_READ |
                     (rule_ == AtimeRule::kAlways ? wire::SETATTR_ATIME_NOW : 0));
  *request.mutable_atime() = ToWireTime(at);
  ASSIGN_OR_RETURN(wire::Entry changed, calls_.set(request, op));
  absl::MutexLock lock(&inode.mu);
  inode.AbsorbInPassing(changed);
  return absl::OkStatus();
}

}  // namespace penstock::client
