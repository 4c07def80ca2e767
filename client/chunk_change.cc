// Changing, syncing and looking at chunks: requests to heads (a sync: to every in-sync member),
// gathered a server, repeated for what failed.
#include <algorithm>
#include <map>
#include <optional>

#include "client/chunk_batch.h"
#include "common/checksum.h"

namespace penstock::client {
namespace {

constexpr size_t kBatchLimit = 512;  // chunks in one request

absl::Status NoGroup() {
  return WithReason(absl::UnavailableError("the chunk's group is not in the cluster map"),
                    Reason::kNoGroups);
}

// Keeps the error that matters most: one that no further try heals.
void Worsen(const absl::Status& status, absl::Status* worst) {
  if (status.ok()) return;
  if (worst->ok() || (MayHeal(*worst) && !MayHeal(status))) *worst = status;
}

void FillWrite(const FileLayout& layout, const ChunkCut& cut, wire::ChunkWrite* write) {
  SetKey(ChunkKeyOf(layout, cut.index), write->mutable_key());
  write->set_storage_class(layout.storage_class);
  write->set_change(cut.change);
  write->set_offset(cut.offset);
  write->set_length(cut.length);
  write->set_session_id(cut.stamp.session.value());
  write->set_channel(cut.stamp.channel);
  write->set_channel_sequence(cut.stamp.sequence);
}

template <typename Response>
absl::Status ResultOf(const absl::Status& whole, const google::protobuf::Message& response,
                      size_t items, size_t at, const wire::ChunkResult** result) {
  if (!whole.ok()) return whole;
  const auto& typed = static_cast<const Response&>(response);
  if (static_cast<size_t>(typed.results_size()) != items) {
    return absl::DataLossError("not one result for each chunk");
  }
  *result = &typed.results(static_cast<int>(at));
  return StatusOf(**result);
}

ChunkChanged ChangedOf(const wire::ChunkResult& result) {
  return {VersionOf(result.version()), result.length_delta()};
}

}  // namespace

absl::StatusOr<ChunkChanged> ChunkClient::Write(const FileLayout& layout, const ChunkPut& put,
                                                const OpContext& op) {
  wire::WriteChunksRequest request;
  wire::ChunkWrite* write = request.add_writes();
  FillWrite(layout,
            {put.index, wire::CHANGE_WRITE, put.offset, static_cast<uint32_t>(put.data.size()),
             put.stamp},
            write);
  write->set_crc32c(Crc32c(put.data));
  const uint32_t position = ChunkPosition(layout.seed, put.index);
  Tries tries(maps_, options_.io_timeout);
  while (true) {
    absl::Status status = NoGroup();
    std::vector<Member> members = InSyncMembers(*maps_->Get(), layout.storage_class, position);
    if (!members.empty()) {
      write->set_epoch(members[0].epoch);
      write->set_target_id(members[0].target.value());
      std::vector<Batch> one(1);
      one[0].server = members[0].server;
      one[0].method = wire::METHOD_WRITE_CHUNKS;
      one[0].request = std::make_unique<wire::WriteChunksRequest>(request);
      one[0].response = std::make_unique<wire::WriteChunksResponse>();
      one[0].payload = put.data;
      one[0].timeout = std::min(options_.change_try, tries.left());
      RETURN_IF_ERROR(RunBatches(one, op));
      const wire::ChunkResult* result = nullptr;
      status = ResultOf<wire::WriteChunksResponse>(one[0].status, *one[0].response, 1, 0, &result);
      if (status.ok()) return ChangedOf(*result);
    }
    RETURN_IF_ERROR(tries.Again(status, op));
  }
}

absl::StatusOr<std::vector<ChunkChanged>> ChunkClient::Change(const FileLayout& layout,
                                                              absl::Span<const ChunkCut> cuts,
                                                              const OpContext& op) {
  std::vector<ChunkChanged> changed(cuts.size());
  std::vector<size_t> left(cuts.size());
  for (size_t i = 0; i < cuts.size(); ++i) left[i] = i;
  Tries tries(maps_, options_.io_timeout);
  while (!left.empty()) {
    std::shared_ptr<const ClusterMap> map = maps_->Get();
    std::map<ServerId, Batch> by_server;
    absl::Status worst;
    for (size_t i : left) {
      const uint32_t position = ChunkPosition(layout.seed, cuts[i].index);
      std::vector<Member> members = InSyncMembers(*map, layout.storage_class, position);
      if (members.empty()) {
        Worsen(NoGroup(), &worst);
        continue;
      }
      Batch& batch = by_server[members[0].server];
      if (batch.request == nullptr) {
        batch.server = members[0].server;
        batch.method = wire::METHOD_WRITE_CHUNKS;
        batch.request = std::make_unique<wire::WriteChunksRequest>();
        batch.response = std::make_unique<wire::WriteChunksResponse>();
        batch.timeout = std::min(options_.change_try, tries.left());
      }
      if (batch.items.size() >= kBatchLimit) continue;
      batch.items.push_back(i);
      auto* write = static_cast<wire::WriteChunksRequest&>(*batch.request).add_writes();
      FillWrite(layout, cuts[i], write);
      write->set_epoch(members[0].epoch);
      write->set_target_id(members[0].target.value());
    }
    std::vector<Batch> batches;
    for (auto& [server, batch] : by_server) batches.push_back(std::move(batch));
    RETURN_IF_ERROR(RunBatches(batches, op));
    std::vector<bool> done(cuts.size(), false);
    for (const Batch& batch : batches) {
      for (size_t at = 0; at < batch.items.size(); ++at) {
        const wire::ChunkResult* result = nullptr;
        absl::Status status = ResultOf<wire::WriteChunksResponse>(batch.status, *batch.response,
                                                                  batch.items.size(), at, &result);
        Worsen(status, &worst);
        if (!status.ok()) continue;
        changed[batch.items[at]] = ChangedOf(*result);
        done[batch.items[at]] = true;
      }
    }
    std::erase_if(left, [&](size_t i) { return done[i]; });
    if (!left.empty() && !worst.ok()) RETURN_IF_ERROR(tries.Again(worst, op));
  }
  return changed;
}

absl::Status ChunkClient::Sync(const FileLayout& layout, absl::Span<const IndexedVersion> versions,
                               const OpContext& op) {
  struct Item {
    size_t version;
    TargetId target;
    auto operator<=>(const Item&) const = default;
  };
  std::map<Item, bool> synced;  // by member: one that has done it is not asked again
  Tries tries(maps_, options_.io_timeout);
  while (true) {
    std::shared_ptr<const ClusterMap> map = maps_->Get();
    std::map<ServerId, Batch> by_server;
    std::map<ServerId, std::vector<Item>> items;
    absl::Status worst;
    bool more = false;
    for (size_t i = 0; i < versions.size(); ++i) {
      const ChunkKey key = ChunkKeyOf(layout, versions[i].first);
      std::vector<Member> members = InSyncMembers(*map, layout.storage_class, key.position);
      if (members.empty()) Worsen(NoGroup(), &worst);
      for (const Member& member : members) {
        if (synced.contains({i, member.target})) continue;
        more = true;
        std::vector<Item>& mine = items[member.server];
        if (mine.size() >= kBatchLimit) continue;
        Batch& batch = by_server[member.server];
        if (batch.request == nullptr) {
          batch.server = member.server;
          batch.method = wire::METHOD_SYNC_CHUNKS;
          batch.request = std::make_unique<wire::SyncChunksRequest>();
          batch.response = std::make_unique<wire::SyncChunksResponse>();
          batch.timeout = std::min(options_.change_try, tries.left());
        }
        mine.push_back({i, member.target});
        auto* sync = static_cast<wire::SyncChunksRequest&>(*batch.request).add_syncs();
        SetKey(key, sync->mutable_key());
        sync->set_storage_class(layout.storage_class);
        sync->set_epoch(member.epoch);
        sync->set_target_id(member.target.value());
        SetVersion(versions[i].second, sync->mutable_version());
      }
    }
    if (!more && worst.ok()) return absl::OkStatus();
    std::vector<Batch> batches;
    for (auto& [server, batch] : by_server) batches.push_back(std::move(batch));
    RETURN_IF_ERROR(RunBatches(batches, op));
    for (const Batch& batch : batches) {
      const std::vector<Item>& mine = items[batch.server];
      for (size_t at = 0; at < mine.size(); ++at) {
        const wire::ChunkResult* result = nullptr;
        absl::Status status = ResultOf<wire::SyncChunksResponse>(batch.status, *batch.response,
                                                                 mine.size(), at, &result);
        if (ReasonOf(status) == Reason::kNotDurable) {
          return PosixError(EIO, absl::StrCat("sync: ", status.message()));
        }
        Worsen(status, &worst);
        if (status.ok()) synced[mine[at]] = true;
      }
    }
    if (!worst.ok()) RETURN_IF_ERROR(tries.Again(worst, op));
  }
}

absl::StatusOr<std::vector<StoredChunk>> ChunkClient::Stat(const FileLayout& layout, uint32_t first,
                                                           uint32_t count, const OpContext& op) {
  std::vector<std::optional<StoredChunk>> found(count);
  Tries tries(maps_, options_.io_timeout);
  size_t rounds = 0;
  while (true) {
    std::shared_ptr<const ClusterMap> map = maps_->Get();
    std::map<ServerId, Batch> by_server;
    absl::Status worst;
    bool more = false;
    for (uint32_t i = 0; i < count; ++i) {
      if (found[i].has_value()) continue;
      more = true;
      const ChunkKey key = ChunkKeyOf(layout, first + i);
      // The head has everything that its successors have; when it is away, another must do.
      std::vector<Member> members = InSyncMembers(*map, layout.storage_class, key.position);
      if (members.empty()) {
        Worsen(NoGroup(), &worst);
        continue;
      }
      const Member& member = members[rounds % members.size()];
      Batch& batch = by_server[member.server];
      if (batch.items.size() >= kBatchLimit) continue;
      if (batch.request == nullptr) {
        batch.server = member.server;
        batch.method = wire::METHOD_STAT_CHUNKS;
        batch.request = std::make_unique<wire::StatChunksRequest>();
        batch.response = std::make_unique<wire::StatChunksResponse>();
        batch.timeout = std::min(options_.read_try, tries.left());
      }
      batch.items.push_back(i);
      auto* chunk = static_cast<wire::StatChunksRequest&>(*batch.request).add_chunks();
      SetKey(key, chunk->mutable_key());
      chunk->set_storage_class(layout.storage_class);
      chunk->set_epoch(member.epoch);
      chunk->set_target_id(member.target.value());
    }
    if (!more) break;
    std::vector<Batch> batches;
    for (auto& [server, batch] : by_server) batches.push_back(std::move(batch));
    RETURN_IF_ERROR(RunBatches(batches, op));
    for (const Batch& batch : batches) {
      for (size_t at = 0; at < batch.items.size(); ++at) {
        const wire::ChunkResult* result = nullptr;
        absl::Status status = ResultOf<wire::StatChunksResponse>(batch.status, *batch.response,
                                                                 batch.items.size(), at, &result);
        Worsen(status, &worst);
        if (!status.ok()) continue;
        found[batch.items[at]] =
            StoredChunk{!result->absent(), result->logical_length(), VersionOf(result->version())};
      }
    }
    if (!worst.ok()) {
      RETURN_IF_ERROR(tries.Again(worst, op));
      ++rounds;
    }
  }
  std::vector<StoredChunk> all;
  for (const auto& chunk : found) all.push_back(*chunk);
  return all;
}

}  // namespace penstock::client
