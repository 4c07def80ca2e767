// What the metaserver tells this mount, and what its session goes through.
#include <absl/time/clock.h>
#include <spdlog/spdlog.h>

#include "client/alarm.h"
#include "client/file_system.h"
#include "client/wait.h"
#include "common/status.h"

namespace penstock::client {
namespace {

// Who asks what was written here waits for it no longer than this.
constexpr absl::Duration kFlushWithin = absl::Seconds(3);
// From its announcement to its end, and until the metaserver's death is noticed.
constexpr absl::Duration kChangeMayTake = absl::Minutes(1);

}  // namespace

void FileSystem::Start() {
  page_work_.Start();
  flush_work_.Start();
  ack_work_.Start();
}

void FileSystem::Stop() {
  page_work_.Stop();
  flush_work_.Stop();
  ack_work_.Stop();
}

void FileSystem::OnSessionLost(SessionId lost) {
  writer_->LoseSession(lost);
  const std::vector<wire::FileLock> locks = locks_.Forget();
  lock_waits_.OnSessionLost();
  for (const wire::FileLock& lock : locks) lock_waits_.Repair(lock);
}

void FileSystem::OnServerRestart() {
  lock_waits_.OnServerRestart();
  // A change that was told of just before may have been applied, and told of again, by nobody.
  std::vector<InodeNumber> doubtful;
  inodes_.ForEach([&](Inode& inode) {
    absl::MutexLock lock(&inode.mu);
    inode.accept_any = true;
    if (inode.handles == 0 || clock_->Now() - inode.stale_said_at > kChangeMayTake) return;
    inode.BecomesStale();
    doubtful.push_back(inode.ino);
  });
  for (InodeNumber ino : doubtful) DropPages(ino, [] {});
}

void FileSystem::DropFromKernel(const EntryCache::Dropped& dropped) {
  if (kernel_ == nullptr) return;
  if (!dropped.leases.empty()) kernel_->DropNames();
  for (InodeNumber ino : dropped.records) kernel_->DropAttributes(ino);
}

// In vain is not harmless: see client/fuse/given_attributes.h.
void FileSystem::DropPages(InodeNumber ino, PageDrops::Done done) {
  if (kernel_ == nullptr) return std::move(done)();
  // A read that begins after this has found the inode marked as stale.
  const std::shared_ptr<Inode> inode = inodes_.Find(ino);
  std::atomic<bool> unknown{true};
  const auto number =
      page_drops_.Begin(ino, inode != nullptr ? &inode->has_pages : &unknown, std::move(done));
  if (!number) return;
  auto drop = [this, ino, number = *number] {
    kernel_->DropPages(ino, 0, 0);
    page_drops_.Finish(number);
  };
  if (!page_work_.Post(drop)) page_drops_.Finish(*number);  // the mount is being stopped
}

// Nothing that was cached holds any more, and nobody will say so of single things.
void FileSystem::OnLeasesLost() {
  DropFromKernel(cache_->DropAll());
  cache_->FinishRelease(std::exchange(releasing_, EntryCache::Dropped()).leases);
  inodes_.ForEach([&](Inode& inode) {
    absl::MutexLock lock(&inode.mu);
    inode.BecomesStale();
    ++inode.losses;
    inode.no_capability_at = absl::InfinitePast();
  });
  // Also of files that an earlier client opened and nobody has used since.
  for (InodeNumber ino : holds_->held()) DropPages(ino, [] {});
}

void FileSystem::AwaitPageDrops() { page_drops_.Await(absl::Seconds(1)); }

void FileSystem::OnOldAnswer() { DropFromKernel(cache_->DropAll()); }

void FileSystem::MarkChanged(const wire::ChangedInode& changed) {
  std::shared_ptr<Inode> inode = inodes_.Find(InodeNumber(changed.ino()));
  if (inode == nullptr) return;
  absl::MutexLock lock(&inode->mu);
  inode->no_capability_at = absl::InfinitePast();
  if (!changed.data()) return;
  inode->BecomesStale();
  inode->stale_said_at = clock_->Now();
}

// One event's answer, given when the last of what it waits for is done.
namespace {
class PendingAck {
 public:
  PendingAck(wire::EventAck ack, std::function<void(const wire::EventAck&)> send)
      : ack_(std::move(ack)), send_(std::move(send)) {}
  ~PendingAck() { send_(ack_); }

