#include "common/net/transport_flags.h"

namespace penstock::net {

void AddTransportFlags(CLI::App& app, TransportOptions* options) {
  app.add_option_function<std::string>(
         "--transport",
         [options](const std::string& text) {
           options->mode = ParseTransportMode(text).value_or(TransportMode::kAuto);
         },
         "auto: RDMA where it works, else TCP; rdma: RDMA only; tcp: TCP only")
      ->check(CLI::IsMember({"auto", "rdma", "tcp"}));
  AddDuration(app, "--rdma-timeout", options->rdma_timeout,
              "auto: a connection that RDMA has not made in this time is made over TCP");
  AddDuration(app, "--rdma-retry", options->rdma_retry,
              "auto: where RDMA failed, it is tried again after this time");
}

}  // namespace penstock::net
