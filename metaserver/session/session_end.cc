// The part of SessionTable that ends sessions. Order: the end on disk, then the fence, then what
// the session held goes to others; so no restart brings back one whose rights were given away.
#include <absl/strings/str_cat.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/keys.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kMaxEndsAtOnce = 4096;  // silent sessions that one Reap() ends; the next the rest

}  // namespace

// The one way in which sessions end. Decided and marked in one step, so that a heartbeat comes
// either before (the session is not due) or is refused. Two that end the same session: the second
// waits, so that "ended" always means "on disk".
absl::Status SessionTable::End(const std::vector<SessionId>& ids, Why why) {
  rocksdb::WriteBatch batch;
  std::vector<SessionId> marked;
  {
    absl::MutexLock lock(&mu_);
    auto settled = [this, &ids]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return std::none_of(ids.begin(), ids.end(), [this](SessionId id) {
        mu_.AssertHeld();
        const Session* session = Find(id);
        return session != nullptr && session->ending;
      });
    };
    mu_.Await(absl::Condition(&settled));
    for (SessionId id : ids) {
      Session* session = Find(id);
      if (session == nullptr || session->record.ended) continue;
      if (why == Why::kSilent && !IsDue(*session)) continue;  // it came back
      session->ending = true;
      marked.push_back(id);
      SessionRecord ended = session->record;
      ended.ended = true;
      batch.Put(store_->family(Family::kSession), SessionKey(id), EncodeSession(ended));
    }
  }
  if (marked.empty()) return absl::OkStatus();
  const absl::Status status = log_->Commit(std::move(batch), Durability::kSynced).status();
  {
    absl::MutexLock lock(&mu_);
    for (SessionId id : marked) {
      Session* session = Find(id);
      INVARIANT(session != nullptr);  // only ended ones are removed
      session->ending = false;
      session->record.ended = status.ok();
      if (status.ok()) LogEnd(*session, why);
    }
  }
  if (status.ok() && end_events_.ended) {
    for (SessionId id : marked) end_events_.ended(id);
  }
  return Annotate(status, "record the end of a session, which goes on");
}

void SessionTable::LogEnd(Session& session, Why why) const {
  const uint64_t id = session.record.id.value();
  const std::string name = Describe(session.record);
  session.told_end = why != Why::kClosed;
  if (why == Why::kClosed) {
    SPDLOG_INFO("session closed session={}", id);
    told_->Add(Severity::kInfo, "client.left", absl::StrCat(name, " has unmounted"));
    return;
  }
  if (why == Why::kEvicted) {
    SPDLOG_WARN("session evicted session={} host={} mountpoint={}", id,
                Quoted(session.record.hostname), Quoted(session.record.mountpoint));
    told_->Add(Severity::kWarning, "client.evicted",
               absl::StrCat(name, " was evicted by an administrator"));
    return;
  }
  SPDLOG_WARN("silent session ended session={} host={} silent_s={} others_wait={}", id,
              Quoted(session.record.hostname), absl::ToInt64Seconds(Silence(session)),
              session.in_the_way);
  told_->Add(Severity::kWarning, "client.expired",
             absl::StrCat(name, " was silent for ", absl::ToInt64Seconds(Silence(session)), " s",
                          session.in_the_way ? " while others waited for what it held" : "",
                          ": its session is ended"));
}

void SessionTable::TellStale() {
  absl::MutexLock lock(&mu_);
  for (auto& [id, session] : sessions_) {
    if (session->record.ended || session->told_stale) continue;
    if (Silence(*session) < options_.timeout) continue;
    session->told_stale = true;
    told_->Add(Severity::kWarning, "client.stale",
               absl::StrCat(Describe(session->record), " is silent for ",
                            absl::ToInt64Seconds(Silence(*session)), " s"));
  }
}

absl::Duration SessionTable::Silence(const Session& session) const {
  return clock_->SinceBoot() - session.last_heartbeat;
}

