#include <gtest/gtest.h>

#include "sim/machine.h"
#include "sim/schedule.h"
#include "sim/testing/workloads.h"
#include "sim/trace.h"

// Every malformed or hostile text is refused with the file, the line and the reason; none is skipped in silence.

namespace trainyard::sim {
namespace {

enum class Reader { kTrace, kSwf, kCluster, kSchedule };

struct BadInput {
  const char* name;
  Reader reader;
  std::string text;
  const char* id;
  const char* where;
  const char* says;
};

Error error_of(const BadInput& bad) {
  TextInput input = TextInput::over("f", bad.text);
  const auto answer = [](auto result) {
    return result.ok() ? Error{Category::kUnknown, "accepted", "", "", {}} : std::move(result).error();
  };
  switch (bad.reader) {
    case Reader::kTrace:
      return answer(read_trace_csv(input));
    case Reader::kSwf:
      return answer(read_swf(input));
    case Reader::kCluster:
      return answer(read_cluster_csv(input));
    case Reader::kSchedule:
      return answer(read_schedule_csv(input));
  }
  return {};
}

const std::string kHead = "job_id,submit_s,runtime_s,walltime_s,procs,gpus,mem_mb,user,queue,priority\n";

/// A trace whose second job is this row.
std::string row(const std::string& second) { return kHead + "a,0,1,,1,,,,,\n" + second + "\n"; }

std::string extra(const std::string& columns, const std::string& values) {
  return "job_id,submit_s,runtime_s,procs,gpus," + columns + "\na,0,1,4,2," + values + "\n";
}

std::string swf(const std::string& record) { return "; MaxProcs: 8\n1 0 0 10 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1\n" + record + "\n"; }

std::vector<BadInput> bad_traces() {
  return {
      {"empty file", Reader::kTrace, "", "trace.header", "f:1", "no header"},
      {"comments alone", Reader::kTrace, "# one\n# two\n", "trace.header", "f:3", "no header"},
      {"header alone", Reader::kTrace, kHead, "trace.empty", "f", "no job"},
      {"missing column", Reader::kTrace, "job_id,submit_s,procs\na,0,1\n", "trace.header", "f:1", "runtime_s is missing"},
      {"column twice", Reader::kTrace, "job_id,submit_s,runtime_s,procs,procs\n", "trace.header", "f:1", "twice"},
      {"header in wrong case", Reader::kTrace, "Job_ID,submit_s,runtime_s,procs\na,0,1,1\n", "trace.header", "f:1", "job_id is missing"},
      {"too few fields", Reader::kTrace, row("b,0,1"), "trace.truncated", "f:3", "3 fields, 10 columns"},
      {"too many fields", Reader::kTrace, row("b,0,1,,1,,,,,,,"), "trace.truncated", "f:3", "12 fields, 10 columns"},
      {"cut in the last line", Reader::kTrace, kHead + "a,0,1,,1,,,,,\nb,0,", "trace.truncated", "f:3", "cut off"},
      {"blank id", Reader::kTrace, row(",0,1,,1,,,,,"), "trace.field", "f:3", "must not be blank: job_id"},
      {"blank procs", Reader::kTrace, row("b,0,1,,,,,,,"), "trace.field", "f:3", "must not be blank: procs"},
      {"negative submit", Reader::kTrace, row("b,-1,1,,1,,,,,"), "trace.field", "f:3", "submit_s is \"-1\""},
      {"negative runtime", Reader::kTrace, row("b,0,-0.5,,1,,,,,"), "trace.field", "f:3", "cannot be negative"},
      {"walltime zero", Reader::kTrace, row("b,0,1,0,1,,,,,"), "trace.field", "f:3", "more than 0"},
      {"negative walltime", Reader::kTrace, row("b,0,1,-5,1,,,,,"), "trace.field", "f:3", "walltime_s is \"-5\""},
      {"NaN", Reader::kTrace, row("b,nan,1,,1,,,,,"), "trace.field", "f:3", "decimal number of seconds"},
      {"infinity", Reader::kTrace, row("b,0,inf,,1,,,,,"), "trace.field", "f:3", "runtime_s is \"inf\""},
      {"1e400", Reader::kTrace, row("b,0,1e400,,1,,,,,"), "trace.field", "f:3", "beyond any trace"},
      {"absurd time", Reader::kTrace, row("b,99999999999,1,,1,,,,,"), "trace.field", "f:3", "beyond any trace"},
      {"time with a unit", Reader::kTrace, row("b,0,10s,,1,,,,,"), "trace.field", "f:3", "\"10s\""},
      {"time with a blank", Reader::kTrace, row("b, 0,1,,1,,,,,"), "trace.field", "f:3", "\" 0\""},
      {"no processors", Reader::kTrace, row("b,0,1,,0,,,,,"), "trace.field", "f:3", "at least 1"},
      {"negative processors", Reader::kTrace, row("b,0,1,,-4,,,,,"), "trace.field", "f:3", "procs is \"-4\""},
      {"half a processor", Reader::kTrace, row("b,0,1,,1.5,,,,,"), "trace.field", "f:3", "whole number"},
      {"10^9 processors", Reader::kTrace, row("b,0,1,,1000000000,,,,,"), "trace.field", "f:3", "absurdly large"},
      {"more processors than 64 bits", Reader::kTrace, row("b,0,1,,99999999999999999999,,,,,"), "trace.field", "f:3", "absurdly large"},
      {"negative GPUs", Reader::kTrace, row("b,0,1,,1,-1,,,,"), "trace.field", "f:3", "gpus is \"-1\""},
      {"absurd memory", Reader::kTrace, row("b,0,1,,1,,9000000000000000,,,"), "trace.field", "f:3", "mem_mb"},
      {"priority in words", Reader::kTrace, row("b,0,1,,1,,,,,high"), "trace.field", "f:3", "priority is \"high\""},
      {"absurd priority", Reader::kTrace, row("b,0,1,,1,,,,,9223372036854775807"), "trace.field", "f:3", "priority"},
      {"user that is no UTF-8", Reader::kTrace, row("b,0,1,,1,,,\xff\xfe,,"), "trace.field", "f:3", "UTF-8: user is \"\\xff\\xfe\""},
      {"control character in an id", Reader::kTrace, row("b\x1b[31m,0,1,,1,,,,,"), "trace.field", "f:3", "control characters"},
      {"semicolon in an id", Reader::kTrace, row("b;c,0,1,,1,,,,,"), "trace.field", "f:3", "semicolon"},
      {"id twice", Reader::kTrace, row("a,0,1,,1,,,,,"), "trace.duplicate_id", "f:3", "\"a\" is also on line 2"},
      {"unsorted", Reader::kTrace, kHead + "a,5,1,,1,,,,,\nb,4,1,,1,,,,,\n", "trace.unsorted", "f:3", "at 4 s, the one before it at 5 s"},
      {"NUL byte", Reader::kTrace, kHead + std::string("a,0,1,,1,\0,,,,\n", 15), "sim.nul_byte", "f:2", "NUL"},
      {"open quote", Reader::kTrace, row("\"b,0,1,,1,,,,,"), "sim.open_quote", "f:3", "closing quote"},
      {"quote inside a field", Reader::kTrace, row("b\"\",0,1,,1,,,,,"), "trace.quoting", "f:3", "unquoted field"},
      {"text after a quote", Reader::kTrace, row("\"b\"x,0,1,,1,,,,,"), "trace.quoting", "f:3", "follows a closing quote"},
      {"one endless line", Reader::kTrace, kHead + std::string(2'000'000, 'x'), "sim.record_too_long", "f:2", "bytes"},
      {"binary", Reader::kTrace,
       std::string("\x7f"
                   "ELF\x02\x01\x01\0\0\0",
                   10),
       "sim.nul_byte", "f:1", "not text"},
      {"unequal members", Reader::kTrace, extra("nodes", "3"), "trace.field", "f:2", "divide evenly"},
      {"share of several devices", Reader::kTrace, extra("gpu_milli", "500"), "trace.field", "f:2", "needs gpus = 1"},
      {"share of more than a device", Reader::kTrace, extra("gpu_milli", "1001"), "trace.field", "f:2", "from 1 to 1000"},
      {"least above asked", Reader::kTrace, extra("min_procs", "5"), "trace.field", "f:2", "at most procs"},
      {"most below asked", Reader::kTrace, extra("max_procs", "3"), "trace.field", "f:2", "at least procs"},
      {"preemptible in words", Reader::kTrace, extra("preemptible", "yes"), "trace.field", "f:2", "0 or 1"},
      {"negative checkpoint interval", Reader::kTrace, extra("ckpt_interval_s", "-1"), "trace.field", "f:2", "ckpt_interval_s"},
      {"weight that is no number", Reader::kTrace, extra("weight", "heavy"), "trace.field", "f:2", "weight"},
      {"infinite weight", Reader::kTrace, extra("weight", "1e999"), "trace.field", "f:2", "weight"},
      {"unknown dependency", Reader::kTrace, extra("depends_on", "zz"), "trace.unknown_dependency", "f:2", "\"zz\" of job \"a\""},
      {"job that waits for itself", Reader::kTrace, extra("depends_on", "a"), "trace.cyclic_dependency", "f:2", "circle"},
      {"circle of dependencies", Reader::kTrace,
       "job_id,submit_s,runtime_s,procs,depends_on\na,0,1,1,\nb,0,1,1,d;a\nc,0,1,1,b\nd,0,1,1,c\n", "trace.cyclic_dependency", "f:3",
       "\"b\""},
      {"empty dependency", Reader::kTrace, extra("depends_on", "a;;a"), "trace.unknown_dependency", "f:2", "\"\""},
  };
}

std::vector<BadInput> bad_logs() {
  return {
      {"cut record", Reader::kSwf, swf("2 5 0 10 2 -1"), "trace.truncated", "f:3", "6 fields, not 18"},
      {"long record", Reader::kSwf, swf("2 5 0 10 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1 99"), "trace.truncated", "f:3", "19 fields"},
      {"CSV taken for SWF", Reader::kSwf, "job_id,submit_s\na,0\n", "trace.truncated", "f:1", "1 fields"},
      {"negative submit", Reader::kSwf, swf("2 -1 0 10 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1"), "trace.field", "f:3",
       "submit time (2) is \"-1\""},
      {"very negative submit", Reader::kSwf, swf("2 -77 0 10 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1"), "trace.field", "f:3",
       "-1 stands for unknown"},
      {"run time in words", Reader::kSwf, swf("2 5 0 ten 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1"), "trace.field", "f:3",
       "run time (4) is \"ten\""},
      {"10^9 processors", Reader::kSwf, swf("2 5 0 10 1000000000 -1 -1 -1 20 -1 1 1 1 1 1 -1 -1 -1"), "trace.field", "f:3",
       "processors allocated (5)"},
      {"absurd limit", Reader::kSwf, swf("2 5 0 10 2 -1 -1 2 1e300 -1 1 1 1 1 1 -1 -1 -1"), "trace.field", "f:3", "time asked (9)"},
      {"absurd memory", Reader::kSwf, swf("2 5 0 10 90000000 -1 -1 -1 20 999999999999 1 1 1 1 1 -1 -1 -1"), "trace.field", "f:3",
       "memory asked (10)"},
      {"user with a point", Reader::kSwf, swf("2 5 0 10 2 -1 -1 2 20 -1 1 1.5 1 1 1 -1 -1 -1"), "trace.field", "f:3", "user (12)"},
      {"number twice", Reader::kSwf, swf("1 5 0 10 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1"), "trace.duplicate_id", "f:3", "also on line 2"},
      {"unsorted", Reader::kSwf, "1 9 0 1 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1\n2 8 0 1 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1\n",
       "trace.unsorted", "f:2", "--sort"},
      {"nothing usable", Reader::kSwf, "; x\n1 9 0 -1 2 -1 -1 2 20 -1 1 1 1 1 1 -1 -1 -1\n", "trace.empty", "f", "1 records were skipped"},
      {"absurd machine", Reader::kSwf, "; MaxProcs: 999999999999\n", "trace.header", "f:1", "MaxProcs is \"999999999999\""},
      {"NUL byte", Reader::kSwf, std::string("1 0 0 1\0 2\n", 11), "sim.nul_byte", "f:1", "NUL"},
  };
}

std::vector<BadInput> other_bad_files() {
  return {
      {"empty", Reader::kCluster, "", "cluster.empty", "f:1", "describes no node"},
      {"header alone", Reader::kCluster, "node_id,procs\n", "cluster.empty", "f:2", "describes no node"},
      {"no node_id", Reader::kCluster, "name,procs\na,1\n", "cluster.header", "f:1", "node_id is missing"},
      {"procs twice", Reader::kCluster, "node_id,procs,procs\n", "cluster.header", "f:1", "twice"},
      {"cut line", Reader::kCluster, "node_id,procs,gpus\na,1\n", "cluster.truncated", "f:2", "2 fields, 3 columns"},
      {"node twice", Reader::kCluster, "node_id,procs\na,1\na,2\n", "cluster.duplicate_id", "f:3", "line 2"},
      {"no processors", Reader::kCluster, "node_id,procs\na,0\n", "cluster.field", "f:2", "procs is \"0\""},
      {"absurd processors", Reader::kCluster, "node_id,procs\na,1000000000\n", "cluster.field", "f:2", "absurdly large"},
      {"17 GPUs", Reader::kCluster, "node_id,procs,gpus\na,1,17\n", "cluster.field", "f:2", "gpus is \"17\""},
      {"memory in GiB", Reader::kCluster, "node_id,procs,mem_mb\na,1,64G\n", "cluster.field", "f:2", "mem_mb is \"64G\""},
      {"blank name", Reader::kCluster, "node_id,procs\n,1\n", "cluster.field", "f:2", "must not be blank"},
      {"no hosts column", Reader::kSchedule, "job_id,start_s,end_s\n", "schedule.header", "f:1", "hosts is missing"},
      {"cut row", Reader::kSchedule, "job_id,start_s,end_s,hosts\na,0,1\n", "schedule.truncated", "f:2", "3 fields"},
      {"end before start", Reader::kSchedule, "job_id,start_s,end_s,hosts\na,2,1,0\n", "schedule.field", "f:2", "before start_s"},
      {"range backwards", Reader::kSchedule, "job_id,start_s,end_s,hosts\na,0,1,3-1\n", "schedule.field", "f:2", "lower one first"},
      {"host twice", Reader::kSchedule, "job_id,start_s,end_s,hosts\na,0,1,0-3;2\n", "schedule.field", "f:2", "twice"},
      {"hosts in words", Reader::kSchedule, "job_id,start_s,end_s,hosts\na,0,1,all\n", "schedule.field", "f:2", "hosts is \"all\""},
      {"unknown state", Reader::kSchedule, "job_id,start_s,end_s,hosts,state\na,0,1,0,DONE\n", "schedule.field", "f:2", "SUCCEEDED"},
      {"attempt zero", Reader::kSchedule, "job_id,start_s,end_s,hosts,attempt\na,0,1,0,0\n", "schedule.field", "f:2", "attempt"},
  };
}

void expect_refused(const std::vector<BadInput>& inputs) {
  for (const BadInput& bad : inputs) {
    const Error error = error_of(bad);
    EXPECT_EQ(error.id, bad.id) << bad.name << ": " << error.describe();
    EXPECT_EQ(error.where, bad.where) << bad.name << ": " << error.describe();
    EXPECT_NE(error.message.find(bad.says), std::string::npos) << bad.name << ": " << error.describe();
  }
}

TEST(BadInput, traces_are_refused_with_line_and_reason) { expect_refused(bad_traces()); }

TEST(BadInput, logs_are_refused_with_line_and_reason) { expect_refused(bad_logs()); }

TEST(BadInput, clusters_and_schedules_are_refused_with_line_and_reason) { expect_refused(other_bad_files()); }

TEST(BadInput, numbers_of_hosts_beyond_any_cluster_are_refused) {
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1'000'000'000}, std::int64_t{1} << 62}) {
    EXPECT_EQ(equal_hosts(count).error().id, "cluster.hosts") << count;
  }
  EXPECT_EQ(equal_hosts(1, {.procs = 0}).error().id, "cluster.hosts");
  EXPECT_EQ(equal_hosts(1, {.gpus = 17}).error().id, "cluster.hosts");
}

TEST(BadInput, faults_that_cannot_be_read_are_refused) {
  for (const char* text : {"", "3", "3@", "@5", "x@5", "3@5+", "3@5/6", "-1@5", "3@-5", "3@1e400"}) {
    EXPECT_EQ(parse_loss(text).error().id, "sim.fault") << text;
  }
  for (const char* text : {"3@5", "3@5/", "3@5/0", "3@5/x", "3@5/6+x"}) EXPECT_EQ(parse_spot(text).error().id, "sim.fault") << text;
  EXPECT_EQ(parse_loss("3@5+7").value(), (Fault{.node = 3, .at = Duration(5'000'000), .notice = {}, .down = Duration(7'000'000)}));
  EXPECT_EQ(parse_spot("3@5/6+7").value(),
            (Fault{.node = 3, .at = Duration(5'000'000), .notice = Duration(6'000'000), .down = Duration(7'000'000)}));
}

}  // namespace
}  // namespace trainyard::sim
