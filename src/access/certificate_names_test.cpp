#include "access/certificate_names.h"

#include <gtest/gtest.h>

#include "net/testing/temporary_certificate.h"

namespace trainyard::access {
namespace {

using Names = std::vector<std::string>;

CertificateNames names_of(const std::string& alternatives) {
  const net::testing::TemporaryCertificate certificate(alternatives);
  const Result<CertificateNames> names = CertificateNames::read(certificate.certificate());
  EXPECT_TRUE(names.ok()) << (names.ok() ? "" : names.error().describe());
  return names.ok() ? *names : CertificateNames();
}

TEST(CertificateNames, names_come_before_addresses_and_in_their_order) {
  const CertificateNames names = names_of("IP:10.0.0.7,DNS:Yard.example,DNS:localhost,IP:::1");
  EXPECT_EQ(names.all(), (Names{"yard.example", "localhost", "10.0.0.7", "::1"}));
}

TEST(CertificateNames, hosts_are_covered_as_clients_check_them) {
  const CertificateNames names = names_of("DNS:yard.example,DNS:*.lab.example,IP:127.0.0.1,IP:::1");
  for (const char* host : {"yard.example", "YARD.example", "a.lab.example", "127.0.0.1", "::1", "0:0:0:0:0:0:0:1"}) {
    EXPECT_TRUE(names.cover(host)) << host;
  }
  for (const char* host : {"", "other.example", "lab.example", "a.b.lab.example", "localhost", "127.0.0.2", "::2"}) {
    EXPECT_FALSE(names.cover(host)) << host;
  }
  EXPECT_EQ(names.all(), (Names{"yard.example", "127.0.0.1", "::1"})) << "a pattern is no name that one could be told";
}

TEST(CertificateNames, file_that_is_no_certificate_is_refused_by_name) {
  const net::testing::TemporaryCertificate certificate;
  for (const std::string& file : {certificate.key(), std::string("/no/such/file.pem")}) {
    const Result<CertificateNames> names = CertificateNames::read(file);
    ASSERT_FALSE(names.ok()) << file;
    EXPECT_EQ(names.error().id, "net.certificate");
    EXPECT_NE(names.error().message.find(file), std::string::npos);
  }
}

}  // namespace
}  // namespace trainyard::access
