#pragma once
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/platform/job_context.h"
#include "api/platform/logs.h"
#include "base/testing/manual_executor.h"
#include "jobs/testing/service_world.h"
#include "net/testing/api_conformance.h"
#include "net/testing/fake_responder.h"
#include "store/testing/fake_log_store.h"

namespace trainyard::api::testing {

/// Takes every request for the principal it was told last; nobody at all when the role is empty.
class SwitchAuthorizer final : public net::Authorizer {
 public:
  net::Principal principal{"ann", "operator"};

  Result<net::Principal> authenticate(const net::Request&) override {
    if (!principal.role.empty() || !principal.grants.empty()) return principal;
    return Error{Category::kUnauthenticated, "auth.missing", "no token", {}, {}};
  }
};

/// Gives every input the reference it has; refuses when told to.
class FakeResolver final : public SubmissionResolver {
 public:
  std::optional<Error> refusal;

  Result<Document> resolve(JobSpec& spec) override {
    if (refusal) return *refusal;
    Document inputs = Document::object();
    for (const auto& [name, reference] : spec.inputs) inputs.set(name, Document::object({{"ref", reference}}));
    return Document::object({{"inputs", std::move(inputs)}});
  }
  Result<void> check(JobSpec&) override { return refusal ? Result<void>(*refusal) : Result<void>(); }
};

/// Routes over a JobService with fakes below it, in one thread: a call is carried on until nothing is left to do.
class PlatformWorld : public jobs::testing::ServiceWorld {
 protected:
  JobContext context() { return {strand, reads, clock, *service, ledger, resolver}; }

  void settle() {
    while (strand.run_ready() + reads.run_ready() > 0) continue;
  }
  static net::Request request(std::string method, std::string_view target, std::string body = {},
                              const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    net::Request made = net::testing::make_request(std::move(method), target, std::move(body));
    for (const auto& [name, value] : headers) made.headers.add(name, value);
    return made;
  }
  /// Starts a call that may wait.
  net::testing::FakeAnswerPtr begin(net::Request made) {
    net::testing::FakeAnswerPtr answer = net::testing::start_call(router, std::move(made));
    settle();
    return answer;
  }
  /// The answer, which is held against the description of its route.
  net::Response call(const net::Request& made) {
    const net::testing::FakeAnswerPtr answer = begin(made);
    EXPECT_TRUE(answer->answered()) << "the call waits";
    if (!answer->answered()) return net::Response{0, {}, ""};
    EXPECT_EQ(net::testing::ApiConformance(router).fault(made, *answer->wait()), "");
    return *answer->wait();
  }
  net::Response call(std::string method, std::string_view target, std::string body = {},
                     const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    return call(request(std::move(method), target, std::move(body), headers));
  }
  Document json(std::string method, std::string_view target, std::string body = {}) {
    const net::Response response = call(std::move(method), target, std::move(body));
    EXPECT_LT(response.status, 300) << response.body;
    return parse_json(response.body).value();
  }
  /// Opens a stream of events; the test ends it with hang_up.
  net::testing::FakeStreamPtr follow(std::string_view target, const std::string& last_event_id = {}) {
    std::vector<std::pair<std::string, std::string>> headers{{"Accept", "text/event-stream"}};
    if (!last_event_id.empty()) headers.emplace_back("Last-Event-ID", last_event_id);
    const net::testing::FakeAnswerPtr answer = begin(request("GET", target, {}, headers));
    EXPECT_TRUE(answer->answered());
    EXPECT_EQ(answer->wait()->status, 200) << answer->wait()->body;
    EXPECT_EQ(answer->wait()->headers.get("content-type"), "text/event-stream");
    return answer->stream();
  }
  /// The status of a call for every role: "none viewer runner operator admin", as text "401 403 200 200 200".
  std::string statuses(const std::string& method, const std::string& target, const std::string& body = {}) {
    std::string text;
    for (const char* role : {"", "viewer", "runner", "operator", "admin"}) {
      authorizer.principal.role = role;
      text += (text.empty() ? "" : " ") + std::to_string(call(method, target, body).status);
    }
    authorizer.principal.role = "operator";
    return text;
  }

  trainyard::testing::ManualExecutor reads{clock};
  FakeResolver resolver;
  store::testing::FakeLogStore stored_logs;
  WatchedLogStore logs{stored_logs};
  SwitchAuthorizer authorizer;
  net::Router router{authorizer};
};

/// The `id:` lines of a stream of events, in order.
inline std::vector<std::string> ids_of(const std::string& stream) {
  std::vector<std::string> ids;
  for (std::size_t at = stream.find("id: "); at != std::string::npos; at = stream.find("id: ", at + 1)) {
    if (at == 0 || stream[at - 1] == '\n') ids.push_back(stream.substr(at + 4, stream.find('\n', at) - at - 4));
  }
  return ids;
}

}  // namespace trainyard::api::testing
