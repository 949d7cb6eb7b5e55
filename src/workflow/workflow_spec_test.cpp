#include "workflow/workflow_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trainyard::workflow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kKinds{"job", "gate", "register"};

Result<WorkflowSpec> parse(const std::string& yaml) {
  Result<Document> document = parse_yaml(yaml, "flow.yaml");
  if (!document.ok()) return document.error();
  return workflow_spec_from(*document, kKinds);
}

/// The error of a workflow that must not pass.
Error refusal(const std::string& yaml) {
  const Result<WorkflowSpec> spec = parse(yaml);
  EXPECT_FALSE(spec.ok()) << yaml;
  return spec.ok() ? Error{} : spec.error();
}

TEST(WorkflowSpec, tasks_keep_the_order_of_the_file_and_wait_for_named_and_referenced_tasks) {
  const Result<WorkflowSpec> spec = parse(R"(workflow: flow
tasks:
  train: {after: [ingest], job: {config: {rate: "${tasks.tune.result.rate}", more: ["x ${tasks.ingest.job_id}"]}}}
  ingest: {job: {}}
  tune: {after: ingest, job: {}}
)");
  ASSERT_TRUE(spec.ok()) << spec.error().describe();
  EXPECT_EQ(spec->name, "flow");
  ASSERT_EQ(spec->tasks.size(), 3u);
  EXPECT_EQ(spec->tasks[0].name, "train");
  EXPECT_EQ(spec->tasks[0].kind, "job");
  EXPECT_THAT(spec->tasks[0].after, ElementsAre("ingest", "tune"));
  EXPECT_TRUE(spec->tasks[1].after.empty());
  EXPECT_THAT(spec->find("tune")->after, ElementsAre("ingest"));
  EXPECT_EQ(spec->find("none"), nullptr);
}

TEST(WorkflowSpec, unknown_key_is_refused_with_the_nearest_one_and_its_position) {
  const Error error = refusal("workflow: w\ntaks:\n  a: {job: {}}\n");
  EXPECT_EQ(error.id, "spec.unknown_key");
  EXPECT_THAT(error.message, HasSubstr("did you mean \"tasks\"?"));
  EXPECT_THAT(error.where, HasSubstr("flow.yaml:2:"));
}

TEST(WorkflowSpec, unknown_kind_is_refused_with_the_nearest_one_and_its_position) {
  const Error error = refusal("workflow: w\ntasks:\n  a: {jbo: {}}\n");
  EXPECT_EQ(error.id, "workflow.kind");
  EXPECT_THAT(error.message, HasSubstr("did you mean \"job\"?"));
  EXPECT_THAT(error.where, HasSubstr("flow.yaml:3:"));
}

TEST(WorkflowSpec, task_of_no_or_two_kinds_is_refused) {
  EXPECT_EQ(refusal("workflow: w\ntasks:\n  a: {}\n").id, "workflow.kind");
  const Error two = refusal("workflow: w\ntasks:\n  a: {job: {}, gate: {}}\n");
  EXPECT_EQ(two.id, "workflow.kind");
  EXPECT_THAT(two.message, HasSubstr("two kinds, job and gate"));
  EXPECT_EQ(refusal("workflow: w\ntasks:\n  a: 5\n").id, "spec.type");
}

TEST(WorkflowSpec, two_tasks_of_one_name_are_refused) {
  const Error error = refusal("workflow: w\ntasks:\n  a: {job: {}}\n  a: {gate: {}}\n");
  EXPECT_EQ(error.id, "document.duplicate_key");
  EXPECT_THAT(error.where + error.message, HasSubstr("4"));
}

TEST(WorkflowSpec, workflow_without_a_name_or_tasks_is_refused) {
  EXPECT_EQ(refusal("tasks: {a: {job: {}}}\n").id, "document.missing");
  EXPECT_EQ(refusal("workflow: w\n").id, "workflow.empty");
  EXPECT_EQ(refusal("workflow: w\ntasks: {}\n").id, "workflow.empty");
  EXPECT_EQ(refusal("workflow: w\ntasks: [a]\n").id, "workflow.empty");
  EXPECT_EQ(refusal("- a\n").id, "spec.type");
}

