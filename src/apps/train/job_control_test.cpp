#include "apps/train/job_control.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <deque>
#include <mutex>

#include "net/http_server.h"

namespace trainyard::apps {
namespace {

using namespace std::chrono_literals;

class AnyoneMayCall final : public net::Authorizer {
 public:
  Result<net::Principal> authenticate(const net::Request&) override { return net::Principal{.name = "job:7/1", .role = "runner"}; }
};

/// A server that answers the rung questions of job 7 by script.
class RungServer {
 public:
  RungServer() {
    router_.add({"GET", "/api/v1/trials/{job}/rungs/{step}", net::Permission::kRunner,
                 [this](const net::Request& request, const net::ResponderPtr& responder) {
                   const std::lock_guard lock(mutex_);
                   asked_.push_back(request.path);
                   if (answers_.empty()) return responder->respond(net::problem_response(unavailable("server.busy", "later"), ""));
                   responder->respond(net::json_response(200, Document::object({{"decision", answers_.front()}})));
                   answers_.pop_front();
                 }});
    server_ = net::make_http_server({}, router_).value();
  }
  void say(std::string decision) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(decision));
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  runner::ServerConnection connect() const {
    runner::Environment environment;
    environment.api_url = fmt::format("http://127.0.0.1:{}", server_->port());
    return runner::ServerConnection::make(environment).value();
  }

 private:
  AnyoneMayCall authorizer_;
  net::Router router_{authorizer_};
  std::mutex mutex_;
  std::deque<std::string> answers_;  // guarded by mutex_
  std::vector<std::string> asked_;   // guarded by mutex_
  std::unique_ptr<net::HttpServer> server_;
};

class JobControlTest : public ::testing::Test {
 protected:
  SystemClock clock_;
  RungServer server_;
  runner::ServerConnection connection_ = server_.connect();
  runner::StopSignal stop_ = runner::StopSignal::install().value();
  JobControl control_{stop_, &connection_, JobId(7), clock_};
};

TEST_F(JobControlTest, decision_of_the_server_is_taken) {
  server_.say("continue");
  server_.say("stop");
  EXPECT_EQ(control_.await_rung(100, 5s), train::RungDecision::kContinue);
  EXPECT_EQ(control_.await_rung(200, 5s), train::RungDecision::kStop);
  EXPECT_EQ(server_.asked(), (std::vector<std::string>{"/api/v1/trials/7/rungs/100", "/api/v1/trials/7/rungs/200"}));
}

TEST_F(JobControlTest, pending_decision_is_asked_for_again) {
  server_.say("pending");
  server_.say("pending");
  server_.say("continue");
  EXPECT_EQ(control_.await_rung(100, 5s), train::RungDecision::kContinue);
  EXPECT_EQ(server_.asked().size(), 3u);
}

TEST_F(JobControlTest, server_that_cannot_answer_leaves_the_decision_open) {
  const MonotonicPoint begin = clock_.monotonic_now();
  EXPECT_EQ(control_.await_rung(100, 100ms), std::nullopt);
  EXPECT_GE(clock_.monotonic_now() - begin, 90ms) << "it waits and does not spin";
}

}  // namespace
}  // namespace trainyard::apps
