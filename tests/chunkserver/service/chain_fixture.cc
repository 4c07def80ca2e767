#include "tests/chunkserver/service/chain_fixture.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "chunkserver/chain/chunk_wire.h"
#include "common/checksum.h"
#include "common/placement.h"
#include "common/program.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

constexpr char kCluster[] = "chain-test";
constexpr uint64_t kSession = 77;
constexpr uint32_t kSeed = 12345;
const ContentId kContent{4711};
constexpr uint32_t kGroups = 4;

}  // namespace

ChainFixture::ChainFixture(int members) {
  credentials_.key = *net::ClusterKey::Generate();
  credentials_.cluster_id = kCluster;
  for (int i = 0; i < members; ++i) {
    order_.push_back(i);
    members_.push_back(std::make_unique<ChainMember>());
    const std::string path = absl::StrCat(dir_.path(), "/t", i);
    const TargetIdentity identity{kCluster, NewUuid(), TargetId(static_cast<uint32_t>(i + 1))};
    REQUIRE(ChunkStore::Format(path, identity, PosixFileSystem()).ok());
  }
  for (int i = 0; i < members; ++i) StartMember(i);
}

ChainFixture::~ChainFixture() {
  for (int i = 0; i < size(); ++i) StopMember(i);
}

void ChainFixture::StartMember(int i) {
  ChainMember& member = *members_[i];
  auto target = std::make_unique<Target>(SystemClock());
  target->path = target->dir = absl::StrCat(dir_.path(), "/t", i);
  target->id = static_cast<uint32_t>(i + 1);
  ChunkStoreOptions store_options;
  store_options.dir = target->path;
  store_options.cluster_id = kCluster;
  store_options.slab_bytes = 16 * kMiB;
  store_options.max_chunk_bytes = 8 * kMiB;
  store_options.reserve_bytes = member.reserve_bytes;
  auto store = ChunkStore::Open(store_options, "boot", PosixFileSystem(), SystemClock());
  INFO(store.status());
  REQUIRE(store.ok());
  target->store = *std::move(store);
  target->readers = std::make_unique<WorkerPool>(WorkerPoolOptions{.name = "read", .threads = 2});
  target->readers->Start();
  std::vector<std::unique_ptr<Target>> all;
  all.push_back(std::move(target));
  member.targets = std::make_unique<Targets>(std::move(all));
  member.peers = std::make_unique<PeerClients>(&member.transport, credentials_, 5);
  member.chain = std::make_unique<WriteChain>(&member.map, member.peers.get(), &member.locks);
  member.settler =
      std::make_unique<PendingSettler>(member.targets.get(), member.chain.get(), SystemClock());
  member.fences = std::make_unique<FenceTable>();
  if (member.heard) member.fences->Update(0, {});  // as a heartbeat's reply does
  member.adopted = std::make_unique<AdoptedGroups>();
  ChunkserverOptions options;
  options.write_threads = 4;
  member.service = std::make_unique<ChunkService>(
      options, ChunkService::Parts{&member.map, member.targets.get(), member.chain.get(),
                                   member.settler.get(), member.fences.get(), member.adopted.get(),
                                   member.lease ? &*member.lease : nullptr});
  net::RpcServerOptions server_options;
  server_options.credentials = credentials_;
  server_options.reactor_threads = 1;
  member.server = std::make_unique<net::RpcServer>(&member.transport, server_options);
  member.service->Install(member.server.get());
  member.service->Start();
  REQUIRE(member.server->Start().ok());
  member.port = member.server->port();
  PublishMap();
}

void ChainFixture::StopMember(int i) {
  ChainMember& member = *members_[i];
  if (member.server == nullptr) return;
  if (member.sync != nullptr) member.sync->Stop();
  if (member.repair != nullptr) member.repair->Stop();
  member.server->Stop(absl::Seconds(1));
  member.settler->Stop();
  member.service->Stop();
  member.server.reset();
  member.service.reset();
  member.settler.reset();
  member.sync.reset();
  member.repair.reset();
  member.chain.reset();
  member.peers.reset();
  member.targets.reset();
}

void ChainFixture::RestartInDoubt(int i, uint64_t bound) {
  const std::string path = absl::StrCat(dir_.path(), "/t", i, "/contents.json");
  StopMember(i);
  const std::string text =
      absl::StrCat("{\"format\": 1, \"below\": 10000, \"unknown_below\": ", bound, "}");
  REQUIRE(WriteSmallFile(PosixFileSystem(), path, text).ok());
  StartMember(i);
}

