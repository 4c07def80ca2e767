#include "cli/mount_table.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/paths.h"
#include "common/file.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

// The kernel writes space, tab, newline and backslash as \ooo.
std::string Unescape(absl::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    auto octal = [&](size_t k) { return text[k] >= '0' && text[k] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool IsBelow(absl::string_view path, absl::string_view directory) {
  if (directory == "/") return true;
  return absl::StartsWith(path, directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

std::vector<MountEntry> ParseMountInfo(absl::string_view text) {
  std::vector<MountEntry> table;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const size_t separator = line.find(" - ");
    if (separator == absl::string_view::npos) continue;
    const std::vector<absl::string_view> left = absl::StrSplit(line.substr(0, separator), ' ');
    const std::vector<absl::string_view> right = absl::StrSplit(line.substr(separator + 3), ' ');
    if (left.size() < 6 || right.size() < 3) continue;
    table.push_back({Unescape(left[3]), Unescape(left[4]), std::string(right[0]),
                     Unescape(right[1]), std::string(right[2])});
  }
  return table;
}

std::vector<MountEntry> MountTable() {
  std::ifstream in("/proc/self/mountinfo");
  std::stringstream text;
  text << in.rdbuf();
  return ParseMountInfo(text.str());
}

std::vector<MountEntry> PenstockMounts() {
  std::vector<MountEntry> mounts;
  for (MountEntry& entry : MountTable()) {
    if (entry.type == kFileSystemType) mounts.push_back(std::move(entry));
  }
  return mounts;
}

std::optional<MountEntry> MountAt(const std::vector<MountEntry>& table,
                                  absl::string_view mountpoint) {
  std::optional<MountEntry> found;
  for (const MountEntry& entry : table) {
    if (entry.mountpoint == mountpoint) found = entry;  // later ones lie on top
  }
  return found;
}

std::optional<MountEntry> MountOf(const std::vector<MountEntry>& table, absl::string_view path) {
  std::optional<MountEntry> found;
  for (const MountEntry& entry : table) {
    if (!IsBelow(path, entry.mountpoint)) continue;
    if (!found.has_value() || entry.mountpoint.size() >= found->mountpoint.size()) found = entry;
  }
  return found;
}

std::string MountRecordPath(absl::string_view mountpoint) {
  return absl::StrCat(RuntimeDirectory(), "/mounts/", EscapePath(mountpoint), ".json");
}

absl::Status WriteMountRecord(const MountRecord& record) {
  RETURN_IF_ERROR(MakeDirectories(RuntimeDirectory() + "/mounts", 0700));
  const nlohmann::json json = {{"pid_file", PidFileText(record.process)},
                               {"mountpoint", record.mountpoint},
                               {"source", record.source},
                               {"log_file", record.log_file},
                               {"error", record.error},
                               {"client", PidFileText(record.client)}};
  return WriteSmallFile(PosixFileSystem(), MountRecordPath(record.mountpoint),
                        json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

std::optional<MountRecord> ReadMountRecord(absl::string_view mountpoint) {
  auto text = ReadSmallFile(PosixFileSystem(), MountRecordPath(mountpoint));
  if (!text.ok()) return std::nullopt;
  const nlohmann::json json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  auto member = [&](const char* name) {
    return json.is_object() && json.contains(name) && json[name].is_string()
               ? json[name].get<std::string>()
               : std::string();
  };
  std::optional<ProcessId> process = ParsePidFile(member("pid_file"));
  if (!process.has_value()) return std::nullopt;
  return MountRecord{*process,         member("mountpoint"),
                     member("source"), member("log_file"),
                     member("error"),  ParsePidFile(member("client")).value_or(ProcessId())};
}

bool IsServed(const MountRecord& record) {
  return IsRunning(record.process) || (record.client.pid != 0 && IsRunning(record.client));
}

void RemoveMountRecord(absl::string_view mountpoint) {
  unlink(MountRecordPath(mountpoint).c_str());
}

void FinishMountRecord(MountRecord record, const absl::Status& ended) {
  if (ended.ok()) return RemoveMountRecord(record.mountpoint);
  record.error = std::string(ended.message());
  if (absl::Status written = WriteMountRecord(record); !written.ok()) {
    SPDLOG_WARN("mount record not written error={}", written.ToString());
  }
}

}  // namespace penstock::cli
