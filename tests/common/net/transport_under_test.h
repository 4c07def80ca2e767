// Which transport the suite runs over: TCP on loopback, or RDMA when PENSTOCK_TEST_RDMA names two
// addresses of RDMA devices, "SERVER CLIENT" (rdma_cm does not work over 127.0.0.1, and a client
// has to bind its own address to be on another device than the server).
#pragma once

#include <poll.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "common/net/rdma_transport.h"
#include "common/net/tcp_transport.h"
#include "common/net/wait.h"

namespace penstock::net {

struct RdmaTestHosts {
  std::string server;
  std::string client;
};

inline RdmaTestHosts TestHosts() {
  const char* said = std::getenv("PENSTOCK_TEST_RDMA");
  const std::string both = said == nullptr ? "" : said;
  const size_t space = both.find(' ');
  if (space == std::string::npos) return {};
  return {both.substr(0, space), both.substr(space + 1)};
}

inline bool OverRdma() { return !TestHosts().server.empty(); }

inline std::string ServerHost() { return OverRdma() ? TestHosts().server : "127.0.0.1"; }

inline std::unique_ptr<Transport> NewTransport() {
  if (!OverRdma()) return std::make_unique<TcpTransport>();
  return std::make_unique<RdmaTransport>(RdmaOptions{.source_host = TestHosts().client});
}

inline WaitLimit In(absl::Duration time) {
  return {.deadline = SystemClock()->SinceBoot() + time, .interrupt_fd = -1};
}

// Waits until receiving may go on, as a link's owners do.
inline absl::Status AwaitReceive(Link& link, absl::Duration patience) {
  auto ready = WaitFor(link.fd(), static_cast<short>(link.WaitEvents(POLLIN)), In(patience));
  if (!ready.ok()) return ready.status();
  (void)link.Ready(static_cast<uint32_t>(*ready));
  return absl::OkStatus();
}

// Sends all of `frame` while another thread may be receiving, which alone may take the events.
// False: the link broke, or nothing went out for a second.
inline bool SendAll(Link& link, OutgoingFrame* frame) {
  absl::Duration last = SystemClock()->SinceBoot();
  while (true) {
    const size_t before = frame->sent_bytes;
    auto progress = link.Send(frame);
    if (!progress.ok()) return false;
    if (*progress == Progress::kDone) return true;
    const absl::Duration now = SystemClock()->SinceBoot();
    if (frame->sent_bytes != before) last = now;
    if (now - last > absl::Seconds(1)) return false;
    absl::SleepFor(absl::Microseconds(200));
  }
}

}  // namespace penstock::net
