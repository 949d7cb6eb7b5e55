#include "apps/cli/job_submit.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/arguments.h"
#include "apps/cli/following.h"
#include "apps/cli/outage.h"
#include "apps/cli/resources.h"
#include "apps/cli/selectors.h"
#include "base/file.h"
#include "base/rng.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kSpecMax = std::size_t{1} << 20;

Result<Document> map_of(const std::vector<std::string>& words, std::string_view option) {
  Document map = Document::object();
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid_argument("cli.usage", fmt::format("{} takes KEY=VALUE: {}", option, word), "trainyard job submit --help");
    }
    map.set(word.substr(0, equals), word.substr(equals + 1));
  }
  return map;
}

void set_text(Document& spec, std::string_view key, const std::string& text) {
  if (!text.empty()) spec.set(key, text);
}

/// The options that describe the job; a file says all of it itself.
const std::vector<std::string>& spec_options() {
  static const std::vector<std::string> names{"name",  "cpu",        "memory", "gpu",   "tasks", "queue", "namespace", "priority",
                                              "retry", "time-limit", "array",  "after", "hold",  "label", "env"};
  return names;
}

/// `job submit job.yaml`: the file was meant, not a program of that name.
bool is_spec_file(const std::vector<std::string>& command) {
  const auto ends_with = [&command](std::string_view ending) { return command.size() == 1 && command.front().ends_with(ending); };
  return ends_with(".yaml") || ends_with(".yml") || ends_with(".json");
}

Result<void> check_use(const Arguments& arguments) {
  const std::vector<std::string> command = arguments.all("command");
  const auto usage = [](std::string message) { return invalid_argument("cli.usage", std::move(message)); };
  if (arguments.given("file") == !command.empty()) {
    return usage("give either --file or a command: trainyard job submit -- echo hello");
  }
  if (is_spec_file(command)) return usage("this looks like a spec, not a program: trainyard job submit -f " + command.front());
  if (!arguments.given("file")) return {};
  for (const std::string& name : spec_options()) {
    if (arguments.given(name)) return usage(fmt::format("the file describes the job: write this into it: --{}", name));
  }
  return {};
}

/// `--after last` and the like: the server knows ids alone.
Result<void> name_dependencies(CommandContext& context, Document& spec) {
  Document named = Document::array();
  for (const Document& item : spec["after"].items()) {
    const std::string& text = item.text();
    const std::size_t colon = std::min(text.find(':'), text.size());
    const bool is_id = text.find_first_not_of("0123456789") >= colon;
    if (is_id) {
      named.push(item);
      continue;
    }
    ASSIGN_OR_RETURN(client::ApiClient* const api, context.api());
    ASSIGN_OR_RETURN(const std::string id, resolve_job(*api, text.substr(0, colon)));
    named.push(id + text.substr(colon));
  }
  if (!named.items().empty()) spec.set("after", std::move(named));
  return {};
}

Result<SpecText> spec_of(CommandContext& context, const Arguments& arguments) {
  if (!arguments.given("file")) {
    ASSIGN_OR_RETURN(Document spec, command_spec(context.config, arguments));
    TRY(name_dependencies(context, spec));
    return SpecText{"", to_json(spec)};
  }
  const std::string file = arguments.text("file");
  SpecText spec{file == "-" ? "<stdin>" : file, ""};
  ASSIGN_OR_RETURN(spec.text, read_file(file == "-" ? "/dev/stdin" : file, kSpecMax));
  context.remember_source(spec.name, spec.text);
  return spec;
}

/// A fault in a spec that was made of options is a fault of the option.
Error at_option(Error error) {
  static constexpr std::pair<std::string_view, std::string_view> kOptions[] = {
      {"/resources/cpu", "--cpu"}, {"/resources/memory", "--memory"},
      {"/resources/gpu", "--gpu"}, {"/tasks", "--tasks"},
      {"/queue", "--queue"},       {"/namespace", "--namespace"},
      {"/priority", "--priority"}, {"/retry/user", "--retry"},
      {"/array", "--array"},       {"/limits/attempt", "--time-limit"},
      {"/after", "--after"},       {"/labels", "--label"},
      {"/env", "--env"},           {"/name", "--name"}};
  for (const auto& [pointer, option] : kOptions) {
    const bool is_it = error.where == pointer || error.where.starts_with(std::string(pointer) + "/");
    if (is_it) error.where = option;
  }
  return error;
}

