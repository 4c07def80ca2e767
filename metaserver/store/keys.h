// Keys of every family (docs/formats/metadata.md): big-endian, so that byte order is number order.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>

#include "common/ids.h"
#include "metaserver/store/records.h"

namespace penstock::metaserver {

// Family dentry: parent inode number, then the name.
std::string DentryKey(InodeNumber parent, std::string_view name);
inline constexpr size_t kDentryPrefixBytes = 8;

std::string InodeKey(InodeNumber ino);
std::string XattrKey(InodeNumber ino, std::string_view name);
inline constexpr size_t kXattrPrefixBytes = 8;

// Family orphan holds three lists, told apart by their first byte; the first two in time order.
inline constexpr char kOrphanList = 'o';
inline constexpr char kDeadContentList = 'd';
inline constexpr char kTruncateList = 't';
std::string OrphanKey(FileTime since, InodeNumber ino);
std::string DeadContentKey(FileTime since, ContentId content);
absl::Status ParseTimedKey(std::string_view key, FileTime& since, uint64_t& id);
// An inode with a truncation under way; the value is empty.
std::string TruncateKey(InodeNumber ino);

// Family session: 'r' | id -> SessionRecord; 's' | id | slot -> SlotResult.
inline constexpr char kSessionList = 'r';
std::string SessionKey(SessionId id);
std::string SlotKey(SessionId id, uint32_t slot);

// Family dataset: 'r' | id -> Dataset; 'c' | id -> DatasetCounters; 'i' | id -> next local inode.
std::string DatasetKey(DatasetId id);
std::string CountersKey(DatasetId id);
std::string NextInodeKey(DatasetId id);
// Family default.
inline constexpr std::string_view kNextContentKey = "next_content";
inline constexpr std::string_view kNextSessionKey = "next_session";

}  // namespace penstock::metaserver
