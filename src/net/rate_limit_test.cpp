#include "net/rate_limit.h"

#include <gtest/gtest.h>

#include "base/testing/fake_clock.h"

namespace trainyard::net {
namespace {

using namespace std::chrono_literals;

class RequestLimiterTest : public ::testing::Test {
 protected:
  int taken(const std::string& caller, RateClass rate, int tries) {
    int count = 0;
    for (int i = 0; i < tries; ++i) count += limiter.take(caller, rate) ? 0 : 1;
    return count;
  }

  trainyard::testing::FakeClock clock;
  RequestLimiter limiter{{.read = {10, 20}, .write = {2, 4}, .callers_max = 3, .in_flight_max = 2}, clock};
};

TEST_F(RequestLimiterTest, burst_is_followed_by_the_rate) {
  EXPECT_EQ(taken("ann", RateClass::kRead, 100), 20);
  clock.advance(1s);
  EXPECT_EQ(taken("ann", RateClass::kRead, 100), 10);
  clock.advance(1h);
  EXPECT_EQ(taken("ann", RateClass::kRead, 100), 20) << "silence saves up no more than a burst";
}

TEST_F(RequestLimiterTest, wait_is_told_and_enough) {
  EXPECT_EQ(taken("ann", RateClass::kWrite, 10), 4);
  const std::optional<Duration> wait = limiter.take("ann", RateClass::kWrite);
  ASSERT_TRUE(wait.has_value());
  EXPECT_GT(*wait, 400ms);
  EXPECT_LE(*wait, 500ms);
  clock.advance(*wait);
  EXPECT_FALSE(limiter.take("ann", RateClass::kWrite));
}

TEST_F(RequestLimiterTest, callers_and_classes_have_budgets_of_their_own) {
  EXPECT_EQ(taken("ann", RateClass::kWrite, 10), 4);
  EXPECT_EQ(taken("ann", RateClass::kRead, 100), 20);
  EXPECT_EQ(taken("bob", RateClass::kWrite, 10), 4);
  EXPECT_EQ(taken("ann", RateClass::kReserved, 1000), 1000);
}

TEST_F(RequestLimiterTest, number_of_remembered_callers_is_bounded) {
  EXPECT_EQ(taken("ann", RateClass::kWrite, 10), 4);
  for (const char* name : {"bob", "cid", "dan", "eve"}) taken(name, RateClass::kRead, 1);
  EXPECT_EQ(limiter.callers(), 3u);
  EXPECT_EQ(taken("ann", RateClass::kWrite, 10), 4) << "who was silent longest begins anew";
  EXPECT_EQ(limiter.callers(), 3u);
}

TEST_F(RequestLimiterTest, place_is_given_back_once) {
  std::optional<RequestLimiter::Place> first = limiter.enter();
  std::optional<RequestLimiter::Place> second = limiter.enter();
  EXPECT_FALSE(limiter.enter());
  EXPECT_FALSE(limiter.has_room());
  RequestLimiter::Place moved = *std::move(first);
  first.reset();
  EXPECT_EQ(limiter.in_flight(), 2);
  { const RequestLimiter::Place last = std::move(moved); }
  EXPECT_EQ(limiter.in_flight(), 1);
  EXPECT_TRUE(limiter.enter());
  EXPECT_EQ(limiter.in_flight(), 1);
}

}  // namespace
}  // namespace trainyard::net
