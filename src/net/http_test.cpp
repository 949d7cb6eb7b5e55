#include "net/http.h"

#include <gtest/gtest.h>

namespace trainyard::net {
namespace {

TEST(Headers, names_compare_without_case_and_set_replaces_all) {
  Headers headers;
  headers.add("X-A", "1");
  headers.add("x-a", "2");
  EXPECT_EQ(headers.get("X-a"), "1");
  headers.set("x-A", "3");
  EXPECT_EQ(headers.get("x-a"), "3");
  EXPECT_EQ(headers.fields().size(), 1u);
  EXPECT_FALSE(headers.get("other"));
}

TEST(PercentCoding, encode_then_decode_gives_the_same_bytes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const std::string encoded = percent_encode(all);
  EXPECT_EQ(encoded.find_first_not_of("%ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"), std::string::npos);
  EXPECT_EQ(percent_decode(encoded).value(), all);
}

TEST(PercentCoding, broken_escapes_are_refused) {
  for (const char* text : {"%", "a%4", "%zz", "%4", "%-1", "%%41"}) {
    const Result<std::string> decoded = percent_decode(text);
    ASSERT_FALSE(decoded.ok()) << text;
    EXPECT_EQ(decoded.error().id, "http.encoding");
  }
  EXPECT_EQ(percent_decode("a/%20b").value(), "a/ b");
  EXPECT_EQ(percent_decode("%41").value(), "A");
}

TEST(SseEvent, data_is_split_at_every_kind_of_line_end) {
  EXPECT_EQ(sse_event("7", "job", "a\nb\r\nc\rd"), "id: 7\nevent: job\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
  EXPECT_EQ(sse_event("", "", ""), "data: \n\n");
}

TEST(SseEvent, line_break_in_an_id_cannot_add_a_field) {
  EXPECT_EQ(sse_event("1\ndata: evil", "x\r\ny", "ok"), "id: 1data: evil\nevent: xy\ndata: ok\n\n");
}

TEST(ProblemResponse, error_becomes_problem_details_with_a_pointer) {
  Error error = invalid_argument("spec.range", "Value too large: 9", "/tasks/0");
  const Response response = problem_response(error, "req-1");
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.get("content-type"), "application/problem+json");
  const Document body = parse_json(response.body).value();
  EXPECT_EQ(body.string_at("code").value(), "spec.range");
  EXPECT_EQ(body.string_at("category").value(), "INVALID_ARGUMENT");
  EXPECT_EQ(body.string_at("title").value(), "Bad Request");
  EXPECT_EQ(body.string_at("request_id").value(), "req-1");
  EXPECT_EQ(body["errors"].items().at(0).string_at("pointer").value(), "/tasks/0");
  EXPECT_FALSE(body.bool_or("retryable", true).value());
}

TEST(ProblemResponse, overload_and_missing_login_carry_what_the_client_needs_next) {
  EXPECT_TRUE(problem_response(unavailable("x.y", "later")).headers.get("Retry-After"));
  EXPECT_TRUE(problem_response({Category::kUnauthenticated, "auth.missing", "no token", {}, {}}).headers.get("WWW-Authenticate"));
}

TEST(HttpStatus, every_category_maps_to_an_error_status_with_a_phrase) {
  for (int i = 0; i <= static_cast<int>(Category::kUnauthenticated); ++i) {
    const int status = http_status_of(static_cast<Category>(i));
    EXPECT_GE(status, 400);
    EXPECT_LE(status, 599);
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
  }
}

}  // namespace
}  // namespace trainyard::net
