#include <gtest/gtest.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/testing/fake_http_server.h"
#include "net/testing/http_client_contract.h"
#include "net/testing/http_server_contract.h"

namespace trainyard::net::testing {
namespace {

std::unique_ptr<HttpClient> connect_to(const HttpServer& server) {
  return make_http_client("http://127.0.0.1:" + std::to_string(server.port())).value();
}

class SocketServer {
 public:
  explicit SocketServer(const Router& router) : server_(make_http_server({}, router).value()) {}
  HttpServer& server() { return *server_; }
  std::unique_ptr<HttpClient> connect() { return connect_to(*server_); }

 private:
  std::unique_ptr<HttpServer> server_;
};

class FakeServer {
 public:
  explicit FakeServer(const Router& router) : server_(router) {}
  HttpServer& server() { return server_; }
  std::unique_ptr<HttpClient> connect() { return server_.connect(); }

 private:
  FakeHttpServer server_;
};

/// A socket client to a socket server.
class SocketClient {
 public:
  explicit SocketClient(const Router& router) : server_(router), client_(server_.connect()) {}
  HttpClient& client() { return *client_; }

 private:
  SocketServer server_;
  std::unique_ptr<HttpClient> client_;
};

class FakeClient {
 public:
  explicit FakeClient(const Router& router) : client_(router) {}
  HttpClient& client() { return client_; }

 private:
  RouterClient client_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Socket, HttpServerContract, SocketServer);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HttpServerContract, FakeServer);
INSTANTIATE_TYPED_TEST_SUITE_P(Socket, HttpClientContract, SocketClient);
INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HttpClientContract, FakeClient);

}  // namespace trainyard::net::testing
