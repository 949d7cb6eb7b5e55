#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "client/api_client.h"
#include "client/sse_parser.h"
#include "net/http_server.h"
#include "net/testing/fake_responder.h"
#include "net/testing/router_client.h"

namespace trainyard::client {
namespace {

using namespace std::chrono_literals;

std::vector<SseEvent> parse_in_pieces(SseParser& parser, std::string_view text, std::size_t piece) {
  std::vector<SseEvent> events;
  while (!text.empty()) {
    const std::string_view next = text.substr(0, piece);
    text.remove_prefix(next.size());
    EXPECT_TRUE(parser
                    .feed(next,
                          [&](const SseEvent& event) {
                            events.push_back(event);
                            return true;
                          })
                    .ok());
  }
  return events;
}

TEST(SseParser, stream_in_pieces_of_any_size_gives_the_same_events) {
  const std::string text =
      "\xef\xbb\xbf: hb\n\nretry: 1500\nid: 7\nevent: job\ndata: a\ndata:b\n\n"
      "id: 8\r\ndata\r\n\r\ndata: last\r\rid: 9\n\ndata: cut off";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    SseParser parser;
    parser.begin_connection();
    const std::vector<SseEvent> events = parse_in_pieces(parser, text, piece);
    ASSERT_EQ(events.size(), 3u) << piece;
    EXPECT_EQ(events[0].id, "7");
    EXPECT_EQ(events[0].event, "job");
    EXPECT_EQ(events[0].data, "a\nb");
    EXPECT_EQ(events[1].id, "8");
    EXPECT_EQ(events[1].event, "message");
    EXPECT_EQ(events[1].data, "");
    EXPECT_EQ(events[2].data, "last");
    EXPECT_EQ(parser.last_id(), "9");
    EXPECT_EQ(parser.retry(), 1500ms);
  }
}

TEST(SseParser, id_of_an_event_that_was_cut_off_is_not_kept) {
  SseParser parser;
  parser.begin_connection();
  parse_in_pieces(parser, "id: 1\ndata: a\n\nid: 2\ndata: b\n", 100);
  parser.begin_connection();
  EXPECT_EQ(parser.last_id(), "1");
  EXPECT_EQ(parse_in_pieces(parser, "data: c\n\n", 100).at(0).id, "1");
}

TEST(SseParser, writer_and_parser_agree) {
  SseParser parser;
  parser.begin_connection();
  const std::vector<SseEvent> events = parse_in_pieces(parser, net::sse_event("5", "metric", "{\n \"a\": 1\n}\n"), 3);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, "{\n \"a\": 1\n}\n");
}

TEST(SseParser, endless_event_is_refused) {
  SseParser parser;
  parser.begin_connection();
  const std::string piece(1u << 20, 'x');
  Result<bool> fed = true;
  for (int i = 0; i < 20 && fed.ok(); ++i) fed = parser.feed(piece, [](const SseEvent&) { return true; });
  ASSERT_FALSE(fed.ok());
  EXPECT_EQ(fed.error().id, "sse.too_large");
}

const ApiClient::OnEvent kAnything = [](const std::string&, const std::string&, const std::string&) { return true; };

class ApiClientTest : public ::testing::Test {
 protected:
  void add(std::string method, std::string pattern, net::Handler handler) {
    router.add({std::move(method), std::move(pattern), net::Permission::kOpen, std::move(handler)});
  }

  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
  net::testing::RouterClient http{router};
  ApiClient api{http, "secret"};
  FollowSettings quick{.silence = 200ms, .retry_first = 1ms, .retry_max = 5ms, .give_up_after = 100ms};
};

TEST_F(ApiClientTest, documents_go_both_ways_with_the_token) {
  add("POST", "/echo", [](const net::Request& request, const net::ResponderPtr& responder) {
    Document body = parse_json(request.body).value();
    body.set("authorization", request.headers.get("Authorization").value_or(""));
    body.set("key", request.headers.get("Idempotency-Key").value_or(""));
    body.set("type", request.headers.get("Content-Type").value_or(""));
    responder->respond(net::json_response(201, body));
  });
  Document body;
  body.set("n", 1);
  const Result<Document> answer = api.post("/echo", body, "key-1");
  ASSERT_TRUE(answer.ok()) << answer.error().describe();
  EXPECT_EQ(answer->int_at("n").value(), 1);
  EXPECT_EQ(answer->string_at("authorization").value(), "Bearer secret");
  EXPECT_EQ(answer->string_at("key").value(), "key-1");
  EXPECT_EQ(answer->string_at("type").value(), "application/json");
  EXPECT_EQ(api.post_text("/echo", "{}", "application/yaml")->string_at("type").value(), "application/yaml");
}

TEST_F(ApiClientTest, every_category_survives_the_way_over_the_wire) {
  for (int i = 0; i <= static_cast<int>(Category::kUnauthenticated); ++i) {
    const Error sent{static_cast<Category>(i), "some.id", "what and why", "/tasks/0", {"submitting a job"}};
    const Error received = error_from_response(net::problem_response(sent, "r-1"));
    EXPECT_EQ(received.category, sent.category);
    EXPECT_EQ(received.id, sent.id);
    EXPECT_EQ(received.message, sent.message);
    EXPECT_EQ(received.where, sent.where);
    EXPECT_EQ(received.context, sent.context);
  }
}

