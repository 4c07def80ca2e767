// Namespace is the state machine of names and attributes (DESIGN.md section 7). Three verbs:
//   Read     from one consistent snapshot, beside everything else.
//   Prepare  takes ordered locks on the names and inodes it touches, checks one mutation and turns
//            it into a WriteBatch; the locks are held until it is applied.
//   Apply    through the log: exactly those bytes, with the log index and the slot's result in the
//            same batch. Durable as the log says: against kill -9 at once, a power cut after 100 ms
//            or when the request asked for sync.
// One operation is one file of metaserver/ops. Thread-safe. Locks: see lock_table.h.
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/status.h"
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
    Response response;
    RETURN_IF_ERROR(ReadUnchecked(request.context(), [&](const ReadView& view) {
      return operation(view, request, response);
    }));
    return response;
  }

  // Prepare and Apply. `operation` is one of ops/mutations.h. A repeated request gets its first
  // response.
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
  ReplicatedLog& log() { return *log_; }
  MetaStore& store() { return *store_; }
  Clock& clock() { return *clock_; }

 private:
  Namespace(NamespaceOptions options, MetaStore* store, ReplicatedLog* log, Clock* clock);
  absl::Status Bootstrap();
  absl::Status MutateUntyped(const wire::MetaContext& context,
                             absl::FunctionRef<absl::Status(Mutation&)> prepare,
                             google::protobuf::Message& response);
  absl::Status RunMutation(const wire::MetaContext& context,
                           absl::FunctionRef<absl::Status(Mutation&)> prepare,
                           google::protobuf::Message* response, bool& recorded);
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
  std::unique_ptr<SessionTable> sessions_;
};

}  // namespace penstock::metaserver
