#include "access/certificate_names.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>

namespace trainyard::access {
namespace {

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO, BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES, GENERAL_NAMES_free>>;

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lowered;
}

std::string text_of(const ASN1_STRING* string) {
  std::string text;
  const unsigned char* const bytes = ASN1_STRING_get0_data(string);
  for (int i = 0; i < ASN1_STRING_length(string); ++i) text.push_back(static_cast<char>(bytes[i]));
  return text;
}

/// "10.0.0.7" of its four bytes, "::1" of its sixteen; empty for another number of bytes.
std::string address_of(const ASN1_STRING* string) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int size = ASN1_STRING_length(string);
  if (size != 4 && size != 16) return {};
  const int family = size == 4 ? AF_INET : AF_INET6;
  const char* const written = ::inet_ntop(family, ASN1_STRING_get0_data(string), text.data(), static_cast<socklen_t>(text.size()));
  return written == nullptr ? std::string() : std::string(written);
}

std::string common_name_of(const X509& certificate) {
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? std::string() : text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/// One text for each address, as inet_ntop writes it; other hosts in lower case.
std::string canonical(std::string_view host) {
  const std::string text(host);
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  std::array<char, INET6_ADDRSTRLEN> written{};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return lower(host);
  return ::inet_ntop(AF_INET6, bytes.data(), written.data(), static_cast<socklen_t>(written.size()));
}

}  // namespace

Result<CertificateNames> CertificateNames::read(const std::string& file) {
  ERR_clear_error();
  const BioPtr input(BIO_new_file(file.c_str(), "r"));
  const CertificatePtr certificate(input ? PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  if (!certificate) {
    return invalid_argument("net.certificate", "The certificate cannot be used; it must be a PEM file that this user may read: " + file);
  }
  CertificateNames read;
  std::vector<std::string> addresses;
  void* const extension = X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr);
  const NamesPtr alternatives(static_cast<GENERAL_NAMES*>(extension));
  for (int i = 0; alternatives && i < sk_GENERAL_NAME_num(alternatives.get()); ++i) {
    int kind = 0;
    const void* const raw = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(alternatives.get(), i), &kind);
    const auto* const value = static_cast<const ASN1_STRING*>(raw);
    if (kind == GEN_IPADD) addresses.push_back(address_of(value));
    if (kind != GEN_DNS) continue;
    const std::string name = lower(text_of(value));
    (name.find('*') == std::string::npos ? read.names_ : read.patterns_).push_back(name);
  }
  read.names_.insert(read.names_.end(), addresses.begin(), addresses.end());
  if (read.names_.empty() && read.patterns_.empty()) read.names_.push_back(lower(common_name_of(*certificate)));
  std::erase(read.names_, "");
  return read;
}

bool CertificateNames::cover(std::string_view host) const {
  const std::string name = canonical(host);
  const auto matches = [&name](const std::string& pattern) {
    const std::size_t dot = name.find('.');
    return pattern.starts_with("*.") && dot != std::string::npos && name.substr(dot) == pattern.substr(1);
  };
  return std::find(names_.begin(), names_.end(), name) != names_.end() || std::any_of(patterns_.begin(), patterns_.end(), matches);
}

}  // namespace trainyard::access
