#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <thread>

#include "base/rng.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/internal/tls.h"
#include "net/testing/fake_responder.h"
#include "net/testing/http_client_contract.h"
#include "net/testing/http_server_contract.h"
#include "net/testing/raw_connection.h"
#include "net/testing/temporary_certificate.h"

namespace trainyard::net::testing {
namespace {

using namespace std::chrono_literals;
using internal::TlsContext;
using internal::TlsContextPtr;
using internal::TlsSession;

/// Both ends in memory.
class TlsSessionTest : public ::testing::Test {
 protected:
  TlsSessionTest()
      : server_context(TlsContext::for_server(files.certificate(), files.key()).value()),
        client_context(TlsContext::for_client(files.certificate()).value()) {}

  void connect(const std::string& host = "localhost") {
    server = std::make_unique<TlsSession>(server_context);
    client = std::make_unique<TlsSession>(client_context, host);
    client->start();
    exchange();
  }
  /// Carries what both have to say until neither has.
  void exchange(std::size_t piece = 1'000'000) {
    while (server->output_size() + client->output_size() > 0) {
      carry(*client, *server, at_server, piece);
      carry(*server, *client, at_client, piece);
    }
  }
  static void carry(TlsSession& from, TlsSession& to, std::string& plain, std::size_t piece) {
    const std::string wire = from.take_output();
    for (std::size_t at = 0; at < wire.size(); at += piece) to.receive(std::string_view(wire).substr(at, piece), &plain);
  }

  TemporaryCertificate files;
  TlsContextPtr server_context;
  TlsContextPtr client_context;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<TlsSession> client;
  std::string at_server;
  std::string at_client;
};

TEST_F(TlsSessionTest, bytes_arrive_as_they_were_sent_in_pieces_of_any_size) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1'000'000}}) {
    connect();
    ASSERT_TRUE(client->established() && server->established());
    at_server.clear();
    at_client.clear();
    const std::string large(100'000, 'x');
    ASSERT_TRUE(client->send("hello " + large));
    ASSERT_TRUE(server->send("welcome"));
    exchange(piece);
    EXPECT_TRUE(at_server == "hello " + large);
    EXPECT_EQ(at_client, "welcome");
  }
}

TEST_F(TlsSessionTest, end_of_one_side_is_seen_by_the_other) {
  connect();
  server->close();
  EXPECT_EQ(client->receive(server->take_output(), &at_client), TlsSession::State::kEnded);
}

TEST_F(TlsSessionTest, certificate_for_another_name_is_refused) {
  for (const char* host : {"127.0.0.1", "localhost"}) {
    connect(host);
    EXPECT_TRUE(client->established()) << host << client->failure();
  }
  for (const char* host : {"example.org", "127.0.0.2", "localhost.example.org"}) {
    connect(host);
    EXPECT_FALSE(client->established()) << host;
    EXPECT_NE(client->failure().find("mismatch"), std::string::npos) << client->failure();
  }
}

TEST_F(TlsSessionTest, certificate_that_nobody_trusts_is_refused) {
  const TemporaryCertificate other;
  client_context = TlsContext::for_client(other.certificate()).value();
  connect();
  EXPECT_FALSE(client->established());
  client_context = TlsContext::for_client("").value();
  connect();
  EXPECT_FALSE(client->established());
}

TEST_F(TlsSessionTest, altered_bytes_are_noticed) {
  SeededRng rng(20'260'108);
  for (int round = 0; round < 200; ++round) {
    connect();
    ASSERT_TRUE(client->send("transfer 100"));
    std::string wire = client->take_output();
    wire[rng.below(wire.size())] ^= static_cast<char>(1 + rng.below(255));
    at_server.clear();
    EXPECT_EQ(server->receive(wire, &at_server) == TlsSession::State::kFailed || at_server.empty(), true) << "round " << round;
    EXPECT_NE(at_server, "transfer 100");
  }
}

