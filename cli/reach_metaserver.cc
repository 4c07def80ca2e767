#include "cli/reach_metaserver.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include "cli/human.h"
#include "common/net/rpc_client.h"
#include "common/net/tcp_transport.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

absl::Status Explain(const HostPort& address, const absl::Status& last, absl::Duration patience) {
  const std::string where = address.ToString();
  if (ReasonOf(last) == Reason::kAuthentication) {
    return absl::PermissionDeniedError(absl::StrCat("the metaserver at ", where,
                                                    " has another cluster key (", last.message(),
                                                    "); name the right one by -o key=FILE"));
  }
  if (!IsRetryable(last) && !absl::IsDeadlineExceeded(last)) return last;
  return absl::UnavailableError(
      absl::StrCat("no metaserver answers at ", where, " (", last.message(), "; tried for ",
                   HumanDuration(patience), "): is it running, and is that its port for clients?"));
}

}  // namespace

absl::Status ReachMetaserver(const HostPort& address, const net::ClusterKey& key,
                             absl::Duration patience) {
  wire::Address server;
  server.set_host(address.host);
  server.set_port(address.port);
  server.set_transport("tcp");
  net::TcpTransport transport;
  net::RpcClient client(&transport, {server}, {.credentials = {key, ""}});
  const absl::Time deadline = absl::Now() + patience;
  absl::Status last;
  for (;;) {
    const absl::Duration rest = std::max(deadline - absl::Now(), absl::Milliseconds(100));
    wire::PingResponse pong;
    const absl::Status answer = client.Call(wire::METHOD_PING, wire::PingRequest(), &pong,
                                            {.timeout = std::min(rest, absl::Seconds(3))});
    if (answer.ok()) {
      // Both kinds of server speak Penstock RPC; only one has names.
      if (!absl::StrContains(pong.program(), "chunkserver")) return absl::OkStatus();
      return absl::InvalidArgumentError(absl::StrCat(
          address.ToString(), " is a chunkserver; mount from the metaserver's address"));
    }
    // The first real reason is worth more than "no time left".
    if (last.ok() || !absl::IsDeadlineExceeded(answer)) last = answer;
    const bool wait = IsRetryable(answer) || absl::IsDeadlineExceeded(answer);
    if (!wait || absl::Now() >= deadline) return Explain(address, last, patience);
    absl::SleepFor(absl::Milliseconds(200));
  }
}

}  // namespace penstock::cli
