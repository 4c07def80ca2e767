#include "metaserver/acl/acl.h"

#include <cerrno>

#include "common/status.h"

namespace penstock::metaserver {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderBytes = 4;
constexpr size_t kEntryBytes = 8;
constexpr uint32_t kNoId = 0xffffffff;

uint32_t Little(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

void AppendLittle(std::string& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// The place of a tag in the order of entries.
int RankOf(AclTag tag) {
  switch (tag) {
    case AclTag::kUserObj:
      return 0;
    case AclTag::kUser:
      return 1;
    case AclTag::kGroupObj:
      return 2;
    case AclTag::kGroup:
      return 3;
    case AclTag::kMask:
      return 4;
    case AclTag::kOther:
      return 5;
  }
  return -1;
}

absl::Status NoList(const char* why) { return PosixError(EINVAL, why); }

absl::Status CheckEntries(const Acl& acl) {
  int last = -1;
  bool named = false;
  for (const AclEntry& entry : acl.entries) {
    const int rank = RankOf(entry.tag);
    if (rank < 0) return NoList("access list: unknown kind of entry");
    if (rank < last || (rank == last && !entry.named())) {
      return NoList("access list: entries out of order or twice");
    }
    if (entry.permissions > 7) return NoList("access list: unknown permission");
    if (entry.named() && entry.id == kNoId) return NoList("access list: an entry without its id");
    named = named || entry.named();
    last = rank;
  }
  for (AclTag needed : {AclTag::kUserObj, AclTag::kGroupObj, AclTag::kOther}) {
    if (acl.Find(needed) == nullptr) return NoList("access list: an entry is missing");
  }
  if (named && acl.Find(AclTag::kMask) == nullptr) return NoList("access list: no mask");
  return absl::OkStatus();
}

}  // namespace

AclEntry* Acl::Find(AclTag tag) {
  for (AclEntry& entry : entries) {
    if (entry.tag == tag) return &entry;
  }
  return nullptr;
}

const AclEntry* Acl::Find(AclTag tag) const { return const_cast<Acl*>(this)->Find(tag); }

absl::StatusOr<Acl> ParseAcl(std::string_view bytes) {
  Acl acl;
  if (bytes.empty()) return acl;
  if (bytes.size() > kMaxAclBytes) return PosixError(E2BIG, "access list too long");
  if (bytes.size() < kHeaderBytes) return NoList("access list: no version");
  if (Little(bytes.substr(0, kHeaderBytes)) != kVersion) {
    return PosixError(EOPNOTSUPP, "access list: unknown version");
  }
  bytes.remove_prefix(kHeaderBytes);
  if (bytes.size() % kEntryBytes != 0) return NoList("access list: part of an entry");
  for (; !bytes.empty(); bytes.remove_prefix(kEntryBytes)) {
    AclEntry entry;
    entry.tag = static_cast<AclTag>(Little(bytes.substr(0, 2)));
    entry.permissions = static_cast<uint16_t>(Little(bytes.substr(2, 2)));
    if (entry.named()) entry.id = Little(bytes.substr(4, 4));
    acl.entries.push_back(entry);
  }
  if (!acl.entries.empty()) RETURN_IF_ERROR(CheckEntries(acl));
  return acl;
}

std::string FormatAcl(const Acl& acl) {
  std::string out;
  AppendLittle(out, kVersion, kHeaderBytes);
  for (const AclEntry& entry : acl.entries) {
    AppendLittle(out, static_cast<uint16_t>(entry.tag), 2);
    AppendLittle(out, entry.permissions, 2);
    AppendLittle(out, entry.named() ? entry.id : kNoId, 4);
  }
  return out;
}

}  // namespace penstock::metaserver
