#include "cli/paths.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/str_split.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "common/checksum.h"
#include "common/status.h"

namespace penstock::cli {

std::string AbsolutePath(absl::string_view path) {
  std::error_code error;
  std::string text =
      std::filesystem::absolute(std::string(path), error).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::string WithoutSymlinks(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string resolved = real;
  free(real);
  return resolved;
}

absl::Status MakeDirectories(const std::string& path, unsigned mode) {
  std::string made = path.starts_with("/") ? "" : ".";
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    absl::StrAppend(&made, "/", part);
    if (mkdir(made.c_str(), mode) == 0 || errno == EEXIST) continue;
    // A read-only or foreign parent may refuse mkdir for what exists.
    const int error = errno;
    struct stat info;
    if (stat(made.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    return PosixError(error, absl::StrCat("cannot create directory ", made, ": ", strerror(error)));
  }
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode)) {
    return PosixError(ENOTDIR, absl::StrCat(path, " is no directory"));
  }
  return absl::OkStatus();
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string StateDirectory() {
  const std::string state = Environment("XDG_STATE_HOME");
  if (state.starts_with("/")) return state + "/penstock";
  std::string home = Environment("HOME");
  if (home.empty()) {
    const passwd* user = getpwuid(getuid());
    home = user == nullptr ? "/" : user->pw_dir;
  }
  return home + "/.local/state/penstock";
}

std::string RuntimeDirectory() {
  const std::string chosen = Environment("PENSTOCK_RUNTIME_DIR");
  if (absl::StartsWith(chosen, "/")) return chosen;
  if (geteuid() == 0) return "/run/penstock";
  const std::string runtime = Environment("XDG_RUNTIME_DIR");
  if (runtime.starts_with("/")) return runtime + "/penstock";
  return absl::StrCat("/tmp/penstock-", geteuid());
}

std::string ShellWord(absl::string_view word) {
  constexpr absl::string_view kPlain = "_-./:,=+@%~";
  bool plain = !word.empty() && word[0] != '~';
  for (char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    plain = plain && (absl::ascii_isalnum(byte) || byte >= 0x80 || absl::StrContains(kPlain, c));
  }
  if (plain) return std::string(word);
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string EscapePath(absl::string_view path) {
  std::string escaped;
  absl::string_view rest = path;
  while (absl::StartsWith(rest, "/")) rest.remove_prefix(1);
  for (char c : rest) {
    if (c == '/') {
      escaped += '+';
    } else if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' ||
               c == '-') {
      escaped += c;
    } else {
      absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<unsigned char>(c));
    }
  }
  if (escaped.empty()) return "+";
  // A file name has 255 bytes; what is longer is told apart by its checksum.
  if (escaped.size() > 200) {
    escaped = absl::StrFormat("%s~%08x", escaped.substr(0, 180), Crc32c(std::string(path)));
  }
  return escaped;
}

}  // namespace penstock::cli
