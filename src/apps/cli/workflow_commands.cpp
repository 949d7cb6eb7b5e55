#include <fmt/format.h>

#include "apps/cli/arguments.h"
#include "apps/cli/command_line.h"
#include "apps/cli/resources.h"
#include "apps/cli/workflow_view.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

/// Which tasks failed and why, and where to look further. On stderr, so that it is seen whatever the format of the output is.
void explain_failure(const Document& run) {
  for (const Document& task : run["tasks"].items()) {
    if (task["state"].text() != "FAILED") continue;
    const std::string& job = task["output"]["job_id"].text();
    fmt::print(stderr, "error: task {}: {}{}\n", task["name"].text(), task["reason"].text(),
               job.empty() ? "" : fmt::format("; its log: `trainyard job logs {}`", job));
  }
}

void watch_to_the_end(CommandContext& context, client::ApiClient& api, const std::string& id) {
  const Result<Document> ended = watch_workflow(api, id, {style_of_output(), {}});
  if (!ended.ok()) return context.fail(ended.error());
  print(context, *ended, workflow_table);
  if ((*ended)["state"].text() == "SUCCEEDED") return;
  explain_failure(*ended);
  context.exit_code = kFailed;
}

void run(CommandContext& context, const Arguments& arguments) {
  const std::string file = arguments.text("file");
  Result<std::string> text = read_file(file, 1 << 20);
  if (!text.ok()) return context.fail(std::move(text).error().with_context("reading the workflow; name a YAML file"));
  context.remember_source(file, *text);
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> run = start_workflow(**api, file, std::move(text).value());
  if (!run.ok()) return context.fail(run.error());
  if (arguments.given("detach")) {
    return print_item(context, *run, workflows_view(),
                      [](const Document& shown) { return fmt::format("workflow run {} {}\n", shown["id"].text(), shown["state"].text()); });
  }
  watch_to_the_end(context, **api, (*run)["id"].text());
}

void watch(CommandContext& context, const Arguments& arguments) {
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  watch_to_the_end(context, **api, net::percent_encode(arguments.text("run")));
}

void list(CommandContext& context, const Arguments& arguments) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> page =
      api.ok() ? fetch_list(**api, "/api/v1/workflows", "workflows", arguments.number("limit")) : Result<Document>(api.error());
  if (!page.ok()) return context.fail(page.error());
  print_list(context, *page, workflows_view());
}

void get(CommandContext& context, const Arguments& arguments) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> run =
      api.ok() ? (*api)->get("/api/v1/workflows/" + net::percent_encode(arguments.text("run"))) : Result<Document>(api.error());
  if (!run.ok()) return context.fail(run.error());
  print_item(context, *run, workflows_view(), workflow_table);
}

void cancel(CommandContext& context, const Arguments& arguments) {
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> run =
      api.ok() ? (*api)->remove("/api/v1/workflows/" + net::percent_encode(arguments.text("run"))) : Result<Document>(api.error());
  if (!run.ok()) return context.fail(run.error());
  print_item(context, *run, workflows_view(), workflow_table);
}

CommandSpec selected(const std::string& name, const std::string& summary, CommandHandler handler) {
  return {.path = "workflow " + name,
          .summary = summary,
          .arguments = {{.name = "run", .doc = "Id of the workflow run", .required = true, .names = Names::kWorkflow}},
          .examples = {{fmt::format("trainyard workflow {} 3", name), ""}},
          .exits = exits_with_server(),
          .run = handler};
}

}  // namespace

std::vector<CommandSpec> workflow_commands() {
  return {
      {.path = "workflow", .summary = "Run graphs of tasks"},
      {.path = "workflow run",
       .summary = "Run a workflow file and watch it to the end; ^C leaves the run going",
       .arguments = {{.name = "file", .doc = "Workflow as YAML or JSON", .required = true, .names = Names::kFile}},
       .options = {{.name = "detach", .letter = 'd', .doc = "Do not watch: print the run's id and leave"}},
       .examples = {{"trainyard workflow run examples/fashion-mnist/pipeline.yaml", ""},
                    {"trainyard workflow run -d -q pipeline.yaml", ""}},
       .exits = exits_with_server(),
       .run = run},
      {.path = "workflow ls",
       .summary = "List runs, newest first",
       .options =
           {{.name = "limit", .value = "N", .doc = "How many", .preset = "50", .type = ValueType::kInteger, .min = 1, .max = 1'000'000}},
       .examples = {{"trainyard workflow ls", ""}},
       .exits = exits_with_server(),
       .run = list},
      selected("get", "Show a run and its tasks", get),
      selected("watch", "Watch a run to its end", watch),
      selected("cancel", "Cancel a run and its jobs", cancel),
  };
}

}  // namespace trainyard::apps
