// ControlServer is the gRPC server of the control plane: mutual TLS, health and reflection, and
// limits on sizes, threads, streams and silence. Not thread-safe; its services are.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "common/net/grpc_credentials.h"

namespace penstock::metaserver {

struct ControlServerOptions {
  std::string listen_host = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one, see port()
  net::TlsFiles tls;
};

class ControlServer {
 public:
  // The services must outlive the server. UNAVAILABLE: the port is in use.
  static absl::StatusOr<std::unique_ptr<ControlServer>> Start(
      const ControlServerOptions& options, const std::vector<grpc::Service*>& services);
  ~ControlServer();
  // Refuses new calls, gives those under way a moment, then ends them (streams too).
  void Stop();
  uint16_t port() const { return port_; }

 private:
  ControlServer() = default;
  std::unique_ptr<grpc::Server> server_;
  uint16_t port_ = 0;
};

}  // namespace penstock::metaserver
