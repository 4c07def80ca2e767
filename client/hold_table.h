// HoldTable counts the open handles of each inode and tells the metaserver of changes, a heartbeat
// at a time, so that an unlinked file lives while someone has it open. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <vector>

#include "common/ids.h"
#include "proto/meta.pb.h"

namespace penstock::client {

class HoldTable {
 public:
  // The first version: above those of an earlier client of the same session.
  explicit HoldTable(uint64_t first_version = 1) : version_(first_version) {}

  void Hold(InodeNumber ino, bool write);
  void Release(InodeNumber ino, bool write);
  bool holds(InodeNumber ino) const;
  std::vector<InodeNumber> held() const;
  // Counts every Hold() and Release(): names a state of the table.
  uint64_t version() const;
  // Of these inodes, which are open, for an acknowledgement.
  void FillAck(wire::EventAck* ack, const std::vector<InodeNumber>& inodes) const;
  // And those that no acknowledged report has told of, for that of a lease given up.
  void FillUntold(wire::EventAck* ack) const;

  // Fills in what changed since the last acknowledged report, or everything (`whole`). One report
  // at a time: Acknowledge() or Failed() must follow.
  void FillReport(bool whole, wire::SessionHeartbeatRequest* report);
  void Acknowledge();
  void Failed();                                                // its changes go into the next one
  void FillWhole(wire::SessionHeartbeatRequest* report) const;  // beside all that

 private:
  struct Count {
    uint32_t read = 0;
    uint32_t write = 0;
  };
  void AddTo(wire::EventAck* ack, InodeNumber ino) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void FillHeld(wire::SessionHeartbeatRequest* report) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  mutable absl::Mutex mu_;
  uint64_t version_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<InodeNumber, Count> held_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<InodeNumber> changed_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<InodeNumber> reporting_ ABSL_GUARDED_BY(mu_);
};

}  // namespace penstock::client