TEST(WorkflowSpec, upstream_that_does_not_exist_is_refused_where_it_is_named) {
  const Error error = refusal("workflow: w\ntasks:\n  ingest: {job: {}}\n  train:\n    job: {}\n    after:\n      - ingset\n");
  EXPECT_EQ(error.id, "workflow.unknown_task");
  EXPECT_THAT(error.message, HasSubstr("no task is called \"ingset\"; did you mean \"ingest\"?"));
  EXPECT_THAT(error.where, HasSubstr("flow.yaml:7:"));
  EXPECT_EQ(refusal("workflow: w\ntasks:\n  a: {after: {b: 1}, job: {}}\n").id, "spec.type");
}

TEST(WorkflowSpec, reference_to_a_task_that_does_not_exist_is_refused_where_it_stands) {
  const Error error =
      refusal("workflow: w\ntasks:\n  tune: {job: {}}\n  train:\n    job:\n      config:\n        rate: \"${tasks.tnue.result.rate}\"\n");
  EXPECT_EQ(error.id, "workflow.unknown_task");
  EXPECT_THAT(error.message, HasSubstr("did you mean \"tune\"?"));
  EXPECT_THAT(error.where, HasSubstr("flow.yaml:7:"));
}

TEST(WorkflowSpec, reference_that_names_no_task_is_refused_before_anything_runs) {
  for (const char* text : {"${HOME}", "${tasks.}", "${tasks..x}", "${}", "${tasks.a.result"}) {
    const Error error = refusal(std::string("workflow: w\ntasks:\n  a: {job: {}}\n  b:\n    job: {x: \"") + text + "\"}\n");
    EXPECT_EQ(error.id, "workflow.reference") << text;
    EXPECT_THAT(error.where, HasSubstr("flow.yaml:5:")) << text;
  }
}

TEST(WorkflowSpec, name_that_a_reference_or_a_key_cannot_hold_is_refused) {
  // "tune/trial-0" would share its key with the first trial of "tune"; "a.b" could never be referred to.
  for (const char* name : {"tune/trial-0", "a.b", "a b", "\"\"", "\"a}\""}) {
    EXPECT_EQ(refusal(std::string("workflow: w\ntasks:\n  ") + name + ": {job: {}}\n").id, "workflow.task_name") << name;
  }
  EXPECT_TRUE(parse("workflow: w\ntasks:\n  a-b_C9: {job: {}}\n").ok());
}

TEST(WorkflowSpec, cycle_is_printed) {
  const Error error = refusal(R"(workflow: w
tasks:
  start: {job: {}}
  a: {after: [start, c], job: {}}
  b: {after: a, job: {}}
  c: {job: {x: "${tasks.b.result.x}"}}
)");
  EXPECT_EQ(error.id, "workflow.cycle");
  EXPECT_THAT(error.message, HasSubstr("a -> c -> b -> a"));
  EXPECT_EQ(error.message.find("start"), std::string::npos);
}

TEST(WorkflowSpec, task_that_waits_for_itself_is_a_cycle) {
  EXPECT_THAT(refusal("workflow: w\ntasks:\n  a: {after: a, job: {}}\n").message, HasSubstr("a -> a"));
  EXPECT_EQ(refusal("workflow: w\ntasks:\n  a: {job: {x: \"${tasks.a.result}\"}}\n").id, "workflow.cycle");
}

TEST(WorkflowSpec, diamond_is_no_cycle_and_the_longest_chain_passes) {
  EXPECT_TRUE(
      parse("workflow: w\ntasks: {a: {job: {}}, b: {after: a, job: {}}, c: {after: a, job: {}}, d: {after: [b, c], job: {}}}\n").ok());
  std::string chain = "workflow: w\ntasks:\n  t0: {job: {}}\n";
  for (std::size_t i = 1; i < kTasksMax; ++i) chain += "  t" + std::to_string(i) + ": {after: t" + std::to_string(i - 1) + ", job: {}}\n";
  EXPECT_TRUE(parse(chain).ok());
  EXPECT_EQ(refusal(chain + "  last: {job: {}}\n").id, "workflow.too_large");
}

const Document& outputs() {
  static const Document document = parse_json(R"({"tune":{"result":{"rate":0.1,"best":{"width":16},"name":"wide"},"job_id":"7"},
                                                  "train":{"ready_url":"http://h:1"}})")
                                       .value();
  return document;
}

