// X.509 certificates of a cluster, made with OpenSSL: a CA, server certificates (for the name
// "penstock", so that addresses may change; also shown as client by chunkservers), and client
// certificates for administrators. EC P-256, signed with SHA-256.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <vector>

namespace penstock::cli {

struct KeyAndCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

absl::StatusOr<KeyAndCertificate> MakeAuthority(const std::string& common_name);

struct CertificateRequest {
  std::string common_name;
  bool server = false;             // may serve, with the name "penstock", and call
  std::vector<std::string> names;  // further DNS names or IP addresses of a server
};
absl::StatusOr<KeyAndCertificate> MakeCertificate(const KeyAndCertificate& authority,
                                                  const CertificateRequest& request);

struct CertificateInfo {
  std::string subject;
  std::string issuer;
  std::string not_after;
  absl::Time ends;  // the same
  std::vector<std::string> names;
  std::string sha256;  // fingerprint, hex
  bool authority = false;
};
absl::StatusOr<CertificateInfo> DescribeCertificate(const std::string& certificate_pem);

// Writes DIR/NAME.crt (0644) and DIR/NAME.key (0600); ALREADY_EXISTS when one is there.
absl::Status SavePair(const std::string& dir, const std::string& name,
                      const KeyAndCertificate& pair);
absl::StatusOr<KeyAndCertificate> LoadPair(const std::string& dir, const std::string& name);

// The files of a cluster's keys directory. Those that are there stay; returns the names of new
// ones. cluster.key, ca.crt/.key, server.crt/.key, admin.crt/.key.
absl::StatusOr<std::vector<std::string>> MakeKeys(const std::string& dir,
                                                  const std::string& cluster_id);

}  // namespace penstock::cli
