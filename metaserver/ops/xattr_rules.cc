#include "metaserver/ops/xattr_rules.h"

#include <cerrno>

#include "common/status.h"
#include "metaserver/acl/acl.h"
#include "metaserver/store/record_format.h"

namespace penstock::metaserver {

absl::Status CheckXattrName(std::string_view name) {
  if (name.size() > kMaxXattrNameBytes) return PosixError(ERANGE, "attribute name too long");
  // A list of names has zero bytes between them.
  if (name.find('\0') != name.npos) return PosixError(EINVAL, "zero byte in an attribute name");
  if (IsAclName(name)) return absl::OkStatus();
  for (std::string_view known : {"user.", "trusted.", "security."}) {
    if (!name.starts_with(known)) continue;
    if (name.size() == known.size()) return PosixError(EINVAL, "empty attribute name");
    return absl::OkStatus();
  }
  return PosixError(EOPNOTSUPP, "attributes of this namespace are not supported");
}

std::string EncodeXattr(std::string_view value) {
  std::string record(1, static_cast<char>(kRecordFormat));
  record.append(value);
  return record;
}

absl::Status DecodeXattr(std::string& record) {
  RecordReader in(record);
  RETURN_IF_ERROR(CheckRecordFormat(in, "attribute"));
  record.erase(0, 1);
  return absl::OkStatus();
}

}  // namespace penstock::metaserver
