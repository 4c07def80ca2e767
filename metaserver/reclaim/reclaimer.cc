#include "metaserver/reclaim/reclaimer.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include "common/status.h"
#include "metaserver/allocated.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"
#include "metaserver/store/rocks_status.h"

namespace penstock::metaserver {

struct Reclaimer::Finished {
  absl::Mutex mu;
  std::vector<std::string> keys ABSL_GUARDED_BY(mu);  // of records whose orders are done
  void Add(std::string key) {
    absl::MutexLock lock(&mu);
    keys.push_back(std::move(key));
  }
};

Reclaimer::Reclaimer(ReclaimerOptions options, Namespace* names, ContentDeleter* deleter,
                     SessionFence* fence)
    : options_(options),
      names_(names),
      deleter_(deleter),
      fence_(fence),
      finished_(std::make_shared<Finished>()) {}

Reclaimer::~Reclaimer() { Stop(); }

void Reclaimer::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "meta-reclaim");
    Run();
  });
}

void Reclaimer::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void Reclaimer::Run() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      mu_.AwaitWithTimeout(absl::Condition(&stopping_), options_.every);
      if (stopping_) return;
    }
    if (absl::Status status = RunOnce(); !status.ok()) {
      SPDLOG_WARN("reclaim round failed error=\"{}\"", status.ToString());
    }
  }
}

absl::Status Reclaimer::RunOnce() {
  RETURN_IF_ERROR(Annotate(names_->sessions().Reap(*fence_), "end sessions"));
  RETURN_IF_ERROR(Annotate(RemoveFinished(), "remove finished work"));
  RETURN_IF_ERROR(Annotate(ReclaimOrphans(), "reclaim orphans"));
  // Before the deletions, which may take every place: a file waits for its truncation.
  RETURN_IF_ERROR(Annotate(TakeOverTruncations(), "take over truncations"));
  return Annotate(DeleteContents(), "delete contents");
}

Reclaimer::Counters Reclaimer::counters() const {
  absl::MutexLock lock(&mu_);
  return counters_;
}

// Calls `visit` with the records of one list, in order, until it says false.
absl::Status Reclaimer::VisitList(
    char list,
    absl::FunctionRef<absl::StatusOr<bool>(const std::string&, std::string_view)> visit) {
  const rocksdb::Slice prefix(&list, 1);
  std::unique_ptr<rocksdb::Iterator> it(names_->store().db()->NewIterator(
      rocksdb::ReadOptions(), names_->store().family(Family::kOrphan)));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    ASSIGN_OR_RETURN(const bool more,
                     visit(it->key().ToString(), {it->value().data(), it->value().size()}));
    if (!more) break;
  }
  return FromRocks(it->status(), "scan the reclaimer's list");
}

absl::Status Reclaimer::ReclaimOrphans() {
  // Who had it open when it lost its name has reported that by the end of the grace period, or is
  // awaited. Not just since: the report may have been on its way already, or the open so.
  const absl::Time due =
      std::min(names_->clock().Now(), names_->sessions().AllReportedAt()) - options_.grace;
  std::vector<std::pair<std::string, Orphan>> chosen;
  RETURN_IF_ERROR(VisitList(
      kOrphanList, [&](const std::string& key, std::string_view value) -> absl::StatusOr<bool> {
        ASSIGN_OR_RETURN(Orphan orphan, DecodeOrphan(key, value));
        if (ToAbslTime(orphan.since) > due) return false;
        if (!names_->sessions().IsHeld(orphan.ino)) chosen.emplace_back(key, std::move(orphan));
        return chosen.size() < options_.max_orphans_a_round;
      }));
  for (const auto& [key, orphan] : chosen) {
    const absl::Status status = ReclaimOne(key, orphan);
    if (!absl::IsAborted(status)) RETURN_IF_ERROR(status);  // ABORTED: held again
  }
  return absl::OkStatus();
}

// Inode, attributes and orphan record go, and the content becomes dead, in one batch.
absl::Status Reclaimer::ReclaimOne(const std::string& key, const Orphan& orphan) {
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{orphan.ino, true}});
    m.Delete(Family::kOrphan, key);
    auto inode = m.view().GetInode(orphan.ino);
    if (ErrnoOf(inode.status()) == ESTALE) return absl::OkStatus();
    RETURN_IF_ERROR(inode.status());
    // Opened by its number between the choice and the lock: it waits until that ends, too.
    if (names_->sessions().IsHeld(orphan.ino)) return absl::AbortedError("held again");
    if (inode->nlink != 0) {
      SPDLOG_ERROR("a file with a name was on the list of orphans; it stays inode={}",
                   orphan.ino.value());
      return absl::OkStatus();
    }
    m.BuryContent(*inode);
    m.Delete(Family::kInode, InodeKey(orphan.ino));
    if (inode->truncate.id != 0) m.Delete(Family::kOrphan, TruncateKey(orphan.ino));
    RETURN_IF_ERROR(m.view().VisitXattrs(orphan.ino, [&](std::string_view name, std::string_view) {
      m.Delete(Family::kXattr, XattrKey(orphan.ino, name));
    }));
    m.CountInodes(-1);
    m.CountBytes(*inode, inode->size, 0);
    return absl::OkStatus();
  }));
  absl::MutexLock lock(&mu_);
  ++counters_.orphans_reclaimed;
  return absl::OkStatus();
}

