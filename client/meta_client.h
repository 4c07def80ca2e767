// MetaClient asks the metaserver: it names the session, gives each mutation a slot and a sequence,
// and repeats what is safe to repeat until the I/O timeout. Thread-safe.
//
// A mutation keeps its slot and sequence over all its tries, so the metaserver carries it out once.
// When the session ends while a try may have been carried out, the answer is EIO: it is never
// repeated under a new session. That goes for the tries of a client that died, too.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>

#include "client/meta_api.h"
#include "client/meta_transport.h"
#include "client/mutation_slots.h"
#include "client/session.h"

namespace penstock::client {

struct MetaClientOptions {
  absl::Duration io_timeout = absl::Seconds(60);
  absl::Duration try_timeout = absl::Seconds(10);  // of one request
  SlotRecords* slots = nullptr;                    // outlive the process; nullptr: they do not
  uint64_t client = 0;                             // counts the clients of this session
  std::function<void()> on_old_answer;  // an answer that an earlier client was given may have come
};

class MetaClient : public MetaApi {
 public:
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
                      const OpContext& op, bool may_have_happened = false);

  MetaTransport* const transport_;
  Session* const session_;
  const MetaClientOptions options_;
  MutationSlots slots_;
  std::array<std::atomic<uint64_t>, wire::Method_ARRAYSIZE> calls_{};
};

}  // namespace penstock::client
