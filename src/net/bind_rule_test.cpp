#include "net/bind_rule.h"

#include <gtest/gtest.h>

namespace trainyard::net {
namespace {

TEST(BindRule, addresses_of_this_machine_alone_are_loopback) {
  for (const char* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.10", "::1", "[::1]"})
    EXPECT_TRUE(is_loopback_address(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "192.168.1.7", "example.org", "127.example.org", "127.0.0.1.example.org",
                           "localhost.example.org", "::ffff:10.0.0.1", "", "::1.example.org"}) {
    EXPECT_FALSE(is_loopback_address(host)) << host;
  }
}

TEST(BindRule, public_address_needs_tls_or_the_word_of_the_operator) {
  EXPECT_TRUE(check_bind({.host = "127.0.0.1"}).ok());
  EXPECT_TRUE(check_bind({.host = "0.0.0.0", .tls = true}).ok());
  EXPECT_TRUE(check_bind({.host = "0.0.0.0", .insecure_public = true}).ok());
  for (const char* host : {"0.0.0.0", "::", "example.org"}) {
    const Result<void> refused = check_bind({.host = host});
    ASSERT_FALSE(refused.ok()) << host;
    EXPECT_EQ(refused.error().id, "net.insecure_public");
    EXPECT_NE(refused.error().message.find("--insecure-public"), std::string::npos);
    EXPECT_NE(refused.error().message.find("--tls-cert"), std::string::npos);
  }
}

}  // namespace
}  // namespace trainyard::net
