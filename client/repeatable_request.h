// RepeatableRequest is a request of the kernel that may come again: when the client dies before its
// answer, the next client gets it once more, under the same number (client/fuse/mount_journal.h).
// Lives as long as the request; one thread at a time.
#pragma once

#include <cstdint>
#include <functional>

namespace penstock::client {

struct RepeatableRequest {
  RepeatableRequest() = default;
  RepeatableRequest(const RepeatableRequest&) = delete;
  RepeatableRequest& operator=(const RepeatableRequest&) = delete;
  ~RepeatableRequest() {
    if (give_back) give_back();
  }

  uint64_t number = 0;
  bool again = false;  // an earlier client had it and may have carried it out
  // One of its mutations was sent as it was then: the answer may be of then, too.
  bool answer_is_old = false;
  // The slot of its mutations, its own until its answer is out.
  int slot = -1;
  std::function<void()> give_back;
};

}  // namespace penstock::client
