// Settings of penstock-chunkserver. Only main.cc reads flags.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/net/transport_choice.h"
#include "common/units.h"

namespace penstock::chunkserver {

struct ChunkserverOptions {
  std::string dir;                         // identity of this server: server.json, a lock
  std::string cluster_id;                  // empty: as in server.json
  std::vector<std::string> targets;        // one directory a disk
  std::string metaserver;                  // HOST:PORT of its gRPC service
  std::string listen = "127.0.0.1";        // a literal IP address; 0.0.0.0 for all
  std::string advertise;                   // what others connect to; empty: `listen`, or the first
                                           // address of this machine when that is 0.0.0.0
  uint16_t port = 0;                       // 0: any free one
  net::TransportOptions transport;         // RDMA or TCP
  std::string key_file;                    // the cluster key
  std::string tls_ca, tls_cert, tls_key;   // for the metaserver
  std::string rack;                        // members of a group never share one
  uint64_t reserve_bytes = 1 * kGiB;       // of each disk, kept free
  uint64_t index_cache_bytes = 64 * kMiB;  // a target; more when its index does not fit
  int reactor_threads = 2;                 // more for very many connections
  int read_threads = 4;                    // a target; about what its disk does at once
  int write_threads = 8;                   // for each place in a chain
  uint64_t sync_bytes_per_second = 200 * kMiB;  // fetched from other members to catch up; more ends
                                                // the danger sooner and takes from clients; 0: all
  // All chunks of a target are read and checked within so many days; shorter finds rot sooner and
  // reads more. 0: only on order (`penstock scrub start`).
  double scrub_days = 14;
  absl::Duration heartbeat_timeout = absl::Seconds(2);  // of one call to the metaserver
  // Without an acknowledged heartbeat for so long nothing is served any more. At most half of the
  // cluster's offline.after: by then another may write in this server's place.
  absl::Duration fence_after = absl::Milliseconds(2500);
  absl::Duration stop_grace = absl::Seconds(5);  // for calls under way at SIGTERM
  std::string log_level = "info";
  std::string log_file;  // empty: standard error
  std::string metrics;   // HOST:PORT for Prometheus; empty: none
};

}  // namespace penstock::chunkserver
