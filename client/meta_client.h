// MetaClient asks the metaserver: it names the session, gives each mutation a slot and a sequence,
// and repeats what is safe to repeat until the I/O timeout. Thread-safe.
//
// A mutation keeps its slot and sequence over all its tries, so the metaserver carries it out once.
// When the session ends while a try may have been carried out, the answer is EIO: it is never
// repeated under a new session.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <atomic>
#include <vector>

#include "client/meta_api.h"
#include "client/meta_transport.h"
#include "client/session.h"

namespace penstock::client {

struct MetaClientOptions {
  absl::Duration io_timeout = absl::Seconds(60);
  absl::Duration try_timeout = absl::Seconds(10);  // of one request
};

class MetaClient : public MetaApi {
 public:
  static constexpr uint32_t kSlots = 32;

  // `transport` and `session` must outlive the client.
  MetaClient(MetaTransport* transport, Session* session, MetaClientOptions options);

  // Requests sent, tries included.
  uint64_t calls(wire::Method method) const {
    return calls_[static_cast<size_t>(method)].load(std::memory_order_relaxed);
  }

 protected:
  absl::Status Send(Kind kind, google::protobuf::Message* request, wire::MetaContext* context,
                    google::protobuf::Message* response, const OpContext& op) override;

 private:
  absl::Status SendMutation(Kind kind, google::protobuf::Message* request,
                            wire::MetaContext* context, google::protobuf::Message* response,
                            const OpContext& op);
  absl::Status Repeat(Kind kind, const google::protobuf::Message& request,
                      wire::MetaContext* context, google::protobuf::Message* response,
                      const OpContext& op);
  absl::StatusOr<uint32_t> TakeSlot(const OpContext& op);
  void GiveSlot(uint32_t slot);

  MetaTransport* const transport_;
  Session* const session_;
  const MetaClientOptions options_;
  absl::Mutex mu_;
  std::vector<uint32_t> free_slots_ ABSL_GUARDED_BY(mu_);
  std::array<std::atomic<uint64_t>, wire::Method_ARRAYSIZE> calls_{};
  std::array<uint64_t, kSlots> sequence_{};  // of a slot: only its taker touches it
};

}  // namespace penstock::client
