// Settings of penstock-metaserver. Each is a flag of the same name (with dashes) and a setting of
// its --config file; main.cc is the only reader of flags.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>

#include "common/net/grpc_credentials.h"
#include "common/net/transport_choice.h"
#include "common/units.h"

namespace penstock::metaserver {

struct MetaserverOptions {
  std::string dir;         // metadata; made when it is not there
  std::string cluster_id;  // empty: the stored one, or a new one at the first start

  std::string listen = "127.0.0.1";  // a literal IP address; 0.0.0.0 for all
  std::string advertise;             // shown to people; empty: as listen
  uint16_t port = 7400;              // Penstock RPC: clients
  uint16_t grpc_port = 7401;         // gRPC: chunkservers and administrators
  net::TransportOptions transport;   // RDMA or TCP, for clients
  std::string key_file;              // cluster key, mode 0600
  net::TlsFiles tls;

  // Used once, when the cluster is made or its groups are formed.
  uint32_t replication = 2;        // copies of each chunk
  uint64_t chunk_size = 4 * kMiB;  // a power of two; larger suits huge files, smaller random writes
  uint32_t groups = 1024;          // a power of two; more for thousands of targets
  uint32_t initial_targets = 0;    // groups are formed when so many registered; 0: replication

  absl::Duration session_timeout = absl::Seconds(10);  // a silent client is stale after it
  absl::Duration session_expiry = absl::Minutes(5);    // and ended after it
  absl::Duration reclaim_grace = absl::Seconds(10);    // deleted data stays at least so long
  absl::Duration offline_after = absl::Seconds(5);     // silent chunkservers; more on slow machines
  absl::Duration repair_after = absl::Minutes(10);     // of absence; more where repairs take longer

  uint32_t rpc_threads = 2;           // reactors; more for many clients on many cores
  uint32_t meta_workers = 16;         // metadata changes at once
  uint64_t block_cache = 256 * kMiB;  // memory for metadata read from disk
  uint64_t reserve = 512 * kMiB;      // of the disk: with less free, names are read-only

  std::string restore;  // a backup, restored into the empty `dir` instead of starting

  std::string metrics;  // HOST:PORT for Prometheus; empty: none
  std::string log_level = "info";
  std::string log_file;  // empty: standard error
};

}  // namespace penstock::metaserver
