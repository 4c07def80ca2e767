#include "cli/address.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "cli/verbs.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

absl::StatusOr<uint16_t> ParsePort(absl::string_view text, absl::string_view whole) {
  uint32_t port = 0;
  if (!absl::SimpleAtoi(text, &port) || port == 0 || port > 65535) {
    return UsageError(absl::StrCat("'", whole, "': the port '", text, "' is no number 1 .. 65535"));
  }
  return static_cast<uint16_t>(port);
}

// "/a//b/" -> "/a/b"; "/" -> "". "." and ".." have no place in a mount source.
absl::StatusOr<std::string> CleanSubdir(absl::string_view text) {
  std::string clean;
  for (absl::string_view part : absl::StrSplit(text, '/', absl::SkipEmpty())) {
    if (part == "." || part == "..") {
      return UsageError(
          absl::StrCat("the directory to mount, '", text, "', may not have '", part, "' in it"));
    }
    absl::StrAppend(&clean, "/", part);
  }
  return clean;
}

}  // namespace

std::string HostPort::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

bool SameAddress(const HostPort& one, const HostPort& other) {
  auto host = [](const HostPort& a) { return a.host == "localhost" ? "127.0.0.1" : a.host; };
  return host(one) == host(other) && one.port == other.port;
}

absl::StatusOr<HostPort> ParseHostPort(absl::string_view text) {
  HostPort result;
  absl::string_view rest;
  if (absl::StartsWith(text, "[")) {
    const size_t end = text.find(']');
    if (end == absl::string_view::npos) {
      return UsageError(absl::StrCat("'", text, "': the ']' of the IPv6 address is missing"));
    }
    result.host = std::string(text.substr(1, end - 1));
    rest = text.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') {
      return UsageError(absl::StrCat("'", text, "' is no address: HOST[:PORT] or [IPV6][:PORT]"));
    }
  } else {
    const size_t colon = text.find(':');
    if (colon != text.rfind(':')) {
      return UsageError(
          absl::StrCat("'", text, "': write an IPv6 address in brackets, as in [::1]:7400"));
    }
    result.host = std::string(text.substr(0, colon));
    if (colon != absl::string_view::npos) rest = text.substr(colon);
  }
  if (result.host.empty() || absl::StrContains(result.host, ' ')) {
    return UsageError(absl::StrCat("'", text, "' is no address: HOST[:PORT] or [IPV6][:PORT]"));
  }
  if (!rest.empty()) {
    ASSIGN_OR_RETURN(result.port, ParsePort(rest.substr(1), text));
  }
  return result;
}

absl::StatusOr<MountSource> ParseMountSource(absl::string_view text) {
  MountSource source;
  absl::string_view where = text;
  const size_t split = text.find(":/");
  if (split != absl::string_view::npos) {
    ASSIGN_OR_RETURN(source.subdir, CleanSubdir(text.substr(split + 1)));
    where = text.substr(0, split);
  }
  if (where.empty()) {
    return UsageError(absl::StrCat("'", text,
                                   "': the metaserver's address is missing; write "
                                   "HOST[:PORT][:/subdir] or the DIR of `penstock up`"));
  }
  if (absl::StrContains(where, '/') || where[0] == '.') {
    source.directory = std::string(where);
    return source;
  }
  ASSIGN_OR_RETURN(source.address, ParseHostPort(where));
  return source;
}

std::string SourceText(const HostPort& address, absl::string_view subdir) {
  return subdir.empty() ? address.ToString() : absl::StrCat(address.ToString(), ":", subdir);
}

}  // namespace penstock::cli
