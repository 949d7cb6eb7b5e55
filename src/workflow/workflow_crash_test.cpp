#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "base/rng.h"
#include "workflow/testing/workflow_world.h"

namespace trainyard::workflow {
namespace {

/// Runs one posted task at a time, so that a crash can fall between any two.
class SteppedExecutor final : public Executor {
 public:
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  void post_at(MonotonicPoint, Task task) override { post(std::move(task)); }
  bool step() {
    if (tasks_.empty()) return false;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  void drop_all() { tasks_.clear(); }

 private:
  std::deque<Task> tasks_;
};

/// One random workflow, run with crashes between random steps. Checks while it runs; `finish` tells how it ended.
class CrashingRun {
 public:
  CrashingRun(store::Database& database, std::uint64_t seed) : rng_(seed), seed_(seed), repository_(database, {"fake"}) {
    world_.on_start = [this](const TaskContext& context) { check_start(context); };
    draw_tasks();
    boot();
  }
  ~CrashingRun() { crash(); }

  /// Goes on until the run has ended and is durable. False when it hangs.
  bool run_to_end() {
    service_->submit(source_, "ann", [this](const Result<WorkflowRunId>& id) {
      ASSERT_TRUE(id.ok());
      acknowledged_ = *id;
      EXPECT_TRUE(repository_.get(*id).ok()) << "acknowledged and not durable, seed " << seed_;
    });
    for (int steps = 0; steps < 20'000; ++steps) {
      take_step();
      if (acknowledged_.valid() && is_terminal(repository_.get(acknowledged_)->state)) return true;
      if (!acknowledged_.valid() && crashes_ > 0 && repository_.last_id()->value == before_.value) return true;  // Never existed.
    }
    return false;
  }

  bool acknowledged() const { return acknowledged_.valid(); }
  bool cancelled() const { return cancelled_; }
  int crashes() const { return crashes_; }
  WorkflowRun ended() { return repository_.get(acknowledged_).value(); }
  /// How every task must end when nobody cancels.
  TaskState expected(const std::string& task) const {
    for (const std::string& upstream : spec_.find(task)->after) {
      if (expected(upstream) != TaskState::kSucceeded) return TaskState::kUpstreamFailed;
    }
    return failing_.contains(task) ? TaskState::kFailed : TaskState::kSucceeded;
  }
  const std::map<std::string, int>& effects() const { return world_.effects; }

 private:
  void draw_tasks() {
    Document tasks = Document::object();
    const std::size_t count = 1 + rng_.below(6);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name = "t" + std::to_string(i);
      Document after = Document::array();
      for (std::size_t upstream = 0; upstream < i; ++upstream) {
        if (rng_.below(3) == 0) after.push("t" + std::to_string(upstream));
      }
      tasks.set(name, Document::object({{"after", std::move(after)}, {"fake", Document::object()}}));
      if (rng_.below(8) == 0) failing_.insert(name);
    }
    source_ = Document::object({{"workflow", "w"}, {"tasks", std::move(tasks)}});
    spec_ = workflow_spec_from(source_, {"fake"}).value();
    may_cancel_ = rng_.below(4) == 0;
    before_ = repository_.last_id().value();
  }

  void boot() {
    WorkflowService::Kinds kinds;
    kinds.push_back(std::make_unique<testing::FakeTaskKind>(world_));
    service_ = std::make_unique<WorkflowService>(WorkflowService::Deps{strand_, writes_, clock_, repository_, log_}, std::move(kinds),
                                                 [this](const Error& error) { ADD_FAILURE() << error.describe() << " seed " << seed_; });
    ASSERT_TRUE(service_->recover().ok());
    started_in_this_life_.clear();
  }
  void crash() {
    service_.reset();
    strand_.drop_all();
    writes_.drop_all();
  }

  void take_step() {
    const std::uint64_t dice = rng_.below(100);
    if (dice < 45) {
      strand_.step();
    } else if (dice < 80) {
      if (writes_.step()) check_history();
    } else if (dice < 95) {
      finish_one();
    } else if (dice < 98) {
      if (!may_cancel_ || !acknowledged_.valid()) return;
      cancelled_ = true;  // Even if a crash takes the answer: the request may be durable.
      service_->cancel(acknowledged_, [](const Result<void>&) {});
    } else if (crashes_ < 8) {
      ++crashes_;
      crash();
      boot();
      // The run may be durable although nobody was told.
      if (!acknowledged_.valid() && repository_.last_id()->value > before_.value) acknowledged_ = repository_.last_id().value();
    }
  }

