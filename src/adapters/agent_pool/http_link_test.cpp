#include "adapters/agent_pool/http_link.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>

#include "adapters/agent_pool/agent_pool.h"
#include "agent/agent.h"
#include "net/http_server.h"
#include "net/testing/fake_responder.h"

namespace trainyard::adapters::agent_pool {
namespace {

/// A server that answers every transfer with one error.
class HttpLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    router.add({"POST", "/api/v1/agents/ranks/{job}/{attempt}/{rank}/{what}", net::Permission::kOpen,
                [this](const net::Request&, const net::ResponderPtr& responder) { responder->respond(net::problem_response(error)); }});
    server = std::move(net::make_http_server({}, router)).value();
    link = std::make_unique<HttpLink>([url = "http://127.0.0.1:" + std::to_string(server->port())] { return net::make_http_client(url); },
                                      credential);
  }
  Error answered(const Error& with) {
    error = with;
    const Result<std::uint64_t> end = link->append_log({{JobId(1), AttemptNumber(1)}, 0}, 0, "bytes");
    return end.ok() ? Error{} : end.error();
  }

  Error error;
  net::testing::FakeAuthorizer authorizer;
  net::Router router{authorizer};
  std::unique_ptr<net::HttpServer> server;
  FixedCredential credential{"token"};
  std::unique_ptr<HttpLink> link;
};

// The agent gives up output that can never be taken and tries everything else again: the categories decide.
TEST_F(HttpLinkTest, errors_keep_their_category_and_id_over_the_wire) {
  for (const Error& sent :
       {invalid_argument("log.malformed", "no records"), data_loss("log.corrupt", "damaged"), failed_precondition("log.gap", "missing"),
        unavailable("db.unavailable", "busy"), Error{Category::kAborted, "lease.fenced", "not current", {}, {}},
        Error{Category::kResourceExhausted, "io.disk_full", "full", {}, {}}}) {
    const Error received = answered(sent);
    EXPECT_EQ(received.category, sent.category) << sent.id;
    EXPECT_EQ(received.id, sent.id);
  }
}

TEST_F(HttpLinkTest, server_that_is_gone_is_unavailable) {
  server.reset();
  EXPECT_EQ(answered({}).category, Category::kUnavailable);
}

TEST_F(HttpLinkTest, sync_that_waits_ends_when_the_agent_stops_and_no_later_one_waits) {
  net::Router silent(authorizer);
  std::promise<void> asked;
  net::ResponderPtr held;
  silent.add({"POST", "/api/v1/agents/{node}/sync", net::Permission::kOpen, [&](const net::Request&, const net::ResponderPtr& responder) {
                if (held == nullptr) asked.set_value();
                held = responder;
              }});
  const auto waits = net::make_http_server({}, silent).value();
  HttpLink waiting([url = "http://127.0.0.1:" + std::to_string(waits->port())] { return net::make_http_client(url); }, credential);
  exec::NodeObservation report;
  report.node.text = "one";
  const auto sync = [&] { return waiting.sync(report, 0, std::chrono::minutes(1)); };
  std::future<Result<exec::DesiredState>> first = std::async(std::launch::async, sync);
  ASSERT_EQ(asked.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  waiting.interrupt();
  ASSERT_EQ(first.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(first.get().error().id, "net.cancelled");
  std::future<Result<exec::DesiredState>> second = std::async(std::launch::async, sync);
  ASSERT_EQ(second.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_FALSE(second.get().ok());
}

/// Notes how long it is to wait, and finds nobody.
class PatientClient final : public net::HttpClient {
 public:
  explicit PatientClient(Duration& patience) : patience_(patience) {}
  Result<net::Response> send(const net::ClientRequest& request) override {
    patience_ = request.timeout;
    return unavailable("net.connect", "nobody there");
  }
  Result<net::Response> stream(const net::ClientRequest& request, const std::function<bool(std::string_view)>&) override {
    return send(request);
  }

 private:
  Duration& patience_;
};

// A server may hang and be replaced: the next report must come before the lease that the new one gave is over.
TEST(HttpLink, report_waits_less_than_a_lease_for_its_answer) {
  Duration patience{0};
  FixedCredential credential{"token"};
  const auto connect = [&patience]() -> Result<std::unique_ptr<net::HttpClient>> {
    return std::unique_ptr<net::HttpClient>(std::make_unique<PatientClient>(patience));
  };
  HttpLink link(connect, credential);
  const agent::AgentSettings settings;
  EXPECT_FALSE(link.sync({}, 0, settings.poll_wait).ok());
  EXPECT_LE(patience, AgentPoolSettings().lease * 2 / 3);
  EXPECT_GT(patience, settings.poll_wait);
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
