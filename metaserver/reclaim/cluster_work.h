// What the metadata side asks of the cluster side (metaserver/cluster implements it). Nothing here
// waits: every call returns at once, and `done` comes later from any thread, at most once.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <cstdint>

#include "common/ids.h"
#include "proto/cluster.pb.h"

namespace penstock::metaserver {

// Gives orders to chunkservers, in heartbeat replies, until those concerned acknowledged.
// An order that did not fit (false) is given again later; orders are safe to repeat, and after a
// restart of the metaserver the reclaimer gives the unfinished ones anew.
class ContentDeleter {
 public:
  virtual ~ContentDeleter() = default;
  // `done`: every target that could hold chunks of the content dropped them.
  virtual bool Delete(const wire::DeleteContent& order, absl::AnyInvocable<void() &&> done) = 0;
  // `done`: every group of the content was cut by its head.
  virtual bool Truncate(const wire::TruncateContent& order, absl::AnyInvocable<void() &&> done) = 0;
  // Orders under way for so long that they must wait for a target that is away or failing. Others
  // need not wait for them: who bounds what is under way does not count these.
  virtual size_t overdue() const = 0;
};

// Makes chunkservers refuse a session for ever, across restarts of the metaserver.
class SessionFence {
 public:
  virtual ~SessionFence() = default;
  // `done`: every live chunkserver has confirmed it. Safe to repeat.
  virtual void Fence(SessionId session, absl::AnyInvocable<void() &&> done) = 0;
};

}  // namespace penstock::metaserver
