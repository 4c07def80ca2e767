// What `penstock fsck` compares, as of one moment (proto/admin.proto, Facts).
#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>

#include "metaserver/store/meta_store.h"
#include "metaserver/store/records.h"
#include "proto/admin.pb.h"

namespace penstock::metaserver {

// All of it in messages of bounded size, from one snapshot: inodes by number, names by parent, the
// lists of the reclaimer, inodes with attributes, counters. An error of `send` ends it.
absl::Status VisitFacts(const MetaStore& store,
                        absl::FunctionRef<absl::Status(const wire::Facts&)> send);

wire::InodeFacts FactsOf(const Inode& inode);

}  // namespace penstock::metaserver