TEST_F(TlsSessionTest, bytes_that_are_no_tls_fail_and_stay_failed) {
  SeededRng rng(20'260'109);
  for (int round = 0; round < 500; ++round) {
    TlsSession fresh(server_context);
    std::string junk = round == 0 ? "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" : std::string(rng.below(2'000), '\0');
    for (char& c : junk) c = round == 0 ? c : static_cast<char>(rng.below(256));
    std::string plain;
    const TlsSession::State state = fresh.receive(junk, &plain);
    EXPECT_TRUE(plain.empty());
    if (state == TlsSession::State::kFailed) {
      EXPECT_EQ(fresh.receive(junk, &plain), state);
    }
    EXPECT_LT(fresh.output_size(), 10'000u);
  }
}

TEST_F(TlsSessionTest, files_that_cannot_be_used_are_named) {
  const Result<TlsContextPtr> missing = TlsContext::for_server(files.certificate() + ".none", files.key());
  EXPECT_EQ(missing.error().id, "net.certificate");
  EXPECT_NE(missing.error().message.find("certificate.pem.none"), std::string::npos);
  const TemporaryCertificate other;
  EXPECT_EQ(TlsContext::for_server(files.certificate(), other.key()).error().id, "net.certificate");
  EXPECT_EQ(TlsContext::for_client(files.key() + ".none").error().id, "net.certificate");
}

/// A server with TLS and a client that trusts it.
class SecureHarness {
 public:
  explicit SecureHarness(const Router& router) {
    HttpServerSettings settings;
    settings.certificate_file = files_.certificate();
    settings.key_file = files_.key();
    server_ = make_http_server(settings, router).value();
    client_ = connect();
  }
  HttpServer& server() { return *server_; }
  HttpClient& client() { return *client_; }
  TemporaryCertificate& files() { return files_; }
  std::unique_ptr<HttpClient> connect() {
    return make_http_client("https://127.0.0.1:" + std::to_string(server_->port()), {.ca_file = files_.certificate()}).value();
  }

 private:
  TemporaryCertificate files_;
  std::unique_ptr<HttpServer> server_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Secure, HttpClientContract, SecureHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(Secure, HttpServerContract, SecureHarness);

namespace {

class SecureServerTest : public ::testing::Test {
 protected:
  std::string url() { return "https://127.0.0.1:" + std::to_string(harness.server().port()); }

  ClientRoutes routes;
  SecureHarness harness{routes.router};
};

TEST_F(SecureServerTest, browsers_are_told_to_come_through_tls_only) {
  const Response response = harness.client().send({.target = "/hello"}).value();
  EXPECT_TRUE(response.headers.get("Strict-Transport-Security"));
}

TEST_F(SecureServerTest, client_that_does_not_trust_the_server_says_so) {
  const Result<Response> refused = make_http_client(url()).value()->send({.target = "/hello"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().id, "net.tls");
  EXPECT_NE(refused.error().message.find("--ca-file"), std::string::npos);
}

TEST_F(SecureServerTest, client_without_tls_gets_nothing_and_others_are_served) {
  RawConnection plain(harness.server().port(), 2s);
  plain.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(plain.read_to_end().find("hello"), std::string::npos);
  RawConnection silent(harness.server().port());
  EXPECT_EQ(harness.client().send({.target = "/hello"})->body, "hello");
}

TEST_F(SecureServerTest, older_version_of_tls_is_refused) {
  SSL_CTX* const raw = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(raw, TLS1_2_VERSION);
  const auto old = std::make_shared<const TlsContext>(raw);
  TlsSession client(old, "localhost");
  client.start();
  RawConnection wire(harness.server().port());
  wire.send(client.take_output());
  std::string plain;
  EXPECT_EQ(client.receive(wire.read_to_end(), &plain), TlsSession::State::kFailed);
}

TEST_F(SecureServerTest, new_certificate_is_for_new_connections_and_open_ones_go_on) {
  EXPECT_EQ(harness.client().send({.target = "/hello"})->status, 200);
  const TemporaryCertificate& before = harness.files();
  const std::string old = read_file(before.certificate()).value();
  harness.files().make("DNS:localhost,IP:127.0.0.1");
  ASSERT_TRUE(harness.server().reload_certificate().ok());
  EXPECT_EQ(harness.client().send({.target = "/hello"})->status, 200) << "the open connection keeps its certificate";
  EXPECT_EQ(harness.connect()->send({.target = "/hello"})->status, 200);
  ASSERT_TRUE(write_file_durably(before.certificate() + ".old", old, 0600).ok());
  const auto outdated = make_http_client(url(), {.ca_file = before.certificate() + ".old"}).value();
  EXPECT_EQ(outdated->send({.target = "/hello"}).error().id, "net.tls") << "new connections show the new certificate";
}

TEST_F(SecureServerTest, certificate_that_cannot_be_read_leaves_the_old_one) {
  ASSERT_TRUE(write_file_durably(harness.files().key(), "no key", 0600).ok());
  EXPECT_EQ(harness.server().reload_certificate().error().id, "net.certificate");
  EXPECT_EQ(harness.connect()->send({.target = "/hello"})->status, 200);
}

}  // namespace
}  // namespace trainyard::net::testing
