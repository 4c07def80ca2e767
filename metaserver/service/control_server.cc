#include "metaserver/service/control_server.h"

#include <absl/strings/str_cat.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/resource_quota.h>
#include <spdlog/spdlog.h>

#include <chrono>

#include "common/logging.h"
#include "common/status.h"

namespace penstock::metaserver {
namespace {

constexpr int kMaxRequestBytes = 8 << 20;  // a heartbeat of 1024 targets is far smaller
constexpr int kMaxReplyBytes = 64 << 20;   // a whole cluster map of 10^4 targets fits
constexpr int kMaxThreads = 64;
constexpr size_t kMaxBufferBytes = 512u << 20;
constexpr int kMaxStreamsPerConnection = 256;
constexpr int kKeepaliveMs = 10000;
constexpr int kKeepaliveTimeoutMs = 5000;
constexpr int kMinPingIntervalMs = 5000;  // below the clients' keepalive
constexpr int kMaxIdleMs = 10 * 60 * 1000;
constexpr int kHandshakeMs = 5000;
constexpr auto kStopGrace = std::chrono::milliseconds(500);

// What the library has to say goes into our log, one line an event.
void LogOfGrpc(gpr_log_func_args* args) {
  if (args->severity == GPR_LOG_SEVERITY_ERROR) {
    SPDLOG_WARN("grpc message={}", Quoted(args->message));
  } else {
    spdlog::debug("grpc message={}", Quoted(args->message));
  }
}

void SetLimits(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.SetMaxSendMessageSize(kMaxReplyBytes);
  grpc::ResourceQuota quota("control");
  quota.SetMaxThreads(kMaxThreads);
  quota.Resize(kMaxBufferBytes);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kMaxIdleMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMs);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> ControlServer::Start(
    const ControlServerOptions& options, const std::vector<grpc::Service*>& services) {
  ASSIGN_OR_RETURN(auto credentials, net::ServerCredentials(options.tls));
  gpr_set_log_function(&LogOfGrpc);
  // Health and reflection are plugins of every server built in this process from here on.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(builder);
  int bound = 0;
  const bool ipv6 = options.listen_host.find(':') != std::string::npos;
  const std::string address = ipv6 ? absl::StrCat("[", options.listen_host, "]:", options.port)
                                   : absl::StrCat(options.listen_host, ":", options.port);
  builder.AddListeningPort(address, credentials, &bound);
  for (grpc::Service* service : services) builder.RegisterService(service);
  auto control = std::unique_ptr<ControlServer>(new ControlServer());
  control->server_ = builder.BuildAndStart();
  if (control->server_ == nullptr || bound <= 0) {
    return PosixError(EADDRINUSE,
                      absl::StrCat("cannot listen on ", address,
                                   " for gRPC: is the port in use, or the address not of this "
                                   "machine, or the TLS files not a matching pair?"));
  }
  control->port_ = static_cast<uint16_t>(bound);
  return control;
}

ControlServer::~ControlServer() { Stop(); }

void ControlServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + kStopGrace);
  server_->Wait();
  server_.reset();
}

}  // namespace penstock::metaserver
