// A chain of real members on this machine: a store in a temporary directory, the service and an RPC
// server each, one group of all of them, and a client that speaks Penstock RPC to any of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chunkserver/chain/pending_settler.h"
#include "chunkserver/chain/write_chain.h"
#include "chunkserver/scrub/copy_repair.h"
#include "chunkserver/service/chunk_service.h"
#include "chunkserver/service/fence_table.h"
#include "chunkserver/service/serving_lease.h"
#include "chunkserver/sync/group_sync.h"
#include "chunkserver/targets.h"
#include "common/net/rpc_client.h"
#include "common/net/rpc_server.h"
#include "common/net/tcp_transport.h"
#include "proto/chunk.pb.h"
#include "tests/testing/temp_dir.h"

namespace penstock::chunkserver {

struct ChainMember {
  uint64_t reserve_bytes = 0;
  MapHolder map;
  bool heard = true;  // the fences are known from the start; else a test sets them
  std::unique_ptr<FenceTable> fences;
  ChunkLocks locks;
  net::TcpTransport transport;
  std::unique_ptr<Targets> targets;
  std::unique_ptr<PeerClients> peers;
  std::unique_ptr<WriteChain> chain;
  std::unique_ptr<PendingSettler> settler;
  std::unique_ptr<AdoptedGroups> adopted;
  std::optional<ServingLease> lease;   // given by a test, before the member starts
  std::unique_ptr<GroupSync> sync;     // see StartSync()
  std::unique_ptr<CopyRepair> repair;  // see StartRepair()
  std::unique_ptr<ChunkService> service;
  std::unique_ptr<net::RpcServer> server;
  uint16_t port = 0;

  ChunkStore& store() { return *targets->all().front()->store; }
};

class ChainFixture {
 public:
  explicit ChainFixture(int members);
  ~ChainFixture();

  // Member 0 is the head; target and server number i + 1.
  ChainMember& member(int i) { return *members_[i]; }
  int size() const { return static_cast<int>(members_.size()); }
  void StopMember(int i);
  void StartMember(int i);  // on the same directory, at a new port
  // The members of the group, head to tail, under the next epoch; everybody hears of it.
  void NewEpoch(std::vector<int> in) { NewEpoch(std::move(in), {}); }
  // `syncing` stand behind those in sync. Without these, `reconciling` of them exchange all.
  void NewEpoch(std::vector<int> in, std::vector<int> syncing, uint32_t reconciling = 0);
  // Lets a member catch up where the map says that it is syncing.
  void StartSync(int i);
  bool Synced(int i);                                    // in all groups, as of this epoch
  void StartRepair(int i, size_t most_attempts = 1000);  // of damaged copies
  // As after a start with an index that has lost records: contents below `bound` may be lacked.
  void RestartInDoubt(int i, uint64_t bound);
  // Turns bits of the member's stored copy of `data`; the test chose bytes that are there once.
  void Damage(int i, const std::string& data);
  uint32_t epoch() const { return epoch_; }

  // A write of one chunk to the head of the group. The stamp counts up.
  wire::ChunkWrite MakeWrite(uint32_t index, const std::string& data, uint32_t offset = 0);
  wire::ChunkWrite MakeChange(uint32_t index, wire::ChunkChange change, uint32_t offset);
  wire::ChunkResult Write(const wire::ChunkWrite& write, const std::string& data, int to = 0);
  wire::ChunkResult Write(uint32_t index, const std::string& data, uint32_t offset = 0) {
    return Write(MakeWrite(index, data, offset), data);
  }
  absl::Status Call(int to, wire::Method method, const google::protobuf::Message& request,
                    google::protobuf::Message* response, const std::string& payload = "",
                    wire::PeerRole role = wire::ROLE_CLIENT);
  // The chunk's content at a member: "<absent>", "<error ...>" or the bytes.
  std::string Read(int from, uint32_t index);
  wire::ChunkResult ReadResultOf(int from, uint32_t index, std::string* bytes);
  wire::ChunkResult Stat(int at, uint32_t index, bool verify = false);
  wire::ChunkResult Sync(int at, uint32_t index, const wire::ChunkVersion& version);
  ChunkKey Key(uint32_t index) const;

  template <typename Item>
  void Fill(Item* item, int member, uint32_t index) {
    const ChunkKey key = Key(index);
    item->mutable_key()->set_content_id(key.content.value());
    item->mutable_key()->set_index(key.index);
    item->mutable_key()->set_position(key.position);
    item->set_storage_class(1);
    item->set_epoch(epoch_);
    item->set_target_id(static_cast<uint32_t>(member + 1));
  }

 private:
  void PublishMap();

  testing::TempDir dir_;
  net::PeerCredentials credentials_;
  net::TcpTransport transport_;
  std::vector<std::unique_ptr<ChainMember>> members_;
  std::vector<int> order_;
  std::vector<int> syncing_;
  uint32_t reconciling_ = 0;
  uint32_t epoch_ = 1;
  uint64_t map_version_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace penstock::chunkserver
