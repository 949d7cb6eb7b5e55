#include "net/conditional.h"

#include <gtest/gtest.h>

#include "net/testing/fake_responder.h"

namespace trainyard::net {
namespace {

Request with_field(std::string method, std::string name, std::string value) {
  Request request = testing::make_request(std::move(method), "/x");
  if (!name.empty()) request.headers.add(std::move(name), std::move(value));
  return request;
}

TEST(Conditional, answer_carries_the_tag_of_its_body) {
  const Response one = with_etag(with_field("GET", "", ""), text_response(200, "body"));
  EXPECT_EQ(one.status, 200);
  EXPECT_EQ(one.headers.get("ETag"), etag_of_bytes("body"));
  EXPECT_NE(etag_of_bytes("body"), etag_of_bytes("bodY"));
  EXPECT_EQ(etag_of_version(7), "\"v7\"");
}

TEST(Conditional, client_that_has_it_gets_304_without_a_body) {
  const std::string tag = etag_of_bytes("body");
  for (const std::string& known : {tag, "\"other\", " + tag, "W/" + tag, std::string("*")}) {
    const Response response = with_etag(with_field("GET", "If-None-Match", known), text_response(200, "body"));
    EXPECT_EQ(response.status, 304) << known;
    EXPECT_EQ(response.body, "");
    EXPECT_EQ(response.headers.get("ETag"), tag);
  }
  EXPECT_EQ(with_etag(with_field("GET", "If-None-Match", "\"other\""), text_response(200, "body")).status, 200);
}

TEST(Conditional, failures_and_changes_carry_no_tag) {
  EXPECT_FALSE(with_etag(with_field("GET", "If-None-Match", "*"), text_response(404, "no")).headers.get("ETag"));
  EXPECT_FALSE(with_etag(with_field("POST", "If-None-Match", "*"), text_response(200, "x")).headers.get("ETag"));
}

TEST(Conditional, change_of_another_version_is_refused) {
  EXPECT_FALSE(refuse_stale(with_field("PATCH", "If-Match", "\"v7\""), etag_of_version(7)));
  EXPECT_FALSE(refuse_stale(with_field("PATCH", "If-Match", "\"v6\", \"v7\""), etag_of_version(7)));
  EXPECT_FALSE(refuse_stale(with_field("PATCH", "If-Match", "*"), etag_of_version(7)));
  EXPECT_FALSE(refuse_stale(with_field("PATCH", "", ""), etag_of_version(7)));
  EXPECT_EQ(refuse_stale(with_field("PATCH", "If-Match", "\"v6\""), etag_of_version(7))->status, 412);
  EXPECT_EQ(refuse_stale(with_field("PATCH", "If-Match", "W/\"v7\""), etag_of_version(7))->status, 412) << "a weak tag proves too little";
  EXPECT_EQ(refuse_stale(with_field("PATCH", "", ""), etag_of_version(7), true)->status, 428);
}

}  // namespace
}  // namespace trainyard::net
