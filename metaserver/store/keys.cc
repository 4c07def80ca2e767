#include "metaserver/store/keys.h"

#include "metaserver/store/record_codec.h"
#include "metaserver/store/record_format.h"

namespace penstock::metaserver {
namespace {

constexpr size_t kTimedKeyBytes = 1 + 8 + 4 + 8;

std::string TimedKey(char list, FileTime since, uint64_t id) {
  std::string key(1, list);
  // The sign bit flipped, so that times before 1970 sort before the others.
  AppendBig64(key, static_cast<uint64_t>(since.seconds) ^ (uint64_t{1} << 63));
  AppendBig32(key, since.nanos);
  AppendBig64(key, id);
  return key;
}

std::string NumberedKey(char list, uint64_t id) {
  std::string key(1, list);
  AppendBig64(key, id);
  return key;
}

}  // namespace

std::string DentryKey(InodeNumber parent, std::string_view name) {
  std::string key;
  key.reserve(kDentryPrefixBytes + name.size());
  AppendBig64(key, parent.value());
  key.append(name);
  return key;
}

std::string InodeKey(InodeNumber ino) {
  std::string key;
  AppendBig64(key, ino.value());
  return key;
}

std::string XattrKey(InodeNumber ino, std::string_view name) { return DentryKey(ino, name); }

std::string OrphanKey(FileTime since, InodeNumber ino) {
  return TimedKey(kOrphanList, since, ino.value());
}

std::string DeadContentKey(FileTime since, ContentId content) {
  return TimedKey(kDeadContentList, since, content.value());
}

absl::Status ParseTimedKey(std::string_view key, FileTime& since, uint64_t& id) {
  if (key.size() != kTimedKeyBytes) return DamagedRecord("timed key");
  since.seconds = static_cast<int64_t>(ReadBig64(key.substr(1)) ^ (uint64_t{1} << 63));
  since.nanos = static_cast<uint32_t>(ReadBig64(key.substr(5)));  // its low half
  id = ReadBig64(key.substr(13));
  return absl::OkStatus();
}

std::string TruncateKey(InodeNumber ino) { return NumberedKey(kTruncateList, ino.value()); }

std::string SessionKey(SessionId id) { return NumberedKey(kSessionList, id.value()); }

std::string SlotKey(SessionId id, uint32_t slot) {
  std::string key = NumberedKey('s', id.value());
  key.push_back(static_cast<char>(slot));
  return key;
}

std::string DatasetKey(DatasetId id) {
  std::string key = "r";
  AppendBig32(key, id.value());
  return key;
}

std::string CountersKey(DatasetId id) {
  std::string key = "c";
  AppendBig32(key, id.value());
  return key;
}

std::string NextInodeKey(DatasetId id) {
  std::string key = "i";
  AppendBig32(key, id.value());
  return key;
}

}  // namespace penstock::metaserver
