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

void expect_faults(const std::vector<BadSpec>& corpus) {
  for (const BadSpec& bad : corpus) {
    const Result<JobSpec> spec = spec_from_yaml(bad.text);
    ASSERT_FALSE(spec.ok()) << bad.text;
    EXPECT_EQ(spec.error().id, bad.id) << bad.text << spec.error().describe();
    EXPECT_EQ(spec.error().where, bad.where) << bad.text << spec.error().describe();
    EXPECT_NE(spec.error().message.find(bad.message_part), std::string::npos) << bad.text << spec.error().describe();
    EXPECT_EQ(spec.error().category, Category::kInvalidArgument) << bad.text;
  }
}

// The corpus of faults that people make, each with the place they are shown.
TEST(JobSpec, faulty_spec_is_refused_with_the_id_and_the_place_of_the_fault) {
  const std::vector<BadSpec> corpus{
      {"", "spec.type", "job.yaml", "a job spec is an object"},
      {"just text", "spec.type", "job.yaml:1:1", "found the text \"just text\""},
      {"- a\n- b\n", "spec.type", "job.yaml:1:1", "found a list"},
      {"kind: command\n", "spec.command", "job.yaml:1:1", "needs a command"},
      {"name: x\ncommand: []\n", "spec.command", "job.yaml:2:1", "needs a command"},
      {"command: echo hello\n", "spec.type", "job.yaml:1:1",
       "command must be a list of texts, found the text \"echo hello\"; write [\"echo\", \"hello\"]"},
      {"command: [echo, 1]\n", "spec.type", "job.yaml:1:17", "command"},
      {"command:\n- echo\n- \"a\\0b\"\n", "spec.command", "job.yaml:1:1", "NUL"},
      {"command: [x]\ncomand: [x]\n", "spec.unknown_key", "job.yaml:2:1", "did you mean \"command\"?"},
      {"command: [x]\ntasks: 0\n", "spec.range", "job.yaml:2:1", "tasks must lie between 1 and 4096: 0"},
      {"command: [x]\ntasks: 4097\n", "spec.range", "job.yaml:2:1", "4097"},
      {"command: [x]\ntasks: two\n", "spec.type", "job.yaml:2:1", "tasks"},
      {"command: [x]\ntasks: 1.5\n", "spec.type", "job.yaml:2:1",
       "tasks must be a whole number, found the number 1.5; write a whole number, like 2"},
      {"command: [x]\ntasks: '3'\n", "spec.type", "job.yaml:2:1", "write 3 without quotes"},
      {"command: [x]\nlabels: {'': x}\n", "spec.labels", "job.yaml:2:1", "a label has a name"},
      {"command: [x]\nclass: daemon\n", "spec.choice", "job.yaml:2:1", "batch, service"},
      {"command: [x]\nname: 7\n", "spec.type", "job.yaml:2:1", "name"},
      {"command: [x]\nresources:\n  cpu: lots\n", "spec.cpu", "job.yaml:3:3", "lots"},
      {"command: [x]\nresources:\n  cpu: -1\n", "spec.range", "job.yaml:3:3", "cpu"},
      {"command: [x]\nresources:\n  memory: 2GiBs\n", "spec.byte_size", "job.yaml:3:3", "2GiBs"},
      {"command: [x]\nresources:\n  memory: -1\n", "spec.range", "job.yaml:3:3", "memory"},
      {"command: [x]\nresources:\n  cpus: 1\n", "spec.unknown_key", "job.yaml:3:3", "did you mean \"cpu\"?"},
      {"command: [x]\nresources: 2\n", "spec.type", "job.yaml:2:1", "resources must be an object, found the integer 2"},
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
  expect_faults(corpus);
}

TEST(JobSpec, faulty_life_cycle_is_refused_with_the_id_and_the_place_of_the_fault) {
  expect_faults({
      {"command: [x]\nnamespace: Team_A\n", "spec.namespace", "job.yaml:2:1", "Team_A"},
      {"command: [x]\nnamespace: ''\n", "spec.namespace", "job.yaml:2:1", "letter"},
      {"command: [x]\nnamespace: a-\n", "spec.namespace", "job.yaml:2:1", "a-"},
      {"command: [x]\nnamespace: " + std::string(64, 'n') + "\n", "spec.namespace", "job.yaml:2:1", "63"},
      {"command: [x]\nafter: 12\n", "spec.type", "job.yaml:2:1", "a list"},
      {"command: [x]\nafter: [\"12:never\"]\n", "spec.after", "job.yaml:2:9", "12:never"},
      {"command: [x]\nafter: [x]\n", "spec.after", "job.yaml:2:9", "job id"},
      {"command: [x]\nafter: [0]\n", "spec.after", "job.yaml:2:9", "\"0\""},
      {"command: [x]\nafter: [-3]\n", "spec.after", "job.yaml:2:9", "-3"},
      {"command: [x]\nafter:\n- {when: any}\n", "spec.missing_key", "job.yaml:3:3", "job"},
      {"command: [x]\nafter:\n- {job: 3, when: sometimes}\n", "spec.choice", "job.yaml:3:12", "ok, any, failed"},
      {"command: [x]\nafter:\n- {job: 0}\n", "spec.range", "job.yaml:3:4", "job must lie"},
      {"command: [x]\nafter: [4, \"4:any\"]\n", "spec.after", "job.yaml:2:12", "twice"},
      {"command: [x]\narray: {count: 0}\n", "spec.range", "job.yaml:2:9", "count must lie"},
      {"command: [x]\narray: {count: 100001}\n", "spec.range", "job.yaml:2:9", "100001"},
      {"command: [x]\narray: {max_running: 4}\n", "spec.missing_key", "job.yaml:2:1", "count"},
      {"command: [x]\narray: {count: 1, size: 4}\n", "spec.unknown_key", "job.yaml:2:19", "count"},
      {"command: [x]\narray: 1-9\n", "spec.array", "job.yaml:2:1", "start at 0"},
      {"command: [x]\narray: 0-9%\n", "spec.array", "job.yaml:2:1", "0-9%"},
      {"command: [x]\narray: 0-100000\n", "spec.array", "job.yaml:2:1", "100000"},
      {"command: [x]\narray: all\n", "spec.array", "job.yaml:2:1", "0-1999"},
      {"command: [x]\nclass: service\narray: 0-3\n", "spec.array", "job.yaml:3:1", "service"},
      {"command: [x]\nhold: maybe\n", "spec.type", "job.yaml:2:1", "hold"},
      {"command: [x]\npriority: 1000001\n", "spec.range", "job.yaml:2:1", "priority"},
      {"command: [x]\nlimits:\n  step: often\n", "spec.duration", "job.yaml:3:3", "often"},
      {"command: [x]\nretry:\n  memory_factor: 0.5\n", "spec.range", "job.yaml:3:3", "memory_factor"},
      {"command: [x]\nresources:\n  memory: 5\n", "spec.memory_small", "job.yaml:3:3", "5GiB"},
      {"command: [x]\nretry:\n  memory_max: 1MiB\n", "spec.memory_max", "job.yaml:3:3", "below the request"},
  });
}

TEST(JobSpec, dependencies_are_read_in_each_of_their_forms) {
  const JobSpec spec = spec_from_yaml("command: [x]\nafter: [1, '2', '3:any', {job: '4', when: failed}, {job: 5}]").value();
  const std::vector<JobDependency> expected{{1, "ok"}, {2, "ok"}, {3, "any"}, {4, "failed"}, {5, "ok"}};
  EXPECT_EQ(spec.after, expected);
  EXPECT_EQ(job_spec_from(encode(spec)).value().after, expected);
}

TEST(JobSpec, array_is_read_in_each_of_its_forms) {
  const auto array_of = [](const std::string& text) { return spec_from_yaml("command: [x]\narray: " + text).value().array; };
  EXPECT_EQ(array_of("0-1999%64"), (JobArray{2000, 64}));
  EXPECT_EQ(array_of("0-9"), (JobArray{10, 0}));
  EXPECT_EQ(array_of("'0'"), (JobArray{1, 0}));
  EXPECT_EQ(array_of("{count: 100000, max_running: 7}"), (JobArray{100'000, 7}));
  const JobSpec single = spec_from_yaml("command: [x]").value();
  EXPECT_EQ(job_spec_from(encode(single)).value().array, std::nullopt) << "what was encoded with its defaults can be submitted again";
}

TEST(JobSpec, life_cycle_fields_are_read) {
  const JobSpec spec =
      spec_from_yaml("command: [x]\nnamespace: team-a\nhold: true\nlimits: {step: 5m}\nretry: {memory_factor: 2, memory_max: 8GiB}")
          .value();
  EXPECT_EQ(spec.name_space, "team-a");
  EXPECT_TRUE(spec.hold);
  EXPECT_EQ(spec.limits.step, 5min);
  EXPECT_EQ(spec.retry.memory_factor, 2);
  EXPECT_EQ(spec.retry.memory_max.bytes, 8LL << 30);
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
