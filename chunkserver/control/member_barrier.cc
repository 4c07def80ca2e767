#include "chunkserver/control/member_barrier.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "chunkserver/chain/chunk_wire.h"
#include "common/net/rpc_client.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// Connections of its own (PeerClients): no write waits for it.
constexpr uint32_t kBarrierHop = 1001;
constexpr int kMaxOfOneServer = 512;
constexpr absl::Duration kTimeout = absl::Seconds(10);

}  // namespace

void MemberBarrier::Add(const Group& group, const ChunkKey& key, ChunkVersion version) {
  for (const GroupMember& member : group.members) {
    if (member.state != wire::MEMBER_IN_SYNC) continue;
    const wire::MapServer* server = map_.ServerOf(member.target);
    if (server == nullptr) continue;
    wire::ChunkSync* sync = requests_[ServerId(server->server_id())].add_syncs();
    *sync->mutable_key() = ToWire(key);
    sync->set_storage_class(group.id.storage_class);
    sync->set_epoch(group.epoch);
    sync->set_target_id(member.target.value());
    *sync->mutable_version() = ToWire(version);
  }
}

bool MemberBarrier::full() const {
  for (const auto& [server, request] : requests_) {
    if (request.syncs_size() >= kMaxOfOneServer) return true;
  }
  return false;
}

absl::Status MemberBarrier::Run() {
  net::CallOptions options;
  options.timeout = kTimeout;
  for (const auto& [id, request] : std::exchange(requests_, {})) {
    wire::SyncChunksResponse response;
    RETURN_IF_ERROR(Annotate(peers_->Get(*map_.FindServer(id), kBarrierHop)
                                 ->Call(wire::METHOD_SYNC_CHUNKS, request, &response, options),
                             absl::StrCat("make durable on server ", id.value())));
    if (response.results_size() != request.syncs_size()) {
      return absl::InternalError("an answer with another number of results");
    }
    for (const wire::ChunkResult& result : response.results()) {
      RETURN_IF_ERROR(
          Annotate(StatusOf(result), absl::StrCat("make durable on server ", id.value())));
    }
  }
  return absl::OkStatus();
}

}  // namespace penstock::chunkserver
