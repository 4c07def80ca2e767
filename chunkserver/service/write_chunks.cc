// METHOD_WRITE_CHUNKS: from a client to the head (hop 0), and from member to member.
#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>

#include <optional>
#include <vector>

#include "chunkserver/chain/chunk_wire.h"
#include "chunkserver/service/chunk_lookup.h"
#include "chunkserver/service/chunk_service.h"
#include "chunkserver/store/chunk_store.h"
#include "common/status.h"

namespace penstock::chunkserver {
namespace {

absl::Status CheckPayload(const wire::WriteChunksRequest& request, size_t payload_bytes) {
  uint64_t wanted = 0;
  for (const wire::ChunkWrite& write : request.writes()) wanted += PayloadBytes(write);
  if (wanted == payload_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the writes say ", wanted, " payload bytes, ", payload_bytes, " came"));
}

absl::Status CheckChange(const wire::ChunkWrite& write) {
  if (uint64_t{write.offset()} + write.length() > UINT32_MAX) {
    return absl::InvalidArgumentError("the change ends beyond any chunk");
  }
  if (write.hop() == 0 && write.session_id() == 0) {
    return absl::InvalidArgumentError("a write without a session");
  }
  // The target's own versions continue above those that it has seen.
  if (write.version().sequence() > kHighestSequence) {
    return absl::InvalidArgumentError("no version is so high");
  }
  return absl::OkStatus();
}

absl::StatusOr<ChainJob> MakeJob(const ClusterMap& map, const Targets& targets,
                                 const wire::ChunkWrite& write, absl::Span<const char> data) {
  RETURN_IF_ERROR(CheckChange(write));
  ASSIGN_OR_RETURN(const FoundChunk found, FindChunk(map, targets, AddressOf(write)));
  ChainJob job;
  job.target = found.target;
  found.target->requests.fetch_add(1, std::memory_order_relaxed);
  job.storage_class = write.storage_class();
  job.key = FromWire(write.key());
  ASSIGN_OR_RETURN(job.change, ChangeFromWire(write, data));
  job.request.kind = job.change.kind;
  job.request.stamp = job.change.stamp;
  job.request.epoch = write.epoch();
  job.request.hop = write.hop();
  job.request.version = FromWire(write.version());
  job.request.base = FromWire(write.base_version());
  return job;
}

}  // namespace

void ChunkService::RunWrite(WriteCall& call) {
  const wire::WriteChunksRequest& request = call.request();
  if (absl::Status status = CheckPayload(request, call.payload().size()); !status.ok()) {
    call.Finish(status);
    return;
  }
  // Before the fences are asked: what is fenced after this term is not waited for here.
  const uint64_t term = parts_.lease == nullptr ? 0 : parts_.lease->term();
  const auto map = parts_.map->Get();
  std::vector<ChainJob> jobs;
  std::vector<int> item_of_job;
  std::vector<FenceTable::Pass> passes;  // until the writes are over
  size_t at = 0;
  for (int i = 0; i < request.writes_size(); ++i) {
    const wire::ChunkWrite& write = request.writes(i);
    const auto data = call.payload().subspan(at, PayloadBytes(write));
    at += data.size();
    wire::ChunkResult* result = call.response().add_results();
    auto job = MakeJob(*map, *parts_.targets, write, data);
    absl::Status status = job.status();
    // Behind the head the write is the chain's, no longer the session's.
    if (status.ok() && write.hop() == 0) {
      auto pass = parts_.fences->Enter(job->request.stamp.session);
      status = pass.status();
      if (pass.ok()) passes.push_back(*std::move(pass));
      if (parts_.lease != nullptr) {
        job->may_stage = [lease = parts_.lease, term] { return lease->CheckStill(term); };
      }
    }
    if (!status.ok()) {
      SetStatus(status, result);
      continue;
    }
    jobs.push_back(*std::move(job));
    item_of_job.push_back(i);
  }
  parts_.chain->Run(absl::MakeSpan(jobs), call.context().deadline());
  const absl::Status may_serve = MayServe();
  for (size_t i = 0; i < jobs.size(); ++i) {
    ChainJob& job = jobs[i];
    // A client is told by whoever is the head by then; it repeats the write.
    if (job.request.hop == 0) job.status.Update(may_serve);
    wire::ChunkResult* result = call.response().mutable_results(item_of_job[i]);
    SetStatus(job.status, result);
    if (job.status.ok()) {
      *result->mutable_version() = ToWire(job.version);
      result->set_length_delta(job.length_delta);
    } else {
      parts_.settler->Note(job.target->target_id(), job.storage_class, job.key);
    }
  }
  passes.clear();
  call.Finish(absl::OkStatus());
}

}  // namespace penstock::chunkserver