bool SessionTable::IsDue(const Session& session) const {
  return Silence(session) >= (session.in_the_way ? options_.timeout : options_.expiry);
}

absl::Status SessionTable::CloseSession(SessionId id) {
  RETURN_IF_ERROR(End({id}, Why::kClosed));
  // Its client is done: what it held need not wait for the fence.
  if (hooks_.gone) hooks_.gone(id);
  return absl::OkStatus();
}
absl::Status SessionTable::Evict(SessionId id) { return End({id}, Why::kEvicted); }

void SessionTable::EndIfStale(SessionId id) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(id);
  if (session != nullptr && Silence(*session) >= options_.timeout) session->in_the_way = true;
}

absl::Status SessionTable::Reap(SessionFence& fence) {
  if (hooks_.in_the_way) {
    for (SessionId id : hooks_.in_the_way()) EndIfStale(id);
  }
  TellStale();
  RETURN_IF_ERROR(End(ChooseDue(), Why::kSilent));
  for (SessionId id : TakeUnfenced()) {
    fence.Fence(id, [fenced = fenced_, id] {
      absl::MutexLock lock(&fenced->mu);
      fenced->sessions.push_back(id);
    });
  }
  ForgetFenced();
  return absl::OkStatus();
}

std::vector<SessionId> SessionTable::ChooseDue() const {
  std::vector<SessionId> due;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) {
    if (due.size() == kMaxEndsAtOnce) break;
    if (!session->record.ended && IsDue(*session)) due.push_back(session->record.id);
  }
  return due;
}

std::vector<SessionId> SessionTable::TakeUnfenced() {
  std::vector<SessionId> unfenced;
  absl::MutexLock lock(&mu_);
  for (auto& [id, session] : sessions_) {
    if (!session->record.ended || session->fencing) continue;
    session->fencing = true;
    unfenced.push_back(session->record.id);
  }
  return unfenced;
}

void SessionTable::ForgetFenced() {
  std::vector<SessionId> done;
  {
    absl::MutexLock lock(&fenced_->mu);
    done.swap(fenced_->sessions);
  }
  for (SessionId id : done) {
    // A change that began before the end may still put its result in a slot's record.
    absl::Status status = absl::OkStatus();
    const bool running = IsRunning(id);
    if (!running && end_events_.fenced) status = end_events_.fenced(id, WrittenOnlyBy(id));
    if (!running && status.ok()) status = RemoveRecords(id);
    if (!status.ok()) {
      SPDLOG_WARN("session record stays session={} error={}", id.value(),
                  Quoted(status.ToString()));
    }
    if (running || !status.ok()) {
      absl::MutexLock lock(&fenced_->mu);
      fenced_->sessions.push_back(id);
      continue;
    }
    {
      absl::MutexLock lock(&mu_);
      auto it = sessions_.find(id.value());
      if (it == sessions_.end()) continue;
      if (it->second->told_end) {
        told_->Add(Severity::kInfo, "client.fenced",
                   absl::StrCat(Describe(it->second->record),
                                " is fenced: no chunkserver takes anything from it any more"));
      }
      DropAll(*it->second, UINT64_MAX);
      sessions_.erase(it);
    }
    if (end_events_.gone) end_events_.gone(id);
    if (hooks_.gone) hooks_.gone(id);
  }
}

bool SessionTable::IsRunning(SessionId id) const {
  absl::MutexLock lock(&mu_);
  const Session* session = Find(id);
  if (session == nullptr) return false;
  return std::any_of(session->slots.begin(), session->slots.end(),
                     [](const Slot& slot) { return slot.running; });
}

absl::Status SessionTable::RemoveRecords(SessionId id) {
  rocksdb::WriteBatch batch;
  batch.Delete(store_->family(Family::kSession), SessionKey(id));
  for (uint32_t slot = 0; slot < kSlotsPerSession; ++slot) {
    batch.Delete(store_->family(Family::kSession), SlotKey(id, slot));
  }
  return log_->Commit(std::move(batch), Durability::kProcess).status();
}

}  // namespace penstock::metaserver
