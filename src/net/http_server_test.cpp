#include "net/http_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/rng.h"
#include "net/internal/socket.h"
#include "net/testing/http_server_fixture.h"

namespace trainyard::net {
namespace {

using namespace std::chrono_literals;
using testing::HttpServerTest;
using testing::RawConnection;
using testing::request_text;

TEST_F(HttpServerTest, request_is_answered_with_the_fields_every_answer_has) {
  start();
  RawConnection client(server->port());
  client.send(request_text("POST", "/echo", {}, "hello"));
  const Response response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "POST /echo hello");
  EXPECT_TRUE(response.headers.get("x-request-id"));
  EXPECT_TRUE(response.headers.get("Date"));
  EXPECT_EQ(response.headers.get("X-Content-Type-Options"), "nosniff");
  client.send(request_text("GET", "/echo"));
  EXPECT_EQ(client.read_response().status, 200);
}

TEST_F(HttpServerTest, pipelined_requests_are_answered_in_order) {
  start();
  RawConnection client(server->port());
  std::string text = request_text("GET", "/late");
  for (int i = 0; i < 200; ++i) text += request_text("POST", "/echo", {}, std::to_string(i));
  ASSERT_TRUE(client.send(text));
  parked.get()->respond(text_response(200, "first"));
  EXPECT_EQ(client.read_response().body, "first");
  for (int i = 0; i < 200; ++i) ASSERT_EQ(client.read_response().body, "POST /echo " + std::to_string(i));
}

TEST_F(HttpServerTest, half_closed_client_gets_all_its_answers) {
  start();
  RawConnection client(server->port());
  client.send(request_text("GET", "/late") + request_text("GET", "/echo"));
  client.shutdown_write();
  parked.get()->respond(text_response(200, "late"));
  EXPECT_EQ(client.read_response().body, "late");
  EXPECT_EQ(client.read_response().body, "GET /echo ");
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServerTest, incomplete_request_of_a_half_closed_client_is_refused) {
  start();
  RawConnection client(server->port());
  client.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
  client.shutdown_write();
  EXPECT_EQ(client.read_response().status, 400);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServerTest, refusals_are_problem_details_and_close) {
  start();
  const std::pair<std::string, int> cases[] = {
      {"\x16\x03\x01 not http\r\n\r\n", 400},
      {request_text("POST", "/echo", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", {}), 400},
      {request_text("GET", "/echo", "X: " + std::string(20'000, 'x') + "\r\n"), 431},
      {request_text("POST", "/echo", "Content-Length: 2000000\r\n"), 413},
      {request_text("POST", "/closed", "Content-Length: 2000000\r\n"), 403},
      {request_text("POST", "/echo", "Transfer-Encoding: chunked\r\n") + "zz\r\n", 400},
      {"GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
      {request_text("POST", "/echo", "Origin: http://evil.example\r\n"), 403},
  };
  for (const auto& [text, status] : cases) {
    RawConnection client(server->port(), 1s);  // Shorter than the server waits for the client to close.
    client.send(text);
    const Response response = client.read_response();
    EXPECT_EQ(response.status, status) << text.substr(0, 80);
    EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json");
    EXPECT_TRUE(response.headers.get("x-request-id"));
    EXPECT_TRUE(client.closed_by_server());
  }
  EXPECT_EQ(server->counters().requests, 0u);
  EXPECT_EQ(server->counters().requests_refused, std::size(cases));
}

TEST_F(HttpServerTest, handler_faults_become_problem_details) {
  start();
  RawConnection client(server->port());
  for (const char* path : {"/drop", "/throw", "/bare", "/nothing"}) {
    client.send(request_text("GET", path));
    const Response response = client.read_response();
    EXPECT_EQ(response.status, path[1] == 'b' || path[1] == 'n' ? 404 : 500) << path;
    EXPECT_EQ(response.headers.get("Content-Type"), "application/problem+json") << path;
    EXPECT_TRUE(parse_json(response.body).ok());
  }
  EXPECT_EQ(server->counters().handler_exceptions, 1u);
}

TEST_F(HttpServerTest, head_request_gets_the_length_and_no_body) {
  start();
  RawConnection client(server->port());
  client.send(request_text("HEAD", "/echo") + request_text("GET", "/echo"));
  const Response head = client.read_response(true);
  EXPECT_EQ(head.headers.get("Content-Length"), "11");  // "HEAD /echo "
  EXPECT_EQ(client.read_response().body, "GET /echo ");
}

TEST_F(HttpServerTest, chunk_storm_is_joined) {
  start();
  RawConnection client(server->port());
  std::string text = request_text("POST", "/big", "Transfer-Encoding: chunked\r\n");
  for (int i = 0; i < 100'000; ++i) text += "1\r\nx\r\n";
  ASSERT_TRUE(client.send(text + "0\r\n\r\n"));
  EXPECT_EQ(client.read_response().body.size(), 100'000u);
}

TEST_F(HttpServerTest, large_body_comes_back_whole) {
  start();
  RawConnection client(server->port());
  std::string body(8u << 20, 'x');
  for (std::size_t i = 0; i < body.size(); i += 4096) body[i] = static_cast<char>('a' + i / 4096 % 26);
  ASSERT_TRUE(client.send(request_text("POST", "/big", {}, body)));
  EXPECT_TRUE(client.read_response().body == body);
}

TEST_F(HttpServerTest, client_that_expects_continue_is_invited) {
  start();
  RawConnection client(server->port());
  client.send(request_text("POST", "/echo", "Expect: 100-continue\r\nContent-Length: 5\r\n"));
  EXPECT_EQ(client.read_response().status, 100);
  client.send("hello");
  EXPECT_EQ(client.read_response().body, "POST /echo hello");
}

TEST_F(HttpServerTest, http10_client_gets_a_plain_answer_and_the_end) {
  start();
  RawConnection client(server->port());
  client.send("GET /echo HTTP/1.0\r\n\r\n");
  const std::string text = client.read_to_end();
  EXPECT_NE(text.find("Connection: close"), std::string::npos);
  EXPECT_NE(text.find("GET /echo "), std::string::npos);
}

TEST_F(HttpServerTest, slow_head_is_refused_and_a_silent_connection_closed) {
  settings.header_timeout = 100ms;
  start();
  RawConnection slow(server->port());
  RawConnection silent(server->port());
  slow.send("GET /echo HTT");
  EXPECT_EQ(slow.read_response().status, 408);
  EXPECT_TRUE(silent.closed_by_server());
}

TEST_F(HttpServerTest, head_that_drips_byte_by_byte_is_refused) {
  settings.header_timeout = 100ms;
  start();
  RawConnection client(server->port(), 30ms);
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) {
    client.send(i == 0 ? "GET /echo HTTP/1.1\r\nX: " : "x");
    refused = client.read_until("408");
  }
  EXPECT_TRUE(refused);
}

TEST_F(HttpServerTest, slow_body_and_slow_handler_end_at_the_request_deadline) {
  settings.request_timeout = 150ms;
  start();
  RawConnection body(server->port());
  RawConnection handler(server->port());
  body.send(request_text("POST", "/echo", "Content-Length: 5\r\n") + "he");
  handler.send(request_text("GET", "/late"));
  EXPECT_EQ(body.read_response().status, 408);
  EXPECT_EQ(handler.read_response().status, 504);
  const ResponderPtr late = parked.get();
  late->respond(text_response(200, "too late"));
  handler.send(request_text("GET", "/echo"));
  EXPECT_EQ(handler.read_response().body, "GET /echo ");
}

TEST_F(HttpServerTest, idle_connection_is_closed_after_its_time) {
  settings.idle_timeout = 100ms;
  start();
  RawConnection client(server->port());
  client.send(request_text("GET", "/echo"));
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServerTest, stream_delivers_events_and_its_end) {
  start();
  RawConnection client(server->port());
  const auto stream = open_stream(client);
  EXPECT_TRUE(stream->write(sse_event("1", "a", "x")));
  EXPECT_TRUE(client.read_until("data: x"));
  EXPECT_TRUE(stream->write(sse_event("2", "a", "y")));
  stream->close();
  const Response response = client.read_response();
  EXPECT_EQ(response.body, "id: 1\nevent: a\ndata: x\n\nid: 2\nevent: a\ndata: y\n\n");
  EXPECT_EQ(response.headers.get("X-Accel-Buffering"), "no");
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_FALSE(stream->open());
}

TEST_F(HttpServerTest, silent_event_stream_gets_heartbeats) {
  settings.heartbeat = 50ms;
  start();
  RawConnection client(server->port());
  const auto stream = open_stream(client);
  EXPECT_TRUE(client.read_until(": hb\n\n"));
  stream->write("data: x\n\n");
  EXPECT_TRUE(client.read_until("data: x"));
}

TEST_F(HttpServerTest, producer_learns_at_once_that_the_client_went_away) {
  start();
  std::promise<void> told;
  auto client = std::make_unique<RawConnection>(server->port());
  const auto stream = open_stream(*client);
  stream->on_closed([&told] { told.set_value(); });
  ASSERT_TRUE(client->read_until("\r\n\r\n"));
  client.reset();
  ASSERT_EQ(told.get_future().wait_for(5s), std::future_status::ready);
  EXPECT_FALSE(stream->open());
  EXPECT_FALSE(stream->write("x"));
  EXPECT_TRUE(eventually([&] { return server->counters().streams_open == 0; }));
}

TEST_F(HttpServerTest, reader_that_stalls_is_cut_and_holds_a_bounded_amount) {
  settings.request_timeout = 300ms;
  start();
  std::promise<void> told;
  RawConnection client(server->port());
  client.set_receive_buffer(65'536);
  const auto stream = open_stream(client, "text/plain");
  stream->on_closed([&told] { told.set_value(); });
  const std::string piece(65'536, 'x');
  std::size_t written = 0;
  while (stream->write(piece) && written < (64u << 20)) written += piece.size();
  EXPECT_LT(written, 64u << 20);
  EXPECT_EQ(told.get_future().wait_for(5s), std::future_status::ready);
  EXPECT_EQ(client.read_to_end().find("\r\n0\r\n\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, head_of_a_stream_has_no_body) {
  start();
  RawConnection client(server->port());
  client.send(request_text("HEAD", "/late"));
  const auto stream = parked.get()->stream({200, {}, ""});
  EXPECT_EQ(client.read_response(true).status, 200);
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_FALSE(stream->open());
}

TEST_F(HttpServerTest, stop_lets_the_running_request_finish_and_ends_streams) {
  start();
  RawConnection busy(server->port());
  RawConnection idle(server->port());
  RawConnection streaming(server->port());
  const auto stream = open_stream(streaming);
  ASSERT_TRUE(streaming.read_until("\r\n\r\n"));
  busy.send(request_text("GET", "/late"));
  const ResponderPtr responder = parked.get();
  std::thread stopper([this] { server->stop(5s); });
  EXPECT_TRUE(idle.closed_by_server());
  EXPECT_EQ(streaming.read_response().status, 200);
  responder->respond(text_response(200, "finished"));
  EXPECT_EQ(busy.read_response().body, "finished");
  stopper.join();
  EXPECT_FALSE(stream->open());
}

TEST_F(HttpServerTest, responder_may_outlive_the_server) {
  start();
  RawConnection client(server->port());
  client.send(request_text("GET", "/late"));
  const ResponderPtr responder = parked.get();
  RawConnection other(server->port());
  const auto stream = open_stream(other);
  server.reset();
  responder->respond(text_response(200, "nobody listens"));
  EXPECT_FALSE(stream->write("x"));
  EXPECT_TRUE(client.closed_by_server());
}

TEST_F(HttpServerTest, port_can_be_taken_again_at_once_but_not_twice) {
  start();
  RawConnection client(server->port());
  client.send(request_text("GET", "/echo"));
  client.read_response();
  settings.port = server->port();
  const Result<std::unique_ptr<HttpServer>> second = make_http_server(settings, router);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().id, "net.port_taken");
  server.reset();
  start();
  EXPECT_EQ(server->port(), settings.port);
}

TEST_F(HttpServerTest, address_that_is_not_ours_is_refused) {
  settings.host = "203.0.113.7";
  settings.insecure_public = true;
  const Result<std::unique_ptr<HttpServer>> made = make_http_server(settings, router);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().id, "net.address");
}

TEST_F(HttpServerTest, sockets_are_not_inherited_by_child_processes) {
  start();
  RawConnection client(server->port());
  client.send(request_text("GET", "/echo"));
  client.read_response();
  int sockets = 0;
  for (int fd = 3; fd < 256; ++fd) {
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) continue;
    ++sockets;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
  }
  EXPECT_GE(sockets, 3);
}

/// Clients that vanish, reset, pipeline and stall at once, on two threads; afterwards the server works and holds nothing.
TEST_F(HttpServerTest, rough_clients_leave_nothing_behind) {
  settings.threads = 2;
  start();
  std::vector<std::thread> clients;
  for (int number = 0; number < 4; ++number) {
    clients.emplace_back([this, number] {
      SeededRng rng(static_cast<std::uint64_t>(number) + 1);
      for (int round = 0; round < 60; ++round) {
        RawConnection client(server->port());
        const std::string text = request_text("POST", "/echo", {}, std::string(rng.below(5'000) + 1, 'x')) + request_text("GET", "/echo");
        const bool whole = rng.below(2) == 0;
        client.send(whole ? text : text.substr(0, rng.below(text.size())));
        if (whole) client.read_response();
        if (rng.below(2) == 0) client.abort();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(eventually([&] { return server->counters().connections_open == 0; }));
  RawConnection client(server->port());
  client.send(request_text("GET", "/echo"));
  EXPECT_EQ(client.read_response().status, 200);
}

}  // namespace
}  // namespace trainyard::net
