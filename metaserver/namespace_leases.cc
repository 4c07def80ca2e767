// The verb Recall and what belongs to it: granting leases, telling sessions, hearing from them.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "common/status.h"
#include "metaserver/namespace.h"

namespace penstock::metaserver {
namespace {

// A session that has left an event unanswered for this part of the timeout keeps no leases with its
// heartbeats, so that they end and nobody waits for it any longer.
constexpr int kPatiencePart = 2;
// A writer that has been silent for so long is not asked what it keeps back.
constexpr absl::Duration kAskWriterWithin = absl::Seconds(2);

void GrantRecord(LeaseTable::Grants& grants, wire::Entry& entry) {
  const InodeNumber cover(entry.leased_by());
  const bool changing = entry.other_writers() || entry.truncating();
  if (!cover.valid() || changing || !grants.Record(InodeNumber(entry.attr().ino()), cover)) {
    entry.set_leased_by(0);
  }
}

wire::SessionEvent EventOf(const Recall& recall) {
  wire::SessionEvent event;
  for (const Touched::Name& name : recall.names) {
    wire::ChangedName* changed = event.add_names();
    changed->set_parent(name.parent.value());
    changed->set_name(name.name);
  }
  for (const Touched::Record& record : recall.records) {
    wire::ChangedInode* changed = event.add_inodes();
    changed->set_ino(record.ino.value());
    changed->set_data(record.data);
  }
  for (InodeNumber lease : recall.leases) event.add_revoked_leases(lease.value());
  return event;
}

// Calls `all` when everybody has answered. Destroyed before, it calls nothing.
class Countdown {
 public:
  explicit Countdown(absl::AnyInvocable<void() &&> all) : all_(std::move(all)) {}
  void Add() { ++left_; }
  void Answered() {
    if (--left_ == 0) std::move(all_)();
  }

