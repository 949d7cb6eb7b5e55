#include "agent/standing.h"

#include <gtest/gtest.h>

#include "base/testing/fake_clock.h"

namespace trainyard::agent {
namespace {

using News = Standing::News;
using namespace std::chrono_literals;

Error refusal(Category category, std::string id) { return {category, std::move(id), "no", {}, {}}; }

class StandingTest : public ::testing::Test {
 protected:
  trainyard::testing::FakeClock clock;
  Standing standing{{}, clock};
  const Error taken = refusal(Category::kAborted, "agent.name_taken");
  const Error stranger = refusal(Category::kUnauthenticated, "auth.invalid");
};

TEST_F(StandingTest, first_answer_is_told_once) {
  EXPECT_EQ(standing.note_accepted(), News::kServes);
  EXPECT_EQ(standing.note_accepted(), News::kNone);
  EXPECT_FALSE(standing.fatal().has_value());
}

TEST_F(StandingTest, name_that_stays_taken_ends_the_agent_after_longer_than_a_lease) {
  EXPECT_EQ(standing.note_refused(taken), News::kRefused);
  clock.advance(29s);
  EXPECT_EQ(standing.note_refused(taken), News::kNone);
  clock.advance(1s);
  EXPECT_EQ(standing.note_refused(taken), News::kOver);
  EXPECT_EQ(standing.fatal()->id, "agent.name_taken");
  EXPECT_EQ(standing.note_refused(taken), News::kNone) << "once";
}

TEST_F(StandingTest, name_that_becomes_free_in_time_is_served) {
  standing.note_refused(taken);
  clock.advance(20s);
  EXPECT_EQ(standing.note_accepted(), News::kServes);
  clock.advance(1h);
  EXPECT_EQ(standing.note_refused(taken), News::kNone);
  EXPECT_FALSE(standing.fatal().has_value()) << "the time before counts no more";
}

TEST_F(StandingTest, token_that_was_never_good_is_given_up_soon_and_one_that_was_later) {
  EXPECT_EQ(standing.note_refused(stranger), News::kRefused);
  clock.advance(5s);
  EXPECT_EQ(standing.note_refused(stranger), News::kOver);

  Standing known({}, clock);
  known.note_accepted();
  known.note_refused(stranger);
  clock.advance(29s);
  EXPECT_EQ(known.note_refused(stranger), News::kNone);
  clock.advance(1s);
  EXPECT_EQ(known.note_refused(stranger), News::kOver);
}

TEST_F(StandingTest, what_cannot_heal_ends_the_agent_at_once) {
  standing.note_accepted();
  EXPECT_EQ(standing.note_refused(refusal(Category::kAborted, "agent.replaced")), News::kOver);
  Standing misnamed({}, clock);
  EXPECT_EQ(misnamed.note_refused(refusal(Category::kInvalidArgument, "access.node_name")), News::kOver);
}

}  // namespace
}  // namespace trainyard::agent
