// The files of a keys directory: written once, never overwritten.
#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/certificates.h"
#include "cli/paths.h"
#include "common/file.h"
#include "common/net/cluster_key.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

absl::Status WriteNewFile(const std::string& path, absl::string_view text, mode_t mode) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0 && errno == EEXIST) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is there already and is never overwritten; move it away first"));
  }
  if (fd < 0) return PosixError(errno, absl::StrCat("cannot write ", path, ": ", strerror(errno)));
  absl::Cleanup close_it = [&] { close(fd); };
  fchmod(fd, mode);  // whatever the umask says
  if (write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || fsync(fd) != 0) {
    return PosixError(errno, absl::StrCat("cannot write ", path, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// Half a pair may be the rest of a crash, or somebody's only copy: not ours to remove.
absl::StatusOr<bool> PairExists(const std::string& dir, const std::string& name) {
  const std::string key = absl::StrCat(dir, "/", name, ".key");
  const std::string certificate = absl::StrCat(dir, "/", name, ".crt");
  if (Exists(key) == Exists(certificate)) return Exists(key);
  return absl::FailedPreconditionError(absl::StrCat("only one of ", key, " and ", name,
                                                    ".crt is there; put the other back, or move "
                                                    "this one away to have both made anew"));
}

}  // namespace

absl::Status SavePair(const std::string& dir, const std::string& name,
                      const KeyAndCertificate& pair) {
  const std::string certificate = absl::StrCat(dir, "/", name, ".crt");
  if (Exists(certificate)) {
    return absl::AlreadyExistsError(absl::StrCat(
        certificate, " is there already and is never overwritten; move it away first"));
  }
  RETURN_IF_ERROR(WriteNewFile(absl::StrCat(dir, "/", name, ".key"), pair.key_pem, 0600));
  RETURN_IF_ERROR(WriteNewFile(certificate, pair.certificate_pem, 0644));
  return PosixFileSystem()->SyncDirectory(dir);
}

absl::StatusOr<KeyAndCertificate> LoadPair(const std::string& dir, const std::string& name) {
  KeyAndCertificate pair;
  ASSIGN_OR_RETURN(pair.key_pem,
                   ReadSmallFile(PosixFileSystem(), absl::StrCat(dir, "/", name, ".key")));
  ASSIGN_OR_RETURN(pair.certificate_pem,
                   ReadSmallFile(PosixFileSystem(), absl::StrCat(dir, "/", name, ".crt")));
  return pair;
}

absl::StatusOr<std::vector<std::string>> MakeKeys(const std::string& dir,
                                                  const std::string& cluster_id) {
  std::vector<std::string> made;
  RETURN_IF_ERROR(MakeDirectories(dir, 0700));
  const std::string key_file = dir + "/cluster.key";
  if (!Exists(key_file)) {
    ASSIGN_OR_RETURN(net::ClusterKey key, net::ClusterKey::Generate());
    RETURN_IF_ERROR(key.Save(key_file));
    made.push_back("cluster.key");
  }
  const std::string suffix = cluster_id.empty() ? "" : absl::StrCat(" ", cluster_id.substr(0, 8));
  ASSIGN_OR_RETURN(const bool have_authority, PairExists(dir, "ca"));
  if (!have_authority) {
    ASSIGN_OR_RETURN(KeyAndCertificate ca, MakeAuthority("penstock cluster CA" + suffix));
    RETURN_IF_ERROR(SavePair(dir, "ca", ca));
    made.push_back("ca");
  }
  ASSIGN_OR_RETURN(KeyAndCertificate ca, LoadPair(dir, "ca"));
  for (const char* name : {"server", "admin"}) {
    ASSIGN_OR_RETURN(const bool have_pair, PairExists(dir, name));
    if (have_pair) continue;
    CertificateRequest request;
    request.server = absl::string_view(name) == "server";
    request.common_name = absl::StrCat("penstock ", name, suffix);
    if (request.server) request.names = {"localhost", "127.0.0.1", "::1"};
    ASSIGN_OR_RETURN(KeyAndCertificate pair, MakeCertificate(ca, request));
    RETURN_IF_ERROR(SavePair(dir, name, pair));
    made.push_back(name);
  }
  return made;
}

}  // namespace penstock::cli
