#include "metaserver/session/session_table.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {
namespace {

IdBlocks::Options SessionIds() {
  IdBlocks::Options options;
  options.key = std::string(kNextSessionKey);
  return options;
}

absl::Status UnknownSession() {
  return WithReason(absl::FailedPreconditionError("the session ended or never was"),
                    Reason::kSessionUnknown);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SessionTable>> SessionTable::Open(SessionTableOptions options,
                                                                 MetaStore* store,
                                                                 ReplicatedLog* log, Clock* clock) {
  std::unique_ptr<SessionTable> table(new SessionTable(options, store, log, clock));
  RETURN_IF_ERROR(Annotate(table->Load(), "load sessions"));
  return table;
}

SessionTable::SessionTable(SessionTableOptions options, MetaStore* store, ReplicatedLog* log,
                           Clock* clock)
    : options_(options), store_(store), log_(log), clock_(clock), ids_(SessionIds(), store, log) {}

absl::Status SessionTable::Load() {
  const std::string_view prefix(&kSessionList, 1);
  ASSIGN_OR_RETURN(const auto records, store_->Scan(Family::kSession, prefix));
  absl::MutexLock lock(&mu_);
  for (const auto& [key, value] : records) {
    if (key.size() != 9) return absl::DataLossError("damaged session key");
    const SessionId id(ReadBig64(std::string_view(key).substr(1)));
    auto session = std::make_unique<Session>();
    ASSIGN_OR_RETURN(session->record, DecodeSession(id, value));
    session->ended = session->record.ended;
    session->last_heartbeat = clock_->SinceBoot();  // it gets the whole time to come back
    sessions_.emplace(id.value(), std::move(session));
  }
  return absl::OkStatus();
}

absl::StatusOr<SessionId> SessionTable::OpenSession(const wire::OpenSessionRequest& request,
                                                    std::string_view peer_address) {
  {
    absl::MutexLock lock(&mu_);
    if (sessions_.size() >= options_.max_sessions) {
      return absl::ResourceExhaustedError("too many sessions");
    }
  }
  auto session = std::make_unique<Session>();
  SessionRecord& record = session->record;
  ASSIGN_OR_RETURN(const uint64_t id, ids_.Next());
  record.id = SessionId(id);
  record.hostname = request.hostname();
  record.mountpoint = request.mountpoint();
  record.version = request.version();
  record.subdir = request.subdir();
  record.address = std::string(peer_address);
  record.pid = request.pid();
  record.opened = ToFileTime(clock_->Now());
  rocksdb::WriteBatch batch;
  batch.Put(store_->family(Family::kSession), SessionKey(record.id), EncodeSession(record));
  RETURN_IF_ERROR(log_->Commit(std::move(batch), Durability::kSynced).status());
  SPDLOG_INFO("session opened session={} host={} mountpoint={} address={} version={}", id,
              Quoted(record.hostname), Quoted(record.mountpoint), record.address,
              Quoted(record.version));
  session->last_heartbeat = clock_->SinceBoot();
  session->last_report = clock_->Now();
  session->whole = true;
  absl::MutexLock lock(&mu_);
  sessions_.emplace(id, std::move(session));
  return SessionId(id);
}

SessionTable::Session* SessionTable::Find(SessionId id) const {
  auto it = sessions_.find(id.value());
  if (it == sessions_.end() || it->second->ended) return nullptr;
  return it->second.get();
}

absl::Status SessionTable::Check(SessionId id) const {
  absl::MutexLock lock(&mu_);
  return Find(id) == nullptr ? UnknownSession() : absl::OkStatus();
}

bool SessionTable::IsKnown(SessionId id) const {
  absl::MutexLock lock(&mu_);
  return sessions_.contains(id.value());
}

bool SessionTable::IsLive(SessionId id) const { return Check(id).ok(); }

absl::Status SessionTable::Heartbeat(const wire::SessionHeartbeatRequest& request) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(SessionId(request.session_id()));
  if (session == nullptr) return UnknownSession();
  const size_t more = static_cast<size_t>(request.opened_size() + request.opened_write_size());
  if (session->opens.size() + more > options_.max_opens_per_session) {
    return absl::ResourceExhaustedError("the session holds too many files open");
  }
  if (request.whole()) {
    DropAll(*session);
    session->whole = true;
  }
  // Released first: what is in both lists was opened again.
  for (uint64_t ino : request.released()) Release(*session, ino, /*write_only=*/false);
  for (uint64_t ino : request.released_write()) Release(*session, ino, /*write_only=*/true);
  for (uint64_t ino : request.opened()) SetOpen(*session, ino, /*write=*/false);
  for (uint64_t ino : request.opened_write()) SetOpen(*session, ino, /*write=*/true);
  session->transports.assign(request.transports().begin(), request.transports().end());
  session->last_heartbeat = clock_->SinceBoot();
  if (session->whole) session->last_report = clock_->Now();
  return absl::OkStatus();
}

absl::Status SessionTable::CloseSession(SessionId id) {
  rocksdb::WriteBatch batch;
  {
    absl::MutexLock lock(&mu_);
    Session* session = Find(id);
    if (session == nullptr) return absl::OkStatus();  // a repeat
    session->ended = true;
    session->record.ended = true;
    batch.Put(store_->family(Family::kSession), SessionKey(id), EncodeSession(session->record));
  }
  SPDLOG_INFO("session closed session={}", id.value());
  // A restart must not bring it back as a client that fell silent.
  return log_->Commit(std::move(batch), Durability::kProcess).status();
}

void SessionTable::EndIfStale(SessionId id) {
  absl::MutexLock lock(&mu_);
  Session* session = Find(id);
  if (session == nullptr) return;
  const absl::Duration silent = clock_->SinceBoot() - session->last_heartbeat;
  if (silent < options_.timeout) return;
  session->ended = true;
  SPDLOG_WARN("stale session ended, others wait for it session={} host={} silent_s={}", id.value(),
              Quoted(session->record.hostname), absl::ToInt64Seconds(silent));
}

std::vector<SessionInfo> SessionTable::List() const {
  std::vector<SessionInfo> list;
  const absl::Duration now = clock_->SinceBoot();
  const absl::Time wall = clock_->Now();
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) {
    if (session->ended) continue;
    SessionInfo info;
    info.record = session->record;
    info.since_heartbeat = now - session->last_heartbeat;
    info.connected = wall - ToAbslTime(session->record.opened);
    info.open_files = static_cast<uint32_t>(session->opens.size());
    info.open_files_write = session->writes;
    info.transports = session->transports;
    list.push_back(std::move(info));
  }
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return a.record.id < b.record.id; });
  return list;
}

