#include "metaserver/service/client_problems.h"

#include <absl/strings/str_cat.h>

#include <map>

namespace penstock::metaserver {
namespace {

constexpr size_t kNamed = 8;  // silent clients

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
  size_t silent = 0;
  int heard = 0;
  for (const wire::ClientInfo& client : clients) {
    if (client.stale()) {
      if (++silent > kNamed) continue;
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
  if (silent > kNamed) {
    problems.push_back(absl::StrCat("and ", silent - kNamed,
                                    " more clients are silent: `penstock client ls` names them"));
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
