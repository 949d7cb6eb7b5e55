#include "cluster/leader_election.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/fake_clock.h"

namespace trainyard::cluster {
namespace {

constexpr Duration kPatience = std::chrono::seconds(15);
constexpr Duration kTurn = std::chrono::seconds(5);

class LeaderElectionTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "election", election_migrations()).ok()); }
  LeaderElection member(const std::string& name) {
    return LeaderElection({.member = name, .url = "http://" + name, .patience = kPatience}, files.database(), clock);
  }

  adapters::sqlite::testing::TemporaryDatabase files;
  trainyard::testing::FakeClock clock;
};

TEST_F(LeaderElectionTest, first_to_stand_leads_and_others_see_its_address) {
  LeaderElection a = member("a");
  LeaderElection b = member("b");
  EXPECT_TRUE(a.turn()->leads);
  const Standing follower = b.turn().value();
  EXPECT_FALSE(follower.leads);
  ASSERT_TRUE(follower.leader.has_value());
  EXPECT_EQ(follower.leader->url, "http://a");
  EXPECT_EQ(b.look()->leader->url, "http://a");
}

TEST_F(LeaderElectionTest, leader_that_beats_is_never_replaced) {
  LeaderElection a = member("a");
  LeaderElection b = member("b");
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(a.turn()->leads);
    EXPECT_FALSE(b.turn()->leads) << i;
    clock.advance(kTurn);
  }
}

TEST_F(LeaderElectionTest, silent_leader_is_replaced_after_the_patience_and_is_deposed) {
  LeaderElection a = member("a");
  LeaderElection b = member("b");
  ASSERT_TRUE(a.turn()->leads);
  ASSERT_FALSE(b.turn()->leads);
  clock.advance(kPatience - Duration(1));
  EXPECT_FALSE(b.turn()->leads);
  clock.advance(Duration(1));
  const Standing taken = b.turn().value();
  EXPECT_TRUE(taken.leads);
  EXPECT_EQ(taken.leader->term, 2);
  const Result<Standing> deposed = a.turn();
  ASSERT_FALSE(deposed.ok());
  EXPECT_EQ(deposed.error().id, "leader.deposed");
  EXPECT_FALSE(a.look()->leads);
}

TEST_F(LeaderElectionTest, step_of_the_wall_clock_replaces_nobody) {
  LeaderElection a = member("a");
  LeaderElection b = member("b");
  ASSERT_TRUE(a.turn()->leads);
  ASSERT_FALSE(b.turn()->leads);
  clock.step_wall_clock(std::chrono::hours(1));
  EXPECT_FALSE(b.turn()->leads);
}

TEST_F(LeaderElectionTest, resigned_lead_is_taken_at_once) {
  LeaderElection a = member("a");
  LeaderElection b = member("b");
  ASSERT_TRUE(a.turn()->leads);
  ASSERT_FALSE(b.turn()->leads);
  ASSERT_TRUE(a.resign().ok());
  EXPECT_FALSE(b.look()->leader.has_value());
  EXPECT_TRUE(b.turn()->leads);
}

TEST_F(LeaderElectionTest, restarted_leader_leads_again_without_waiting) {
  { EXPECT_TRUE(member("a").turn()->leads); }
  const Standing again = member("a").turn().value();
  EXPECT_TRUE(again.leads);
  EXPECT_EQ(again.leader->term, 2);
}

TEST_F(LeaderElectionTest, of_two_that_wait_one_takes_over) {
  LeaderElection a = member("a");
  LeaderElection b = member("b");
  LeaderElection c = member("c");
  ASSERT_TRUE(a.turn()->leads);
  ASSERT_FALSE(b.turn()->leads);
  ASSERT_FALSE(c.turn()->leads);
  clock.advance(kPatience);
  EXPECT_TRUE(b.turn()->leads);
  EXPECT_FALSE(c.turn()->leads);
}

}  // namespace
}  // namespace trainyard::cluster