void ChainFixture::StartRepair(int i, size_t most_attempts) {
  ChainMember& member = *members_[i];
  CopyRepair::Options options;
  options.pauses = {absl::Milliseconds(20), absl::Milliseconds(100)};
  options.look_every = absl::Milliseconds(10);
  options.most_attempts = most_attempts;
  member.repair = std::make_unique<CopyRepair>(
      CopyRepair::Parts{&member.map, member.targets.get(), member.peers.get(), &member.locks,
                        member.settler.get(), SystemClock()},
      options);
  member.repair->Start();
}

void ChainFixture::Damage(int i, const std::string& data) {
  int found = 0;
  for (const auto& slab :
       std::filesystem::directory_iterator(absl::StrCat(dir_.path(), "/t", i, "/slabs"))) {
    std::fstream file(slab.path(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    for (size_t at = bytes.find(data); at != std::string::npos; at = bytes.find(data, at + 1)) {
      file.clear();
      file.seekp(static_cast<std::streamoff>(at + data.size() / 2));
      file.put(static_cast<char>(data[data.size() / 2] ^ 4));
      ++found;
    }
  }
  REQUIRE(found == 1);
}

void ChainFixture::PublishMap() {
  wire::ClusterMap map;
  map.set_version(++map_version_);
  map.set_cluster_id(kCluster);
  for (int i = 0; i < size(); ++i) {
    const auto id = static_cast<uint32_t>(i + 1);
    wire::MapServer* server = map.add_servers();
    server->set_server_id(id);
    server->set_state(wire::SERVER_ONLINE);
    wire::Address* address = server->add_addresses();
    address->set_host("127.0.0.1");
    address->set_port(members_[i]->port);
    address->set_transport("tcp");
    wire::MapTarget* target = map.add_targets();
    target->set_target_id(id);
    target->set_server_id(id);
    target->set_state(wire::TARGET_ONLINE);
  }
  wire::MapStorageClass* storage_class = map.add_classes();
  storage_class->set_storage_class(1);
  storage_class->set_replication(static_cast<uint32_t>(size()));
  storage_class->set_group_count(kGroups);
  for (uint32_t number = 0; number < kGroups; ++number) {
    wire::MapGroup* group = map.add_groups();
    group->set_storage_class(1);
    group->set_number(number);
    group->set_epoch(epoch_);
    group->set_reconciling(reconciling_);
    for (int i : order_) {
      wire::MapMember* in = group->add_members();
      in->set_target_id(static_cast<uint32_t>(i + 1));
      in->set_state(wire::MEMBER_IN_SYNC);
    }
    for (int i : syncing_) {
      wire::MapMember* in = group->add_members();
      in->set_target_id(static_cast<uint32_t>(i + 1));
      in->set_state(wire::MEMBER_SYNCING);
    }
  }
  for (auto& member : members_) {
    const absl::Status status = member->map.Apply(map);
    INFO(status);
    REQUIRE(status.ok());
  }
}

void ChainFixture::NewEpoch(std::vector<int> in, std::vector<int> syncing, uint32_t reconciling) {
  order_ = std::move(in);
  syncing_ = std::move(syncing);
  reconciling_ = reconciling;
  ++epoch_;
  PublishMap();
}

void ChainFixture::StartSync(int i) {
  ChainMember& member = *members_[i];
  GroupSync::Options options;
  options.first_pause = absl::Milliseconds(10);
  options.longest_pause = absl::Milliseconds(200);
  member.sync = std::make_unique<GroupSync>(
      GroupSync::Parts{&member.map, member.targets.get(), member.peers.get(), &member.locks,
                       member.adopted.get(), SystemClock()},
      options);
  member.sync->Start();
}

bool ChainFixture::Synced(int i) {
  const auto groups = members_[i]->sync->synced();
  return groups.size() == kGroups &&
         std::all_of(groups.begin(), groups.end(), [&](const wire::SyncedGroup& group) {
           return group.epoch() == epoch_ && group.target_id() == static_cast<uint32_t>(i + 1);
         });
}

ChunkKey ChainFixture::Key(uint32_t index) const {
  return ChunkKey{ChunkPosition(kSeed, index), kContent, index};
}

wire::ChunkWrite ChainFixture::MakeWrite(uint32_t index, const std::string& data, uint32_t offset) {
  wire::ChunkWrite write = MakeChange(index, wire::CHANGE_WRITE, offset);
  write.set_length(static_cast<uint32_t>(data.size()));
  write.set_crc32c(Crc32c(data));
  return write;
}

wire::ChunkWrite ChainFixture::MakeChange(uint32_t index, wire::ChunkChange change,
                                          uint32_t offset) {
  wire::ChunkWrite write;
  Fill(&write, order_.empty() ? syncing_.front() : order_.front(), index);
  write.set_change(change);
  write.set_offset(offset);
  write.set_session_id(kSession);
  write.set_channel(1);
  write.set_channel_sequence(++sequence_);
  return write;
}

absl::Status ChainFixture::Call(int to, wire::Method method,
                                const google::protobuf::Message& request,
                                google::protobuf::Message* response, const std::string& payload,
                                wire::PeerRole role) {
  net::RpcClientOptions options;
  options.credentials = credentials_;
  options.role = role;
  wire::Address address;
  address.set_host("127.0.0.1");
  address.set_port(members_[to]->port);
  address.set_transport("tcp");
  net::RpcClient client(&transport_, {address}, options);
  net::CallOptions call;
  call.timeout = absl::Seconds(5);
  std::vector<iovec> out;
  if (!payload.empty()) out.push_back({const_cast<char*>(payload.data()), payload.size()});
  return client.Call(method, request, response, call, out);
}

wire::ChunkResult ChainFixture::Write(const wire::ChunkWrite& write, const std::string& data,
                                      int to) {
  wire::WriteChunksRequest request;
  *request.add_writes() = write;
  wire::WriteChunksResponse response;
  const absl::Status status = Call(to, wire::METHOD_WRITE_CHUNKS, request, &response, data);
  wire::ChunkResult result;
  // No assertion here: Catch's are not for several threads.
  if (status.ok() && response.results_size() == 1) return response.results(0);
  SetStatus(status.ok() ? absl::InternalError("a reply with another number of results") : status,
            &result);
  return result;
}

wire::ChunkResult ChainFixture::ReadResultOf(int from, uint32_t index, std::string* bytes) {
  wire::ReadChunksRequest request;
  wire::ChunkRead* read = request.add_reads();
  Fill(read, from, index);
  read->set_length(1 << 20);
  wire::ReadChunksResponse response;
  net::RpcClientOptions options;
  options.credentials = credentials_;
  wire::Address address;
  address.set_host("127.0.0.1");
  address.set_port(members_[from]->port);
  address.set_transport("tcp");
  net::RpcClient client(&transport_, {address}, options);
  bytes->assign(1 << 20, '?');
  const std::vector<iovec> into = {{bytes->data(), bytes->size()}};
  size_t received = 0;
  const absl::Status status =
      client.Call(wire::METHOD_READ_CHUNKS, request, &response, {}, {}, into, &received);
  INFO(status);
  REQUIRE(status.ok());
  bytes->resize(received);
  REQUIRE(response.results_size() == 1);
  REQUIRE(response.results(0).length() == received);
  REQUIRE((received == 0 || response.results(0).crc32c() == Crc32c(*bytes)));
  return response.results(0);
}

std::string ChainFixture::Read(int from, uint32_t index) {
  std::string bytes;
  const wire::ChunkResult result = ReadResultOf(from, index, &bytes);
  if (result.code() != 0) return absl::StrCat("<error ", result.message(), ">");
  return result.absent() ? "<absent>" : bytes;
}

wire::ChunkResult ChainFixture::Stat(int at, uint32_t index, bool verify) {
  wire::StatChunksRequest request;
  Fill(request.add_chunks(), at, index);
  request.set_verify(verify);
  wire::StatChunksResponse response;
  REQUIRE(Call(at, wire::METHOD_STAT_CHUNKS, request, &response).ok());
  return response.results(0);
}

wire::ChunkResult ChainFixture::Sync(int at, uint32_t index, const wire::ChunkVersion& version) {
  wire::SyncChunksRequest request;
  wire::ChunkSync* sync = request.add_syncs();
  Fill(sync, at, index);
  *sync->mutable_version() = version;
  wire::SyncChunksResponse response;
  REQUIRE(Call(at, wire::METHOD_SYNC_CHUNKS, request, &response).ok());
  return response.results(0);
}

}  // namespace penstock::chunkserver
