// Namespace is the state machine of names and attributes (DESIGN.md section 7). Three verbs:
//   Read     from one consistent snapshot, beside everything else. What it answers may be cached
//            under a lease, unless it is just being changed.
//   Prepare  takes ordered locks on the names and inodes it touches, checks one mutation and turns
//            it into a WriteBatch; the locks are held until it is applied.
//   Recall   when other sessions may have cached what the mutation changes, or keep back bytes of
//            it: the locks are given back, they are told and answer, and Prepare runs again. New
//            leases on it are refused meanwhile, and who has dropped a file's bytes waits for the
//            new ones (metaserver/lease).
//   Apply    through the log: exactly those bytes, with the log index and the slot's result in the
//            same batch. Durable as the log says: against kill -9 at once, a power cut after 100 ms
//            or when the request asked for sync.
// One operation is one file of metaserver/ops. Thread-safe. Locks: see lock_table.h.
#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/status.h"
#include "metaserver/lease/data_changes.h"
#include "metaserver/lease/lease_table.h"
#include "metaserver/lease/session_events.h"
#include "metaserver/lease/shared_writes.h"
#include "metaserver/lock_table.h"
#include "metaserver/log/replicated_log.h"
#include "metaserver/mutation.h"
#include "metaserver/read_view.h"
#include "metaserver/service/map_source.h"
#include "metaserver/session/session_table.h"
#include "metaserver/store/id_blocks.h"
#include "metaserver/store/meta_store.h"
#include "metaserver/store/records.h"
#include "proto/meta.pb.h"

namespace penstock::metaserver {

struct NamespaceOptions {
  uint8_t chunk_size_log2 = 22;  // of a new root dataset
  uint32_t storage_class = 1;
  uint32_t max_links = 1000000;  // of one inode: EMLINK
  SessionTableOptions sessions;
  LeaseOptions leases;
  // Asked before a client's change that adds something; an error refuses it. Empty: always room.
  std::function<absl::Status()> room;
};

class Namespace {
 public:
  // Makes the root dataset in a new store. The pointers must outlive the namespace.
  static absl::StatusOr<std::unique_ptr<Namespace>> Open(NamespaceOptions options, MetaStore* store,
                                                         ReplicatedLog* log, Clock* clock);
  ~Namespace();

  // Read verb. `operation` is one of ops/read_operations.h:
  //   namespace.Read(Lookup, request) -> StatusOr<EntryResponse>
  template <typename Request, typename Response>
  absl::StatusOr<Response> Read(absl::Status (*operation)(const ReadView&, const Request&,
                                                          Response&),
                                const Request& request) {
    RETURN_IF_ERROR(sessions_->Check(SessionId(request.context().session_id())));
    const uint64_t since = leases_.clock();
    Response response;
    RETURN_IF_ERROR(ReadUnchecked(request.context(), [&](const ReadView& view) {
      return operation(view, request, response);
    }));
    GrantLeases(request, response, since);
    return response;
  }

  // Prepare, Recall and Apply. `operation` is one of ops/mutations.h. A repeated request gets its
  // first response.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Mutate(absl::Status (*operation)(Mutation&, const Request&, Response&),
                                  const Request& request) {
    Response response;
    RETURN_IF_ERROR(MutateUntyped(
        request.context(),
        [&](Mutation& mutation) {
          response.Clear();  // a second attempt starts afresh
          return operation(mutation, request, response);
        },
        response));
    return response;
  }

  // The same without waiting for answers to a recall: `resume` is given what is to be run when they
  // are here (on any thread that may wait for the log). `request` and `response` must live until
  // `done`.
  using Resume = std::function<void(absl::AnyInvocable<void() &&>)>;
  template <typename Request, typename Response>
  void MutateAsync(absl::Status (*operation)(Mutation&, const Request&, Response&),
                   const Request& request, Response& response, Resume resume,
                   absl::AnyInvocable<void(absl::Status) &&> done) {
    StartMutation(
        request.context(),
        [operation, &request, &response](Mutation& mutation) {
          response.Clear();
          return operation(mutation, request, response);
        },
        response, std::move(resume), std::move(done));
  }

  // Has the other sessions that write the file publish what they keep back, then calls `done`: at
  // once when there is none, after a while also when one does not answer.
  void FlushWriters(InodeNumber ino, SessionId self, absl::AnyInvocable<void() &&> done);

  // Calls `read` when the session may have the file's record: at once, unless it has dropped the
  // file's bytes for a change that is about to be applied.
  void AfterDataChanges(InodeNumber ino, SessionId session, absl::AnyInvocable<void() &&> read);

