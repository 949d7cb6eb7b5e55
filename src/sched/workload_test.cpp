#include "sched/workload.h"

#include <gtest/gtest.h>

namespace trainyard::sched {
namespace {

JobSnapshot job_of_cpu(std::int64_t milli_cpu, std::int32_t tasks = 1) {
  JobSnapshot job;
  job.demand.amounts[kCpu] = milli_cpu;
  job.tasks = tasks;
  return job;
}

TEST(Workload, typical_tasks_are_the_most_frequent_that_make_up_95_percent) {
  Workload workload;
  for (int i = 0; i < 60; ++i) workload.add(job_of_cpu(1));
  for (int i = 0; i < 35; ++i) workload.add(job_of_cpu(2));
  for (int i = 0; i < 5; ++i) workload.add(job_of_cpu(3 + i));
  workload.refresh();
  EXPECT_EQ(*workload.typical(), (TypicalTasks{{{.milli_cpu = 1}, 60}, {{.milli_cpu = 2}, 35}}));
  workload.add(job_of_cpu(7));
  workload.refresh();
  EXPECT_EQ(*workload.typical(), (TypicalTasks{{{.milli_cpu = 1}, 60}, {{.milli_cpu = 2}, 35}, {{.milli_cpu = 7}, 2}}));
}

TEST(Workload, tasks_of_a_gang_count_one_by_one) {
  Workload workload;
  workload.add(job_of_cpu(1, 9));
  workload.add(job_of_cpu(2, 10));
  EXPECT_EQ(*workload.typical(), (TypicalTasks{{{.milli_cpu = 2}, 10}, {{.milli_cpu = 1}, 9}}));
}

TEST(Workload, shapes_differ_by_gpu_and_model_but_not_by_memory) {
  JobSnapshot small = job_of_cpu(1000);
  JobSnapshot large = small;
  large.demand.amounts[kMemory] = 1 << 30;
  JobSnapshot share = small;
  share.demand.ask_gpus(1, 500);
  JobSnapshot picky = share;
  picky.constraints = std::make_shared<const Constraints>(Constraints{.gpu_models = {"A100"}});  // shared: as JobSnapshot keeps it
  Workload workload;
  for (const JobSnapshot& job : {small, large, share, picky}) workload.add(job);
  workload.refresh();
  EXPECT_EQ(*workload.typical(), (TypicalTasks{{{.milli_cpu = 1000}, 2},
                                               {{.milli_cpu = 1000, .gpus = 1, .gpu_milli = 500}, 1},
                                               {{.milli_cpu = 1000, .gpus = 1, .gpu_milli = 500, .gpu_models = {"A100"}}, 1}}));
}

TEST(Workload, typical_tasks_stay_the_same_object_until_many_more_tasks_came) {
  Workload workload;
  for (int i = 0; i < 1000; ++i) workload.add(job_of_cpu(1));
  const auto before = workload.typical();
  workload.add(job_of_cpu(1));
  workload.add(job_of_cpu(2));
  EXPECT_EQ(workload.typical(), before);
  for (int i = 0; i < 2000; ++i) workload.add(job_of_cpu(2));
  EXPECT_NE(workload.typical(), before);
  EXPECT_EQ(workload.typical()->front().shape.milli_cpu, 2);
}

TEST(Workload, old_tasks_weigh_less_than_new_ones) {
  Workload workload;
  for (int i = 0; i < 200'000; ++i) workload.add(job_of_cpu(1));
  for (int i = 0; i < 150'000; ++i) workload.add(job_of_cpu(2));
  workload.refresh();
  EXPECT_EQ(workload.typical()->front().shape.milli_cpu, 2);
}

}  // namespace
}  // namespace trainyard::sched
