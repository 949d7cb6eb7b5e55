#include "apps/server/port_probe.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/file.h"

namespace trainyard::apps {
namespace {

/// Listens on a port of its own.
class Listener {
 public:
  Listener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void* raw = &address;
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_.get(), static_cast<const sockaddr*>(raw), size), 0);
    EXPECT_EQ(::listen(socket_.get(), 1), 0);
    EXPECT_EQ(::getsockname(socket_.get(), static_cast<sockaddr*>(raw), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  std::uint16_t port() const { return port_; }

 private:
  UniqueFd socket_;
  std::uint16_t port_ = 0;
};

TEST(PortProbe, any_port_that_is_free_is_found_and_left_free) {
  const Result<std::uint16_t> port = probe_port("127.0.0.1", 0);
  ASSERT_TRUE(port.ok());
  EXPECT_NE(*port, 0);
  EXPECT_EQ(probe_port("127.0.0.1", *port).value(), *port);
}

TEST(PortProbe, taken_port_is_refused_with_its_address_and_a_way_out) {
  const Listener listener;
  const Result<std::uint16_t> port = probe_port("127.0.0.1", listener.port());
  ASSERT_FALSE(port.ok());
  EXPECT_EQ(port.error().id, "net.port_taken");
  EXPECT_EQ(port.error().category, Category::kUnavailable);
  EXPECT_THAT(port.error().message, ::testing::HasSubstr("127.0.0.1:" + std::to_string(listener.port())));
  EXPECT_THAT(port.error().message, ::testing::HasSubstr("choose another port"));
}

TEST(PortProbe, host_that_is_no_address_is_refused) {
  for (const char* host : {"", "nope.invalid", "256.0.0.1", "two words"}) {
    EXPECT_EQ(probe_port(host, 0).error().id, "net.unknown_host") << host;
    EXPECT_EQ(check_host(host).error().id, "net.unknown_host") << host;
  }
  EXPECT_EQ(probe_port("192.0.2.1", 0).error().id, "net.address") << "an address of the documents, which no machine has";
}

TEST(PortProbe, name_of_this_machine_is_looked_up) {
  EXPECT_TRUE(check_host("localhost").ok());
  EXPECT_NE(probe_port("localhost", 0).value(), 0);
}

}  // namespace
}  // namespace trainyard::apps