  // A heartbeat: what the session holds open and which leases it has.
  absl::Status Heartbeat(const wire::SessionHeartbeatRequest& request,
                         wire::SessionHeartbeatResponse& response);
  // Another client goes on with a session: what the earlier ones waited for is over, and the answer
  // says what they leave. Waits for the log. Safe to repeat.
  absl::Status ResumeSession(const wire::ResumeSessionRequest& request,
                             wire::ResumeSessionResponse& response);
  // The long poll of a session: its answers to events, and the next ones for it.
  void PollEvents(const wire::SessionEventsRequest& request,
                  absl::AnyInvocable<void(absl::StatusOr<wire::SessionEventsResponse>) &&> answer);
  void EnterSession(SessionId session);  // a new one: from now on it may have leases
  void StopWaiting();  // everything that waits for a session is answered with an error
  // Now and then (every 100 ms): ends what waits for sessions that do not answer.
  void Tick();

  // The entry of an absolute path, without following symbolic links ("" and "/": the root). For
  // administrators and for mounting a subdirectory; needs no session.
  absl::StatusOr<wire::Entry> ResolvePath(std::string_view path);
  absl::StatusOr<wire::Entry> EntryOf(InodeNumber ino);
  absl::StatusOr<DatasetCounters> Counters(DatasetId dataset);
  // Reads with no session, for the reclaimer and tests.
  absl::Status ReadUnchecked(const wire::MetaContext& context,
                             absl::FunctionRef<absl::Status(const ReadView&)> operation);
  // A change of the metaserver's own, with no session or slot.
  absl::Status MutateInternally(absl::FunctionRef<absl::Status(Mutation&)> operation);

  SessionTable& sessions() { return *sessions_; }
  LeaseTable& leases() { return leases_; }
  SessionEvents& events() { return events_; }
  SharedWrites& shared_writes() { return shared_writes_; }
  ReplicatedLog& log() { return *log_; }
  MetaStore& store() { return *store_; }
  Clock& clock() { return *clock_; }

 private:
  Namespace(NamespaceOptions options, MetaStore* store, ReplicatedLog* log, Clock* clock);
  absl::Status Bootstrap();
  absl::Status MutateUntyped(const wire::MetaContext& context,
                             absl::FunctionRef<absl::Status(Mutation&)> prepare,
                             google::protobuf::Message& response);
  // One mutation over all its attempts (namespace_mutate.cc).
  struct Run;
  // Whom an attempt has to wait for; empty: it is applied.
  struct Waiting {
    std::vector<Recall> recalls;
    std::vector<Mutation::NotShared> not_shared;
    SessionId self;
    InodeNumber opens;  // valid: whose bytes are about to change
    bool empty() const { return recalls.empty() && not_shared.empty() && !opens.valid(); }
  };
  absl::StatusOr<Waiting> Attempt(Run& run, absl::FunctionRef<absl::Status(Mutation&)> prepare);
  absl::Status Apply(Run& run, Mutation& mutation);
  absl::StatusOr<Waiting> FindWaiting(Run& run, Mutation& mutation);
  absl::Status RunBlocking(Run& run, absl::FunctionRef<absl::Status(Mutation&)> prepare);
  void StartMutation(const wire::MetaContext& context,
                     absl::AnyInvocable<absl::Status(Mutation&)> prepare,
                     google::protobuf::Message& response, Resume resume,
                     absl::AnyInvocable<void(absl::Status) &&> done);
  void Continue(std::shared_ptr<Run> run);
  void SendRecalls(DataChange& change, Waiting waiting, absl::AnyInvocable<void() &&> answered);
  void EndChange(Run& run);
  void Tell(SessionId session, wire::SessionEvent event, EventEnds ends,
            absl::AnyInvocable<void() &&> done);
  void VoidLeases(SessionId session);
  absl::StatusOr<std::vector<InodeNumber>> TruncationsOf(SessionId session);
  void OnSessionEnded(SessionId session);
  absl::Status TrimAfter(SessionId dead, const std::vector<InodeNumber>& written);
  absl::Status TrimOne(SessionId dead, InodeNumber ino);

  void GrantLeases(const wire::LookupRequest& request, wire::EntryResponse& response,
                   uint64_t since);
  void GrantLeases(const wire::GetattrRequest& request, wire::EntryResponse& response,
                   uint64_t since);
  void GrantLeases(const wire::ReaddirRequest& request, wire::ReaddirResponse& response,
                   uint64_t since);
  template <typename Request, typename Response>
  void GrantLeases(const Request&, Response&, uint64_t) {}
  absl::Status Replay(const wire::MetaContext& context, const std::string& recorded,
                      google::protobuf::Message& response);

  const NamespaceOptions options_;
  MetaStore* const store_;
  ReplicatedLog* const log_;
  Clock* const clock_;
  Dataset dataset_;  // the root dataset
  LockTable locks_;
  IdBlocks inode_ids_;
  IdBlocks content_ids_;
  std::atomic<bool> stopping_{false};
  LeaseTable leases_;
  DataChanges data_changes_;
  SessionEvents events_;
  SharedWrites shared_writes_;
  std::unique_ptr<SessionTable> sessions_;
};

}  // namespace penstock::metaserver