Result<Document> resolved(const std::string& json) { return resolve_references(parse_json(json).value(), outputs()); }

TEST(References, whole_reference_becomes_the_value_with_its_type) {
  EXPECT_EQ(to_json(*resolved(R"({"a":"${tasks.tune.result.rate}","b":["${tasks.tune.result.best}"],"c":7,"d":null})")),
            R"({"a":0.1,"b":[{"width":16}],"c":7,"d":null})");
}

TEST(References, reference_inside_a_text_is_written_into_it) {
  EXPECT_EQ(to_json(*resolved(R"("${tasks.train.ready_url}/v2?w=${tasks.tune.result.best.width}&r=${tasks.tune.result.rate}")")),
            R"("http://h:1/v2?w=16&r=0.1")");
  EXPECT_EQ(to_json(*resolved(R"("${tasks.tune.result.name}${tasks.tune.job_id}")")), R"("wide7")");
  EXPECT_EQ(to_json(*resolved(R"("no reference, $5 and {x}")")), R"("no reference, $5 and {x}")");
}

TEST(References, text_that_a_value_holds_is_not_resolved_again) {
  const Document sly = parse_json(R"({"a":{"result":"${tasks.b.secret}"},"b":{"secret":"s"}})").value();
  EXPECT_EQ(resolve_references(Document("${tasks.a.result}"), sly)->text(), "${tasks.b.secret}");
  EXPECT_EQ(resolve_references(Document("x${tasks.a.result}"), sly)->text(), "x${tasks.b.secret}");
}

TEST(References, figure_that_is_missing_is_named_with_what_there_is) {
  const Result<Document> missing = resolved(R"({"value":"${tasks.tune.result.accuracy}"})");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().id, "workflow.reference");
  EXPECT_EQ(missing.error().where, "/value");
  EXPECT_THAT(missing.error().message, HasSubstr("there is no \"accuracy\"; there is: rate, best, name"));
  EXPECT_FALSE(resolved(R"("${tasks.tune.result.rate.deeper}")").ok());
  EXPECT_FALSE(resolved(R"("${tasks.none.result}")").ok());
  EXPECT_FALSE(resolved(R"("a ${tasks.tune.result")").ok());
}

TEST(References, positions_survive_resolution) {
  const Document body = parse_yaml("a:\n  - b: \"${tasks.tune.result.rate}\"\n    c: 5\n", "f.yaml").value();
  const Document out = resolve_references(body, outputs()).value();
  EXPECT_THAT(out["a"].items()[0]["c"].where(), HasSubstr("f.yaml:3:"));
  EXPECT_EQ(out["a"].where(), body["a"].where());
  EXPECT_EQ(out["a"].items()[0].where(), body["a"].items()[0].where());
}

TEST(WorkflowDirectory, directory_is_filled_in_everywhere_and_positions_stay) {
  const Document source =
      parse_yaml("a: \"${workflow.directory}/x:${workflow.directory}\"\nb: [\"${workflow.directory}\"]\nc: 5\n", "f.yaml").value();
  const Document out = resolve_directory(source, "/data").value();
  EXPECT_EQ(to_json(out), R"({"a":"/data/x:/data","b":["/data"],"c":5})");
  EXPECT_EQ(out["a"].where(), source["a"].where());
}

TEST(WorkflowDirectory, directory_that_is_needed_and_unknown_is_an_error_at_its_place) {
  const Result<Document> out = resolve_directory(parse_yaml("a:\n  b: \"${workflow.directory}/x\"\n", "f.yaml").value(), "");
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(out.error().id, "workflow.directory");
  EXPECT_THAT(out.error().where, HasSubstr("f.yaml:2:"));
  EXPECT_TRUE(resolve_directory(parse_json(R"({"a":"x"})").value(), "").ok());
}

TEST(WorkflowDirectory, directory_that_looks_like_the_reference_is_filled_in_once) {
  EXPECT_EQ(resolve_directory(Document("${workflow.directory}/x"), "/d/${workflow.directory}")->text(), "/d/${workflow.directory}/x");
}

}  // namespace
}  // namespace trainyard::workflow
