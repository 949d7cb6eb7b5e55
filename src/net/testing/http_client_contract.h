#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "net/http_client.h"
#include "net/router.h"
#include "net/testing/fake_responder.h"

namespace trainyard::net::testing {

/// The routes that every client is tried on.
class ClientRoutes {
 public:
  ClientRoutes() {
    router.add({"GET", "/hello", Permission::kOpen,
                [](const Request&, const ResponderPtr& responder) { responder->respond(text_response(200, "hello")); }});
    router.add({"POST", "/echo", Permission::kOpen,
                [](const Request& request, const ResponderPtr& responder) { responder->respond(text_response(200, request.body)); },
                64u << 20});
    router.add({"POST", "/tiny", Permission::kOpen,
                [](const Request& request, const ResponderPtr& responder) { responder->respond(text_response(200, request.body)); }, 10});
    router.add({"GET", "/three", Permission::kOpen, [](const Request&, const ResponderPtr& responder) {
                  const auto stream = responder->stream({200, {}, ""});
                  for (const char* text : {"one ", "two ", "three "}) stream->write(text);
                  stream->close();
                }});
    router.add({"GET", "/endless", Permission::kOpen, [this](const Request&, const ResponderPtr& responder) {
                  endless = responder->stream({200, {}, ""});
                  endless->write("begin");
                }});
  }

  FakeAuthorizer authorizer;
  Router router{authorizer};
  std::shared_ptr<ResponseStream> endless;  // shared: as Responder says
};

/// What every HttpClient does. `Harness` is made from a Router and has `HttpClient& client()`, which reaches it.
template <typename Harness>
class HttpClientContract : public ::testing::Test {
 protected:
  HttpClient& client() { return harness_.client(); }
  static std::string id_of(const Result<Response>& result) { return result.ok() ? "ok" : result.error().id; }

  ClientRoutes routes_;
  Harness harness_{routes_.router};
};

TYPED_TEST_SUITE_P(HttpClientContract);

TYPED_TEST_P(HttpClientContract, request_returns_status_fields_and_body) {
  for (int i = 0; i < 3; ++i) {
    const Result<Response> response = this->client().send({.target = "/hello"});
    ASSERT_TRUE(response.ok()) << response.error().describe();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "hello");
    EXPECT_EQ(response->headers.get("content-type"), "text/plain; charset=utf-8");
  }
}

TYPED_TEST_P(HttpClientContract, error_status_is_a_value) {
  const Result<Response> response = this->client().send({.method = "POST", .target = "/tiny", .body = "more than ten bytes"});
  ASSERT_TRUE(response.ok()) << response.error().describe();
  EXPECT_EQ(response->status, 413);
  EXPECT_EQ(this->client().send({.target = "/nothing"})->status, 404);
}

TYPED_TEST_P(HttpClientContract, large_body_comes_back_whole) {
  const std::string body(3'000'000, 'b');
  const Result<Response> response = this->client().send({.method = "POST", .target = "/echo", .body = body});
  ASSERT_TRUE(response.ok()) << response.error().describe();
  EXPECT_TRUE(response->body == body);
}

TYPED_TEST_P(HttpClientContract, stream_is_delivered_to_its_end) {
  std::string seen;
  const Result<Response> response = this->client().stream({.target = "/three"}, [&](std::string_view bytes) {
    seen += bytes;
    return true;
  });
  ASSERT_TRUE(response.ok()) << response.error().describe();
  EXPECT_EQ(seen, "one two three ");
  EXPECT_EQ(this->client().send({.target = "/three"})->body, "one two three ");
  EXPECT_EQ(this->client().send({.target = "/hello"})->body, "hello");
}

TYPED_TEST_P(HttpClientContract, stream_ends_when_the_receiver_has_enough) {
  const Result<Response> response = this->client().stream({.target = "/endless"}, [](std::string_view) { return false; });
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(this->client().send({.target = "/hello"})->body, "hello");
}

TYPED_TEST_P(HttpClientContract, silent_stream_times_out) {
  const Result<Response> response =
      this->client().stream({.target = "/endless", .timeout = std::chrono::milliseconds(50)}, [](std::string_view) { return true; });
  EXPECT_EQ(this->id_of(response), "net.timeout");
}

TYPED_TEST_P(HttpClientContract, refused_stream_comes_back_with_its_body_and_no_call) {
  const Result<Response> response = this->client().stream({.target = "/nothing"}, [](std::string_view) {
    ADD_FAILURE() << "called";
    return true;
  });
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 404);
  EXPECT_FALSE(response->body.empty());
}

REGISTER_TYPED_TEST_SUITE_P(HttpClientContract, request_returns_status_fields_and_body, error_status_is_a_value,
                            large_body_comes_back_whole, stream_is_delivered_to_its_end, stream_ends_when_the_receiver_has_enough,
                            silent_stream_times_out, refused_stream_comes_back_with_its_body_and_no_call);

}  // namespace trainyard::net::testing
