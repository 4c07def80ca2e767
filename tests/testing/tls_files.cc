#include "tests/testing/tls_files.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

namespace penstock::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

void Must(bool ok) {
  if (!ok) std::abort();
}

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  Must(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself when that is null: a CA.
Certificate Make(EVP_PKEY* key, const char* name, X509* issuer, EVP_PKEY* issuer_key) {
  static long serial = 1;
  Certificate certificate(X509_new(), X509_free);
  X509* x = certificate.get();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  const bool self = issuer == nullptr;
  X509_set_issuer_name(x, X509_get_subject_name(self ? x : issuer));
  AddExtension(x, self ? x : issuer, NID_basic_constraints, self ? "critical,CA:TRUE" : "CA:FALSE");
  if (!self) AddExtension(x, issuer, NID_subject_alt_name, "DNS:penstock");
  Must(X509_sign(x, self ? key : issuer_key, EVP_sha256()) > 0);
  return certificate;
}

template <typename Write>
std::string Save(const std::string& path, Write write) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  Must(file != nullptr);
  Must(write(file) == 1);
  std::fclose(file);
  return path;
}

}  // namespace

net::TlsFiles MakeTlsFiles(const std::string& dir) {
  Key ca_key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  Must(ca_key != nullptr && key != nullptr);
  const Certificate ca = Make(ca_key.get(), "test CA", nullptr, nullptr);
  const Certificate server = Make(key.get(), "server", ca.get(), ca_key.get());
  net::TlsFiles files;
  files.ca_cert = Save(dir + "/ca.crt", [&](auto* f) { return PEM_write_X509(f, ca.get()); });
  files.cert = Save(dir + "/server.crt", [&](auto* f) { return PEM_write_X509(f, server.get()); });
  files.key = Save(dir + "/server.key", [&](auto* f) {
    return PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return files;
}

}  // namespace penstock::testing
