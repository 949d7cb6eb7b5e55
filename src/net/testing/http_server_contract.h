#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/testing/fake_responder.h"

namespace trainyard::net::testing {

/// What every HttpServer does. `Harness` is made from a Router and has `HttpServer& server()` and `std::unique_ptr<HttpClient> connect()`.
template <typename Harness>
class HttpServerContract : public ::testing::Test {
 protected:
  HttpServerContract() {
    router_.add({"GET", "/hello", Permission::kOpen,
                 [](const Request&, const ResponderPtr& responder) { responder->respond(text_response(200, "hello")); }});
    router_.add(
        {"GET", "/late", Permission::kOpen, [this](const Request&, const ResponderPtr& responder) { parked_.set_value(responder); }});
  }

  FakeAuthorizer authorizer_;
  Router router_{authorizer_};
  std::promise<ResponderPtr> parked_;
};

TYPED_TEST_SUITE_P(HttpServerContract);

TYPED_TEST_P(HttpServerContract, requests_get_what_the_router_answers_and_are_counted) {
  TypeParam harness(this->router_);
  const std::unique_ptr<HttpClient> client = harness.connect();
  EXPECT_EQ(client->send({.target = "/hello"}).value().body, "hello");
  EXPECT_EQ(client->send({.target = "/nothing"}).value().status, 404);
  EXPECT_EQ(harness.connect()->send({.target = "/hello"}).value().body, "hello");
  EXPECT_EQ(harness.server().counters().requests, 3u);
}

TYPED_TEST_P(HttpServerContract, servers_have_ports_of_their_own) {
  TypeParam first(this->router_);
  TypeParam second(this->router_);
  EXPECT_NE(first.server().port(), 0);
  EXPECT_NE(first.server().port(), second.server().port());
}

TYPED_TEST_P(HttpServerContract, stop_lets_the_running_request_finish) {
  TypeParam harness(this->router_);
  const std::unique_ptr<HttpClient> client = harness.connect();
  auto answer = std::async(std::launch::async, [&client] { return client->send({.target = "/late"}); });
  const ResponderPtr responder = this->parked_.get_future().get();
  auto stopped = std::async(std::launch::async, [&harness] { harness.server().stop(std::chrono::seconds(5)); });
  responder->respond(text_response(200, "finished"));
  const Result<Response> response = answer.get();
  ASSERT_TRUE(response.ok()) << response.error().describe();
  EXPECT_EQ(response->body, "finished");
  stopped.get();
}

TYPED_TEST_P(HttpServerContract, stopped_server_serves_nobody_and_may_be_stopped_again) {
  TypeParam harness(this->router_);
  const std::unique_ptr<HttpClient> client = harness.connect();
  EXPECT_TRUE(client->send({.target = "/hello"}).ok());
  harness.server().stop(std::chrono::milliseconds(100));
  harness.server().stop(std::chrono::milliseconds(100));
  const Result<Response> refused = client->send({.target = "/hello"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().category, Category::kUnavailable);
}

REGISTER_TYPED_TEST_SUITE_P(HttpServerContract, requests_get_what_the_router_answers_and_are_counted, servers_have_ports_of_their_own,
                            stop_lets_the_running_request_finish, stopped_server_serves_nobody_and_may_be_stopped_again);

}  // namespace trainyard::net::testing
