#include "exec/execution_backend.h"

#include "exec/testing/execution_backend_contract.h"
#include "exec/testing/fake_execution_backend.h"
#include "exec/testing/faulty_execution_backend.h"

namespace trainyard::exec::testing {
namespace {

/// The fake behind the fault decorator, which without faults must not be noticed.
class FakeHarness final : public BackendHarness {
 public:
  explicit FakeHarness(int repeats) {
    faulty_.repeat_reports(repeats);
    for (const char* name : {"a", "b"}) fake_.add_node(NodeName{name}, {4000, 1 << 30, 0});
  }
  ExecutionBackend& backend() override { return faulty_; }
  bool wanted(const RankKey& rank) override { return fake_.wanted(rank); }
  bool stop_asked(const RankKey& rank) override { return fake_.stop_asked(rank); }
  std::uint32_t checkpoints_asked(const RankKey& rank) override { return fake_.checkpoints_asked(rank); }
  void report_running(const RankKey& rank) override { fake_.report_running(rank, {}); }
  void report_exit(const RankKey& rank, const RankExit& exit) override { fake_.report_exit(rank, exit); }
  void lose_node(const NodeName& name) override { fake_.lose_node(name); }
  void settle() override { fake_.settle(); }

 private:
  FakeExecutionBackend fake_;
  FaultyExecutionBackend faulty_{fake_};
};

INSTANTIATE_TEST_SUITE_P(Fake, ExecutionBackendContract, ::testing::Values([] { return std::make_unique<FakeHarness>(1); }));
INSTANTIATE_TEST_SUITE_P(FakeThatRepeats, ExecutionBackendContract, ::testing::Values([] { return std::make_unique<FakeHarness>(3); }));

TEST(FaultyExecutionBackend, lost_launch_is_reported_when_asked_and_the_next_one_arrives) {
  FakeExecutionBackend fake;
  FaultyExecutionBackend faulty(fake);
  RecordingObserver seen;
  faulty.set_observer(seen);
  fake.add_node(NodeName{"a"}, {4000, 1 << 30, 0});
  GangLaunch launch{.attempt = {JobId(1), AttemptNumber(1)}, .nodes = {NodeName{"a"}}, .ranks = {RankLaunch{}}, .seen_running = {}};
  launch.ranks[0].rank = {launch.attempt, 0};
  faulty.lose_next_launch();
  faulty.launch(launch);
  EXPECT_FALSE(fake.wanted(launch.ranks[0].rank));
  faulty.report_lost_launches();
  EXPECT_TRUE(seen.lost.contains(launch.ranks[0].rank));
  faulty.launch(launch);
  EXPECT_TRUE(fake.wanted(launch.ranks[0].rank));
  faulty.swallow_next_stop();
  faulty.stop(launch.attempt, StopReason::kCancel, Duration::max());
  EXPECT_FALSE(fake.stop_asked(launch.ranks[0].rank));
  faulty.stop(launch.attempt, StopReason::kCancel, Duration::max());
  EXPECT_TRUE(fake.stop_asked(launch.ranks[0].rank));
}

}  // namespace
}  // namespace trainyard::exec::testing
