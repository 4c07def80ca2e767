#include "common/net/grpc_credentials.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <utility>
#include <vector>

#include "common/file.h"

namespace penstock::net {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // a whole cluster map of 10^4 targets fits

struct Pem {
  std::string ca_cert, cert, key;
};

absl::StatusOr<std::string> LoadPem(const std::string& path, const char* what) {
  if (path.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no file named for the ", what, " (make one with `penstock key`)"));
  }
  auto text = ReadSmallFile(PosixFileSystem(), path);
  if (!text.ok()) {
    return Annotate(text.status(),
                    absl::StrCat("cannot read the ", what, " (make one with `penstock key`)"));
  }
  if (!absl::StrContains(*text, "-----BEGIN")) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no PEM file (", what, ")"));
  }
  return text;
}

absl::StatusOr<Pem> Load(const TlsFiles& files) {
  Pem pem;
  ASSIGN_OR_RETURN(pem.ca_cert, LoadPem(files.ca_cert, "cluster CA certificate"));
  ASSIGN_OR_RETURN(pem.cert, LoadPem(files.cert, "TLS certificate"));
  ASSIGN_OR_RETURN(pem.key, LoadPem(files.key, "TLS key"));
  return pem;
}

absl::StatusCode CodeOf(grpc::StatusCode code) { return static_cast<absl::StatusCode>(code); }

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files) {
  ASSIGN_OR_RETURN(Pem pem, Load(files));
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = pem.ca_cert;
  options.pem_key_cert_pairs.push_back({pem.key, pem.cert});
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientCredentials(const TlsFiles& files) {
  ASSIGN_OR_RETURN(Pem pem, Load(files));
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = pem.ca_cert;
  options.pem_cert_chain = pem.cert;
  options.pem_private_key = pem.key;
  return grpc::SslCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const TlsFiles& files) {
  ASSIGN_OR_RETURN(auto credentials, ClientCredentials(files));
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("penstock");
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);  // the time for one attempt
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A channel whose server was away asks the resolver before it tries again, even for a literal
  // address, and by default no sooner than after 30 s.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 500);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Otherwise channels to one address share a connection even with other credentials.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, credentials, arguments);
}

// The canonical codes of gRPC and abseil are the same numbers. Details: "errno reason".
grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(
      static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
      absl::StrCat("penstock ", AttachedErrno(status), " ", static_cast<int>(ReasonOf(status))));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(CodeOf(status.error_code()), status.error_message());
  std::vector<std::string> parts = absl::StrSplit(status.error_details(), ' ');
  int err = 0, reason = 0;
  if (parts.size() == 3 && parts[0] == "penstock" && absl::SimpleAtoi(parts[1], &err) &&
      absl::SimpleAtoi(parts[2], &reason)) {
    if (err > 0) result = WithErrno(std::move(result), err);
    if (reason > 0) result = WithReason(std::move(result), static_cast<Reason>(reason));
  }
  return result;
}

}  // namespace penstock::net
