#include "chunkserver/service/chunk_service.h"

#include <absl/strings/str_cat.h>

#include "chunkserver/service/chunk_lookup.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

// Threads that only wait for a barrier cost little; fewer would make one fsync wait for another's
// barrier and then for its own.
constexpr int kSyncThreads = 16;
constexpr size_t kSyncQueue = 1024;
// Members that sync leave the disks to clients.
constexpr int kSourceThreads = 3;
constexpr size_t kSourceQueue = 256;
// Each holds a payload of up to a few chunks.
constexpr size_t kWriteQueue = 128;

absl::Status Busy() { return absl::AbortedError("the server has too much to do: try again"); }

}  // namespace

ChunkService::ChunkService(const ChunkserverOptions& options, Parts parts) : parts_(parts) {
  for (uint32_t hop = 0; hop < kMaxHops; ++hop) {
    writers_[hop] =
        std::make_unique<WorkerPool>(WorkerPoolOptions{.name = absl::StrCat("write", hop),
                                                       .threads = options.write_threads,
                                                       .queue_limit = kWriteQueue});
  }
  syncers_ = std::make_unique<WorkerPool>(
      WorkerPoolOptions{.name = "sync", .threads = kSyncThreads, .queue_limit = kSyncQueue});
  sources_ = std::make_unique<WorkerPool>(
      WorkerPoolOptions{.name = "source", .threads = kSourceThreads, .queue_limit = kSourceQueue});
}

ChunkService::~ChunkService() { Stop(); }

void ChunkService::Start() {
  for (auto& pool : writers_) pool->Start();
  syncers_->Start();
  sources_->Start();
}

void ChunkService::Stop() {
  for (auto& pool : writers_) pool->Stop();
  syncers_->Stop();
  sources_->Stop();
}

void ChunkService::Install(net::RpcServer* server) {
  server->Handle<wire::WriteChunksRequest, wire::WriteChunksResponse>(
      wire::METHOD_WRITE_CHUNKS,
      [this](std::unique_ptr<WriteCall> call) { AcceptWrite(std::move(call)); });
  server->Handle<wire::ReadChunksRequest, wire::ReadChunksResponse>(
      wire::METHOD_READ_CHUNKS,
      [this](std::unique_ptr<ReadCall> call) { AcceptRead(std::move(call)); });
  server->Handle<wire::StatChunksRequest, wire::StatChunksResponse>(
      wire::METHOD_STAT_CHUNKS,
      [this](std::unique_ptr<StatCall> call) { AcceptStat(std::move(call)); });
  server->Handle<wire::SyncChunksRequest, wire::SyncChunksResponse>(
      wire::METHOD_SYNC_CHUNKS,
      [this](std::unique_ptr<SyncCall> call) { AcceptSync(std::move(call)); });
  server->Handle<wire::ListChunksRequest, wire::ListChunksResponse>(
      wire::METHOD_LIST_CHUNKS,
      [this](std::unique_ptr<ListCall> call) { AcceptList(std::move(call)); });
  server->Handle<wire::FetchChunkRequest, wire::FetchChunkResponse>(
      wire::METHOD_FETCH_CHUNK,
      [this](std::unique_ptr<FetchCall> call) { AcceptFetch(std::move(call)); });
}

WorkerPool* ChunkService::ReadersFor(uint32_t target_id) const {
  if (Target* target = parts_.targets->Find(TargetId(target_id))) return target->readers.get();
  return parts_.targets->all().front()->readers.get();
}

// A registration brings the map, but only the first heartbeat's reply brings the fences: a session
// that was fenced while this server was away must find no door open in between.
template <typename Call>
bool ChunkService::TooEarly(Call& call) {
  absl::Status status = MayServe();
  if (!parts_.fences->known()) {
    status = absl::UnavailableError("this server has not heard from the metaserver yet");
  }
  if (status.ok()) return false;
  call.Finish(status);
  return true;
}

absl::Status ChunkService::MayServe() const {
  return parts_.lease == nullptr ? absl::OkStatus() : parts_.lease->Check();
}

