#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
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
  std::fflush(stdout);
  explain_failure(*ended);
  context.exit_code = kFailed;
}

void run(CommandContext& context, const std::string& file, bool detach) {
  Result<std::string> text = read_file(file, 1 << 20);
  if (!text.ok()) return context.fail(std::move(text).error().with_context("reading the workflow; name a YAML file"));
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> run = start_workflow(**api, file, std::move(text).value());
  if (!run.ok()) return context.fail(run.error());
  if (detach) {
    if (context.quiet) return fmt::print("{}\n", (*run)["id"].text());
    return print(context, *run,
                 [](const Document& shown) { return fmt::format("workflow run {} {}\n", shown["id"].text(), shown["state"].text()); });
  }
  watch_to_the_end(context, **api, (*run)["id"].text());
}

void watch(CommandContext& context, const std::string& id) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  watch_to_the_end(context, **api, net::percent_encode(id));
}

void list(CommandContext& context) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> page = (*api)->get("/api/v1/workflows");
  if (!page.ok()) return context.fail(page.error());
  std::vector<std::vector<std::string>> rows;
  for (const Document& item : (*page)["workflows"].items()) {
    rows.push_back({item["id"].text(), item["workflow"].text(), item["state"].text(), age(item["created_at"].text())});
  }
  print_list(context, *page, {"ID", "WORKFLOW", "STATE", "CREATED"}, rows);
}

void get(CommandContext& context, const std::string& id) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> run = (*api)->get("/api/v1/workflows/" + net::percent_encode(id));
  if (!run.ok()) return context.fail(run.error());
  print(context, *run, workflow_table);
}

void cancel(CommandContext& context, const std::string& id) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> run = (*api)->remove("/api/v1/workflows/" + net::percent_encode(id));
  if (!run.ok()) return context.fail(run.error());
  print(context, *run, workflow_table);
}

}  // namespace

void add_workflow_commands(CLI::App& app, CommandContext& context) {
  CLI::App* workflow = app.add_subcommand("workflow", "Run graphs of tasks");
  workflow->require_subcommand(1);

  struct RunOptions {
    std::string file;
    bool detach = false;
  };
  auto options = std::make_shared<RunOptions>();  // shared: CLI11 keeps callbacks by copy
  CLI::App* command = workflow->add_subcommand("run", "Run a workflow file and watch it to the end; ^C leaves the run going");
  command->add_option("file", options->file, "Workflow as YAML or JSON")->required();
  command->add_flag("-d,--detach", options->detach, "Do not watch: print the run's id and leave");
  command->callback([&context, options] { run(context, options->file, options->detach); });
  add_examples(*command, {"trainyard workflow run examples/fashion-mnist/pipeline.yaml", "trainyard workflow run -d -q pipeline.yaml"});

  CLI::App* ls = workflow->add_subcommand("ls", "List runs, newest first");
  ls->callback([&context] { list(context); });
  add_examples(*ls, {"trainyard workflow ls"});
  const auto add_selected = [&](const std::string& name, const std::string& doc, void (*act)(CommandContext&, const std::string&)) {
    auto id = std::make_shared<std::string>();  // shared: CLI11 keeps callbacks by copy
    CLI::App* selected = workflow->add_subcommand(name, doc);
    selected->add_option("run", *id, "Id of the workflow run")->required();
    selected->callback([&context, id, act] { act(context, *id); });
    add_examples(*selected, {fmt::format("trainyard workflow {} 3", name)});
  };
  add_selected("get", "Show a run and its tasks", get);
  add_selected("watch", "Watch a run to its end", watch);
  add_selected("cancel", "Cancel a run and its jobs", cancel);
}

}  // namespace trainyard::apps
