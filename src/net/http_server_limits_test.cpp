#include <gtest/gtest.h>

#include "net/testing/http_server_fixture.h"

namespace trainyard::net {
namespace {

using namespace std::chrono_literals;
using testing::RawConnection;
using testing::request_text;

using HttpServerLimitsTest = testing::HttpServerTest;

TEST_F(HttpServerLimitsTest, connection_beyond_the_cap_is_answered_503_and_room_is_reused) {
  settings.connections_max = 2;
  start();
  auto first = std::make_unique<RawConnection>(server->port());
  RawConnection second(server->port());
  ASSERT_TRUE(eventually([&] { return server->counters().connections_open == 2; }));
  RawConnection third(server->port());
  third.send(request_text("GET", "/echo"));
  const Response refused = third.read_response();
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.headers.get("Retry-After"));
  first.reset();
  third.close();
  ASSERT_TRUE(eventually([&] { return server->counters().connections_open == 1; }));
  RawConnection fourth(server->port());
  fourth.send(request_text("GET", "/echo"));
  EXPECT_EQ(fourth.read_response().status, 200);
  EXPECT_EQ(server->counters().connections_refused, 1u);
}

TEST_F(HttpServerLimitsTest, reserved_routes_are_served_when_there_is_no_room_left) {
  router.add({"GET",
              "/healthz",
              Permission::kOpen,
              [](const Request&, const ResponderPtr& responder) {
                responder->respond({200, {}, "ok"});
              },
              100,
              {.rate = RateClass::kReserved}});
  settings.connections_max = 1;
  start();
  RawConnection first(server->port());
  ASSERT_TRUE(eventually([&] { return server->counters().connections_open == 1; }));
  RawConnection agent(server->port());
  for (int i = 0; i < 3; ++i) {
    agent.send(request_text("GET", "/healthz"));
    EXPECT_EQ(agent.read_response().body, "ok");
  }
  agent.send(request_text("POST", "/big", "Content-Length: 60000000\r\n"));
  EXPECT_EQ(agent.read_response().status, 503) << "refused from its head";
  EXPECT_TRUE(agent.closed_by_server());
}

TEST_F(HttpServerLimitsTest, request_carries_the_address_of_its_client_and_its_trace) {
  std::string seen;
  router.add({"GET", "/who", Permission::kOpen, [&seen](const Request& request, const ResponderPtr& responder) {
                seen = request.peer + " " + request.traceparent;
                responder->respond({200, {}, "x"});
              }});
  start();
  RawConnection client(server->port());
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  client.send(request_text("GET", "/who", "traceparent: " + trace + "\r\n"));
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_EQ(seen, "127.0.0.1 " + trace);
  for (const char* bad :
       {"00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"}) {
    client.send(request_text("GET", "/who", std::string("traceparent: ") + bad + "\r\n"));
    EXPECT_EQ(client.read_response().status, 200);
    EXPECT_EQ(seen, "127.0.0.1 ") << bad;
  }
}

TEST_F(HttpServerLimitsTest, every_answer_that_asks_to_wait_says_how_long) {
  router.add({"GET", "/busy", Permission::kOpen,
              [](const Request&, const ResponderPtr& responder) { responder->respond(text_response(503, "no")); }});
  start();
  RawConnection client(server->port());
  client.send(request_text("GET", "/busy"));
  EXPECT_EQ(client.read_response().headers.get("Retry-After"), "1");
}

TEST_F(HttpServerLimitsTest, public_address_without_tls_is_refused_unless_told) {
  settings.host = "0.0.0.0";
  EXPECT_EQ(make_http_server(settings, router).error().id, "net.insecure_public");
  settings.insecure_public = true;
  start();
  EXPECT_EQ(server->reload_certificate().error().id, "net.no_tls");
}

TEST_F(HttpServerLimitsTest, streams_beyond_the_cap_are_answered_503) {
  settings.streams_max = 1;
  start();
  RawConnection first(server->port());
  RawConnection second(server->port());
  const auto kept = open_stream(first);
  ASSERT_TRUE(first.read_until("\r\n\r\n"));
  const auto refused = open_stream(second);
  EXPECT_EQ(second.read_response().status, 503);
  EXPECT_FALSE(refused->open());
}

}  // namespace
}  // namespace trainyard::net
