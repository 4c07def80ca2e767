// Who asks for an operation, and how its wait can be ended.
#pragma once

#include <absl/time/time.h>

#include <cstdint>

#include "client/repeatable_request.h"
#include "common/ids.h"
#include "common/net/rpc_client.h"
#include "proto/types.pb.h"

namespace penstock::client {

struct OpContext {
  wire::Credentials credentials;
  uint32_t umask = 0;                         // of the caller, when it makes a new name
  uint64_t thread = 0;                        // of the caller; 0: none (background work)
  const net::Interrupt* interrupt = nullptr;  // not owned; must outlive the operation
  RepeatableRequest* request = nullptr;       // not owned; nullptr: of no request of the kernel
  SessionId session;      // valid: only under this one, else EIO (kSessionUnknown)
  bool has_turn = false;  // of the shared file that it writes (FileWriter)
  absl::Duration timeout = absl::InfiniteDuration();  // when shorter than the mount's I/O timeout
};

}  // namespace penstock::client
