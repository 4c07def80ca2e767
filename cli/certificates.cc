#include "cli/certificates.h"

#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "common/status.h"

namespace penstock::cli {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

constexpr long kValidSeconds = 20L * 365 * 24 * 3600;  // rotated by hand, so it should not surprise
constexpr long kBackdateSeconds = -24L * 3600;         // clocks of the machines differ

absl::Status OpenSslError(absl::string_view doing) {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return absl::InternalError(absl::StrCat(doing, ": ", text));
}

std::string BioText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

Bio ReadBio(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::StatusOr<KeyAndCertificate> ToPem(EVP_PKEY* key, X509* certificate) {
  Bio key_bio(BIO_new(BIO_s_mem()));
  Bio certificate_bio(BIO_new(BIO_s_mem()));
  if (!PEM_write_bio_PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) ||
      !PEM_write_bio_X509(certificate_bio.get(), certificate)) {
    return OpenSslError("encode a certificate");
  }
  return KeyAndCertificate{BioText(key_bio.get()), BioText(certificate_bio.get())};
}

absl::StatusOr<Certificate> ParseCertificate(const std::string& pem) {
  Bio bio = ReadBio(pem);
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return OpenSslError("this is no PEM certificate");
  return certificate;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// Everything but extensions and signature.
absl::StatusOr<Certificate> BlankCertificate(const std::string& common_name, EVP_PKEY* key) {
  Certificate certificate(X509_new());
  unsigned char serial[16];
  if (certificate == nullptr || RAND_bytes(serial, sizeof serial) != 1) {
    return OpenSslError("make a certificate");
  }
  serial[0] &= 0x7F;  // positive
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), kBackdateSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.c_str());
  if (!X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0)) {
    return OpenSslError(absl::StrCat("'", common_name, "' as the name of a certificate"));
  }
  return certificate;
}

std::string AlternativeNames(const CertificateRequest& request) {
  std::vector<std::string> names = {"DNS:penstock"};
  for (const std::string& name : request.names) {
    unsigned char address[sizeof(in6_addr)];
    const bool is_address = inet_pton(AF_INET, name.c_str(), address) == 1 ||
                            inet_pton(AF_INET6, name.c_str(), address) == 1;
    names.push_back(absl::StrCat(is_address ? "IP:" : "DNS:", name));
  }
  return absl::StrJoin(names, ",");
}

std::string NameText(const X509_NAME* name) {
  Bio bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return BioText(bio.get());
}

std::string GeneralNameText(const GENERAL_NAME* name) {
  Bio bio(BIO_new(BIO_s_mem()));
  GENERAL_NAME_print(bio.get(), const_cast<GENERAL_NAME*>(name));
  return BioText(bio.get());
}

}  // namespace

absl::StatusOr<KeyAndCertificate> MakeAuthority(const std::string& common_name) {
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("make a key");
  ASSIGN_OR_RETURN(Certificate certificate, BlankCertificate(common_name, key.get()));
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(x));
  const bool built = AddExtension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                     AddExtension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                     AddExtension(x, x, NID_subject_key_identifier, "hash") &&
                     X509_sign(x, key.get(), EVP_sha256()) > 0;
  if (!built) return OpenSslError("sign the CA certificate");
  return ToPem(key.get(), x);
}

absl::StatusOr<KeyAndCertificate> MakeCertificate(const KeyAndCertificate& authority,
                                                  const CertificateRequest& request) {
  ASSIGN_OR_RETURN(Certificate ca, ParseCertificate(authority.certificate_pem));
  Bio bio = ReadBio(authority.key_pem);
  Key ca_key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (ca_key == nullptr) return OpenSslError("the CA's key is no PEM private key");
  if (X509_check_private_key(ca.get(), ca_key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the CA's key does not belong to the CA's certificate");
  }
  Key key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("make a key");
  ASSIGN_OR_RETURN(Certificate certificate, BlankCertificate(request.common_name, key.get()));
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(ca.get()));
  bool built = AddExtension(x, ca.get(), NID_basic_constraints, "critical,CA:FALSE") &&
               AddExtension(x, ca.get(), NID_key_usage, "critical,digitalSignature") &&
               AddExtension(x, ca.get(), NID_ext_key_usage,
                            request.server ? "serverAuth,clientAuth" : "clientAuth") &&
               AddExtension(x, ca.get(), NID_subject_key_identifier, "hash") &&
               AddExtension(x, ca.get(), NID_authority_key_identifier, "keyid:always");
  if (request.server) {
    built = built && AddExtension(x, ca.get(), NID_subject_alt_name, AlternativeNames(request));
  }
  if (!built || X509_sign(x, ca_key.get(), EVP_sha256()) <= 0) {
    return OpenSslError(absl::StrCat("sign the certificate of ", request.common_name));
  }
  return ToPem(key.get(), x);
}

absl::StatusOr<CertificateInfo> DescribeCertificate(const std::string& certificate_pem) {
  ASSIGN_OR_RETURN(Certificate certificate, ParseCertificate(certificate_pem));
  X509* x = certificate.get();
  CertificateInfo info;
  info.subject = NameText(X509_get_subject_name(x));
  info.issuer = NameText(X509_get_issuer_name(x));
  info.authority = X509_check_ca(x) == 1;
  Bio bio(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(bio.get(), X509_get0_notAfter(x));
  info.not_after = BioText(bio.get());
  tm ends = {};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &ends) == 1) {
    info.ends = absl::FromTM(ends, absl::UTCTimeZone());
  }
  Names names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(x, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    info.names.push_back(GeneralNameText(sk_GENERAL_NAME_value(names.get(), i)));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  X509_digest(x, EVP_sha256(), digest, &size);
  info.sha256 = absl::BytesToHexString({reinterpret_cast<char*>(digest), size});
  return info;
}

}  // namespace penstock::cli
