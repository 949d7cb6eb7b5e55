#pragma once
#include <gtest/gtest.h>

#include "adapters/sqlite/testing/temporary_database.h"
#include "base/testing/fake_clock.h"
#include "store/testing/fake_object_store.h"
#include "track/tracking.h"

namespace trainyard::track::testing {

/// Tracking over a database and objects of its own.
class TrackingTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(prepare_tracking(files.database(), clock).ok()); }

  RunId make_run(std::vector<KeyValue> tags = {}, const std::string& experiment = "0") {
    NewRun run;
    run.experiment = {experiment};
    run.tags = std::move(tags);
    return make(std::move(run));
  }
  /// A run of experiment 0 in a namespace, with a job or without.
  RunId make_run_in(const std::string& name_space, JobId job = {}) {
    NewRun run;
    run.experiment = {"0"};
    run.name_space = name_space;
    run.job = job;
    return make(std::move(run));
  }
  RunId make(NewRun run) {
    run.started_ms = 1000;
    const Result<track::Run> created = tracking.runs().create(run);
    EXPECT_TRUE(created.ok()) << (created.ok() ? "" : created.error().describe());
    return created.ok() ? created->info.id : RunId{};
  }

  trainyard::testing::FakeClock clock;
  adapters::sqlite::testing::TemporaryDatabase files;
  store::testing::FakeObjectStore objects;
  Tracking tracking{{.database = files.database(), .objects = objects, .clock = clock}};
};

}  // namespace trainyard::track::testing
