#include "domain/job_spec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trainyard {
namespace {

using namespace std::chrono_literals;

Result<JobSpec> spec_from_yaml(const std::string& text) {
  ASSIGN_OR_RETURN(const Document document, parse_yaml(text, "job.yaml"));
  return job_spec_from(document);
}

TEST(JobSpec, shortest_spec_gets_the_documented_defaults) {
  const JobSpec spec = spec_from_yaml("command: [sleep, '1']").value();
  EXPECT_EQ(spec.kind, "command");
  EXPECT_EQ(spec.name, "sleep");
  EXPECT_EQ(spec.job_class, "batch");
  EXPECT_EQ(spec.tasks, 1);
  EXPECT_EQ(spec.resources.resources(), (Resources{1000, 512LL << 20, 0}));
  EXPECT_EQ(spec.limits.queue, 0s);
  EXPECT_EQ(spec.limits.total, 0s);
  EXPECT_EQ(spec.limits.grace, 30s);
  EXPECT_EQ(spec.retry.user, 0);
  EXPECT_EQ(spec.retry.oom, 1);
  EXPECT_EQ(spec.retry.node_lost, 5);
  EXPECT_EQ(spec.retry.infrastructure, 3);
  EXPECT_EQ(spec.retry.backoff_base, 1s);
  EXPECT_EQ(spec.retry.backoff_cap, 60s);
  EXPECT_EQ(spec.checkpoint_every, 60s);
}

TEST(JobSpec, full_spec_is_read_and_encodes_to_what_reads_back_equal) {
  const std::string text =
      "kind: train\n"
      "name: train-final\n"
      "class: service\n"
      "tasks: 4\n"
      "resources: {cpu: 900m, memory: 2GiB, gpu: 1}\n"
      "env: {OMP_NUM_THREADS: 2, DEBUG: true}\n"
      "inputs: {data: fashion@3/curated}\n"
      "outputs: {model: fashion/raw}\n"
      "config: {epochs: 2, lr: 0.1, nested: {deep: [1, x, null]}}\n"
      "limits: {queue: 1h, total: 2h, attempt: 90m, no_progress: 5m, grace: 10s}\n"
      "retry: {user: 1, oom: 2, node_lost: 3, infrastructure: 4, backoff_base: 500ms, backoff_cap: 2m}\n"
      "checkpoint_every: 30s\n"
      "labels: {team: vision}\n";
  const JobSpec spec = spec_from_yaml(text).value();
  EXPECT_EQ(spec.tasks, 4);
  EXPECT_EQ(spec.env.at("OMP_NUM_THREADS"), "2");
  EXPECT_EQ(spec.env.at("DEBUG"), "true");
  EXPECT_EQ(spec.resources.resources(), (Resources{900, 2LL << 30, 1000}));
  EXPECT_EQ(spec.limits.attempt, 90min);
  EXPECT_EQ(spec.retry.backoff_base, 500ms);
  const Document encoded = encode(spec);
  const JobSpec back = job_spec_from(parse_json(to_json(encoded)).value()).value();
  EXPECT_EQ(encode(back), encoded);
}

TEST(JobSpec, kind_other_than_command_needs_no_command_and_lends_its_name) {
  EXPECT_EQ(spec_from_yaml("kind: curate").value().name, "curate");
  EXPECT_EQ(spec_from_yaml("{kind: curate, name: mine}").value().name, "mine");
}

struct BadSpec {
  std::string text;
  std::string id;
  std::string where;
  std::string message_part;
};

// The corpus of faults that people make, each with the place they are shown.
TEST(JobSpec, faulty_spec_is_refused_with_the_id_and_the_place_of_the_fault) {
  const std::vector<BadSpec> corpus{
      {"", "spec.type", "job.yaml", "a job spec is an object"},
      {"just text", "spec.type", "job.yaml:1:1", "found a string"},
      {"- a\n- b\n", "spec.type", "job.yaml:1:1", "found a list"},
      {"kind: command\n", "spec.command", "job.yaml:1:1", "needs a command"},
      {"name: x\ncommand: []\n", "spec.command", "job.yaml:2:1", "needs a command"},
      {"command: echo hello\n", "spec.type", "job.yaml:1:1", "command must be a list of strings, found a string"},
      {"command: [echo, 1]\n", "spec.type", "job.yaml:1:17", "command"},
      {"command:\n- echo\n- \"a\\0b\"\n", "spec.command", "job.yaml:1:1", "NUL"},
      {"command: [x]\ncomand: [x]\n", "spec.unknown_key", "job.yaml:2:1", "did you mean \"command\"?"},
      {"command: [x]\ntasks: 0\n", "spec.range", "job.yaml:2:1", "tasks must lie between 1 and 4096: 0"},
      {"command: [x]\ntasks: 4097\n", "spec.range", "job.yaml:2:1", "4097"},
      {"command: [x]\ntasks: two\n", "spec.type", "job.yaml:2:1", "tasks"},
      {"command: [x]\ntasks: 1.5\n", "spec.type", "job.yaml:2:1", "tasks"},
      {"command: [x]\nclass: daemon\n", "spec.choice", "job.yaml:2:1", "batch, service"},
      {"command: [x]\nname: 7\n", "spec.type", "job.yaml:2:1", "name"},
      {"command: [x]\nresources:\n  cpu: lots\n", "spec.cpu", "job.yaml:3:3", "lots"},
      {"command: [x]\nresources:\n  cpu: -1\n", "spec.range", "job.yaml:3:3", "cpu"},
      {"command: [x]\nresources:\n  memory: 2GiBs\n", "spec.byte_size", "job.yaml:3:3", "2GiBs"},
      {"command: [x]\nresources:\n  memory: -1\n", "spec.range", "job.yaml:3:3", "memory"},
      {"command: [x]\nresources:\n  cpus: 1\n", "spec.unknown_key", "job.yaml:3:3", "did you mean \"cpu\"?"},
      {"command: [x]\nresources: 2\n", "spec.type", "job.yaml:2:1", "expected an object"},
      {"command: [x]\nlimits:\n  total: 90\n", "spec.type", "job.yaml:3:3", "total"},
      {"command: [x]\nlimits:\n  total: soon\n", "spec.duration", "job.yaml:3:3", "soon"},
      {"command: [x]\nlimits:\n  total: -5s\n", "spec.duration", "job.yaml:3:3", "-5s"},
      {"command: [x]\nretry:\n  user: -1\n", "spec.range", "job.yaml:3:3", "user must lie between 0 and 1000"},
      {"command: [x]\nretry:\n  users: 1\n", "spec.unknown_key", "job.yaml:3:3", "did you mean \"user\"?"},
      {"command: [x]\nenv: [A=1]\n", "spec.type", "job.yaml:2:1", "env"},
      {"command: [x]\nenv:\n  A: [1]\n", "spec.type", "job.yaml:3:3", "env"},
      {"command: [x]\nlabels:\n  a: {b: c}\n", "spec.type", "job.yaml:3:3", "labels"},
      {"command: [x]\ncheckpoint_every: often\n", "spec.duration", "job.yaml:2:1", "often"},
      {"command: [x]\ncommand: [y]\n", "document.duplicate_key", "job.yaml:2:1", "twice"},
      {"command: [x]\nenv: {\"A=B\": x}\n", "spec.env", "job.yaml:2:1", "A=B"},
      {"command: [x]\nenv: {\"\": x}\n", "spec.env", "job.yaml:2:1", "without '='"},
      {"command: [x]\nname: " + std::string(257, 'n') + "\n", "spec.name", "job.yaml:2:1", "256"},
      {"command: [x\n", "yaml.malformed", "job.yaml:2:1", ""},
  };
  for (const BadSpec& bad : corpus) {
    const Result<JobSpec> spec = spec_from_yaml(bad.text);
    ASSERT_FALSE(spec.ok()) << bad.text;
    EXPECT_EQ(spec.error().id, bad.id) << bad.text << spec.error().describe();
    EXPECT_EQ(spec.error().where, bad.where) << bad.text << spec.error().describe();
    EXPECT_NE(spec.error().message.find(bad.message_part), std::string::npos) << bad.text << spec.error().describe();
    EXPECT_EQ(spec.error().category, Category::kInvalidArgument) << bad.text;
  }
}

TEST(JobSpec, config_is_bounded_in_depth_since_it_travels_inside_other_documents) {
  const auto nested = [](std::size_t levels) {
    const std::string config = std::string(levels, '[') + std::string(levels, ']');
    return job_spec_from(parse_json(R"({"command":["x"],"config":)" + config + "}").value());
  };
  EXPECT_TRUE(nested(32).ok());
  EXPECT_EQ(nested(33).error().id, "document.too_deep");
  EXPECT_EQ(nested(33).error().where, "/config");
}

TEST(JobSpec, fault_in_json_is_placed_by_its_pointer) {
  const Document document = parse_json(R"({"command":["x"],"retry":{"oom":-1}})").value();
  EXPECT_EQ(job_spec_from(document).error().where, "/retry/oom");
}

}  // namespace
}  // namespace trainyard