std::string submitted_text(const Document& job) { return fmt::format("job {} {}\n", job["id"].text(), job["state"].text()); }

/// What to say of a job that was waited for, on stderr: stdout is for its output.
void report_end(const CommandContext& context, const Document& job) {
  if (context.output.quiet) return;
  if (!is_for_people(context.output)) return print_item(context, job, jobs_view(), submitted_text);
  fmt::print(stderr, "job {} {}: {}\n", job["id"].text(), job["state"].text(), job["reason"].text());
}

void wait_for_submitted(CommandContext& context, const Document& job, Duration patience) {
  const std::string id = job["id"].text();
  if (context.output.quiet) write_out(stdout, id + "\n");
  const InterruptHint hint(fmt::format("job {0} goes on: `trainyard job wait {0}`", id));
  const Result<Document> ended = wait_for_end(context, id, patience, std::nullopt);
  if (!ended.ok()) return context.fail_own(ended.error());
  context.exit_code = code_of_ended_job((*ended)["state"].text(), (*ended)["exit_code"]);
  report_end(context, *ended);
}

void follow_submitted(CommandContext& context, const Document& job, Duration patience) {
  const std::string id = job["id"].text();
  const InterruptHint hint(fmt::format("job {0} goes on: `trainyard job logs -f {0}`", id));
  if (job["array"].is_object()) {
    fmt::print(stderr, "job {0} is an array without a log of its own; `trainyard job logs {0}` prints those of its elements\n", id);
    return wait_for_submitted(context, job, patience);
  }
  const bool gang = job["spec"]["tasks"].as_int().value_or(1) > 1;
  Result<LogPrinter> printer = LogPrinter::make({.rank_prefix = gang}, [](const std::string& stream, std::string_view text) {
    write_out(stream == "stdout" ? stdout : stderr, text);
  });
  const Result<LogEnd> end =
      printer.ok() ? follow_log(context, {.job = id, .follow = true}, *printer, patience) : Result<LogEnd>(printer.error());
  if (!end.ok()) return context.fail_own(end.error());
  context.exit_code = code_of_ended_job(end->state, end->exit_code);
}

}  // namespace

Result<Document> command_spec(const Config& config, const Arguments& arguments) {
  Document spec = Document::object();
  Document command = Document::array();
  for (const std::string& word : arguments.all("command")) command.push(word);
  spec.set("command", std::move(command));
  set_text(spec, "name", arguments.text("name"));
  set_text(spec, "queue", arguments.given("queue") ? arguments.text("queue") : config.value("queue").value);
  set_text(spec, "namespace", arguments.given("namespace") ? arguments.text("namespace") : config.value("namespace").value);
  set_text(spec, "array", arguments.text("array"));
  if (arguments.given("tasks")) spec.set("tasks", arguments.number("tasks"));
  if (arguments.given("priority")) spec.set("priority", arguments.number("priority"));
  if (arguments.given("hold")) spec.set("hold", true);
  Document resources;
  for (const char* key : {"cpu", "memory", "gpu"}) set_text(resources, key, arguments.text(key));
  if (!resources.is_null()) spec.set("resources", std::move(resources));
  if (arguments.given("retry")) spec.set("retry", Document::object({{"user", arguments.number("retry")}}));
  if (arguments.given("time-limit")) spec.set("limits", Document::object({{"attempt", arguments.text("time-limit")}}));
  Document after;
  for (const std::string& job : arguments.all("after")) after.push(job);
  if (!after.is_null()) spec.set("after", std::move(after));
  for (const auto& [option, key] : {std::pair("label", "labels"), std::pair("env", "env")}) {
    if (!arguments.given(option)) continue;
    ASSIGN_OR_RETURN(Document map, map_of(arguments.all(option), "--" + std::string(option)));
    spec.set(key, std::move(map));
  }
  return spec;
}

