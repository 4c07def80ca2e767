#include "metaserver/service/client_problems.h"

#include <absl/strings/str_cat.h>

#include <map>

namespace penstock::metaserver {
namespace {

constexpr uint64_t kSilentMs = 10'000;

std::string NameOf(uint32_t server, absl::Span<const wire::ServerInfo> servers) {
  for (const wire::ServerInfo& info : servers) {
    if (info.server().server_id() == server) {
      return absl::StrCat("server ", server, " (", info.server().hostname(), ")");
    }
  }
  return absl::StrCat("server ", server);
}

}  // namespace

std::vector<std::string> ClientProblems(absl::Span<const wire::ClientInfo> clients,
                                        absl::Span<const wire::ServerInfo> servers) {
  std::vector<std::string> problems;
  std::map<uint32_t, int> slow;  // by server: clients that say so
  int heard = 0;
  for (const wire::ClientInfo& client : clients) {
    if (client.last_heartbeat_ms() > kSilentMs) {
      problems.push_back(absl::StrCat("client ", client.hostname(), ":", client.mountpoint(),
                                      " is silent for ", client.last_heartbeat_ms() / 1000,
                                      " s: unmount it there if it is gone for good"));
      continue;
    }
    ++heard;
    for (const wire::PeerTransport& peer : client.transports()) {
      if (peer.slow()) ++slow[peer.server_id()];
    }
  }
  for (const auto& [server, sayers] : slow) {
    problems.push_back(absl::StrCat(
        NameOf(server, servers), " answers slowly: ", sayers, " of ", heard,
        heard == 1 ? " client reads" : " clients read",
        " from other copies instead; look at its disks, its network and what else runs there"));
  }
  return problems;
}

}  // namespace penstock::metaserver
