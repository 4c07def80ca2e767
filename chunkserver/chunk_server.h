// ChunkServer is the whole server: it makes the parts and wires them. main.cc gives it its
// settings.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>

#include "chunkserver/chunkserver_options.h"
#include "chunkserver/targets.h"
#include "common/clock.h"
#include "common/cluster_map.h"
#include "common/file.h"

namespace penstock::chunkserver {

class ChunkServer {
 public:
  // Opens the targets, listens, and registers at the metaserver (one try; then it goes on trying).
  // `fs` and `clock` outlive the server.
  static absl::StatusOr<std::unique_ptr<ChunkServer>> Start(ChunkserverOptions options,
                                                            FileSystem* fs, Clock* clock);
  ~ChunkServer();  // Stop()

  // Stops accepting, lets calls under way finish, makes everything durable. Safe to repeat.
  void Stop();

  uint16_t port() const;
  bool registered() const;
  const Targets& targets() const;
  const MapHolder& map() const;

 private:
  struct Parts;
  explicit ChunkServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::chunkserver