absl::Status Reclaimer::DeleteContents() {
  const absl::Time due = names_->clock().Now() - options_.grace;
  const size_t limit = options_.max_orders + deleter_->overdue();
  std::vector<std::pair<std::string, DeadContent>> chosen;
  RETURN_IF_ERROR(
      VisitList(kDeadContentList,
                [&](const std::string& key, std::string_view value) -> absl::StatusOr<bool> {
                  ASSIGN_OR_RETURN(DeadContent dead, DecodeDeadContent(key, value));
                  if (ToAbslTime(dead.since) > due) return false;
                  if (!under_way_.contains(key)) chosen.emplace_back(key, std::move(dead));
                  return under_way_.size() + chosen.size() < limit;
                }));
  if (chosen.empty()) return absl::OkStatus();
  // A power cut must not bring back a name whose bytes are gone.
  RETURN_IF_ERROR(names_->log().Sync());
  for (const auto& [key, dead] : chosen) {
    wire::DeleteContent order;
    FillLayout(dead.layout, *order.mutable_layout());
    order.set_chunk_count(dead.chunk_count);
    if (!deleter_->Delete(order, [finished = finished_, key = key] { finished->Add(key); })) break;
    under_way_.insert(key);
  }
  return absl::OkStatus();
}

absl::Status Reclaimer::TakeOverTruncations() {
  const size_t limit = options_.max_orders + deleter_->overdue();
  std::vector<std::string> chosen;
  RETURN_IF_ERROR(VisitList(kTruncateList,
                            [&](const std::string& key, std::string_view) -> absl::StatusOr<bool> {
                              if (key.size() != 9)
                                return absl::DataLossError("damaged truncation key");
                              if (!under_way_.contains(key)) chosen.push_back(key);
                              return under_way_.size() + chosen.size() < limit;
                            }));
  for (const std::string& key : chosen) {
    const InodeNumber ino(ReadBig64(std::string_view(key).substr(1)));
    auto order = TruncationOf(ino);
    if (!order.ok() && ErrnoOf(order.status()) == ESTALE) continue;  // reclaimed meanwhile
    RETURN_IF_ERROR(order.status());
    if (!order->has_value()) continue;  // its session lives
    RETURN_IF_ERROR(names_->log().Sync());
    if (!deleter_->Truncate(**order, [finished = finished_, key] { finished->Add(key); })) break;
    under_way_.insert(key);
  }
  return absl::OkStatus();
}

// The order for a truncation whose session ended; nothing while it lives.
absl::StatusOr<std::optional<wire::TruncateContent>> Reclaimer::TruncationOf(InodeNumber ino) {
  std::optional<wire::TruncateContent> order;
  RETURN_IF_ERROR(names_->ReadUnchecked({}, [&](const ReadView& view) -> absl::Status {
    ASSIGN_OR_RETURN(const Inode inode, view.GetInode(ino));
    // Gone from the table means fenced, too: nobody writes beyond the cut any more.
    if (inode.truncate.id == 0 || names_->sessions().IsKnown(inode.truncate.session)) {
      return absl::OkStatus();
    }
    order.emplace();
    FillLayout(inode.layout, *order->mutable_layout());
    order->set_new_size(inode.size);
    order->set_old_size(inode.truncate.old_size);
    return absl::OkStatus();
  }));
  return order;
}

absl::Status Reclaimer::RemoveFinished() {
  std::vector<std::string> keys;
  {
    absl::MutexLock lock(&finished_->mu);
    keys.swap(finished_->keys);
  }
  for (const std::string& key : keys) {
    absl::Status status = key[0] == kTruncateList ? FinishTruncation(key) : FinishDeletion(key);
    if (!status.ok()) {
      finished_->Add(key);
      return status;
    }
    under_way_.erase(key);
  }
  return absl::OkStatus();
}

absl::Status Reclaimer::FinishDeletion(const std::string& key) {
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.Delete(Family::kOrphan, key);
    return absl::OkStatus();
  }));
  absl::MutexLock lock(&mu_);
  ++counters_.contents_deleted;
  return absl::OkStatus();
}

absl::Status Reclaimer::FinishTruncation(const std::string& key) {
  const InodeNumber ino(ReadBig64(std::string_view(key).substr(1)));
  RETURN_IF_ERROR(names_->MutateInternally([&](Mutation& m) -> absl::Status {
    m.locks().LockInodes({{ino, true}});
    m.Delete(Family::kOrphan, key);
    auto inode = m.view().GetInode(ino);
    if (ErrnoOf(inode.status()) == ESTALE) return absl::OkStatus();
    RETURN_IF_ERROR(inode.status());
    inode->truncate = TruncateIntent();
    AddAllocated(*inode, 0);  // what the cuts freed is not known: at most its size
    m.PutInode(*inode);
    return absl::OkStatus();
  }));
  absl::MutexLock lock(&mu_);
  ++counters_.truncations_finished;
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