  void finish_one() {
    if (world_.tasks.empty()) return;
    auto task = world_.tasks.begin();
    std::advance(task, static_cast<std::ptrdiff_t>(rng_.below(world_.tasks.size())));
    const bool fails = failing_.contains(task->first);
    task->second.report.finish({fails ? TaskState::kFailed : TaskState::kSucceeded, fails ? "drawn" : "", Document::object()});
  }

  void check_start(const TaskContext& context) {
    EXPECT_TRUE(started_in_this_life_.insert(context.task).second) << context.task << " was started twice in one life, seed " << seed_;
    const Result<WorkflowRun> durable = repository_.get(context.run);
    ASSERT_TRUE(durable.ok()) << "started before it was durable, seed " << seed_;
    for (const TaskInstance& task : durable->tasks) {
      if (task.name == context.task) {
        EXPECT_EQ(task.state, TaskState::kRunning) << "seed " << seed_;
      }
      const std::vector<std::string>& after = spec_.find(context.task)->after;
      const bool upstream = std::find(after.begin(), after.end(), task.name) != after.end();
      if (upstream) {
        EXPECT_EQ(task.state, TaskState::kSucceeded) << context.task << " started too early, seed " << seed_;
      }
    }
  }

  /// What has ended stays as it ended.
  void check_history() {
    if (repository_.last_id()->value == before_.value) return;
    const WorkflowRun durable = repository_.get(repository_.last_id().value()).value();
    for (const TaskInstance& task : durable.tasks) {
      const auto ended = ended_.find(task.name);
      if (ended != ended_.end()) {
        EXPECT_EQ(task.state, ended->second) << task.name << " changed after its end, seed " << seed_;
      }
      if (is_terminal(task.state)) ended_.emplace(task.name, task.state);
    }
  }

  SeededRng rng_;
  std::uint64_t seed_;
  WorkflowRepository repository_;
  trainyard::testing::FakeClock clock_;
  SteppedExecutor strand_;
  SteppedExecutor writes_;
  testing::ErrorLog log_;
  testing::FakeWorld world_;
  Document source_;
  WorkflowSpec spec_;
  std::set<std::string> failing_;
  std::set<std::string> started_in_this_life_;
  std::map<std::string, TaskState> ended_;
  std::unique_ptr<WorkflowService> service_;
  WorkflowRunId before_;
  WorkflowRunId acknowledged_;
  bool may_cancel_ = false;
  bool cancelled_ = false;
  int crashes_ = 0;
};

TEST(WorkflowCrash, run_ends_as_an_undisturbed_one_wherever_the_process_dies) {
  adapters::sqlite::testing::TemporaryDatabase files;
  ASSERT_TRUE(store::migrate(files.database(), "workflow", workflow_migrations()).ok());
  int crashes = 0;
  int cancelled = 0;
  for (std::uint64_t seed = 0; seed < 120; ++seed) {
    CrashingRun run(files.database(), seed);
    ASSERT_TRUE(run.run_to_end()) << "seed " << seed << " hangs";
    crashes += run.crashes();
    cancelled += run.cancelled() ? 1 : 0;
    if (!run.acknowledged()) continue;
    const WorkflowRun ended = run.ended();
    EXPECT_LE(run.effects().size(), ended.tasks.size()) << "a task changed the outside under two keys, seed " << seed;
    bool all_succeeded = true;
    for (const TaskInstance& task : ended.tasks) {
      EXPECT_TRUE(is_terminal(task.state)) << "seed " << seed;
      if (!run.cancelled()) {
        EXPECT_EQ(task.state, run.expected(task.name)) << task.name << ", seed " << seed;
      }
      all_succeeded = all_succeeded && task.state == TaskState::kSucceeded;
    }
    if (!run.cancelled()) {
      EXPECT_EQ(ended.state, all_succeeded ? RunState::kSucceeded : RunState::kFailed) << "seed " << seed;
    }
  }
  EXPECT_GT(crashes, 100) << "the test does not test";
  EXPECT_GT(cancelled, 5) << "the test does not test";
}

}  // namespace
}  // namespace trainyard::workflow
