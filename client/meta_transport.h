// MetaTransport carries one call to the metaserver; a test answers it in memory. Thread-safe.
#pragma once

#include "common/net/rpc_client.h"

namespace penstock::client {

class MetaTransport {
 public:
  virtual ~MetaTransport() = default;
  virtual absl::Status Call(wire::Method method, const google::protobuf::Message& request,
                            google::protobuf::Message* response,
                            const net::CallOptions& options) = 0;
};

class RpcMetaTransport : public MetaTransport {
 public:
  explicit RpcMetaTransport(std::unique_ptr<net::RpcClient> rpc) : rpc_(std::move(rpc)) {}
  absl::Status Call(wire::Method method, const google::protobuf::Message& request,
                    google::protobuf::Message* response, const net::CallOptions& options) override {
    return rpc_->Call(method, request, response, options);
  }
  net::RpcClient& rpc() { return *rpc_; }

 private:
  const std::unique_ptr<net::RpcClient> rpc_;
};

}  // namespace penstock::client
