#include "api/platform/trials.h"

#include <gtest/gtest.h>

#include "api/platform/testing/platform_world.h"
#include "net/testing/api_conformance.h"

namespace trainyard::api {
namespace {

class TrialRoutesTest : public ::testing::Test {
 protected:
  TrialRoutesTest() {
    add_trial_routes(router, strand, clock, board);
    board.register_trial("s", 0, JobId(1));
    board.register_trial("s", 1, JobId(2));
    board.update_trial(JobId(2), {{{100, 0.5}}, false});
  }

  net::testing::FakeAnswerPtr begin(std::string_view target) {
    net::testing::FakeAnswerPtr answer = net::testing::start_call(router, net::testing::make_request("GET", target));
    strand.run_ready();
    return answer;
  }
  /// The body of the answer, "" while it waits.
  std::string body_of(const net::testing::FakeAnswerPtr& answer) {
    if (!answer->answered()) return "";
    const net::Request request = net::testing::make_request("GET", "/api/v1/trials/2/rungs/100");
    EXPECT_EQ(net::testing::ApiConformance(router).fault(request, *answer->wait()), "");
    return answer->wait()->body;
  }

  trainyard::testing::FakeClock clock;
  trainyard::testing::ManualExecutor strand{clock};
  tune::StudyBoard board;
  testing::SwitchAuthorizer authorizer;
  net::Router router{authorizer};
};

TEST_F(TrialRoutesTest, decision_that_has_fallen_is_answered_at_once) {
  board.update_trial(JobId(1), {{{100, 0.9}}, false});
  EXPECT_EQ(body_of(begin("/api/v1/trials/1/rungs/100")), R"({"decision":"continue"})");
  EXPECT_EQ(body_of(begin("/api/v1/trials/2/rungs/100?wait=30")), R"({"decision":"stop"})");
}

TEST_F(TrialRoutesTest, waiting_question_is_answered_when_the_decision_falls) {
  const auto answer = begin("/api/v1/trials/2/rungs/100?wait=30");
  EXPECT_EQ(body_of(answer), "");
  board.update_trial(JobId(1), {{}, true});
  EXPECT_EQ(body_of(answer), R"({"decision":"continue"})");
  strand.advance(std::chrono::seconds(60));
  EXPECT_EQ(body_of(answer), R"({"decision":"continue"})");
}

TEST_F(TrialRoutesTest, open_decision_is_pending_when_the_time_is_over) {
  EXPECT_EQ(body_of(begin("/api/v1/trials/2/rungs/100")), R"({"decision":"pending"})");
  const auto answer = begin("/api/v1/trials/2/rungs/100?wait=5");
  strand.advance(std::chrono::milliseconds(4'900));
  EXPECT_EQ(body_of(answer), "");
  strand.advance(std::chrono::milliseconds(200));
  EXPECT_EQ(body_of(answer), R"({"decision":"pending"})");
  const auto hour = begin("/api/v1/trials/2/rungs/100?wait=3600");
  strand.advance(std::chrono::seconds(51));
  EXPECT_EQ(body_of(hour), R"({"decision":"pending"})") << "no wait is longer than the server's patience";
}

TEST_F(TrialRoutesTest, impatient_question_does_not_end_the_patient_one) {
  const auto patient = begin("/api/v1/trials/2/rungs/100?wait=30");
  EXPECT_EQ(body_of(begin("/api/v1/trials/2/rungs/100?wait=0")), R"({"decision":"pending"})");
  EXPECT_EQ(body_of(patient), "");
  board.update_trial(JobId(1), {{{100, 0.9}}, false});
  EXPECT_EQ(body_of(patient), R"({"decision":"stop"})");
}

TEST_F(TrialRoutesTest, question_of_an_unknown_job_is_pending) {
  EXPECT_EQ(body_of(begin("/api/v1/trials/77/rungs/100")), R"({"decision":"pending"})");
}

TEST_F(TrialRoutesTest, what_is_no_number_is_refused) {
  for (const char* target : {"/api/v1/trials/x/rungs/100", "/api/v1/trials/2/rungs/x", "/api/v1/trials/2/rungs/100?wait=x",
                             "/api/v1/trials/-2/rungs/100", "/api/v1/trials/0/rungs/100", "/api/v1/trials/2/rungs/1e2"}) {
    const auto answer = begin(target);
    ASSERT_TRUE(answer->answered()) << target;
    EXPECT_EQ(answer->wait()->status, 400) << target;
  }
}

TEST_F(TrialRoutesTest, question_is_for_runners) {
  std::string text;
  for (const char* role : {"", "viewer", "runner", "operator", "admin"}) {
    authorizer.principal.role = role;
    text += std::to_string(begin("/api/v1/trials/2/rungs/100")->wait()->status) + " ";
  }
  EXPECT_EQ(text, "401 403 200 200 200 ");
  EXPECT_EQ(router.routes().size(), 1u) << "a new route needs a line above";
}

}  // namespace
}  // namespace trainyard::api
