#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <chrono>

#include "apps/cli/command_line.h"
#include "base/describe.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

struct SubmitOptions {
  std::string file;
  std::vector<std::string> command;
  std::string name;
  std::string cpu;
  std::string memory;
  std::int64_t tasks = 1;
  std::string queue;
  std::int64_t priority = 0;
  std::int64_t retry = 0;
  std::string limit;
  std::string key;
  bool wait = false;
  bool follow = false;
};

Document command_spec(const SubmitOptions& options) {
  Document spec = Document::object();
  Document command = Document::array();
  for (const std::string& word : options.command) command.push(word);
  spec.set("command", std::move(command));
  if (!options.name.empty()) spec.set("name", options.name);
  if (options.tasks != 1) spec.set("tasks", options.tasks);
  if (!options.queue.empty()) spec.set("queue", options.queue);
  if (options.priority != 0) spec.set("priority", options.priority);
  Document resources;
  if (!options.cpu.empty()) resources.set("cpu", options.cpu);
  if (!options.memory.empty()) resources.set("memory", options.memory);
  if (!resources.is_null()) spec.set("resources", std::move(resources));
  if (options.retry != 0) spec.set("retry", Document::object()).set("user", options.retry);
  if (!options.limit.empty()) spec.set("limits", Document::object()).set("attempt", options.limit);
  return spec;
}

Result<Document> send_submit(client::ApiClient& api, const SubmitOptions& options) {
  if (options.file.empty()) return api.post_text("/api/v1/jobs", to_json(command_spec(options)), "application/json", options.key);
  ASSIGN_OR_RETURN(std::string text, options.file == "-" ? read_file("/dev/stdin", 1 << 20) : read_file(options.file, 1 << 20));
  return api.post_text("/api/v1/jobs?file=" + net::percent_encode(options.file), std::move(text), "application/yaml", options.key);
}

Result<Document> wait_for_end(client::ApiClient& api, const std::string& id) {
  for (;;) {
    ASSIGN_OR_RETURN(Document job, api.get("/api/v1/jobs/" + id + "?wait=30"));
    const std::string& state = job["state"].text();
    if (state == "SUCCEEDED" || state == "FAILED" || state == "CANCELLED" || state == "TIMED_OUT") return job;
  }
}

int code_of_ended_job(const std::string& state, const Document& exit_code) {
  if (state == "SUCCEEDED") return kOk;
  const std::int64_t code = exit_code.as_int().value_or(0);
  return code != 0 ? static_cast<int>(code) : kFailed;
}

/// Prints the log and returns the job's own exit code at its end.
Result<int> follow_log(client::ApiClient& api, const std::string& id, const std::string& query, bool prefix) {
  int code = kOk;
  Result<void> followed =
      api.follow("/api/v1/jobs/" + id + "/logs" + query, [&](const std::string&, const std::string& event, const std::string& data) {
        const Result<Document> value = parse_json(data);
        if (!value.ok()) return true;
        if (event == "end") {
          code = code_of_ended_job((*value)["state"].text(), (*value)["exit_code"]);
          return false;
        }
        const std::string& text = (*value)["text"].text();
        if (prefix) fmt::print("[{}] ", (*value)["rank"].as_int().value_or(0));
        fmt::print((*value)["stream"].text() == "stderr" ? stderr : stdout, "{}", text);
        std::fflush(stdout);
        return true;
      });
  if (!followed.ok()) return std::move(followed).error();
  return code;
}

/// `job submit job.yaml`: the file was meant, not a program of that name.
bool is_spec_file(const std::vector<std::string>& command) {
  const auto ends_with = [&command](std::string_view ending) { return command.size() == 1 && command.front().ends_with(ending); };
  return ends_with(".yaml") || ends_with(".yml") || ends_with(".json");
}

void submit(CommandContext& context, const SubmitOptions& options) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  const Result<Document> job = api.ok() ? send_submit(**api, options) : Result<Document>(api.error());
  if (!job.ok()) return options.wait || options.follow ? context.fail_own(job.error()) : context.fail(job.error());
  const std::string id = (*job)["id"].text();
  if (options.follow) {
    const Result<int> code = follow_log(**api, id, "?follow=1", false);
    return code.ok() ? void(context.exit_code = *code) : context.fail_own(code.error());
  }
  if (options.wait) {
    const Result<Document> ended = wait_for_end(**api, id);
    if (!ended.ok()) return context.fail_own(ended.error());
    context.exit_code = code_of_ended_job((*ended)["state"].text(), (*ended)["exit_code"]);
    if (!context.quiet) fmt::print(stderr, "job {} {}: {}\n", id, (*ended)["state"].text(), (*ended)["reason"].text());
    return;
  }
  if (context.quiet) return fmt::print("{}\n", id);
  print(context, *job, [&id](const Document& shown) { return fmt::format("job {} {}\n", id, shown["state"].text()); });
}

