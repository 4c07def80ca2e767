// Paths and environment as the command sees them.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <string>

namespace penstock::cli {

// Absolute and without "." and ".."; does not touch the file system (a hung mount can't block it).
std::string AbsolutePath(absl::string_view path);
// `path` without symlinks, as the kernel's mount table has it; `path` itself when it can't be
// followed.
std::string WithoutSymlinks(const std::string& path);
// mkdir -p; new directories get `mode`.
absl::Status MakeDirectories(const std::string& path, unsigned mode = 0755);
// Empty when unset.
std::string Environment(const char* name);
// Where a user's programs keep state: $XDG_STATE_HOME/penstock or ~/.local/state/penstock.
std::string StateDirectory();
// Where records of running mounts lie: $PENSTOCK_RUNTIME_DIR, else /run/penstock for root,
// $XDG_RUNTIME_DIR/penstock, or /tmp/penstock-UID.
std::string RuntimeDirectory();
// As a shell wants to have it typed: quoted when it must be. For commands that messages name.
std::string ShellWord(absl::string_view word);
// A path as one file name: '/' becomes '+', everything unusual \xNN.
std::string EscapePath(absl::string_view path);

}  // namespace penstock::cli
