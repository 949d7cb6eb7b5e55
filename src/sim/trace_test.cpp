#include "sim/trace.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "sim/testing/workloads.h"

namespace trainyard::sim {
namespace {

using testing::gzipped;
using testing::random_trace;
using testing::trace_of;

Trace swf_of(std::string_view text) {
  TextInput input = TextInput::over("log.swf", text);
  return read_swf(input).value();
}

TEST(TraceCsv, columns_are_found_by_name_in_any_order_and_blanks_mean_defaults) {
  const Trace trace =
      trace_of("# a comment\nprocs,job_id,runtime_s,submit_s,mem_mb,user,priority\n4,a,10.5,0,,,\n#no\n\n2,b,0,1.25,512,ann,-3\n");
  ASSERT_EQ(trace.jobs.size(), 2U);
  const TraceJob& a = trace.jobs[0];
  EXPECT_EQ(a.procs, 4);
  EXPECT_EQ(a.runtime, Duration(10'500'000));
  EXPECT_EQ(a.walltime, kUnbounded);
  EXPECT_EQ(a.mem_mib, 0);
  EXPECT_EQ(trace.users.name(a.user), "default");
  EXPECT_EQ(trace.queues.name(a.queue), "default");
  EXPECT_TRUE(a.preemptible);
  const TraceJob& b = trace.jobs[1];
  EXPECT_EQ(b.submit, Duration(1'250'000));
  EXPECT_EQ(b.mem_mib, 512);
  EXPECT_EQ(trace.users.name(b.user), "ann");
  EXPECT_EQ(b.priority, -3);
  EXPECT_TRUE(trace.warnings.empty());
}

TEST(TraceCsv, unknown_columns_are_ignored_with_one_warning) {
  const Trace trace = trace_of("job_id,submit_s,colour,runtime_s,procs,size\na,0,red,1,1,big\nb,0,blue,1,1,small\n");
  ASSERT_EQ(trace.warnings.size(), 1U);
  EXPECT_EQ(trace.warnings[0], "trace.csv:1: unknown columns are ignored: colour, size");
}

TEST(TraceCsv, dependencies_may_name_later_jobs) {
  const Trace trace = trace_of("job_id,submit_s,runtime_s,procs,depends_on\na,0,1,1,c;b\nb,0,1,1,\nc,0,1,1,b\n");
  EXPECT_EQ(trace.jobs[0].depends_on, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(trace.jobs[2].depends_on, (std::vector<std::uint32_t>{1}));
}

TEST(TraceCsv, sorting_is_stable_and_keeps_dependencies) {
  TextInput input = TextInput::over("t", "job_id,submit_s,runtime_s,procs,depends_on\na,5,1,1,\nb,2,1,1,a\nc,5,1,1,b\nd,2,1,1,\n");
  const Trace trace = read_trace_csv(input, {.limits = {}, .sort = true}).value();
  std::string order;
  for (const TraceJob& job : trace.jobs) order += job.id;
  EXPECT_EQ(order, "bdac");
  EXPECT_EQ(trace.jobs[0].depends_on, (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(trace.jobs[3].depends_on, (std::vector<std::uint32_t>{0}));
}

TEST(TraceCsv, written_trace_reads_back_equal) {
  const std::uint64_t seed = 11;
  SeededRng rng(seed);
  for (int round = 0; round < 20; ++round) {
    const Trace trace = random_trace(rng, 60, 16, 8);
    EXPECT_EQ(trace_of(trace_csv(trace)), trace) << "seed " << seed << ", round " << round;
  }
}

TEST(TraceCsv, example_files_are_written_as_they_were) {
  for (const char* name : {"ex1_easy", "ex2_conservative"}) {
    const std::string path = std::string("tests/data/scheduling/examples/") + name + ".trace.csv";
    EXPECT_EQ(trace_csv(read_trace(path, TraceFormat::kCsv).value()), read_file(path).value()) << path;
  }
}

TEST(TraceCsv, batsim_workload_is_read_whole) {
  const Trace trace = read_trace("tests/data/scheduling/batsim/batsim_medium_late.csv", TraceFormat::kCsv).value();
  EXPECT_EQ(trace.jobs.size(), 801U);
  EXPECT_EQ(trace.jobs[1].submit, Duration(4'709'164));
  EXPECT_EQ(trace.warnings.size(), 1U);
}

TEST(TraceFormat, name_of_the_file_decides) {
  EXPECT_EQ(format_of("a/log.swf"), TraceFormat::kSwf);
  EXPECT_EQ(format_of("log.swf.gz"), TraceFormat::kSwf);
  EXPECT_EQ(format_of("trace.csv.gz"), TraceFormat::kCsv);
  EXPECT_EQ(format_of("trace"), TraceFormat::kCsv);
}

TEST(Swf, fields_are_mapped_and_unusable_records_are_skipped_and_counted) {
  const Trace trace = swf_of(
      "; MaxProcs: 240\n;MaxNodes: 120 (dual)\n; Note: x\n"
      "    1 0 10 100 2 -1 2048 4 300 -1 1 7 1 1 3 -1 -1 -1\n"
      "2 5 -1 -1 4 -1 -1 4 300 -1 1 7 1 1 3 -1 -1 -1\n"
      "3 6 -1 50 -1 -1 -1 0 300 -1 1 7 1 1 3 -1 -1 -1\n"
      "\n"
      "4 7.5 -1 0 16 9.25 -1 -1 -1 1000 0 -1 1 1 -1 -1 -1 -1\n   \n");
  EXPECT_EQ(trace.processors, 240);
  EXPECT_EQ(trace.nodes, 120);
  EXPECT_EQ(trace.skipped, 2U);
  ASSERT_EQ(trace.jobs.size(), 2U);
  EXPECT_EQ(trace.jobs[0].procs, 4);
  EXPECT_EQ(trace.jobs[0].walltime, Duration(300'000'000));
  EXPECT_EQ(trace.jobs[0].mem_mib, 8);
  EXPECT_EQ(trace.users.name(trace.jobs[0].user), "7");
  EXPECT_EQ(trace.queues.name(trace.jobs[0].queue), "3");
  EXPECT_EQ(trace.jobs[1].id, "4");
  EXPECT_EQ(trace.jobs[1].submit, Duration(7'500'000));
  EXPECT_EQ(trace.jobs[1].runtime, Duration(0));
  EXPECT_EQ(trace.jobs[1].procs, 16);
  EXPECT_EQ(trace.jobs[1].walltime, kUnbounded);
  EXPECT_EQ(trace.jobs[1].mem_mib, 16);
  EXPECT_EQ(trace.users.name(trace.jobs[1].user), "default");
}

TEST(Swf, written_log_reads_back_equal) {
  const Trace trace =
      swf_of("; MaxProcs: 8\n1 0 -1 100 -1 -1 -1 4 300 1024 -1 7 -1 -1 3 -1 -1 -1\n2 5.5 -1 0 -1 -1 -1 1 -1 -1 -1 -1 -1 -1 3 -1 -1 -1\n");
  EXPECT_EQ(swf_of(swf_text(trace, {})), trace);
}

TEST(Swf, outcomes_fill_wait_run_time_and_status) {
  const Trace trace = testing::jobs("a,1,10,,2\nb,2,10,5,1\nc,3,10,,9\n");
  const std::string text = swf_text(trace, {{.start = Duration(4'000'000), .end = Duration(14'000'000), .succeeded = true},
                                            {.start = Duration(2'000'000), .end = Duration(7'000'000), .succeeded = false},
                                            {}});
  EXPECT_EQ(text,
            "; Version: 2.2\n"
            "1 1 3 10 2 -1 -1 2 -1 -1 1 -1 -1 -1 -1 -1 -1 -1\n"
            "2 2 0 5 1 -1 -1 1 5 -1 0 -1 -1 -1 -1 -1 -1 -1\n"
            "3 3 -1 10 9 -1 -1 9 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1\n");
}

TEST(Trace, compressed_file_reads_like_the_plain_one) {
  const std::string text = "job_id,submit_s,runtime_s,procs\na,0,1,1\n";
  const std::string packed = gzipped(text);
  TextInput input = TextInput::over("trace.csv", packed);
  EXPECT_EQ(read_trace_csv(input).value(), trace_of(text));
}

}  // namespace
}  // namespace trainyard::sim
