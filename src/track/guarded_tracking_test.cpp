#include "track/guarded_tracking.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "track/testing/tracking_fixture.h"

namespace trainyard::track {
namespace {

NamespaceSet only(std::vector<std::string> names) { return {.all = false, .names = std::move(names)}; }

class GuardedTrackingTest : public testing::TrackingTest {
 protected:
  /// A runner in these namespaces.
  static RunCaller runner(const std::vector<std::string>& names) { return {only(names), only(names), {}}; }
  static RunCaller viewer(const std::vector<std::string>& names) { return {only(names), {}, {}}; }
  static RunCaller attempt(std::uint64_t job, const std::string& name) { return {only({name}), only({name}), JobId{job}}; }
  static RunCaller everybody() { return {{.all = true, .names = {}}, {.all = true, .names = {}}, {}}; }

  static NewRun new_run(std::vector<KeyValue> tags = {}) {
    NewRun run;
    run.experiment = {"0"};
    run.tags = std::move(tags);
    return run;
  }
  /// Where a run that the caller makes comes to lie, or the id of the refusal.
  std::string place_of(const RunCaller& caller, std::vector<KeyValue> tags = {}) {
    const Result<track::Run> made = GuardedTracking(tracking, caller).runs().create(new_run(std::move(tags)));
    return made.ok() ? made->info.name_space : made.error().id;
  }
  static std::string text_of(const Result<void>& result) { return result.ok() ? "" : result.error().message; }
  template <typename T>
  static std::string id_of(const Result<T>& result) {
    return result.ok() ? "" : result.error().id;
  }
  /// What each writing method answers: "" for done, else the id of the error.
  std::vector<std::string> writes(const RunCaller& caller, const RunId& run) {
    GuardedTracking guarded(tracking, caller);
    RunBatch batch;
    batch.metrics.push_back({"m", {1, 0, 0}});
    batch.tags.push_back({"t", "v"});
    return {id_of(guarded.runs().update(run, {std::nullopt, 5, std::nullopt})),
            id_of(guarded.runs().log(run, batch)),
            id_of(guarded.runs().delete_tag(run, "t")),
            id_of(guarded.runs().set_lifecycle(run, Lifecycle::kDeleted)),
            id_of(guarded.runs().set_lifecycle(run, Lifecycle::kActive)),
            id_of(guarded.artifacts().put(root_of(run) + "/f", as_bytes("f"))),
            id_of(guarded.artifacts().remove(root_of(run)))};
  }
  static std::vector<std::string> all(const std::string& id) { return std::vector<std::string>(7, id); }
  static std::string root_of(const RunId& run) { return "0/" + run.text + "/artifacts"; }
};

TEST_F(GuardedTrackingTest, run_of_another_namespace_is_like_one_that_is_not_there) {
  const RunId run = make_run_in("vision");
  GuardedTracking guarded(tracking, runner({"text"}));
  const std::string unknown = "Run with id=" + run.text + " not found";
  EXPECT_EQ(guarded.runs().get(run).error().message, unknown);
  EXPECT_EQ(guarded.runs().history(run, "m").error().message, unknown);
  EXPECT_EQ(text_of(guarded.runs().log(run, {})), unknown);
  EXPECT_EQ(writes(runner({"text"}), run), all("track.unknown_run"));
  EXPECT_TRUE(guarded.runs().search({})->runs.empty());
  RunSearch greedy;
  greedy.name_spaces = only({"vision"});
  EXPECT_TRUE(guarded.runs().search(greedy)->runs.empty());
}

TEST_F(GuardedTrackingTest, viewer_reads_a_run_and_changes_nothing) {
  const RunId run = make_run_in("vision");
  ASSERT_TRUE(tracking.artifacts().put(root_of(run) + "/f", as_bytes("f")).ok());
  GuardedTracking guarded(tracking, viewer({"vision"}));
  EXPECT_TRUE(guarded.runs().get(run).ok());
  EXPECT_TRUE(guarded.runs().history(run, "m").ok());
  EXPECT_EQ(guarded.runs().search({})->runs.size(), 1u);
  EXPECT_TRUE(guarded.artifacts().find(root_of(run) + "/f").ok());
  EXPECT_EQ(guarded.artifacts().list(root_of(run))->size(), 1u);
  EXPECT_EQ(writes(viewer({"vision"}), run), all("auth.forbidden"));
  EXPECT_EQ(id_of(guarded.runs().create(new_run())), "auth.forbidden");
}

TEST_F(GuardedTrackingTest, runner_changes_runs_of_its_namespace_and_who_may_everywhere_changes_all) {
  const RunId run = make_run_in("vision", JobId{17});
  EXPECT_EQ(writes(runner({"vision"}), run), all(""));
  EXPECT_EQ(writes(everybody(), run), all(""));
}

TEST_F(GuardedTrackingTest, attempt_changes_the_runs_of_its_job_only) {
  const RunId own = make_run_in("vision", JobId{17});
  const RunId neighbour = make_run_in("vision", JobId{18});
  const RunId of_a_user = make_run_in("vision");
  const RunId child = GuardedTracking(tracking, attempt(17, "vision")).runs().create(new_run({{"mlflow.parentRunId", own.text}}))->info.id;
  EXPECT_EQ(tracking.runs().get(child)->info.job, JobId{17});
  EXPECT_EQ(writes(attempt(17, "vision"), own), all(""));
  EXPECT_EQ(writes(attempt(17, "vision"), child), all(""));
  EXPECT_EQ(writes(attempt(17, "vision"), neighbour), all("auth.forbidden"));
  EXPECT_EQ(writes(attempt(17, "vision"), of_a_user), all("auth.forbidden"));
  EXPECT_EQ(writes(attempt(18, "vision"), child), all("auth.forbidden"));
  EXPECT_TRUE(GuardedTracking(tracking, attempt(17, "vision")).runs().get(neighbour).ok());
  EXPECT_EQ(writes(attempt(17, "vision"), make_run_in("text", JobId{19})), all("track.unknown_run"));
}

TEST_F(GuardedTrackingTest, tag_that_names_a_job_makes_no_run_that_of_the_job) {
  const RunId forged = GuardedTracking(tracking, runner({"vision"})).runs().create(new_run({{"trainyard.job_id", "17"}}))->info.id;
  EXPECT_EQ(writes(attempt(17, "vision"), forged), all("auth.forbidden"));
}

TEST_F(GuardedTrackingTest, new_run_lies_where_its_maker_may_write) {
  EXPECT_EQ(place_of(everybody()), "default");
  EXPECT_EQ(place_of(runner({"default", "vision"})), "default");
  EXPECT_EQ(place_of(runner({"text", "vision"})), "text");
  EXPECT_EQ(place_of(attempt(17, "vision")), "vision");
  EXPECT_EQ(place_of(runner({"text", "vision"}), {{"trainyard.namespace", "vision"}}), "vision");
  EXPECT_EQ(place_of(everybody(), {{"trainyard.namespace", "brand-new"}}), "brand-new");
  EXPECT_EQ(place_of(runner({"text"}), {{"trainyard.namespace", "vision"}}), "auth.forbidden");
  EXPECT_EQ(place_of(viewer({"text"}), {{"trainyard.namespace", "text"}}), "auth.forbidden");
  EXPECT_EQ(place_of(everybody(), {{"trainyard.namespace", ""}}), "track.namespace");
  EXPECT_EQ(place_of(everybody(), {{"trainyard.namespace", "No Name"}}), "track.namespace");
}

TEST_F(GuardedTrackingTest, child_lies_beside_its_parent_where_its_maker_may_write) {
  const RunId parent = make_run_in("vision");
  const std::vector<KeyValue> below{{"mlflow.parentRunId", parent.text}};
  EXPECT_EQ(place_of(runner({"default", "vision"}), below), "vision");
  EXPECT_EQ(place_of(runner({"default"}), below), "default");
  EXPECT_EQ(place_of(runner({"default"}), {{"mlflow.parentRunId", "missing"}}), "default");
}

TEST_F(GuardedTrackingTest, run_stays_in_its_namespace) {
  const RunId run = make_run_in("vision");
  GuardedTracking guarded(tracking, everybody());
  RunBatch batch;
  batch.tags.push_back({"trainyard.namespace", "text"});
  EXPECT_EQ(id_of(guarded.runs().log(run, batch)), "track.reserved_tag");
  EXPECT_EQ(id_of(guarded.runs().delete_tag(run, "trainyard.namespace")), "track.reserved_tag");
  EXPECT_EQ(tracking.runs().get(run)->info.name_space, "vision");
}

TEST_F(GuardedTrackingTest, artifacts_of_another_namespace_are_like_absent_ones) {
  const RunId run = make_run_in("vision");
  ASSERT_TRUE(tracking.artifacts().put(root_of(run) + "/f", as_bytes("f")).ok());
  GuardedTracking guarded(tracking, runner({"text"}));
  EXPECT_EQ(guarded.artifacts().find(root_of(run) + "/f").error().message, "No such artifact: '" + root_of(run) + "/f'");
  EXPECT_TRUE(guarded.artifacts().list(root_of(run))->empty());
  EXPECT_TRUE(guarded.artifacts().list("0/" + run.text)->empty());
  const std::string absent = "0/" + std::string(32, '0') + "/artifacts";
  EXPECT_EQ(id_of(guarded.artifacts().put(absent + "/f", as_bytes("f"))), "track.unknown_run");
  EXPECT_EQ(id_of(guarded.artifacts().remove("0/" + run.text)), "track.unknown_run");
  EXPECT_TRUE(tracking.artifacts().find(root_of(run) + "/f").ok());
}

TEST_F(GuardedTrackingTest, directories_above_runs_are_for_those_who_may_everywhere) {
  const RunId run = make_run_in("vision");
  ASSERT_TRUE(tracking.artifacts().put(root_of(run) + "/f", as_bytes("f")).ok());
  for (const char* above : {"", "0"}) {
    GuardedTracking guarded(tracking, runner({"vision"}));
    EXPECT_TRUE(guarded.artifacts().list(above)->empty()) << above;
    EXPECT_EQ(id_of(guarded.artifacts().remove(above)), "track.unknown_run") << above;
    EXPECT_EQ(GuardedTracking(tracking, everybody()).artifacts().list(above)->size(), 1u) << above;
  }
  RunCaller job = everybody();
  job.job = JobId{17};
  EXPECT_EQ(id_of(GuardedTracking(tracking, job).artifacts().remove("0")), "auth.forbidden");
}

TEST_F(GuardedTrackingTest, experiment_whose_artifacts_lie_in_a_foreign_run_opens_nothing) {
  const RunId victim = make_run_in("vision");
  ASSERT_TRUE(tracking.artifacts().put(root_of(victim) + "/f", as_bytes("f")).ok());
  const ExperimentId trap = tracking.experiments().create({"trap", "mlflow-artifacts:/" + root_of(victim), {}}).value();
  NewRun inside;
  inside.experiment = trap;
  GuardedTracking guarded(tracking, runner({"text"}));
  const RunId own = guarded.runs().create(inside)->info.id;
  EXPECT_EQ(id_of(guarded.artifacts().find(root_of(victim) + "/f")), "track.unknown_artifact");
  EXPECT_EQ(id_of(guarded.artifacts().put(root_of(victim) + "/" + own.text + "/artifacts/g", as_bytes("g"))), "track.unknown_run");
}

TEST_F(GuardedTrackingTest, name_of_a_foreign_run_in_a_path_is_a_name_like_others) {
  const RunId foreign = make_run_in("vision", JobId{18});
  const RunId own = make_run_in("vision", JobId{17});
  GuardedTracking guarded(tracking, attempt(17, "vision"));
  EXPECT_TRUE(guarded.artifacts().put(root_of(own) + "/evaluated/" + foreign.text + "/f", as_bytes("f")).ok());
}

TEST_F(GuardedTrackingTest, files_of_a_registered_version_are_read_by_everybody) {
  const RunId run = make_run_in("vision");
  for (const char* name : {"/model/weights", "/model2/weights", "/other/weights", "/notes"})
    ASSERT_TRUE(tracking.artifacts().put(root_of(run) + name, as_bytes(name)).ok());
  NewModelVersion version;
  version.model = "m";
  version.create_model = true;
  version.run = run;
  version.source = "mlflow-artifacts:/" + root_of(run) + "/model";
  GuardedTracking stranger(tracking, viewer({"text"}));
  EXPECT_FALSE(stranger.artifacts().find(root_of(run) + "/model/weights").ok());
  ASSERT_TRUE(GuardedTracking(tracking, runner({"vision"})).models().create_version(version).ok());
  EXPECT_TRUE(stranger.artifacts().find(root_of(run) + "/model/weights").ok());
  EXPECT_EQ(stranger.artifacts().list(root_of(run) + "/model")->size(), 1u);
  for (const char* name : {"/model2/weights", "/other/weights", "/notes"})
    EXPECT_FALSE(stranger.artifacts().find(root_of(run) + name).ok());
  EXPECT_EQ(id_of(stranger.artifacts().put(root_of(run) + "/model/weights", as_bytes("x"))), "auth.forbidden");
  version.source = "runs:/" + run.text + "/other";
  const ModelVersion second = GuardedTracking(tracking, runner({"vision"})).models().create_version(version).value();
  EXPECT_EQ(stranger.models().location_of(second).value(), "mlflow-artifacts:/" + root_of(run) + "/other");
  EXPECT_TRUE(stranger.artifacts().find(root_of(run) + "/other/weights").ok());
  ASSERT_TRUE(stranger.models().delete_version({"m", second.version}).ok());
  EXPECT_FALSE(stranger.artifacts().find(root_of(run) + "/other/weights").ok());
}

TEST_F(GuardedTrackingTest, version_comes_out_of_a_run_of_a_namespace_where_the_caller_may_write) {
  NewModelVersion version;
  version.model = "m";
  version.create_model = true;
  version.run = make_run_in("vision", JobId{18});
  version.source = "runs:/" + version.run.text + "/model";
  EXPECT_EQ(id_of(GuardedTracking(tracking, runner({"text"})).models().create_version(version)), "track.unknown_run");
  EXPECT_EQ(id_of(GuardedTracking(tracking, viewer({"vision"})).models().create_version(version)), "auth.forbidden");
  EXPECT_TRUE(GuardedTracking(tracking, attempt(17, "vision")).models().create_version(version).ok());
}

}  // namespace
}  // namespace trainyard::track
