// A request to one server under way, with what to do with its answer.
#pragma once

#include <absl/functional/any_invocable.h>

#include <memory>
#include <string_view>
#include <vector>

#include "client/chunk_tries.h"

namespace penstock::client {

struct ChunkClient::Batch {
  ServerId server;
  wire::Method method = wire::METHOD_NONE;
  std::unique_ptr<google::protobuf::Message> request;
  std::unique_ptr<google::protobuf::Message> response;
  std::string_view payload;
  absl::Duration timeout;
  std::vector<size_t> items;  // of the call, in the request's order
  absl::Status status;        // of the request as a whole, after RunBatches
};

}  // namespace penstock::client