 private:
  std::atomic<int> left_{1};  // who asks is the last to answer
  absl::AnyInvocable<void() &&> all_;
};

}  // namespace

void Namespace::GrantLeases(const wire::LookupRequest& request, wire::EntryResponse& response,
                            uint64_t since) {
  LeaseTable::Grants grants(&leases_, SessionId(request.context().session_id()), since);
  if (response.has_entry()) GrantRecord(grants, *response.mutable_entry());
  if (request.name() == "." || request.name() == "..") return;
  response.set_name_leased(grants.Name(InodeNumber(request.parent()), request.name()));
}

void Namespace::GrantLeases(const wire::GetattrRequest& request, wire::EntryResponse& response,
                            uint64_t since) {
  LeaseTable::Grants grants(&leases_, SessionId(request.context().session_id()), since);
  GrantRecord(grants, *response.mutable_entry());
}

void Namespace::GrantLeases(const wire::ReaddirRequest& request, wire::ReaddirResponse& response,
                            uint64_t since) {
  const SessionId session(request.context().session_id());
  bool names = true;
  {
    LeaseTable::Grants grants(&leases_, session, since);
    for (wire::DirectoryEntry& entry : *response.mutable_entries()) {
      names = grants.Name(InodeNumber(request.ino()), entry.name()) && names;
      if (entry.has_entry()) GrantRecord(grants, *entry.mutable_entry());
    }
    // Names that are not in the listing may be on their way into it.
    names = names && grants.Record(InodeNumber(request.ino()), InodeNumber(request.ino()));
  }
  response.set_names_leased(names);
}

void Namespace::Tell(SessionId session, wire::SessionEvent event, EventEnds ends,
                     absl::AnyInvocable<void() &&> done) {
  auto shared = std::make_shared<absl::AnyInvocable<void() &&>>(std::move(done));
  auto once = [shared] { std::move (*shared)(); };
  if (events_.Post(session, std::move(event), ends, once)) return;
  SPDLOG_WARN("too many unanswered events, leases voided session={}", session.value());
  VoidLeases(session);
  once();
}

void Namespace::VoidLeases(SessionId session) {
  leases_.Void(session);
  events_.LeasesVoid(session);
}

void Namespace::SendRecalls(DataChange& change, Waiting waiting,
                            absl::AnyInvocable<void() &&> answered) {
  auto all = std::make_shared<Countdown>(std::move(answered));
  for (Recall& recall : waiting.recalls) {
    all->Add();
    const SessionId session = recall.session;
    wire::SessionEvent event = EventOf(recall);
    Tell(session, std::move(event), EventEnds::kWithLeases,
         [this, all, &change, recall = std::move(recall)] {
           for (const Touched::Record& record : recall.records) {
             if (record.data) data_changes_.Answered(change, record.ino, recall.session);
           }
           for (InodeNumber lease : recall.leases) {
             leases_.Release(recall.session, {lease.value()});
           }
           all->Answered();
         });
  }
  data_changes_.LetGo(change);
  for (const Mutation::NotShared& writer : waiting.not_shared) {
    wire::SessionEvent event;
    event.add_shared(writer.ino.value());
    all->Add();
    Tell(writer.writer, std::move(event), EventEnds::kWithSession, [this, all, writer] {
      sessions_->SetShared(writer.writer, writer.ino, true);
      all->Answered();
    });
  }
  if (waiting.opens.valid()) {
    all->Add();
    auto look = [all] { all->Answered(); };
    if (!data_changes_.Hold(waiting.opens, waiting.self, look)) look();
  }
  all->Answered();
}

void Namespace::AfterDataChanges(InodeNumber ino, SessionId session,
                                 absl::AnyInvocable<void() &&> read) {
  auto shared = std::make_shared<absl::AnyInvocable<void() &&>>(std::move(read));
  auto go = [shared] { std::move (*shared)(); };
  if (!data_changes_.Hold(ino, session, go)) go();
}

void Namespace::FlushWriters(InodeNumber ino, SessionId self, absl::AnyInvocable<void() &&> done) {
  auto all = std::make_shared<Countdown>(std::move(done));
  for (const OpenElsewhere& other : sessions_->Others(ino, self)) {
    if (!other.write || other.shared) continue;
    if (sessions_->LeaseSilence(other.session) > kAskWriterWithin) continue;
    wire::SessionEvent event;
    event.add_flush(ino.value());
    all->Add();
    Tell(other.session, std::move(event), EventEnds::kWithLeases, [all] { all->Answered(); });
  }
  all->Answered();
}

absl::Status Namespace::Heartbeat(const wire::SessionHeartbeatRequest& request,
                                  wire::SessionHeartbeatResponse& response) {
  const SessionId session(request.session_id());
  // A late one of an earlier client would give back leases of the current one.
  RETURN_IF_ERROR(sessions_->NoteClient(session, request.client()));
  const absl::Duration patience = sessions_->options().timeout / kPatiencePart;
  uint64_t generation = leases_.generation(session);
  if (generation == 0) {
    // From before the start of this process. What it held lasts, if nothing was changed meanwhile:
    // it will say what that is once it hears of the start.
    const bool unchanged = !sessions_->AllBack();
    if (request.whole() || !unchanged) {
      leases_.Enter(session, unchanged ? request.lease_generation() : 0);
      generation = leases_.generation(session);
    } else {
      generation = request.lease_generation();
    }
  }
  const bool same = generation == request.lease_generation();
  const bool keeps = same && events_.OldestUnanswered(session) < patience;
  if (same && request.whole()) {
    leases_.Present(session, absl::MakeConstSpan(request.leases().data(),
                                                 static_cast<size_t>(request.leases_size())));
  }
  RETURN_IF_ERROR(sessions_->Heartbeat(request, keeps));
  if (same) {
    leases_.Release(session,
                    absl::MakeConstSpan(request.released_leases().data(),
                                        static_cast<size_t>(request.released_leases_size())));
  }
  response.set_lease_generation(generation);
  response.set_keeps_leases(keeps);
  response.set_log_index(log_->last_index());
  const std::vector<uint64_t> surplus = leases_.TakeSurplus(session);
  if (!surplus.empty() && events_.unanswered(session) == 0) {
    wire::SessionEvent event;
    for (uint64_t lease : surplus) event.add_revoked_leases(lease);
    Tell(session, std::move(event), EventEnds::kWithLeases,
         [this, session, surplus] { leases_.Release(session, absl::MakeConstSpan(surplus)); });
  }
  return absl::OkStatus();
}

void Namespace::PollEvents(
    const wire::SessionEventsRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<wire::SessionEventsResponse>) &&> answer) {
  const SessionId session(request.session_id());
  if (absl::Status status = sessions_->Check(session); !status.ok()) {
    return std::move(answer)(status);
  }
  // What is open there counts before whoever waits for the answer goes on.
  for (const wire::EventAck& ack : request.acks()) {
    for (uint64_t ino : ack.opened()) {
      sessions_->NoteHeld(session, InodeNumber(ino), {.version = ack.hold_version()});
    }
    for (uint64_t ino : ack.opened_write()) {
      sessions_->NoteHeld(session, InodeNumber(ino),
                          {.write = true, .version = ack.hold_version()});
    }
  }
  events_.Poll(session, request,
               [answer = std::move(answer)](wire::SessionEventsResponse response) mutable {
                 std::move(answer)(std::move(response));
               });
}

void Namespace::EnterSession(SessionId session) {
  leases_.Enter(session, 0);
  events_.Enter(session);
}

void Namespace::StopWaiting() {
  stopping_ = true;
  data_changes_.ReleaseAll();
  events_.AnswerAllPolls();
  for (SessionId session : sessions_->Live()) {
    events_.Gone(session);
    shared_writes_.Gone(session);
  }
}

void Namespace::OnSessionEnded(SessionId session) {
  leases_.Forget(session);
  events_.LeasesVoid(session);
}

void Namespace::Tick() {
  events_.AnswerOldPolls();
  data_changes_.ReleaseOverdue();
  const absl::Duration timeout = sessions_->options().timeout;
  for (SessionId session : events_.Overdue(absl::Milliseconds(100))) {
    if (sessions_->LeaseSilence(session) < timeout) continue;
    // Also when it holds none: it may have pages of files that were changed.
    const bool held = leases_.leases(session) > 0;
    if (held) {
      SPDLOG_INFO("leases of a silent session voided session={}", session.value());
      leases_.Void(session);
    }
    if (events_.LeasesVoid(session) > 0 && !held) leases_.Void(session);
    sessions_->EndIfStale(session);  // who waits for its bytes waits for its end
  }
}

}  // namespace penstock::metaserver
