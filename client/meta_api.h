// MetaApi is the metaserver as the rest of the client sees it: one typed call an operation. The
// implementation names the session and slot and retries; a test puts an in-memory one here.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "client/op_context.h"
#include "common/status.h"
#include "proto/meta.pb.h"
#include "proto/rpc.pb.h"

namespace penstock::client {

class MetaApi {
 public:
  virtual ~MetaApi() = default;

  // Changes nothing, so it may be asked twice.
  template <typename Response, typename Request>
  absl::StatusOr<Response> Query(wire::Method method, Request request, const OpContext& op) {
    Response response;
    RETURN_IF_ERROR(Send({method, false}, &request, request.mutable_context(), &response, op));
    return response;
  }

  // Happens once, however often it had to be sent.
  template <typename Response, typename Request>
  absl::StatusOr<Response> Mutate(wire::Method method, Request request, const OpContext& op) {
    Response response;
    RETURN_IF_ERROR(Send({method, true}, &request, request.mutable_context(), &response, op));
    return response;
  }

 protected:
  struct Kind {
    wire::Method method;
    bool mutation;
  };
  // `context` lies inside `request`; the implementation fills it.
  virtual absl::Status Send(Kind kind, google::protobuf::Message* request,
                            wire::MetaContext* context, google::protobuf::Message* response,
                            const OpContext& op) = 0;
};

}  // namespace penstock::client
