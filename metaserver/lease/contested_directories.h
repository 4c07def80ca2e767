// Which directories several sessions are changing at this time (DESIGN.md section 7). Leases on
// such a one would only be granted to be recalled: with n sessions that create files in it, each
// create would have n - 1 of them told and waited for. No I/O, no clock of its own; not
// thread-safe. Bounded: beyond kMost directories it forgets, which costs messages, not exactness.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>

#include "common/ids.h"

namespace penstock::metaserver {

class ContestedDirectories {
 public:
  static constexpr size_t kMost = 4096;

  // `window`: changes by two sessions within it contest a directory, for as long again after each.
  // Zero: none is ever contested.
  explicit ContestedDirectories(absl::Duration window) : window_(window) {}

  // The session changes a name of the directory. True: it is contested.
  bool NoteChange(InodeNumber directory, SessionId session, absl::Duration now);
  void SetWindow(absl::Duration window) { window_ = window; }
  bool IsContested(InodeNumber directory, absl::Duration now) const;
  size_t size() const { return directories_.size(); }

 private:
  struct Directory {
    uint64_t session = 0;  // that changed it last
    absl::Duration changed;
    absl::Duration contested_until;
  };
  void MakeRoom(absl::Duration now);

  absl::Duration window_;
  absl::flat_hash_map<uint64_t, Directory> directories_;
};

}  // namespace penstock::metaserver
