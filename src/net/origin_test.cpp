#include "net/origin.h"

#include <gtest/gtest.h>

namespace trainyard::net {
namespace {

Headers fields(std::initializer_list<std::pair<std::string, std::string>> list) {
  Headers headers;
  for (const auto& [name, value] : list) headers.add(name, value);
  return headers;
}

TEST(HostName, port_brackets_case_and_last_dot_are_dropped) {
  EXPECT_EQ(host_name_of("Example.ORG.:8470"), "example.org");
  EXPECT_EQ(host_name_of("[::1]:80"), "::1");
  EXPECT_EQ(host_name_of("[::1]"), "::1");
  EXPECT_EQ(host_name_of("[::1"), "::1");
  EXPECT_EQ(host_name_of(""), "");
}

TEST(HostRule, only_loopback_and_configured_names_pass) {
  const CallerRules rules{.hosts = {"train.example.org"}};
  for (const char* host : {"localhost:8470", "127.0.0.1", "127.3.2.1:1", "[::1]:8470", "LOCALHOST", "train.example.org:80"}) {
    EXPECT_TRUE(host_is_allowed(host, rules)) << host;
  }
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "127.evil", "train.example.org.evil"}) {
    EXPECT_FALSE(host_is_allowed(host, rules)) << host;
  }
}

TEST(HostRule, public_server_takes_ip_literals_but_no_unknown_name) {
  const CallerRules rules{.any_ip_literal = true};
  EXPECT_TRUE(host_is_allowed("10.0.0.1:8470", rules));
  EXPECT_TRUE(host_is_allowed("[2001:db8::1]:8470", rules));
  EXPECT_FALSE(host_is_allowed("rebound.evil.example", rules));
}

TEST(OriginRule, request_without_a_browser_is_allowed) { EXPECT_TRUE(origin_is_allowed("POST", fields({{"Host", "localhost"}}), {})); }

TEST(OriginRule, same_origin_needs_host_and_port) {
  EXPECT_TRUE(is_same_origin(fields({{"Host", "localhost:1"}, {"Origin", "http://LOCALHOST:1"}})));
  EXPECT_FALSE(is_same_origin(fields({{"Host", "localhost:1"}, {"Origin", "http://localhost:2"}})));
  EXPECT_FALSE(is_same_origin(fields({{"Host", "localhost:1"}, {"Origin", "null"}})));
  EXPECT_FALSE(is_same_origin(fields({{"Host", "localhost:1"}, {"Origin", "http://localhost:1.evil.example"}})));
  EXPECT_FALSE(is_same_origin(fields({{"Host", "localhost"}, {"Sec-Fetch-Site", "same-site"}})));
  EXPECT_TRUE(is_same_origin(fields({{"Host", "localhost"}, {"Sec-Fetch-Site", "none"}})));
}

TEST(OriginRule, foreign_page_is_refused_on_every_verb) {
  const Headers foreign = fields({{"Host", "localhost"}, {"Origin", "http://evil.example"}});
  for (const char* method : {"GET", "POST", "PUT", "DELETE", "PATCH"}) EXPECT_FALSE(origin_is_allowed(method, foreign, {})) << method;
  EXPECT_FALSE(
      origin_is_allowed("GET", fields({{"Host", "localhost"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "no-cors"}}), {}));
}

TEST(OriginRule, link_from_another_site_may_be_followed) {
  const Headers link =
      fields({{"Host", "localhost"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}});
  EXPECT_TRUE(origin_is_allowed("GET", link, {}));
  EXPECT_FALSE(origin_is_allowed("POST", link, {}));
  EXPECT_FALSE(is_same_origin(link));
}

TEST(OriginRule, configured_origin_is_allowed) {
  const CallerRules rules{.origins = {"https://ui.example.org"}};
  EXPECT_TRUE(origin_is_allowed("POST", fields({{"Host", "localhost"}, {"Origin", "https://ui.example.org"}}), rules));
}

}  // namespace
}  // namespace trainyard::net