TEST_F(ApiClientTest, foreign_error_body_becomes_an_error_by_status) {
  EXPECT_EQ(error_from_response(net::text_response(404, "<html>")).category, Category::kNotFound);
  EXPECT_EQ(error_from_response(net::text_response(502, "")).category, Category::kUnavailable);
  EXPECT_EQ(error_from_response(net::text_response(400, "[1]")).id, "http.status");
  EXPECT_EQ(error_from_response(net::text_response(400, "{\"errors\": 7, \"code\": 8}")).category, Category::kInvalidArgument);
}

TEST_F(ApiClientTest, empty_answer_is_null_and_other_text_is_an_error) {
  add("DELETE", "/x", [](const net::Request&, const net::ResponderPtr& responder) { responder->respond({204, {}, ""}); });
  add("GET", "/x", [](const net::Request&, const net::ResponderPtr& responder) { responder->respond(net::text_response(200, "<html>")); });
  EXPECT_TRUE(api.remove("/x")->members().empty());
  EXPECT_EQ(api.get("/x").error().id, "client.not_json");
  EXPECT_EQ(api.get_text("/x").value(), "<html>");
  EXPECT_EQ(api.get("/nothing").error().id, "http.no_route");
}

/// Streams events 1..10, three for each connection, and honours Last-Event-ID.
net::Handler three_events_each() {
  return [](const net::Request& request, const net::ResponderPtr& responder) {
    const int last = std::stoi(std::string(request.headers.get("Last-Event-ID").value_or("0")));
    if (last >= 10) return responder->respond({204, {}, ""});
    const auto stream = responder->stream({200, {}, ""});
    for (int id = last + 1; id <= std::min(last + 3, 10); ++id) stream->write(net::sse_event(std::to_string(id), "n", "x"));
    stream->write("id: 99\ndata: cut");
    stream->close();
  };
}

TEST_F(ApiClientTest, follow_resumes_behind_the_last_event_without_loss_or_doubles) {
  add("GET", "/events", three_events_each());
  std::string seen;
  const Result<void> result = api.follow(
      "/events",
      [&](const std::string& id, const std::string&, const std::string&) {
        seen += id + " ";
        return true;
      },
      quick);
  ASSERT_TRUE(result.ok()) << result.error().describe();
  EXPECT_EQ(seen, "1 2 3 4 5 6 7 8 9 10 ");
}

TEST_F(ApiClientTest, follow_ends_when_the_receiver_has_enough_and_begins_where_it_is_told) {
  add("GET", "/events", three_events_each());
  quick.last_event_id = "5";
  std::string seen;
  ASSERT_TRUE(api.follow(
                     "/events",
                     [&](const std::string& id, const std::string&, const std::string&) {
                       seen += id + " ";
                       return id != "7";
                     },
                     quick)
                  .ok());
  EXPECT_EQ(seen, "6 7 ");
}

TEST_F(ApiClientTest, follow_outlives_a_restart_of_the_server) {
  add("GET", "/events", three_events_each());
  std::string seen;
  const Result<void> result = api.follow(
      "/events",
      [&](const std::string& id, const std::string&, const std::string&) {
        seen += id + " ";
        if (id == "3" || id == "6") http.fail_connect(5);
        return true;
      },
      quick);
  ASSERT_TRUE(result.ok()) << result.error().describe();
  EXPECT_EQ(seen, "1 2 3 4 5 6 7 8 9 10 ");
}

TEST_F(ApiClientTest, follow_gives_up_when_nothing_comes_for_long) {
  http.fail_connect(1'000'000);
  const Result<void> result = api.follow("/events", kAnything, quick);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().id, "net.connect");
  EXPECT_GT(http.calls(), 3);
}

TEST_F(ApiClientTest, follow_reports_a_refusal_at_once) {
  const Result<void> result = api.follow("/nothing", kAnything, quick);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().category, Category::kNotFound);
  EXPECT_EQ(http.calls(), 1);
}

TEST_F(ApiClientTest, follow_of_a_silent_stream_ends_at_its_timeout_or_when_stopped) {
  add("GET", "/silent", [](const net::Request&, const net::ResponderPtr& responder) {
    responder->stream({200, {}, ""})->write(": hb\n\n");
  });
  quick.timeout = 50ms;
  EXPECT_EQ(api.follow("/silent", kAnything, quick).error().id, "client.follow_timeout");
  std::stop_source source;
  source.request_stop();
  quick.stop = source.get_token();
  EXPECT_EQ(api.follow("/silent", kAnything, quick).error().id, "client.stopped");
}

/// The same over sockets.
TEST_F(ApiClientTest, follow_works_against_a_real_server_that_restarts) {
  add("GET", "/events", three_events_each());
  net::HttpServerSettings settings;
  auto server = std::move(net::make_http_server(settings, router)).value();
  settings.port = server->port();
  const auto real = std::move(net::make_http_client("127.0.0.1:" + std::to_string(settings.port))).value();
  ApiClient over_sockets(*real, "secret");
  quick.give_up_after = 5s;
  std::string seen;
  std::thread restarter;
  const Result<void> result = over_sockets.follow(
      "/events",
      [&](const std::string& id, const std::string&, const std::string&) {
        seen += id + " ";
        if (id == "5") {
          server.reset();
          restarter = std::thread([&] { server = std::move(net::make_http_server(settings, router)).value(); });
        }
        return true;
      },
      quick);
  restarter.join();
  ASSERT_TRUE(result.ok()) << result.error().describe();
  EXPECT_EQ(seen, "1 2 3 4 5 6 7 8 9 10 ");
}

}  // namespace
}  // namespace trainyard::client
