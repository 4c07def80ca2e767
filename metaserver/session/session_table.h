// SessionTable keeps the mounted clients: their records on disk (synced before a client hears its
// id), and in memory what each holds open and the last sequence of each of its slots. After a start
// clients report again what they hold (heartbeat with whole = true). Thread-safe; mu_ is never held
// over the log.
//
// A session ends in this order (session_end.cc), whether closed, in somebody's way or silent for
// too long: its record says so, synced; its calls are refused; every chunkserver confirms its
// fence; its holds are dropped and its records go. A restart in between goes on where that stopped.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "metaserver/current_client.h"
#include "metaserver/events/event_sink.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/reclaim/cluster_work.h"
#include "metaserver/store/id_blocks.h"
#include "metaserver/store/meta_store.h"
#include "metaserver/store/records.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

inline constexpr uint32_t kSlotsPerSession = 32;

struct SessionTableOptions {
  absl::Duration timeout = absl::Seconds(10);   // told to clients; then a session is stale
  absl::Duration expiry = absl::Minutes(5);     // silent for so long: fenced and ended
  absl::Duration heartbeat = absl::Seconds(1);  // told to clients
  size_t max_sessions = 200000;
  size_t max_opens_per_session = 4 << 20;
};

// For Admin.ListClients.
struct SessionInfo {
  SessionRecord record;
  absl::Duration since_heartbeat;  // since the start of this process, when none came since
  absl::Duration connected;
  uint32_t open_files = 0;
  uint32_t open_files_write = 0;
  std::vector<wire::PeerTransport> transports;
};

// "client 1f (node7:/mnt/datasets)", for people.
std::string Describe(const SessionRecord& record);

// What others do at turns of a session's life. Called with no lock held.
struct SessionHooks {
  // It says what it holds, all of it; before the report counts.
  std::function<void(const wire::SessionHeartbeatRequest& report)> presented;
  // Another client goes on with it, and hears what the session holds.
  std::function<absl::Status(const wire::ResumeSessionRequest& request,
                             wire::ResumeSessionResponse& response)>
      resumed;
  // Nothing of it can come any more: closed by its client and that is on disk, or fenced. May be
  // called twice.
  std::function<void(SessionId session)> gone;
  // Those that hold what others wait for: asked before each search for silent sessions.
  std::function<std::vector<SessionId>()> in_the_way;
};

// One session that has an inode open.
struct OpenElsewhere {
  SessionId session;
  bool write = false;
  bool shared = false;  // it was told that others use the file: it keeps nothing back
};

class SessionTable {
 public:
  // Loads the sessions. The pointers must outlive the table.
  static absl::StatusOr<std::unique_ptr<SessionTable>> Open(SessionTableOptions options,
                                                            MetaStore* store, ReplicatedLog* log,
                                                            Clock* clock);

  void SetHooks(SessionHooks hooks) { hooks_ = std::move(hooks); }  // before anybody can call
  // Who is told of clients that come and go; it must outlive the table. Before anybody can call.
  void SetEvents(EventSink* events) { told_ = events; }

  absl::StatusOr<SessionId> OpenSession(const wire::OpenSessionRequest& request,
                                        std::string_view peer_address);
  // FAILED_PRECONDITION kSessionUnknown when it ended or never was; ABORTED while its end is on the
  // way to the disk.
  // `keeps_leases`: from now on the leases last for another timeout.
  absl::Status Heartbeat(const wire::SessionHeartbeatRequest& request, bool keeps_leases = true);
  absl::Status Check(SessionId session) const;
  // Another client goes on with it: when this returns, earlier ones are refused (kOldSequence), and
  // what they had begun is applied or never will be. Waits for the log. Safe to repeat.
  absl::Status Resume(const wire::ResumeSessionRequest& request,
                      wire::ResumeSessionResponse& response);
  // As Check(); and a client that is not an earlier one is the current one from now on.
  absl::Status NoteClient(SessionId session, uint64_t client);
  absl::Status Check(const wire::MetaContext& context) const;  // who asks, and its client
  // Its client is done with it: OK when the end is on disk, also for one that ended before. After
  // an error it has not ended. Waits for the log.
  absl::Status CloseSession(SessionId session);
  // Somebody needs what this session holds: when it is stale, the next Reap() ends it, unless it is
  // heard of before. Waits for nothing.
  void EndIfStale(SessionId session);
  std::vector<SessionInfo> List() const;

