// `penstock key`: the cluster key, the CA and certificates of a cluster that is set up by hand
// (docs/operate/by-hand.md). `penstock up` makes its own.
#include <absl/algorithm/container.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <cstdio>
#include <memory>

#include "cli/certificates.h"
#include "cli/listing.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "common/file.h"
#include "common/net/cluster_key.h"
#include "common/status.h"

namespace penstock::cli {
namespace {

struct KeyOptions {
  std::string path;
  std::string name;
  std::string ca_directory;
  std::string out_directory;
  std::vector<std::string> hosts;
  bool client = false;
  bool json = false;
};

absl::Status InitKeys(const KeyOptions& options) {
  const std::string dir = AbsolutePath(options.path);
  ASSIGN_OR_RETURN(std::vector<std::string> made, MakeKeys(dir, ""));
  std::printf("%s: %s\n", dir.c_str(),
              made.empty() ? "everything was there already"
                           : absl::StrCat("made ", absl::StrJoin(made, ", ")).c_str());
  std::printf(
      "  servers         cluster.key ca.crt server.crt server.key\n"
      "  clients         cluster.key\n"
      "  administrators  cluster.key ca.crt admin.crt admin.key\n"
      "  nobody          ca.key: keep it away from the cluster, it signs new certificates\n");
  return absl::OkStatus();
}

absl::Status MakeClusterKey(const KeyOptions& options) {
  const std::string path = AbsolutePath(options.path);
  ASSIGN_OR_RETURN(net::ClusterKey key, net::ClusterKey::Generate());
  RETURN_IF_ERROR(key.Save(path));
  std::printf("made %s: every server and client needs the same file, mode 0600\n", path.c_str());
  return absl::OkStatus();
}

absl::Status MakeCa(const KeyOptions& options) {
  const std::string dir = AbsolutePath(options.path);
  RETURN_IF_ERROR(MakeDirectories(dir, 0700));
  ASSIGN_OR_RETURN(KeyAndCertificate ca, MakeAuthority("penstock cluster CA"));
  RETURN_IF_ERROR(SavePair(dir, "ca", ca));
  std::printf(
      "made %s/ca.crt and ca.key; `penstock key cert --ca %s --name server` signs with it\n",
      dir.c_str(), dir.c_str());
  return absl::OkStatus();
}

absl::Status MakeCert(const KeyOptions& options) {
  if (options.name.find('/') != std::string::npos || options.name == "ca") {
    return UsageError(
        absl::StrCat("--name ", options.name, " is no name for a certificate's file"));
  }
  const std::string ca_dir = AbsolutePath(options.ca_directory);
  const std::string out =
      options.out_directory.empty() ? ca_dir : AbsolutePath(options.out_directory);
  absl::StatusOr<KeyAndCertificate> ca = LoadPair(ca_dir, "ca");
  if (!ca.ok()) {
    return Annotate(ca.status(), absl::StrCat("the CA in ", ca_dir, " (`penstock key ca ", ca_dir,
                                              "` makes one)"));
  }
  CertificateRequest request;
  request.common_name = absl::StrCat("penstock ", options.name);
  request.server = !options.client;
  request.names = options.hosts;
  ASSIGN_OR_RETURN(KeyAndCertificate pair, MakeCertificate(*ca, request));
  RETURN_IF_ERROR(MakeDirectories(out, 0700));
  RETURN_IF_ERROR(SavePair(out, options.name, pair));
  std::printf("made %s/%s.crt and %s.key for a %s\n", out.c_str(), options.name.c_str(),
              options.name.c_str(), options.client ? "client" : "server");
  return absl::OkStatus();
}

Json CertificateJson(const CertificateInfo& info) {
  return {{"subject", info.subject}, {"issuer", info.issuer}, {"not_after", info.not_after},
          {"names", info.names},     {"sha256", info.sha256}, {"authority", info.authority}};
}

// Describes a file without ever printing a secret.
bool LooksLikeClusterKey(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  return text.size() == 64 && absl::c_all_of(text, [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

absl::Status ShowKey(const KeyOptions& options) {
  const std::string path = AbsolutePath(options.path);
  ASSIGN_OR_RETURN(std::string text, ReadSmallFile(PosixFileSystem(), path));
  if (absl::StrContains(text, "PRIVATE KEY")) {
    return UsageError(absl::StrCat(path, " is a private key; name the certificate (.crt) instead"));
  }
  if (!absl::StrContains(text, "BEGIN CERTIFICATE")) {
    // First: how a cluster key must be protected is no advice for another file.
    if (!LooksLikeClusterKey(text)) {
      return UsageError(absl::StrCat(path, " is neither a certificate nor a cluster key"));
    }
    ASSIGN_OR_RETURN(net::ClusterKey key, net::ClusterKey::Load(path));
    // Proves nothing to anybody, but is the same for the same key.
    std::string print;
    for (unsigned char c : key.Prove("penstock key show").substr(0, 8)) {
      absl::StrAppend(&print, absl::Hex(c, absl::kZeroPad2));
    }
    if (options.json) {
      PrintJson({{"kind", "cluster_key"}, {"fingerprint", print}});
    } else {
      std::printf("cluster key, fingerprint %s (the same for every copy of it)\n", print.c_str());
    }
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(CertificateInfo info, DescribeCertificate(text));
  if (options.json) {
    PrintJson(CertificateJson(info));
    return absl::OkStatus();
  }
  std::printf(
      "%s\n  subject  %s\n  issuer   %s\n  until    %s\n  names    %s\n  sha256   %s\n",
      info.authority ? "CA certificate" : "certificate", info.subject.c_str(), info.issuer.c_str(),
      info.not_after.c_str(),
      info.names.empty() ? "none: it cannot serve" : absl::StrJoin(info.names, ", ").c_str(),
      info.sha256.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddKey(CLI::App& app, Program& program) {
  auto options = std::make_shared<KeyOptions>();
  auto run = [&program, options](absl::Status (*verb)(const KeyOptions&)) {
    return [&program, options, verb] { program.run = [options, verb] { return verb(*options); }; };
  };
  CLI::App* noun = app.add_subcommand("key", "makes keys and certificates of a cluster by hand");
  noun->require_subcommand(1);

  CLI::App* init = noun->add_subcommand(
      "init", "everything a cluster needs: cluster key, CA, server and admin certificates");
  init->add_option("DIR", options->path, "made when missing; what is there stays")->required();
  init->callback(run(InitKeys));

  CLI::App* cluster = noun->add_subcommand("cluster", "a cluster key");
  cluster->add_option("FILE", options->path, "never overwritten")->required();
  cluster->callback(run(MakeClusterKey));

  CLI::App* ca = noun->add_subcommand("ca", "a certificate authority");
  ca->add_option("DIR", options->path, "gets ca.crt and ca.key")->required();
  ca->callback(run(MakeCa));

  CLI::App* cert =
      noun->add_subcommand("cert", "a certificate of a server, or of an administrator");
  cert->add_option("--ca", options->ca_directory, "directory with ca.crt and ca.key")
      ->required()
      ->type_name("DIR");
  cert->add_option("--name", options->name, "the files are NAME.crt and NAME.key")
      ->required()
      ->type_name("NAME");
  cert->add_option("--out", options->out_directory, "where they go, else the CA's directory")
      ->type_name("DIR");
  cert->add_flag("--client", options->client, "for an administrator: may call, not serve");
  cert->add_option("--host", options->hosts, "a further DNS name or IP address of a server")
      ->type_name("HOST");
  cert->callback(run(MakeCert));

  CLI::App* show = noun->add_subcommand(
      "show", "what a certificate says; of a cluster key only a fingerprint, to compare machines");
  show->add_option("FILE", options->path, "a certificate (.crt) or a cluster key")->required();
  show->add_flag("--json", options->json, "print JSON");
  show->callback(run(ShowKey));
}

}  // namespace penstock::cli
