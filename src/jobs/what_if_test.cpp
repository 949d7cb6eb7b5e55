#include "jobs/what_if.h"

#include "jobs/testing/service_world.h"

namespace trainyard::jobs {
namespace {

/// Two nodes of four cores, and two queues: what "low" uses is lent by "high", which may take it back.
class WhatIfTest : public testing::ServiceWorld {
 protected:
  WhatIfTest() {
    crash();
    sched::Amounts all = sched::Amounts::unlimited();
    all[sched::kCpu] = 8000;
    sched::Amounts none = sched::Amounts::unlimited();
    none[sched::kCpu] = 0;
    sched::QueueSettings high{.name = "high", .nominal = all};
    high.preemption.enabled = true;
    settings.scheduler.queues = {high, {.name = "low", .nominal = none}};
    settings.scheduler.sharing.policy = "drf";
    boot();
  }
  Submission in(const std::string& queue, std::int64_t cores) {
    Submission made = submission(cores);
    made.spec.queue = queue;
    return made;
  }
};

TEST_F(WhatIfTest, job_that_would_evict_others_names_them_and_evicts_none) {
  const JobId first = submit(in("low", 4));
  const JobId second = submit(in("low", 4));
  const TrialAnswer answer = service->try_submit(in("high", 4)).value().answer().value();
  ASSERT_TRUE(answer.job && answer.job->explanation);
  EXPECT_FALSE(answer.job->starts_now);
  EXPECT_EQ(answer.job->explanation->reason, sched::Reason::kWaitingForPreempted);
  ASSERT_EQ(answer.stops.size(), 1u);
  EXPECT_TRUE(answer.stops[0] == first || answer.stops[0] == second);
  strand.run_ready();
  EXPECT_EQ(job(first).state, JobState::kStarting);
  EXPECT_EQ(job(second).state, JobState::kStarting);
}

TEST_F(WhatIfTest, stop_of_a_queue_gives_up_what_its_jobs_were_promised) {
  submit(in("low", 4));
  submit(in("low", 4));
  const JobId evictor = submit(in("high", 4));
  ASSERT_FALSE(service->planner_state().queue.promised().empty());
  ASSERT_TRUE(service->set_queue_stop("high", QueueStop{"maintenance", "ann", clock.now()}).ok());
  strand.run_ready();
  EXPECT_TRUE(service->planner_state().queue.promised().empty());
  EXPECT_EQ(service->explain(evictor)->reason, sched::Reason::kSuspended);
  EXPECT_EQ(service->set_queue_stop("nowhere", std::nullopt).error().id, "queue.unknown");
}

TEST_F(WhatIfTest, trial_is_equal_to_what_happens) {
  submit(in("high", 3));
  submit(in("high", 3));
  for (const std::int64_t cores : {1, 2, 4}) {
    const TriedJob tried = service->try_submit(in("high", cores)).value().plan_job();
    const JobId id = submit(in("high", cores));
    EXPECT_EQ(tried.starts_now, job(id).state == JobState::kStarting) << cores;
    if (tried.starts_now) {
      EXPECT_EQ(tried.placement.at(0), job(id).attempt.ranks.at(0).node) << cores;
    }
    ASSERT_TRUE(stop(id).ok());
    if (tried.starts_now) exits(rank(id, 1), testing::killed_exit());
  }
}

TEST(ConcealJobs, hidden_jobs_leave_text_and_list) {
  sched::Explanation explanation;
  explanation.message = "Too little is free. Job 17 comes before it. Job 1 is promised a start at noon.";
  explanation.blocking = {JobId(17), JobId(1), JobId(7)};
  conceal_jobs(explanation, [](JobId id) { return id == JobId(7); });
  EXPECT_EQ(explanation.message, "Too little is free. Another job comes before it. Another job is promised a start at noon.");
  EXPECT_EQ(explanation.blocking, std::vector<JobId>{JobId(7)});
}

}  // namespace
}  // namespace trainyard::jobs