  // One try of a mutation. Begin says what to do with it: run it (nullopt), or answer with the
  // recorded response. ABORTED while the first try still runs; kOldSequence for an older one; the
  // first try's error when it failed for good.
  absl::StatusOr<std::optional<std::string>> BeginMutation(const wire::MetaContext& context);
  // Right before it is applied, with its locks held: what a later client does to the same names and
  // inodes comes after. ABORTED, which is no result: a later client may repeat the request.
  absl::Status BeginApply(const wire::MetaContext& context);
  void EndApply(const wire::MetaContext& context);  // it has been, though it is not over yet
  // `recorded`: its result is in the session's slot on disk.
  void EndMutation(const wire::MetaContext& context, const absl::Status& status, bool recorded);

  struct Opened {
    bool write = false;
    bool shared = false;   // the session knows that it must keep nothing back
    uint64_t version = 0;  // of the session's holds when it opened: an older release is ignored
    // An open for writing has been carried out. Else a heartbeat says that one has begun, or that
    // an earlier session of the client had it open: nothing is written before the open's answer.
    bool writes = false;
  };
  void NoteOpen(SessionId session, InodeNumber ino, Opened how);  // at an open: `shared` is new
  void NoteHeld(SessionId session, InodeNumber ino, Opened how);  // as a heartbeat says
  void SetShared(SessionId session, InodeNumber ino, bool shared);
  // Another session than `self` has it open for writing.
  bool OtherWriters(InodeNumber ino, SessionId self) const;
  // One that may have written something, too.
  bool WrittenByOthers(InodeNumber ino, SessionId self) const;
  struct Use {
    bool opened = false;  // by `self`
    bool others = false;
    bool other_writers = false;
    bool writes = false;  // `self` does
    // Somebody writes what somebody else has open.
    bool shared() const { return other_writers || (writes && others); }
  };
  Use UseOf(InodeNumber ino, SessionId self) const;
  // The other sessions that have it open.
  absl::InlinedVector<OpenElsewhere, 2> Others(InodeNumber ino, SessionId self) const;
  bool IsHeld(InodeNumber ino) const;
  bool IsKnown(SessionId session) const;  // also while it is being fenced
  std::vector<SessionId> KnownSessions() const;
  // What it has open for writing and no other session may have written. Empty while any session has
  // not said since the start of this process what it holds.
  std::vector<InodeNumber> WrittenOnlyBy(SessionId session) const;
  // Every session has reported what it holds at this time or later: whoever had a file open then
  // has said so. InfinitePast while one has not reported since the start of this process.
  absl::Time AllReportedAt() const;

  // --- leases (metaserver/lease)
  // Since when no heartbeat has kept the session's leases; infinite for one that is not there.
  absl::Duration LeaseSilence(SessionId session) const;
  std::vector<SessionId> Live() const;
  // Every session of before the start has said what it holds, or has been silent for a timeout.
  // Until then nothing is changed: it might be cached, locked or open somewhere.
  bool AllBack() const;
  // `ended`: its end is on disk, it is served no more. `gone`: fenced, too, so nothing that it has
  // written can come any more. Both are called with no lock held.
  // `fenced`: asked before `gone`, with the files that only it had open for writing; after an error
  // again later. May wait.
  struct EndEvents {
    std::function<void(SessionId)> ended;
    std::function<absl::Status(SessionId, const std::vector<InodeNumber>& written)> fenced;
    std::function<void(SessionId)> gone;
  };
  void SetEndEvents(EndEvents events) { end_events_ = std::move(events); }  // before the first use
  // An administrator wants it gone, whatever it does. As CloseSession.
  absl::Status Evict(SessionId session);

