#include "workflow/workflow_repository.h"

#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"

namespace trainyard::workflow {
namespace {

class WorkflowRepositoryTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store::migrate(files.database(), "workflow", workflow_migrations()).ok()); }

  static WorkflowRun run_of(std::uint64_t id, RunState state) {
    WorkflowRun run;
    run.id = WorkflowRunId(id);
    run.spec = workflow_spec_from(parse_json(R"({"workflow":"w","tasks":{"a":{"fake":{}}}})").value(), {"fake"}).value();
    run.state = state;
    run.created_at = time_from_micros(1'700'000'000'000'000);
    run.tasks.resize(1);
    run.tasks[0].name = "a";
    return run;
  }
  void save(std::uint64_t id, RunState state) { ASSERT_TRUE(repository.save(run_of(id, state)).ok()); }
  static std::vector<std::uint64_t> ids_of(const Result<std::vector<WorkflowRun>>& runs) {
    std::vector<std::uint64_t> ids;
    for (const WorkflowRun& run : runs.value()) ids.push_back(run.id.value);
    return ids;
  }
  void write_body(std::uint64_t id, const std::string& body) {
    ASSERT_TRUE(files.database()
                    .write([&](store::Connection& connection) -> Result<void> {
                      TRY(connection.execute("UPDATE workflow_run SET body = ? WHERE id = ?", {body, static_cast<std::int64_t>(id)}));
                      return {};
                    })
                    .ok());
  }

  using Ids = std::vector<std::uint64_t>;
  adapters::sqlite::testing::TemporaryDatabase files;
  WorkflowRepository repository{files.database(), {"fake"}};
};

TEST_F(WorkflowRepositoryTest, empty_database_has_no_runs_and_no_last_id) {
  EXPECT_EQ(repository.last_id()->value, 0u);
  EXPECT_TRUE(repository.live()->empty());
  EXPECT_TRUE(repository.list(10)->empty());
  EXPECT_EQ(repository.get(WorkflowRunId(1)).error().id, "workflow.unknown_run");
  EXPECT_EQ(repository.get(WorkflowRunId(1)).error().category, Category::kNotFound);
}

TEST_F(WorkflowRepositoryTest, live_runs_are_those_that_have_not_ended_by_id) {
  save(4, RunState::kRunning);
  save(1, RunState::kSucceeded);
  save(2, RunState::kCancelling);
  save(3, RunState::kFailed);
  save(5, RunState::kCancelled);
  EXPECT_EQ(ids_of(repository.live()), (Ids{2, 4}));
  EXPECT_EQ(repository.last_id()->value, 5u);
}

TEST_F(WorkflowRepositoryTest, saving_again_replaces_the_run_and_its_end_takes_it_off_the_live_ones) {
  save(1, RunState::kRunning);
  WorkflowRun run = run_of(1, RunState::kSucceeded);
  run.tasks[0].state = TaskState::kSucceeded;
  ASSERT_TRUE(repository.save(run).ok());
  EXPECT_TRUE(repository.live()->empty());
  EXPECT_EQ(repository.get(WorkflowRunId(1))->tasks[0].state, TaskState::kSucceeded);
  EXPECT_EQ(repository.list(10)->size(), 1u);
}

TEST_F(WorkflowRepositoryTest, list_is_newest_first_and_bounded) {
  for (std::uint64_t id = 1; id <= 12; ++id) save(id, id % 2 == 0 ? RunState::kRunning : RunState::kFailed);
  EXPECT_EQ(ids_of(repository.list(3)), (Ids{12, 11, 10}));
}

TEST_F(WorkflowRepositoryTest, runs_are_there_after_a_restart) {
  save(3, RunState::kRunning);
  files.reopen();
  WorkflowRepository again(files.database(), {"fake"});
  EXPECT_EQ(ids_of(again.live()), (Ids{3}));
  EXPECT_EQ(again.last_id()->value, 3u);
}

TEST_F(WorkflowRepositoryTest, damaged_row_is_data_loss) {
  save(1, RunState::kRunning);
  for (const char* body : {"{", "null", "{}", "[]", R"({"id":1})", ""}) {
    write_body(1, body);
    const Result<WorkflowRun> run = repository.get(WorkflowRunId(1));
    ASSERT_FALSE(run.ok()) << body;
    EXPECT_EQ(run.error().id, "workflow.corrupt") << body;
    EXPECT_EQ(run.error().category, Category::kDataLoss) << body;
  }
}

}  // namespace
}  // namespace trainyard::workflow
