#include "client/fuse/mount.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <malloc.h>

#include <csignal>
#include <memory>

#include "client/fuse/mount_signals.h"
#include "client/fuse/mounted_client.h"
#include "common/status.h"

namespace penstock::client {
namespace {

absl::StatusOr<wire::Address> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  wire::Address address;
  uint32_t port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port == 0 ||
      port > 65535) {
    return PosixError(EINVAL, absl::StrCat("metaserver address ", text, " is not HOST:PORT"));
  }
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  address.set_host(host);
  address.set_port(port);
  address.set_transport("tcp");
  return address;
}

// Chunk buffers come and go by megabytes: kept by malloc, they are not faulted in anew each time.
void KeepLargeBuffers() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

}  // namespace

absl::Status RunMount(const MountOptions& options, const MountDescriptors& descriptors,
                      std::function<void()> on_ready) {
  BlockMountSignals();
  signal(SIGPIPE, SIG_IGN);
  KeepLargeBuffers();
  ASSIGN_OR_RETURN(wire::Address metaserver, ParseAddress(options.metaserver));
  ASSIGN_OR_RETURN(net::ClusterKey key, net::ClusterKey::Load(options.key_file));
  ASSIGN_OR_RETURN(const std::unique_ptr<MountJournal> journal,
                   MountJournal::Open(descriptors.journal));
  MountedClient client(options, std::move(metaserver), std::move(key), journal.get());
  return client.Run({.device = descriptors.device,
                     .first_clone = descriptors.first_clone,
                     .clones = descriptors.clones},
                    on_ready);
}

}  // namespace penstock::client