  // Ends the sessions that are silent for too long, has ended ones fenced, and forgets those whose
  // fence is confirmed. Called now and then by the Reclaimer. After an error nothing new was
  // fenced.
  absl::Status Reap(SessionFence& fence);

  const SessionTableOptions& options() const { return options_; }

 private:
  struct Slot {
    uint64_t sequence = 0;  // last one that began
    bool running = false;
    bool loaded = false;    // the sequence on disk is known
    uint64_t applying = 0;  // the client whose change is on its way to the log
    absl::Status failure;   // of `sequence`, when it failed for good
  };
  struct Session {
    SessionRecord record;  // with `ended`: on disk
    CurrentClient client;
    absl::Duration last_heartbeat;  // SinceBoot
    bool whole = false;             // what it holds is known since this process started
    absl::Time last_report = absl::InfinitePast();
    bool in_the_way = false;  // others wait for what it holds, and it is stale
    bool ending = false;      // its end is on the way to the disk
    bool fencing = false;     // handed to the fence
    bool told_stale = false;
    bool told_end = false;                        // an end that is none of its client's
    absl::flat_hash_map<uint64_t, Opened> opens;  // by inode
    uint32_t writes = 0;
    absl::Duration last_kept;  // SinceBoot: the last heartbeat that kept its leases
    std::vector<wire::PeerTransport> transports;
    std::array<Slot, kSlotsPerSession> slots;
  };
  // Of one inode. How they have it open stands in their `opens`.
  struct Holders {
    absl::InlinedVector<uint64_t, 1> sessions;
    uint32_t writers = 0;
  };
  // Confirmed fences; the cluster side may report one after the table is gone.
  struct Fenced {
    absl::Mutex mu;
    std::vector<SessionId> sessions ABSL_GUARDED_BY(mu);
  };
  using Sessions = absl::flat_hash_map<uint64_t, std::unique_ptr<Session>>;

  SessionTable(SessionTableOptions options, MetaStore* store, ReplicatedLog* log, Clock* clock);
  absl::Status Load();
  Session* Find(SessionId id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);  // ended ones too
  // Why calls of it are refused; `session` may be null.
  static absl::Status LiveStatus(const Session* session);
  absl::StatusOr<Session*> FindLive(SessionId id) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WritesElsewhere(uint64_t ino, SessionId self) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void SetOpen(Session& session, uint64_t ino, Opened how) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  struct Released {
    bool write_only = false;
    uint64_t version = UINT64_MAX;
  };
  void Release(Session& session, uint64_t ino, Released how) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // All that it opened before `version`.
  void DropAll(Session& session, uint64_t version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<SlotResult> ReadSlot(const wire::MetaContext& context) const;
  void AwaitApplied(SessionId id, uint64_t before_client);

  enum class Why { kClosed, kSilent, kEvicted };
  absl::Status End(const std::vector<SessionId>& ids, Why why);
  absl::Duration Silence(const Session& session) const;
  bool IsDue(const Session& session) const;
  void LogEnd(Session& session, Why why) const;
  void TellStale();
  std::vector<SessionId> ChooseDue() const;
  std::vector<SessionId> TakeUnfenced();
  void ForgetFenced();
  bool IsRunning(SessionId id) const;
  absl::Status RemoveRecords(SessionId id);

  const SessionTableOptions options_;
  MetaStore* const store_;
  ReplicatedLog* const log_;
  Clock* const clock_;
  IdBlocks ids_;
  SessionHooks hooks_;  // constant once calls come
  EndEvents end_events_;
  NoEvents no_events_;
  EventSink* told_ = &no_events_;
  const std::shared_ptr<Fenced> fenced_ = std::make_shared<Fenced>();
  mutable absl::Mutex mu_;
  Sessions sessions_ ABSL_GUARDED_BY(mu_);
  mutable bool all_back_ ABSL_GUARDED_BY(mu_) = false;
  absl::flat_hash_map<uint64_t, Holders> holders_ ABSL_GUARDED_BY(mu_);  // by inode
};

}  // namespace penstock::metaserver
