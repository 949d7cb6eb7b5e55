#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
#include "apps/cli/workflow_view.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

void run(CommandContext& context, const std::string& file, bool detach) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  Result<std::string> text = read_file(file, 1 << 20);
  if (!text.ok()) return context.fail(text.error());
  const Result<Document> run = start_workflow(**api, file, std::move(text).value());
  if (!run.ok()) return context.fail(run.error());
  if (detach) {
    if (context.quiet) return fmt::print("{}\n", (*run)["id"].text());
    return print(context, *run,
                 [](const Document& shown) { return fmt::format("workflow run {} {}\n", shown["id"].text(), shown["state"].text()); });
  }
  const Result<Document> ended = watch_workflow(**api, (*run)["id"].text(), ::isatty(STDOUT_FILENO) == 1);
  if (!ended.ok()) return context.fail(ended.error());
  if ((*ended)["state"].text() != "SUCCEEDED") context.exit_code = kFailed;
  print(context, *ended, workflow_table);
}

void list(CommandContext& context) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> page = (*api)->get("/api/v1/workflows");
  if (!page.ok()) return context.fail(page.error());
  print(context, *page, [](const Document& shown) {
    std::vector<std::vector<std::string>> rows;
    for (const Document& item : shown["workflows"].items()) {
      rows.push_back({item["id"].text(), item["workflow"].text(), item["state"].text(), age(item["created_at"].text())});
    }
    return table({"ID", "WORKFLOW", "STATE", "CREATED"}, rows);
  });
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
  CLI::App* command = workflow->add_subcommand("run", "Run a workflow file and watch it to the end");
  command->add_option("file", options->file, "Workflow as YAML or JSON")->required();
  command->add_flag("-d,--detach", options->detach, "Do not wait");
  command->callback([&context, options] { run(context, options->file, options->detach); });

  workflow->add_subcommand("ls", "List runs, newest first")->callback([&context] { list(context); });
  const auto add_selected = [&](const std::string& name, const std::string& doc, void (*act)(CommandContext&, const std::string&)) {
    auto id = std::make_shared<std::string>();  // shared: CLI11 keeps callbacks by copy
    CLI::App* selected = workflow->add_subcommand(name, doc);
    selected->add_option("run", *id, "Id of the workflow run")->required();
    selected->callback([&context, id, act] { act(context, *id); });
  };
  add_selected("get", "Show a run and its tasks", get);
  add_selected("cancel", "Cancel a run and its jobs", cancel);
}

}  // namespace trainyard::apps
