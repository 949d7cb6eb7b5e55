#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace trainyard::access {

/// Which server a certificate is for.
class CertificateNames {
 public:
  /// Of the first certificate in a PEM file. Errors: INVALID_ARGUMENT "net.certificate".
  static Result<CertificateNames> read(const std::string& file);

  /// DNS names, without those with '*', and then addresses, each in the order of the certificate. Where it says none of either the common
  /// name.
  const std::vector<std::string>& all() const { return names_; }
  /// Whether a client that was told this host takes the certificate for it.
  bool cover(std::string_view host) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::string> patterns_;  ///< "*.example.org"
};

}  // namespace trainyard::access
