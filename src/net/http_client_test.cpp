#include "net/http_client.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "net/http_server.h"
#include "net/internal/socket.h"
#include "net/testing/http_client_contract.h"

namespace trainyard::net {
namespace {

using namespace std::chrono_literals;

Error error_of(const Result<Response>& result) { return result.ok() ? Error{} : result.error(); }

/// A server that says exactly what it is told: one script for each connection, played once a request line arrived.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<std::string> scripts)
      : listening_(std::move(internal::listen_on("127.0.0.1", 0)).value()),
        port_(internal::local_port(listening_.get()).value()),
        thread_([this, scripts = std::move(scripts)] { run(scripts); }) {}
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() { thread_.join(); }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  /// Returns once a connection was closed by this side; at the latest when the scripts are over.
  void wait_for_a_close() const { closed_.wait(0); }

 private:
  void run(const std::vector<std::string>& scripts) {
    for (const std::string& script : scripts) {
      play(script);
      ++closed_;
      closed_.notify_all();
    }
  }

  void play(const std::string& script) {
    pollfd entry{listening_.get(), POLLIN, 0};
    if (::poll(&entry, 1, 5'000) <= 0) return;
    const UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    // Each "|" in the script waits for the next request.
    std::string_view rest = script;
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, rest.find('|'));
      rest.remove_prefix(std::min(rest.size(), part.size() + 1));
      std::string request;
      char byte = 0;
      while (request.find("\r\n\r\n") == std::string::npos && ::recv(fd.get(), &byte, 1, 0) == 1) request.push_back(byte);
      if (::send(fd.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

  UniqueFd listening_;
  std::uint16_t port_;
  std::atomic<int> closed_{0};
  std::thread thread_;
};

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(HttpClient, idle_connection_that_the_server_closed_is_reopened) {
  const ScriptedServer server({kOk, kOk});
  const auto client = std::move(make_http_client(server.url())).value();
  EXPECT_EQ(client->send({.method = "POST"})->body, "ok");
  server.wait_for_a_close();
  EXPECT_EQ(client->send({.method = "POST"})->body, "ok");
}

TEST(HttpClient, close_while_the_request_is_under_way_is_repeated_only_when_that_is_safe) {
  // The second part is empty: the connection ends after the second request was read.
  const ScriptedServer server({std::string(kOk) + "||", kOk});
  const auto client = std::move(make_http_client(server.url())).value();
  EXPECT_EQ(client->send({})->body, "ok");
  EXPECT_EQ(client->send({})->body, "ok");

  const ScriptedServer other({std::string(kOk) + "||"});
  const auto poster = std::move(make_http_client(other.url())).value();
  EXPECT_EQ(poster->send({})->body, "ok");
  EXPECT_EQ(error_of(poster->send({.method = "POST"})).id, "net.closed");
}

TEST(HttpClient, announcement_before_the_answer_is_skipped) {
  const ScriptedServer server({std::string("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n") + kOk});
  EXPECT_EQ(std::move(make_http_client(server.url())).value()->send({})->body, "ok");
}

TEST(HttpClient, answer_without_a_length_ends_with_the_connection) {
  const ScriptedServer server({"HTTP/1.1 200 OK\r\n\r\nall of it"});
  EXPECT_EQ(std::move(make_http_client(server.url())).value()->send({})->body, "all of it");
}

TEST(HttpClient, truncated_and_malformed_answers_are_errors) {
  const std::pair<const char*, const char*> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "net.closed"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "net.closed"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "net.malformed"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "net.malformed"},
      {"HTTP/1.1 20", "net.closed"},
      {"SSH-2.0-OpenSSH\r\n", "net.malformed"},
  };
  for (const auto& [script, id] : cases) {
    const ScriptedServer server({script});
    EXPECT_EQ(error_of(std::move(make_http_client(server.url())).value()->send({})).id, id) << script;
  }
}

TEST(HttpClient, nobody_listening_is_named) {
  std::uint16_t port = 0;
  { port = internal::local_port(internal::listen_on("127.0.0.1", 0)->get()).value(); }
  const Error error = error_of(std::move(make_http_client("127.0.0.1:" + std::to_string(port))).value()->send({}));
  EXPECT_EQ(error.id, "net.connect");
  EXPECT_EQ(error.category, Category::kUnavailable);
  EXPECT_NE(error.message.find("127.0.0.1:"), std::string::npos);
}

TEST(HttpClient, server_that_says_nothing_times_out) {
  const UniqueFd listening = std::move(internal::listen_on("127.0.0.1", 0)).value();
  const auto client = std::move(make_http_client("127.0.0.1:" + std::to_string(internal::local_port(listening.get()).value()))).value();
  EXPECT_EQ(error_of(client->send({.timeout = 50ms})).id, "net.timeout");
}

TEST(HttpClient, early_refusal_of_a_large_upload_is_received) {
  testing::ClientRoutes routes;
  const auto server = std::move(make_http_server({}, routes.router)).value();
  const auto client = std::move(make_http_client("127.0.0.1:" + std::to_string(server->port()))).value();
  const Result<Response> response = client->send({.method = "POST", .target = "/tiny", .body = std::string(64u << 20, 'x')});
  ASSERT_TRUE(response.ok()) << response.error().describe();
  EXPECT_EQ(response->status, 413);
  EXPECT_EQ(client->send({.target = "/hello"})->body, "hello");
}

TEST(HttpClient, answer_that_comes_while_the_body_is_still_being_sent_ends_the_upload) {
  // After the head this server answers and then takes one byte at a time.
  const ScriptedServer server({"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno|"});
  const Result<Response> response =
      std::move(make_http_client(server.url())).value()->send({.method = "POST", .body = std::string(64u << 20, 'x'), .timeout = 3s});
  ASSERT_TRUE(response.ok()) << response.error().describe();
  EXPECT_EQ(response->status, 413);
}

TEST(HttpClient, line_break_in_a_field_is_refused) {
  const auto client = std::move(make_http_client("127.0.0.1:1")).value();
  ClientRequest request;
  request.headers.add("X", "a\r\nY: b");
  EXPECT_EQ(error_of(client->send(request)).id, "net.request");
  EXPECT_EQ(error_of(client->send({.target = "/a b"})).id, "net.request");
}

}  // namespace
}  // namespace trainyard::net
