#include "api/forward/forwarder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "net/http_server.h"
#include "net/testing/fake_responder.h"

namespace trainyard::api {
namespace {

using net::Permission;
using net::Request;
using net::ResponderPtr;
using net::Response;

/// A server with its routes, on a port of its own.
class Process {
 public:
  net::Router& router() { return router_; }
  void serve() { server_ = std::move(net::make_http_server({}, router_)).value(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
  void stop() { server_.reset(); }

 private:
  net::testing::FakeAuthorizer authorizer_;
  net::Router router_{authorizer_};
  std::unique_ptr<net::HttpServer> server_;
};

class ForwarderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    leader.router().add({"POST", "/api/v1/things/{name}", Permission::kViewer, [](const Request& request, const ResponderPtr& responder) {
                           Response response = net::text_response(
                               201, request.body + "|" + request.path_parameters.at("name") + "|" + request.query_value("q").value_or(""));
                           response.headers.set("ETag", "\"7\"");
                           responder->respond(std::move(response));
                         }});
    leader.router().add({"GET", "/api/v1/big", Permission::kViewer, [](const Request&, const ResponderPtr& responder) {
                           responder->respond(net::text_response(200, std::string(3'000'000, 'x')));
                         }});
    leader.router().add({"GET", "/api/v1/events", Permission::kViewer, [this](const Request&, const ResponderPtr& responder) {
                           Response head;
                           head.headers.set("Content-Type", "text/event-stream");
                           stream = responder->stream(std::move(head));
                           stream->write(net::sse_event("1", "first", "a"));
                         }});
    leader.router().add({"GET", "/api/v1/fields", Permission::kViewer, [](const Request& request, const ResponderPtr& responder) {
                           responder->respond(net::text_response(200, std::string(request.headers.get(net::kForwardedField).value_or("")) +
                                                                          "|" + std::string(request.headers.get("Origin").value_or(""))));
                         }});
    leader.serve();
    for (const auto& [method, pattern] :
         {std::pair("POST", "/api/v1/things/{name}"), std::pair("GET", "/api/v1/big"), std::pair("GET", "/api/v1/events"),
          std::pair("GET", "/api/v1/nowhere"), std::pair("GET", "/api/v1/fields")}) {
      front.router().add({method, pattern, Permission::kViewer, [this](Request request, ResponderPtr responder) {
                            forwarder.forward(std::move(request), std::move(responder));
                          }});
    }
    front.serve();
    client = std::move(net::make_http_client(front.url())).value();
  }
  void TearDown() override {
    if (stream) stream->close();
  }

  std::shared_ptr<net::ResponseStream> stream;  // shared: see Responder::stream
  Process leader;
  std::atomic<bool> known{true};
  Forwarder forwarder{{}, [this] { return known ? std::optional(leader.url()) : std::nullopt; }};
  Process front;
  std::unique_ptr<net::HttpClient> client;
};

net::ClientRequest with_token(net::ClientRequest request) {
  request.headers.set("Authorization", "Bearer good");
  return request;
}

TEST_F(ForwarderTest, request_and_answer_pass_as_they_are) {
  const Result<Response> answer =
      client->send(with_token({.method = "POST", .target = "/api/v1/things/a%20b%3Fc?q=1%262", .body = "hello"}));
  ASSERT_TRUE(answer.ok()) << answer.error().describe();
  EXPECT_EQ(answer->status, 201);
  EXPECT_EQ(answer->body, "hello|a b?c|1&2");
  EXPECT_EQ(answer->headers.get("ETag").value_or(""), "\"7\"");
}

TEST_F(ForwarderTest, large_answer_arrives_whole) {
  const Result<Response> answer = client->send(with_token({.target = "/api/v1/big"}));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body.size(), 3'000'000U);
}

TEST_F(ForwarderTest, refusal_of_the_leader_is_passed_on) {
  const Result<Response> answer = client->send(with_token({.target = "/api/v1/nowhere"}));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 404);
}