std::vector<SessionId> SessionTable::TakeEnded() {
  std::vector<SessionId> to_fence;
  const absl::Duration now = clock_->SinceBoot();
  absl::MutexLock lock(&mu_);
  for (auto& [id, session] : sessions_) {
    if (!session->ended && now - session->last_heartbeat >= options_.expiry) {
      SPDLOG_WARN("session expired session={} host={} silent_s={}", id,
                  Quoted(session->record.hostname),
                  absl::ToInt64Seconds(now - session->last_heartbeat));
      session->ended = true;
    }
    if (!session->ended || session->fencing) continue;
    session->fencing = true;
    to_fence.push_back(session->record.id);
  }
  return to_fence;
}

void SessionTable::Reap(SessionFence& fence) {
  for (SessionId id : TakeEnded()) {
    fence.Fence(id, [fenced = fenced_, id] {
      absl::MutexLock lock(&fenced->mu);
      fenced->sessions.push_back(id);
    });
  }
  std::vector<SessionId> done;
  {
    absl::MutexLock lock(&fenced_->mu);
    done.swap(fenced_->sessions);
  }
  for (SessionId id : done) {
    if (absl::Status status = RemoveRecords(id); !status.ok()) {
      SPDLOG_WARN("session record stays session={} error=\"{}\"", id.value(), status.ToString());
      absl::MutexLock lock(&fenced_->mu);
      fenced_->sessions.push_back(id);
      continue;
    }
    absl::MutexLock lock(&mu_);
    auto it = sessions_.find(id.value());
    if (it == sessions_.end()) continue;
    DropAll(*it->second);
    sessions_.erase(it);
  }
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