void list(CommandContext& context, std::int64_t limit) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<Document> page = (*api)->get(fmt::format("/api/v1/jobs?limit={}", limit));
  if (!page.ok()) return context.fail(page.error());
  std::vector<std::vector<std::string>> rows;
  for (const Document& job : (*page)["jobs"].items()) {
    rows.push_back({job["id"].text(), job["name"].text(), job["kind"].text(), job["state"].text(), to_json(job["attempt"]),
                    age(job["submitted_at"].text()), job["reason"].text()});
  }
  print_list(context, *page, {"ID", "NAME", "KIND", "STATE", "ATTEMPT", "SUBMITTED", "REASON"}, rows);
}

/// Runs `act` with a connection and the selected job's id.
void with_job(CommandContext& context, const std::string& selector,
              const std::function<void(client::ApiClient&, const std::string&)>& act) {
  Result<std::unique_ptr<client::ApiClient>> api = context.connect();
  if (!api.ok()) return context.fail(api.error());
  const Result<std::string> id = resolve_job(**api, selector);
  if (!id.ok()) return context.fail(id.error());
  act(**api, *id);
}

void get(CommandContext& context, const std::string& selector) {
  with_job(context, selector, [&context](client::ApiClient& api, const std::string& id) {
    const Result<Document> job = api.get("/api/v1/jobs/" + id);
    if (!job.ok()) return context.fail(job.error());
    print(context, *job, to_yaml);
  });
}

void logs(CommandContext& context, const std::string& selector, bool follow, std::int64_t rank) {
  with_job(context, selector, [&context, follow, rank](client::ApiClient& api, const std::string& id) {
    std::string query = follow ? "?follow=1" : "?follow=0";
    if (rank >= 0) query += fmt::format("&rank={}", rank);
    const Result<int> code = follow_log(api, id, query, false);
    if (!code.ok()) return context.fail_own(code.error());
    if (follow) context.exit_code = *code;
  });
}

void cancel(CommandContext& context, const std::string& selector) {
  with_job(context, selector, [&context](client::ApiClient& api, const std::string& id) {
    const Result<Document> job = api.post("/api/v1/jobs/" + id + "/cancel", Document::object());
    if (!job.ok()) return context.fail(job.error());
    print(context, *job, [&id](const Document& shown) { return fmt::format("job {} {}\n", id, shown["state"].text()); });
  });
}

void wait(CommandContext& context, const std::string& selector) {
  with_job(context, selector, [&context](client::ApiClient& api, const std::string& id) {
    const Result<Document> job = wait_for_end(api, id);
    if (!job.ok()) return context.fail_own(job.error());
    context.exit_code = code_of_ended_job((*job)["state"].text(), (*job)["exit_code"]);
    print(context, *job,
          [&id](const Document& shown) { return fmt::format("job {} {}: {}\n", id, shown["state"].text(), shown["reason"].text()); });
  });
}

std::string explanation_text(const Document& shown) {
  const std::string& state = shown["state"].text();
  const std::string code = shown["code"].text() == state ? "" : shown["code"].text() + ": ";
  std::string text = fmt::format("{}: {}{}\n", state, code, shown["text"].text());
  if (const Document* start = shown.find("promised_start")) text += fmt::format("Starts no later than {}.\n", start->text());
  if (const Document* start = shown.find("planned_start")) {
    text += fmt::format("Expected to start about {}, if others run as long as their users' last jobs.\n", start->text());
  }
  std::string fixes;
  for (const Document& fix : shown["fix"].items()) {
    if (fix.find("to") != nullptr) fixes += fmt::format("  {:<9} {}\n", fix["dimension"].text(), fix["text"].text());
  }
  if (const Document* error = shown.find("fix_error")) text += error->text() + "\n";
  if (!fixes.empty()) text += "Any one of these would start it now:\n" + fixes;
  return text;
}

void explain(CommandContext& context, const std::string& selector) {
  with_job(context, selector, [&context](client::ApiClient& api, const std::string& id) {
    const Result<Document> reason = api.get("/api/v1/jobs/" + id + "/explain");
    if (!reason.ok()) return context.fail(reason.error());
    print(context, *reason, explanation_text);
  });
}