TEST_F(ForwarderTest, stream_is_passed_on_piece_by_piece) {
  std::string seen;
  const Result<Response> answer = client->stream(with_token({.target = "/api/v1/events"}), [&](std::string_view bytes) {
    seen += bytes;
    if (seen.find("second") == std::string::npos && seen.find("first") != std::string::npos) {
      stream->write(net::sse_event("2", "second", "b"));
    }
    return seen.find("second") == std::string::npos;
  });
  ASSERT_TRUE(answer.ok());
  EXPECT_NE(seen.find("second"), std::string::npos);
}

TEST_F(ForwarderTest, missing_leader_is_told_with_a_time_to_try_again) {
  known = false;
  const Result<Response> answer = client->send(with_token({.target = "/api/v1/big"}));
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->headers.get("Retry-After").value_or(""), "1");
  EXPECT_NE(answer->body.find("leader.unknown"), std::string::npos);
}

TEST_F(ForwarderTest, request_that_was_handed_on_is_not_handed_on_again) {
  net::ClientRequest again = with_token({.target = "/api/v1/big"});
  again.headers.set(net::kForwardedField, "192.0.2.7");
  const Result<Response> answer = client->send(again);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->status, 503);
}

TEST_F(ForwarderTest, request_names_its_client_and_not_its_page) {
  net::ClientRequest request = with_token({.target = "/api/v1/fields"});
  request.headers.set("Origin", front.url());
  const Result<Response> answer = client->send(request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "127.0.0.1|");
}

TEST_F(ForwarderTest, end_gives_up_what_is_in_flight) {
  net::ResponderPtr kept;
  std::promise<void> asked;
  Process slow;
  slow.router().add({"GET", "/api/v1/slow", Permission::kViewer, [&](const Request&, const ResponderPtr& responder) {
                       kept = responder;
                       asked.set_value();
                     }});
  slow.serve();
  auto to_slow = std::make_unique<Forwarder>(ForwarderSettings{}, [&slow] { return slow.url(); });
  const net::testing::FakeAnswerPtr answer = std::make_shared<net::testing::FakeAnswer>();  // shared: as the alias says
  Request request{.method = "GET", .path = "/api/v1/slow"};
  request.headers.set("Authorization", "Bearer good");
  to_slow->forward(std::move(request), std::make_shared<net::testing::FakeResponder>(answer));  // shared: ResponderPtr
  asked.get_future().wait();
  to_slow.reset();
  const std::optional<Response> response = answer->wait();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 503);
  kept.reset();
}

TEST_F(ForwarderTest, leader_that_is_gone_is_told) {
  const std::string url = leader.url();
  Forwarder to_nobody({}, [&url] { return url; });
  leader.stop();
  const net::testing::FakeAnswerPtr answer = std::make_shared<net::testing::FakeAnswer>();  // shared: as the alias says
  to_nobody.forward({.method = "GET", .path = "/api/v1/big"},
                    std::make_shared<net::testing::FakeResponder>(answer));  // shared: ResponderPtr
  const std::optional<Response> response = answer->wait();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->status, 503);
  EXPECT_NE(response->body.find("leader.unreachable"), std::string::npos);
}

TEST(EndToEnd, fields_of_one_connection_are_dropped) {
  net::Headers headers;
  headers.add("Connection", "close, X-Mine");
  headers.add("x-mine", "1");
  headers.add("X-Min", "2");
  headers.add("Transfer-Encoding", "chunked");
  headers.add("Authorization", "Bearer t");
  const net::Headers kept = end_to_end(headers);
  EXPECT_EQ(kept.fields().size(), 2U);
  EXPECT_TRUE(kept.get("X-Min").has_value());
  EXPECT_TRUE(kept.get("Authorization").has_value());
}

}  // namespace
}  // namespace trainyard::api
