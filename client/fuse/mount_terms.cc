#include "client/fuse/mount_terms.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <cerrno>
#include <string>
#include <vector>

#include "common/status.h"

namespace penstock::client {
namespace {

// libfuse splits -o at commas.
std::string Escape(const std::string& value) {
  std::string escaped;
  for (char c : value) {
    if (c == ',' || c == '\\') escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

std::string KernelOptions(const MountOptions& options) {
  const std::string fsname =
      options.fsname.empty() ? absl::StrCat("penstock:", options.metaserver) : options.fsname;
  std::vector<std::string> list{absl::StrCat("fsname=", Escape(fsname)), "subtype=penstock"};
  if (options.allow_other) list.push_back("allow_other");
  if (options.default_permissions) list.push_back("default_permissions");
  if (options.read_only) list.push_back("ro");
  list.insert(list.end(), options.kernel_options.begin(), options.kernel_options.end());
  return absl::StrJoin(list, ",");
}

}  // namespace

absl::StatusOr<fuse_session*> NewFuseSession(const MountOptions& options,
                                             const fuse_lowlevel_ops& operations, void* userdata) {
  const std::string kernel_options = KernelOptions(options);
  std::vector<std::string> words{"penstock", "-o", kernel_options};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  fuse_args args = FUSE_ARGS_INIT(static_cast<int>(argv.size()), argv.data());
  fuse_session* session = fuse_session_new(&args, &operations, sizeof(operations), userdata);
  fuse_opt_free_args(&args);
  if (session == nullptr) {
    return PosixError(EINVAL, absl::StrCat("libfuse refused the options ", kernel_options));
  }
  return session;
}

}  // namespace penstock::client