template <typename Call>
bool ChunkService::NoMember(Call& call) {
  if (call.context().peer_role() == wire::ROLE_CHUNKSERVER) return false;
  call.Finish(absl::PermissionDeniedError("only a chunkserver copies chunks"));
  return true;
}

template <typename Call>
void ChunkService::Hand(WorkerPool* pool, std::unique_ptr<Call> call,
                        void (ChunkService::*run)(Call&)) {
  // Shared only so that a full queue, which destroys the work, leaves the call to be answered.
  std::shared_ptr<Call> shared = std::move(call);
  const bool posted = pool->Post([this, shared, run]() {
    if (absl::Now() > shared->context().deadline()) {
      shared->Finish(absl::DeadlineExceededError("the request waited too long in the queue"));
      return;
    }
    if (absl::Status status = MayServe(); !status.ok()) {
      shared->Finish(status);
      return;
    }
    (this->*run)(*shared);
  });
  if (!posted) shared->Finish(Busy());
}

void ChunkService::AcceptWrite(std::unique_ptr<WriteCall> call) {
  if (TooEarly(*call)) return;
  const auto& writes = call->request().writes();
  if (absl::Status status = CheckItemCount(writes.size()); !status.ok()) {
    call->Finish(status);
    return;
  }
  const uint32_t hop = writes.Get(0).hop();
  for (const wire::ChunkWrite& write : writes) {
    if (write.hop() == hop && hop < kMaxHops) continue;
    call->Finish(absl::InvalidArgumentError("bad hop"));
    return;
  }
  if (hop > 0 && call->context().peer_role() != wire::ROLE_CHUNKSERVER) {
    call->Finish(absl::PermissionDeniedError("only a chunkserver forwards writes"));
    return;
  }
  Hand(writers_[hop].get(), std::move(call), &ChunkService::RunWrite);
}

void ChunkService::AcceptRead(std::unique_ptr<ReadCall> call) {
  if (TooEarly(*call)) return;
  const auto& reads = call->request().reads();
  if (absl::Status status = CheckItemCount(reads.size()); !status.ok()) {
    call->Finish(status);
    return;
  }
  uint64_t total = 0;
  for (const wire::ChunkRead& read : reads) total += read.length();
  if (total > kMaxReplyBytes) {
    call->Finish(absl::InvalidArgumentError("the reads together are too long"));
    return;
  }
  WorkerPool* pool = ReadersFor(reads.Get(0).target_id());
  Hand(pool, std::move(call), &ChunkService::RunRead);
}

void ChunkService::AcceptStat(std::unique_ptr<StatCall> call) {
  if (TooEarly(*call)) return;
  if (absl::Status status = CheckItemCount(call->request().chunks_size()); !status.ok()) {
    call->Finish(status);
    return;
  }
  WorkerPool* pool = ReadersFor(call->request().chunks(0).target_id());
  Hand(pool, std::move(call), &ChunkService::RunStat);
}

void ChunkService::AcceptSync(std::unique_ptr<SyncCall> call) {
  if (TooEarly(*call)) return;
  if (absl::Status status = CheckItemCount(call->request().syncs_size()); !status.ok()) {
    call->Finish(status);
    return;
  }
  Hand(syncers_.get(), std::move(call), &ChunkService::RunSync);
}

void ChunkService::AcceptList(std::unique_ptr<ListCall> call) {
  if (TooEarly(*call)) return;
  // An administrator's check asks in no member's name, and is shown what is in sync (list_chunks).
  const bool checks =
      call->context().peer_role() == wire::ROLE_ADMIN && call->request().for_target_id() == 0;
  if (!checks && NoMember(*call)) return;
  Hand(sources_.get(), std::move(call), &ChunkService::RunList);
}

void ChunkService::AcceptFetch(std::unique_ptr<FetchCall> call) {
  if (TooEarly(*call) || NoMember(*call)) return;
  Hand(sources_.get(), std::move(call), &ChunkService::RunFetch);
}

}  // namespace penstock::chunkserver
