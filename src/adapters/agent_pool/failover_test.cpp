#include "adapters/agent_pool/failover.h"

#include <gtest/gtest.h>

#include "net/http_server.h"
#include "net/testing/fake_responder.h"

namespace trainyard::adapters::agent_pool {
namespace {

/// A server that answers with its name.
class NamedServer {
 public:
  explicit NamedServer(std::string name) {
    router_.add({"GET", "/name", net::Permission::kOpen,
                 [name](const net::Request&, const net::ResponderPtr& responder) { responder->respond(net::text_response(200, name)); }});
    server_ = std::move(net::make_http_server({}, router_)).value();
    url_ = "http://127.0.0.1:" + std::to_string(server_->port());
  }
  const std::string& url() const { return url_; }
  void stop() { server_.reset(); }

 private:
  net::testing::FakeAuthorizer authorizer_;
  net::Router router_{authorizer_};
  std::unique_ptr<net::HttpServer> server_;
  std::string url_;
};

std::string name_from(net::HttpClient& client) {
  const Result<net::Response> response = client.send({.target = "/name"});
  return response.ok() ? response->body : "";
}

TEST(FailoverClients, all_stay_with_the_first_server_until_it_is_gone) {
  NamedServer a("a");
  NamedServer b("b");
  const FailoverClients clients = make_failover_clients({a.url(), b.url()}, {});
  const MakeClient& make = clients.connect;
  const auto one = make().value();
  const auto two = make().value();
  EXPECT_EQ(name_from(*one), "a");
  EXPECT_EQ(name_from(*two), "a");
  EXPECT_EQ(clients.url_in_use(), a.url());
  a.stop();
  EXPECT_EQ(name_from(*one), "") << "the call that failed is not made twice";
  EXPECT_EQ(name_from(*one), "b");
  EXPECT_EQ(name_from(*two), "b") << "what one has learnt counts for all";
  EXPECT_EQ(clients.url_in_use(), b.url());
}

TEST(FailoverClients, last_server_is_followed_by_the_first) {
  NamedServer a("a");
  NamedServer b("b");
  const FailoverClients clients = make_failover_clients({b.url(), a.url()}, {});
  const MakeClient& make = clients.connect;
  const auto client = make().value();
  EXPECT_EQ(name_from(*client), "b");
  b.stop();
  name_from(*client);
  EXPECT_EQ(name_from(*client), "a");
  a.stop();
  name_from(*client);
  EXPECT_EQ(name_from(*client), "");
}

TEST(ServerUrls, list_is_taken_apart_and_faults_are_told) {
  EXPECT_EQ(parse_server_urls("http://a:1,http://b:2").value(), (std::vector<std::string>{"http://a:1", "http://b:2"}));
  EXPECT_EQ(parse_server_urls("a:1,http://b:2/").value(), (std::vector<std::string>{"http://a:1", "http://b:2"}));
  for (const char* text : {"", "/", "http://a:1,", ",http://a:1", "http://a:1,http://a:1", "http://a:1,http://a:1/"}) {
    const Result<std::vector<std::string>> urls = parse_server_urls(text);
    ASSERT_FALSE(urls.ok()) << text;
    EXPECT_EQ(urls.error().id, "agent.join_url");
  }
}

}  // namespace
}  // namespace trainyard::adapters::agent_pool
