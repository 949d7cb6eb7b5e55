// How fast the HTTP server answers on the loopback: one client after the other, pipelined, and a body of 64 KiB.
#include <benchmark/benchmark.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "net/testing/fake_responder.h"
#include "net/testing/raw_connection.h"

namespace trainyard::net {
namespace {

class EchoServer {
 public:
  EchoServer() {
    const Handler echo = [](const Request& request, const ResponderPtr& responder) {
      responder->respond(text_response(200, request.body));
    };
    router_.add({"POST", "/api/v1/echo/{name}", Permission::kViewer, echo});
    // A table of the size that the control plane has.
    for (int i = 0; i < 100; ++i) router_.add({"GET", "/api/v1/things" + std::to_string(i) + "/{id}", Permission::kViewer, echo});
    server_ = std::move(make_http_server({}, router_)).value();
  }
  std::uint16_t port() const { return server_->port(); }

 private:
  testing::FakeAuthorizer authorizer_;
  Router router_{authorizer_};
  std::unique_ptr<HttpServer> server_;
};

void BM_round_trip(benchmark::State& state) {
  const EchoServer server;
  const auto client = std::move(make_http_client("127.0.0.1:" + std::to_string(server.port()))).value();
  const ClientRequest request{
      .method = "POST", .target = "/api/v1/echo/x", .body = std::string(static_cast<std::size_t>(state.range(0)), 'x')};
  for (auto _ : state) CHECK(client->send(request)->status == 200, "the echo failed");
  state.SetBytesProcessed(state.iterations() * state.range(0) * 2);
}
BENCHMARK(BM_round_trip)->Arg(100)->Arg(65'536)->Arg(1'000'000)->UseRealTime();

void BM_pipelined(benchmark::State& state) {
  const EchoServer server;
  testing::RawConnection client(server.port());
  constexpr int kBatch = 64;
  std::string batch;
  for (int i = 0; i < kBatch; ++i) batch += "POST /api/v1/echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
  for (auto _ : state) {
    CHECK(client.send(batch), "the server went away");
    for (int i = 0; i < kBatch; ++i) CHECK(client.read_response().status == 200, "the echo failed");
  }
  state.SetItemsProcessed(state.iterations() * kBatch);
}
BENCHMARK(BM_pipelined)->UseRealTime();

void BM_new_connection(benchmark::State& state) {
  const EchoServer server;
  for (auto _ : state) {
    const auto client = std::move(make_http_client("127.0.0.1:" + std::to_string(server.port()))).value();
    CHECK(client->send({.method = "POST", .target = "/api/v1/echo/x"})->status == 200, "the echo failed");
  }
}
BENCHMARK(BM_new_connection)->UseRealTime();

}  // namespace
}  // namespace trainyard::net

BENCHMARK_MAIN();
