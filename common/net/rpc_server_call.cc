#include "common/net/rpc_server_call.h"

#include <absl/strings/str_cat.h>

#include "common/status.h"

namespace penstock::net {

RequestContext::RequestContext(std::shared_ptr<ServerConnection> connection, Arrival arrival,
                               PayloadBuffer payload, uint64_t reserved_bytes)
    : connection_(std::move(connection)),
      arrival_(arrival),
      payload_(std::move(payload)),
      reserved_bytes_(reserved_bytes) {}

RequestContext::~RequestContext() {
  if (!replied_) Reply(absl::InternalError("request was dropped unanswered"), nullptr, {});
  payload_ = {};
  if (reserved_bytes_ != 0) connection_->state().budget.Release(reserved_bytes_);
}

void RequestContext::Reply(const absl::Status& status, const google::protobuf::Message* response,
                           PayloadBuffer payload) {
  INVARIANT(!replied_);
  replied_ = true;
  RpcServerCounters& counters = connection_->state().counters;
  if (!status.ok()) counters.errors.fetch_add(1, std::memory_order_relaxed);
  const ServerState& state = connection_->state();
  if (state.HandlerOf(arrival_.reply_to.method) != nullptr) {
    state.times[arrival_.reply_to.method].Observe(absl::Now() - arrival_.complete);
  }
  INVARIANT(payload.size() <= UINT32_MAX);
  ServerConnection::Reply reply;
  reply.ends_call = true;
  reply.frame.head = EncodeReply(arrival_.reply_to, status, response,
                                 static_cast<uint32_t>(status.ok() ? payload.size() : 0));
  if (status.ok() && payload.size() != 0) {
    counters.payload_bytes_sent.fetch_add(payload.size(), std::memory_order_relaxed);
    reply.payload = std::move(payload);
    reply.frame.payload.push_back({reply.payload.data(), reply.payload.size()});
  }
  connection_->SendReply(std::move(reply));
}

void HandleRequest(const ServerState& state, uint16_t method,
                   std::unique_ptr<RequestContext> context, std::string_view message) {
  if (const RpcServer::RawHandler* handler = state.HandlerOf(method)) {
    (*handler)(std::move(context), message);
    return;
  }
  if (method == wire::METHOD_PING) {
    wire::PingResponse response;
    response.set_program(state.options.program);
    response.set_version(PENSTOCK_VERSION);
    context->Reply(absl::OkStatus(), &response, {});
    return;
  }
  context->Reply(WithReason(absl::UnimplementedError(
                                absl::StrCat("this server does not know method ", method)),
                            Reason::kUnknownMethod),
                 nullptr, {});
}

}  // namespace penstock::net