void add_submit(CLI::App& job, CommandContext& context) {
  auto options = std::make_shared<SubmitOptions>();  // shared: CLI11 keeps callbacks by copy
  CLI::App* command = job.add_subcommand("submit", "Submit a job: a spec file, or a command after --");
  command->add_option("-f,--file", options->file, "Spec as YAML or JSON; - reads standard input");
  command->add_option("--name", options->name, "Name for people");
  command->add_option("--cpu", options->cpu, "CPU of one task, as 2 or 500m");
  command->add_option("--memory", options->memory, "Memory of one task, as 512MiB");
  command->add_option("--tasks", options->tasks, "Ranks of the gang");
  command->add_option("--queue", options->queue, "Queue to wait in");
  command->add_option("--priority", options->priority, "Higher comes first within the queue");
  command->add_option("--retry", options->retry, "Restarts after a failure of the program");
  command->add_option("--time-limit", options->limit, "Longest time of one attempt, as 1h30m");
  command->add_option("--idempotency-key", options->key, "The same key again answers with the same job");
  command->add_flag("--wait", options->wait, "Wait for the end and exit with the job's code");
  command->add_flag("--follow", options->follow, "Print the log until the end and exit with the job's code");
  command->add_option("command", options->command, "Command and arguments");
  command->callback([&context, options] {
    if (options->file.empty() == options->command.empty()) {
      return context.fail(invalid_argument("cli.usage", "give either --file or a command: trainyard job submit -- echo hello"));
    }
    if (is_spec_file(options->command)) {
      const std::string& file = options->command.front();
      return context.fail(invalid_argument("cli.usage", "this looks like a spec, not a program: trainyard job submit -f " + file));
    }
    submit(context, *options);
  });
  add_examples(*command, {"trainyard job submit --follow -- sh -c 'echo hello from $RANK'",
                          "trainyard job submit --tasks 2 --cpu 500m --wait -- ./train.sh", "trainyard job submit -f job.yaml"});
}

}  // namespace

void add_job_commands(CLI::App& app, CommandContext& context) {
  CLI::App* job = app.add_subcommand("job", "Submit, list, follow and cancel jobs");
  job->require_subcommand(1);
  add_submit(*job, context);

  auto limit = std::make_shared<std::int64_t>(50);  // shared: CLI11 keeps callbacks by copy
  CLI::App* ls = job->add_subcommand("ls", "List jobs, newest first");
  ls->add_option("--limit", *limit, "How many")->check(CLI::Range(1, 1000));
  ls->callback([&context, limit] { list(context, *limit); });
  add_examples(*ls, {"trainyard job ls", "trainyard job ls -q --limit 5"});

  const auto add_selected = [&](const std::string& name, const std::string& doc, void (*act)(CommandContext&, const std::string&)) {
    auto selector = std::make_shared<std::string>("last");  // shared: CLI11 keeps callbacks by copy
    CLI::App* command = job->add_subcommand(name, doc);
    CLI::Option* option = command->add_option("job", *selector, "Job id, or last (the default)");
    // What cannot be taken back is not done to a job that nobody named.
    if (name == "cancel") option->required()->description("Job id, or last");
    command->callback([&context, selector, act] { act(context, *selector); });
    add_examples(*command, {fmt::format("trainyard job {} 17", name), fmt::format("trainyard job {} last", name)});
  };
  add_selected("get", "Show everything about a job", get);
  add_selected("cancel", "Ask a job to stop", cancel);
  add_selected("wait", "Wait for the end and exit with the job's code", wait);
  add_selected("explain", "Why is it not running?", explain);

  struct LogOptions {
    std::string selector = "last";
    bool follow = false;
    std::int64_t rank = -1;
  };
  auto options = std::make_shared<LogOptions>();  // shared: CLI11 keeps callbacks by copy
  CLI::App* command = job->add_subcommand("logs", "Print the log of a job");
  command->add_option("job", options->selector, "Job id, or last");
  command->add_flag("-f,--follow", options->follow, "Go on until the job ends and exit with its code");
  command->add_option("--rank", options->rank, "Only this rank");
  command->callback([&context, options] { logs(context, options->selector, options->follow, options->rank); });
  add_examples(*command, {"trainyard job logs -f last", "trainyard job logs 17 --rank 1"});
}

}  // namespace trainyard::apps
