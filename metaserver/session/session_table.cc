#include "metaserver/session/session_table.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/logging.h"
#include "common/status.h"
#include "metaserver/store/keys.h"
#include "metaserver/store/record_codec.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kMaxTextBytes = 4096;   // of a name that a client gives of itself
constexpr int kMaxTransportsKept = 256;  // of one session, to be listed

IdBlocks::Options SessionIds() {
  IdBlocks::Options options;
  options.key = std::string(kNextSessionKey);
  return options;
}

}  // namespace

std::string Describe(const SessionRecord& record) {
  return absl::StrFormat("client %x (%s:%s)", record.id.value(), record.hostname,
                         record.mountpoint);
}

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
    session->last_heartbeat = clock_->SinceBoot();  // it gets the whole time to come back
    session->last_kept = session->last_heartbeat;
    sessions_.emplace(id.value(), std::move(session));
  }
  return absl::OkStatus();
}

absl::StatusOr<SessionId> SessionTable::OpenSession(const wire::OpenSessionRequest& request,
                                                    std::string_view peer_address) {
  for (const std::string* text :
       {&request.hostname(), &request.mountpoint(), &request.version(), &request.subdir()}) {
    if (text->size() > kMaxTextBytes) {
      return absl::InvalidArgumentError("open session: a name is too long");
    }
  }
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
  told_->Add(Severity::kInfo, "client.connected", Describe(record));
  session->last_heartbeat = session->last_kept = clock_->SinceBoot();
  session->last_report = clock_->Now();
  session->whole = true;
  absl::MutexLock lock(&mu_);
  sessions_.emplace(id, std::move(session));
  return SessionId(id);
}

SessionTable::Session* SessionTable::Find(SessionId id) const {
  auto it = sessions_.find(id.value());
  return it == sessions_.end() ? nullptr : it->second.get();
}

absl::Status SessionTable::LiveStatus(const Session* session) {
  if (session == nullptr || session->record.ended) {
    return WithReason(absl::FailedPreconditionError("the session ended or never was"),
                      Reason::kSessionUnknown);
  }
  // Neither served any more nor gone for good: the log decides.
  if (session->ending) return absl::AbortedError("the session is being ended");
  return absl::OkStatus();
}

absl::StatusOr<SessionTable::Session*> SessionTable::FindLive(SessionId id) const {
  Session* session = Find(id);
  RETURN_IF_ERROR(LiveStatus(session));
  return session;
}

absl::Status SessionTable::Check(SessionId id) const {
  absl::MutexLock lock(&mu_);
  return LiveStatus(Find(id));
}

bool SessionTable::IsKnown(SessionId id) const {
  absl::MutexLock lock(&mu_);
  return sessions_.contains(id.value());
}

std::vector<SessionId> SessionTable::KnownSessions() const {
  std::vector<SessionId> known;
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) known.emplace_back(id);
  return known;
}

absl::Status SessionTable::Heartbeat(const wire::SessionHeartbeatRequest& request,
                                     bool keeps_leases) {
  RETURN_IF_ERROR(NoteClient(SessionId(request.session_id()), request.client()));
  if (request.whole() && hooks_.presented) hooks_.presented(request);
  absl::MutexLock lock(&mu_);
  ASSIGN_OR_RETURN(Session* const session, FindLive(SessionId(request.session_id())));
  const size_t more = static_cast<size_t>(request.opened_size() + request.opened_write_size());
  const size_t before = request.whole() ? 0 : session->opens.size();
  if (before + more > options_.max_opens_per_session) {
    return absl::ResourceExhaustedError("the session holds too many files open");
  }
  // What a session of before the start of this process has written is not known here.
  const bool may_have_written = !session->whole;
  absl::flat_hash_set<uint64_t> writes;
  for (uint64_t ino : request.opened_write()) {
    const auto open = session->opens.find(ino);
    if (may_have_written || (open != session->opens.end() && open->second.writes)) {
      writes.insert(ino);
    }
  }
  if (request.whole()) {
    DropAll(*session, request.hold_version());
    session->whole = true;
  }
  // Released first: what is in both lists was opened again.
  const uint64_t version = request.hold_version();
  for (uint64_t ino : request.released()) Release(*session, ino, {false, version});
  for (uint64_t ino : request.released_write()) Release(*session, ino, {true, version});
  for (uint64_t ino : request.opened()) {
    SetOpen(*session, ino, {.write = false, .shared = false, .version = version});
  }
  for (uint64_t ino : request.opened_write()) {
    SetOpen(*session, ino,
            {.write = true, .shared = false, .version = version, .writes = writes.contains(ino)});
  }
  const int kept = std::min(request.transports_size(), kMaxTransportsKept);
  session->transports.assign(request.transports().begin(), request.transports().begin() + kept);
  session->last_heartbeat = clock_->SinceBoot();
  if (keeps_leases) session->last_kept = session->last_heartbeat;
  session->in_the_way = false;
  if (std::exchange(session->told_stale, false)) {
    told_->Add(Severity::kInfo, "client.back", absl::StrCat(Describe(session->record), " is back"));
  }
  if (session->whole) session->last_report = clock_->Now();
  return absl::OkStatus();
}

std::vector<SessionInfo> SessionTable::List() const {
  std::vector<SessionInfo> list;
  const absl::Duration now = clock_->SinceBoot();
  const absl::Time wall = clock_->Now();
  absl::MutexLock lock(&mu_);
  for (const auto& [id, session] : sessions_) {
    if (session->record.ended) continue;
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

}  // namespace penstock::metaserver
