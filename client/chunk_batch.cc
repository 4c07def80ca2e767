#include "client/chunk_batch.h"

#include <algorithm>

namespace penstock::client {

// At most one batch a server: all are under way at once, sent in ascending order of servers (see
// ChunkServers::Start). Only an interrupt ends the whole.
absl::Status ChunkClient::RunBatches(std::vector<Batch>& batches, const OpContext& op) {
  std::sort(batches.begin(), batches.end(),
            [](const Batch& a, const Batch& b) { return a.server < b.server; });
  std::vector<std::unique_ptr<ChunkServers::Reply>> replies(batches.size());
  for (size_t i = 0; i < batches.size(); ++i) {
    Batch& batch = batches[i];
    const iovec payload{const_cast<char*>(batch.payload.data()), batch.payload.size()};
    auto reply = servers_->Start(batch.server, batch.method, *batch.request,
                                 {.timeout = batch.timeout, .interrupt = op.interrupt},
                                 absl::MakeSpan(&payload, batch.payload.empty() ? 0 : 1), {});
    if (reply.ok()) {
      replies[i] = std::move(*reply);
    } else {
      batch.status = reply.status();
    }
  }
  for (size_t i = 0; i < batches.size(); ++i) {
    if (replies[i] != nullptr) {
      batches[i].status = replies[i]->Finish(batches[i].response.get(), {}, nullptr);
    }
    NoteFailure(batches[i].server, batches[i].status);
  }
  return CheckInterrupt(op);
}

}  // namespace penstock::client
