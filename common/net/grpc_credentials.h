// Mutual TLS for the control plane: files `ca.crt`, NAME.crt and NAME.key (PEM) in one directory,
// as `penstock up` and `penstock key` make them. Both sides must show a certificate of the cluster
// CA.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "common/status.h"

namespace penstock::net {

struct TlsFiles {
  std::string ca_cert;
  std::string cert;
  std::string key;
};

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files);
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(const TlsFiles& files);
// A channel whose server must present a certificate for the name "penstock" (every server
// certificate of a cluster carries it, so addresses may change).
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const TlsFiles& files);

// gRPC 1.51 does not know absl::Status. Errno and reason travel as trailing "penstock-errno" in the
// details string.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace penstock::net