 private:
  const wire::EventAck ack_;
  const std::function<void(const wire::EventAck&)> send_;
};
}  // namespace

bool FileSystem::OnEvent(const wire::SessionEvent& event, wire::EventAck* ack,
                         std::function<void(const wire::EventAck&)> later) {
  for (const wire::LockAnswer& answer : event.lock_answers()) OnLockAnswer(answer);
  std::vector<InodeNumber> inodes, revoked, pages;
  for (const wire::ChangedName& name : event.names()) {
    const InodeNumber parent(name.parent());
    const InodeNumber was = cache_->DropName(parent, name.name());
    if (was.valid()) lost_names_.Add(was);
  }
  if (kernel_ != nullptr && !event.names().empty()) kernel_->DropNames();
  for (const wire::ChangedInode& changed : event.inodes()) {
    const InodeNumber ino(changed.ino());
    inodes.push_back(ino);
    cache_->DropRecord(ino);
    MarkChanged(changed);
    if (kernel_ != nullptr) kernel_->DropAttributes(ino);
    if (changed.data() && holds_->holds(ino)) pages.push_back(ino);
  }
  for (uint64_t lease : event.revoked_leases()) {
    revoked.push_back(InodeNumber(lease));
    const EntryCache::Dropped dropped = cache_->Revoke(InodeNumber(lease));
    inodes.insert(inodes.end(), dropped.records.begin(), dropped.records.end());
    DropFromKernel(dropped);
  }
  // After the drops: who opens from now on finds nothing cached and asks.
  holds_->FillAck(ack, inodes);
  if (!revoked.empty()) holds_->FillUntold(ack);
  if (pages.empty() && revoked.empty() && event.shared().empty() && event.flush().empty()) {
    return true;
  }
  auto pending = std::make_shared<PendingAck>(
      *ack, [this, later = std::move(later), revoked](const wire::EventAck& answer) {
        auto send = [this, later, revoked, answer] {
          later(answer);
          if (!revoked.empty()) cache_->FinishRelease(revoked);
        };
        if (!ack_work_.Post(send)) later(answer);
      });
  for (InodeNumber ino : pages) {
    DropPages(ino, [pending] {});
  }
  auto post = [&](uint64_t number, bool shared) {
    // Made when it is not here: the answer to the open that made this mount its writer may be on
    // its way.
    std::shared_ptr<Inode> inode = inodes_.GetOrMake(InodeNumber(number));
    auto work = [this, inode, shared, pending] {
      if (shared) return writer_->BecomeShared(inode, OpContext{});
      const Alarm over(kFlushWithin);
      OpContext op;
      op.interrupt = over.interrupt();
      absl::Status status = writer_->Flush(inode, FlushMode::kPublish, op);
      if (!status.ok()) {
        SPDLOG_WARN("file not flushed for another mount ino={} error={}", inode->ino.value(),
                    status.ToString());
      }
    };
    (void)flush_work_.Post(work);
  };
  for (uint64_t ino : event.shared()) post(ino, true);
  for (uint64_t ino : event.flush()) post(ino, false);
  return false;
}

void FileSystem::FillLeases(bool whole, wire::SessionHeartbeatRequest* report) {
  const EntryCache::Dropped more = cache_->TakeReleases();
  DropFromKernel(more);
  releasing_.leases.insert(releasing_.leases.end(), more.leases.begin(), more.leases.end());
  for (InodeNumber lease : releasing_.leases) report->add_released_leases(lease.value());
  if (!whole) return;
  for (uint64_t lease : cache_->leases()) report->add_leases(lease);
}

// After an error it may yet be carried out: the leases are not used before the next one.
void FileSystem::LeasesReported(bool acknowledged) {
  if (!acknowledged) return;
  cache_->FinishRelease(releasing_.leases);
  releasing_ = EntryCache::Dropped();
}

}  // namespace penstock::client
