#include "agent/address.h"

#include <gtest/gtest.h>

namespace trainyard::agent {
namespace {

TEST(LocalAddress, server_on_this_machine_is_reached_by_the_loopback_address) {
  EXPECT_EQ(local_address_towards("http://127.0.0.1:8470").value(), "127.0.0.1");
  EXPECT_EQ(local_address_towards("http://127.0.0.1:8470/path").value(), "127.0.0.1");
  EXPECT_EQ(local_address_towards("https://127.0.0.1").value(), "127.0.0.1");
}

TEST(LocalAddress, malformed_url_is_refused) {
  for (const char* url : {"", "http://", "http://:80", "http://host:"}) {
    EXPECT_EQ(local_address_towards(url).error().id, "net.url") << url;
  }
}

TEST(LocalAddress, host_that_cannot_be_found_is_named_with_what_to_do) {
  const Result<std::string> address = local_address_towards("http://no-such-host.invalid:80");
  ASSERT_FALSE(address.ok());
  EXPECT_EQ(address.error().id, "agent.address");
  EXPECT_NE(address.error().message.find("--address"), std::string::npos);
}

}  // namespace
}  // namespace trainyard::agent