Result<Document> send_spec(CommandContext& context, const SpecText& spec, const SendSettings& settings) {
  std::string target = settings.target;
  const auto add = [&target](const std::string& part) { target += (target.find('?') == std::string::npos ? "?" : "&") + part; };
  if (!spec.name.empty()) add("file=" + net::percent_encode(spec.name));
  if (settings.dry_run) add("dry_run=1");
  // With a key the request may be sent again when its answer was lost: the server makes one job of it.
  const std::string key = settings.dry_run ? "" : settings.key.empty() ? secure_random_hex(16) : settings.key;
  Outage outage(settings.patience);
  const bool is_json = spec.name.empty() || spec.name.ends_with(".json");
  Result<client::ApiClient*> api = context.api();
  for (bool answer_lost = false;;) {
    if (!api.ok() && !answer_lost) return api.error();
    Result<Document> answer = api.ok() ? (*api)->post_text(target, spec.text, is_json ? "application/json" : "application/yaml", key)
                                       : Result<Document>(api.error());
    if (answer.ok()) return answer;
    answer_lost = answer_lost || answer.error().id == "net.closed";
    if (!answer_lost || settings.dry_run || !outage.wait_after(answer.error())) return answer;
    api = context.reconnect();
  }
}

std::string plan_text(const Document& answer) {
  const Document& plan = answer["plan"];
  if (plan["starts_now"].as_bool().value_or(false)) {
    std::string where;
    for (const Document& place : plan["placement"].items())
      where += (where.empty() ? "" : ", ") + cell("", place["node"].is_null() ? place : place["node"]);
    return fmt::format("would start now{}{}\n", where.empty() ? "" : " on ", where);
  }
  const Document& why = plan["explanation"];
  std::string text = fmt::format("would wait: {}{}{}\n", why["code"].text(), why["code"].text().empty() ? "" : ": ", why["text"].text());
  for (const Document& fix : why["fix"].items())
    text += fmt::format("  starts now with: {} {}\n", fix["dimension"].text(), fix["text"].text());
  return text;
}

Result<void> print_plan(const CommandContext& context, const Document& answer) {
  if (answer.find("plan") == nullptr) {
    return Error{Category::kUnimplemented,
                 "cli.no_dry_run",
                 fmt::format("the server does not know dry runs, it took the job: {}", answer["id"].text()),
                 {},
                 {}};
  }
  print(context, answer, plan_text);
  return {};
}

void submit_job(CommandContext& context, const Arguments& arguments) {
  const bool returns_code = arguments.given("wait") || arguments.given("follow");
  if (const Result<void> use = check_use(arguments); !use.ok()) return context.fail(use.error());
  const auto fail = [&context, returns_code](const Error& error) { returns_code ? context.fail_own(error) : context.fail(error); };
  const Result<SpecText> spec = spec_of(context, arguments);
  if (!spec.ok()) return fail(spec.error());
  const Duration patience = reconnect_time(context, arguments);
  const Result<Document> job =
      send_spec(context, *spec, {.key = arguments.text("idempotency-key"), .dry_run = arguments.given("dry-run"), .patience = patience});
  if (!job.ok()) return fail(arguments.given("file") ? job.error() : at_option(job.error()));
  if (arguments.given("dry-run")) {
    if (const Result<void> shown = print_plan(context, *job); !shown.ok()) context.fail(shown.error());
    return;
  }
  if (arguments.given("follow")) return follow_submitted(context, *job, patience);
  if (arguments.given("wait")) return wait_for_submitted(context, *job, patience);
  print_item(context, *job, jobs_view(), submitted_text);
}

Duration reconnect_time(const CommandContext& context, const Arguments& arguments) {
  if (arguments.given("reconnect-for")) return arguments.duration("reconnect-for");
  return parse_duration(context.config.value("reconnect_for").value).value_or(std::chrono::minutes(5));
}

}  // namespace trainyard::apps
