#include "cluster/leadership.h"

#include <gtest/gtest.h>

#include <vector>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/manual_executor.h"

namespace trainyard::cluster {
namespace {

constexpr Duration kTakeover = std::chrono::seconds(10);

class NoLog final : public LogSink {
 public:
  void write(const LogEvent&) override {}
};

/// One process, which may be paused: then it takes no turn while time goes on.
struct Process {
  Process(const std::string& name, store::Database& database, trainyard::testing::FakeClock& clock, bool stands = true)
      : executor(clock),
        election({.member = name, .url = "http://" + name, .patience = kTakeover}, database, clock),
        leadership({.stands = stands, .patience = kTakeover}, {.executor = executor, .clock = clock, .election = election, .log = log},
                   {.on_elected = [this] { ++elected; }, .on_deposed = [this](const Error& error) { deposed.push_back(error.id); }}) {}

  NoLog log;
  trainyard::testing::ManualExecutor executor;
  LeaderElection election;
  int elected = 0;
  std::vector<std::string> deposed;
  Leadership leadership;
};

class LeadershipTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "election", election_migrations()).ok()); }
  void pass(Duration span, std::initializer_list<Process*> awake) {
    for (Duration gone{0}; gone < span; gone += std::chrono::milliseconds(100)) {
      clock.advance(std::chrono::milliseconds(100));
      for (Process* process : awake) process->executor.run_ready();
    }
  }

  adapters::sqlite::testing::TemporaryDatabase files;
  trainyard::testing::FakeClock clock;
};

TEST_F(LeadershipTest, elected_process_leads_when_it_has_taken_office_and_others_know_it) {
  Process a("a", files.database(), clock);
  Process b("b", files.database(), clock);
  Process watcher("c", files.database(), clock, false);
  EXPECT_TRUE(a.leadership.start().value());
  EXPECT_FALSE(a.leadership.leads()) << "nothing is loaded yet";
  a.leadership.take_office();
  EXPECT_TRUE(a.leadership.leads());
  EXPECT_FALSE(b.leadership.start().value());
  EXPECT_FALSE(watcher.leadership.start().value());
  pass(kTakeover * 5, {&a, &b, &watcher});
  EXPECT_TRUE(a.leadership.leads());
  EXPECT_EQ(b.leadership.leader()->url, "http://a");
  EXPECT_EQ(watcher.leadership.leader()->url, "http://a");
  EXPECT_EQ(b.elected + watcher.elected, 0);
}

TEST_F(LeadershipTest, silent_leader_has_lapsed_before_another_is_elected_and_ends_when_it_wakes) {
  Process a("a", files.database(), clock);
  Process b("b", files.database(), clock);
  ASSERT_TRUE(a.leadership.start().value());
  a.leadership.take_office();
  ASSERT_FALSE(b.leadership.start().value());
  pass(kTakeover, {&a, &b});
  Duration silent{0};
  while (b.elected == 0 && silent < kTakeover * 3) {
    EXPECT_FALSE(a.leadership.leads() && b.leadership.leads());
    pass(std::chrono::milliseconds(100), {&b});
    silent += std::chrono::milliseconds(100);
  }
  EXPECT_LE(silent, kTakeover * 13 / 10);
  EXPECT_FALSE(a.leadership.leads()) << "it would answer for jobs that another holds";
  b.leadership.take_office();
  EXPECT_TRUE(b.leadership.leads());
  a.executor.run_ready();
  EXPECT_EQ(a.deposed, std::vector<std::string>{"leader.deposed"});
}

TEST_F(LeadershipTest, process_that_resigned_is_replaced_at_the_next_turn) {
  Process a("a", files.database(), clock);
  Process b("b", files.database(), clock);
  ASSERT_TRUE(a.leadership.start().value());
  a.leadership.take_office();
  ASSERT_FALSE(b.leadership.start().value());
  a.leadership.resign();
  EXPECT_FALSE(a.leadership.leads());
  pass(kTakeover / 4, {&b});
  EXPECT_EQ(b.elected, 1);
}

TEST_F(LeadershipTest, process_that_only_follows_is_never_elected) {
  Process watcher("c", files.database(), clock, false);
  EXPECT_FALSE(watcher.leadership.start().value());
  pass(kTakeover * 3, {&watcher});
  EXPECT_EQ(watcher.elected, 0);
  EXPECT_FALSE(watcher.leadership.leader().has_value());
}

}  // namespace
}  // namespace trainyard::cluster
