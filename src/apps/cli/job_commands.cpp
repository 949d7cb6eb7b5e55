#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/arguments.h"
#include "apps/cli/following.h"
#include "apps/cli/gathered_items.h"
#include "apps/cli/job_logs.h"
#include "apps/cli/job_submit.h"
#include "apps/cli/resources.h"
#include "apps/cli/selectors.h"
#include "apps/cli/watch.h"
#include "base/describe.h"
#include "domain/job_state.h"

namespace trainyard::apps {
namespace {

/// What the columns of a list are made of.
const std::string kListedFields =
    "id,name,kind,state,held,attempt,progress,array,array_parent,array_index,submitted_at,queue,priority,owner,namespace,started_at,"
    "ended_at,exit_code,reason";
const std::string kLiveStates = "QUEUED,STARTING,RUNNING,STOPPING";

/// "running,failed" -> "RUNNING,FAILED"; "@live" for its states.
Result<std::string> state_filter(const std::vector<std::string>& words) {
  std::vector<std::string> states;
  for (const std::string& word : words) {
    std::string_view rest = word;
    while (!rest.empty()) {
      const std::string one(rest.substr(0, rest.find(',')));
      rest.remove_prefix(std::min(one.size() + 1, rest.size()));
      std::string upper = one;
      std::transform(upper.begin(), upper.end(), upper.begin(),
                     [](char letter) { return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter; });
      const std::vector<std::string> several = states_of(one);
      states.insert(states.end(), several.begin(), several.end());
      if (several.empty() && !job_state_from(upper)) {
        return invalid_argument(
            "cli.usage", fmt::format("a state is QUEUED, STARTING, RUNNING, STOPPING, SUCCEEDED, FAILED, CANCELLED, TIMED_OUT, or {}: {}",
                                     fmt::join(state_selectors(), ", "), one));
      }
      if (several.empty()) states.push_back(upper);
    }
  }
  return fmt::format("{}", fmt::join(states, ","));
}

Result<std::string> list_target(const CommandContext& context, const Arguments& arguments) {
  Query query;
  ASSIGN_OR_RETURN(const std::string states, state_filter(arguments.all("state")));
  ASSIGN_OR_RETURN(const std::string since, moment(arguments.text("since")));
  ASSIGN_OR_RETURN(const std::string until, moment(arguments.text("until")));
  query.add("state", states).add("since", since).add("until", until);
  for (const char* key : {"queue", "owner", "kind", "name", "array"}) query.add(key, arguments.text(key));
  query.add("namespace", arguments.given("namespace") ? arguments.text("namespace") : context.config.value("namespace").value);
  for (const std::string& label : arguments.all("label")) query.add("label", label);
  return "/api/v1/jobs" + query.text();
}

void show_jobs(CommandContext& context, const Arguments& arguments, const std::string& target) {
  const std::int64_t limit = arguments.number("limit");
  if (arguments.given("watch")) {
    const Result<void> watched =
        watch_list(context, {target, "/api/v1/jobs", &jobs_view(), limit, true}, reconnect_time(context, arguments));
    if (!watched.ok()) context.fail(watched.error());
    return;
  }
  // People and scripts that want names need a part of each job only; other formats show all of it.
  const bool names_only = context.output.quiet || context.output.format == "name";
  std::string fields;
  if (is_for_people(context.output)) fields = kListedFields;
  if (names_only) fields = "id";
  const std::string some = target + (target.find('?') == std::string::npos ? "?" : "&") + "fields=" + fields;
  const Result<client::ApiClient*> api = context.api();
  const Result<Document> page = api.ok() ? fetch_list(**api, fields.empty() ? target : some, "jobs", limit) : Result<Document>(api.error());
  if (!page.ok()) return context.fail(page.error());
  print_list(context, *page, jobs_view());
}

void list(CommandContext& context, const Arguments& arguments) {
  const Result<std::string> target = list_target(context, arguments);
  if (!target.ok()) return context.fail(target.error());
  show_jobs(context, arguments, *target);
}

void list_live(CommandContext& context, const Arguments& arguments) {
  show_jobs(context, arguments, "/api/v1/jobs" + Query().add("state", kLiveStates).text());
}

/// Runs `act` with a connection and the one selected job.
void with_job(CommandContext& context, const Arguments& arguments,
              const std::function<Result<void>(client::ApiClient&, const std::string&)>& act) {
  const std::string selector = arguments.given("job") ? arguments.text("job") : "last";
  const Result<client::ApiClient*> api = context.api();
  const Result<std::string> id = api.ok() ? resolve_job(**api, selector) : Result<std::string>(api.error());
  const Result<void> done = id.ok() ? act(**api, *id) : Result<void>(id.error());
  if (!done.ok()) context.fail(done.error());
}

std::string spec_text(const Document& spec) { return to_yaml(spec); }

void get(CommandContext& context, const Arguments& arguments) {
  with_job(context, arguments, [&](client::ApiClient& api, const std::string& id) -> Result<void> {
    if (arguments.given("watch")) return watch_job(context, id, to_yaml, reconnect_time(context, arguments));
    ASSIGN_OR_RETURN(const Document job, api.get("/api/v1/jobs/" + id));
    if (arguments.given("spec")) {
      print(context, job["spec"], spec_text);
    } else {
      print_item(context, job, jobs_view(), to_yaml);
    }
    return {};
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
  if (const Result<std::int64_t> before = shown["position"].as_int(); before.ok()) {
    text += *before == 0   ? "It is the first in its queue.\n"
            : *before == 1 ? "One job is before it in its queue.\n"
                           : fmt::format("{} jobs are before it in its queue.\n", *before);
  }
  std::string fixes;
  for (const Document& fix : shown["fix"].items()) {
    if (fix.find("to") != nullptr) fixes += fmt::format("  {:<9} {}\n", fix["dimension"].text(), fix["text"].text());
  }
  if (const Document* error = shown.find("fix_error")) text += error->text() + "\n";
  if (!fixes.empty()) text += "Any one of these would start it now:\n" + fixes;
  return text;
}

void explain(CommandContext& context, const Arguments& arguments) {
  with_job(context, arguments, [&](client::ApiClient& api, const std::string& id) -> Result<void> {
    ASSIGN_OR_RETURN(const Document reason, api.get("/api/v1/jobs/" + id + "/explain"));
    print(context, reason, explanation_text);
    return {};
  });
}

void attempts(CommandContext& context, const Arguments& arguments) {
  with_job(context, arguments, [&](client::ApiClient& api, const std::string& id) -> Result<void> {
    ASSIGN_OR_RETURN(const Document page, api.get("/api/v1/jobs/" + id + "/attempts"));
    print_list(context, page, attempts_view());
    return {};
  });
}

/// Events as they come, one line each.
Result<void> follow_events(CommandContext& context, client::ApiClient& api, const std::string& target, const Arguments& arguments) {
  TableRows rows(events_view(), context.output);
  const bool table = is_for_people(context.output) && !context.output.quiet;
  bool header = false;
  client::FollowSettings settings{.last_event_id = arguments.text("after")};
  settings.give_up_after = std::chrono::duration_cast<std::chrono::milliseconds>(reconnect_time(context, arguments));
  return api.follow(
      target,
      [&](const std::string&, const std::string&, const std::string& data) {
        const Result<Document> event = parse_json(data);
        if (!event.ok()) return true;
        const std::string text = !table   ? item_text(context.output, *event, events_view(), to_yaml)
                                 : header ? rows.next(*event)
                                          : rows.first({&*event}, true);
        header = true;
        write_out(stdout, context.output.format == "yaml" && !context.output.quiet ? "---\n" + text : text);
        return !is_ended((*event)["values"]["state"].text()) && !is_lost(stdout);
      },
      settings);
}

void events(CommandContext& context, const Arguments& arguments) {
  with_job(context, arguments, [&](client::ApiClient& api, const std::string& id) -> Result<void> {
    const std::string target = "/api/v1/jobs/" + id + "/events";
    if (arguments.given("follow")) return follow_events(context, api, target, arguments);
    ASSIGN_OR_RETURN(const Document page,
                     fetch_list(api, target + Query().add("after", arguments.text("after")).text(), "events", arguments.number("limit")));
    print_list(context, page, events_view());
    return {};
  });
}

void wait(CommandContext& context, const Arguments& arguments) {
  const std::vector<std::string> words =
      arguments.given("job") || arguments.given("label") ? arguments.all("job") : std::vector<std::string>{"last"};
  const Result<client::ApiClient*> api = context.api();
  const Result<std::vector<std::string>> ids =
      api.ok() ? resolve_jobs(**api, words, arguments.all("label")) : Result<std::vector<std::string>>(api.error());
  if (!ids.ok()) return context.fail_own(ids.error());
  const InterruptHint hint("the jobs go on");
  std::optional<Duration> timeout;
  if (arguments.given("timeout")) timeout = arguments.duration("timeout");
  int worst = kOk;
  GatheredItems ended(context, jobs_view().plural, ids->size() > 1);
  for (const std::string& id : *ids) {
    Result<Document> job = wait_for_end(context, id, reconnect_time(context, arguments), timeout);
    if (job.ok()) {
      worst = std::max(worst, code_of_ended_job((*job)["state"].text(), (*job)["exit_code"]));
      ended.add(std::move(job).value(), jobs_view(), [](const Document& shown) {
        return fmt::format("job {} {}: {}\n", shown["id"].text(), shown["state"].text(), shown["reason"].text());
      });
    } else {
      context.fail_own(job.error());
      worst = std::max(worst, context.exit_code);
    }
  }
  ended.finish();
  context.exit_code = worst;
}

const ArgumentSpec kOneJob{.name = "job", .doc = "Job id, 17[3] for an element of an array, or last (the default)", .names = Names::kJob};
const OptionSpec kWatch{.name = "watch", .letter = 'w', .doc = "Go on with every change"};
const OptionSpec kReconnect{
    .name = "reconnect-for", .value = "TIME", .doc = "How long the server may be away [5m]", .type = ValueType::kDuration};
const OptionSpec kLabel{.name = "label", .letter = 'l', .value = "KEY=VALUE", .doc = "Only jobs with this label", .repeated = true};

std::vector<OptionSpec> submit_options() {
  return {
      {.name = "file", .letter = 'f', .value = "FILE", .doc = "Spec as YAML or JSON; - reads standard input", .names = Names::kFile},
      {.name = "name", .value = "TEXT", .doc = "Name for people"},
      {.name = "cpu", .value = "N", .doc = "CPU of one task, as 2 or 500m"},
      {.name = "memory", .value = "SIZE", .doc = "Memory of one task, as 512MiB"},
      {.name = "gpu", .value = "N", .doc = "GPU devices of one task"},
      {.name = "tasks", .value = "N", .doc = "Ranks of the gang", .type = ValueType::kInteger, .min = 1, .max = 4096},
      {.name = "queue", .value = "NAME", .doc = "Queue to wait in", .names = Names::kQueue},
      {.name = "namespace", .letter = 'n', .value = "NAME", .doc = "Whose job it is"},
      {.name = "priority", .value = "N", .doc = "Higher comes first within the queue", .type = ValueType::kInteger, .min = INT64_MIN / 2},
      {.name = "retry", .value = "N", .doc = "Restarts after a failure of the program", .type = ValueType::kInteger, .max = 1000},
      {.name = "time-limit", .value = "TIME", .doc = "Longest time of one attempt, as 1h30m", .type = ValueType::kDuration},
      {.name = "array", .value = "RANGE", .doc = "One job for each index, as 0-99, at most 8 at a time with 0-99%8"},
      {.name = "after",
       .value = "JOB",
       .doc = "Start when this job succeeded; 12:any or 12:failed for other ends",
       .names = Names::kJob,
       .repeated = true},
      {.name = "hold", .doc = "Wait until it is released"},
      {.name = "label", .letter = 'l', .value = "KEY=VALUE", .doc = "Label for selections", .repeated = true},
      {.name = "env", .letter = 'e', .value = "KEY=VALUE", .doc = "Environment variable", .repeated = true},
      {.name = "idempotency-key", .value = "TEXT", .doc = "The same key again answers with the same job"},
      {.name = "dry-run", .doc = "Check the spec and say where it would run, or why it would wait"},
      {.name = "wait", .doc = "Wait for the end and exit with the job's code"},
      {.name = "follow", .doc = "Print the log until the end and exit with the job's code"},
      kReconnect,
  };
}

CommandSpec submit_command() {
  return {.path = "job submit",
          .summary = "Submit a job: a spec file, or a command after --",
          .description =
              "Prints the job's id once the server holds the job durably. When the answer is lost on the way, the request is sent "
              "again under the same idempotency key: there is one job, whatever happens.",
          .arguments = {{.name = "command", .doc = "Command and arguments", .repeated = true}},
          .options = submit_options(),
          .examples = {{"trainyard job submit --follow -- sh -c 'echo hello from $RANK'", ""},
                       {"trainyard job submit --tasks 2 --cpu 500m --wait -- ./train.sh", ""},
                       {"trainyard job submit --array 0-99%8 -- ./one.sh", "Index in TRAINYARD_ARRAY_INDEX"},
                       {"trainyard job submit -f job.yaml", ""},
                       {"trainyard job submit --dry-run -f job.yaml", "Would it start now?"}},
          .exits =
              [] {
                std::vector<ExitCode> codes = exits_with_server();
                codes.insert(codes.end() - 1, kOwnFailure);
                return codes;
              }(),
          .run = submit_job};
}

CommandSpec list_command() {
  return {.path = "job ls",
          .summary = "List jobs, newest first",
          .options =
              {{.name = "state", .value = "STATES", .doc = "Only these, as running,failed or @live", .repeated = true},
               {.name = "queue", .value = "NAME", .doc = "Only of this queue", .names = Names::kQueue},
               {.name = "owner", .value = "NAME", .doc = "Only of this user", .names = Names::kUser},
               {.name = "namespace", .letter = 'n', .value = "NAME", .doc = "Only of this namespace"},
               {.name = "kind", .value = "KIND", .doc = "Only of this kind"},
               {.name = "name", .value = "TEXT", .doc = "Only with this in the name"},
               kLabel,
               {.name = "array", .value = "JOB", .doc = "The elements of this array", .names = Names::kJob},
               {.name = "since", .value = "WHEN", .doc = "Submitted since, as 2h or a time"},
               {.name = "until", .value = "WHEN", .doc = "Submitted before"},
               {.name = "limit", .value = "N", .doc = "How many", .preset = "50", .type = ValueType::kInteger, .min = 1, .max = 1'000'000},
               kWatch,
               kReconnect},
          .examples = {{"trainyard job ls", ""},
                       {"trainyard job ls -q --limit 5", "Ids only"},
                       {"trainyard job ls --state @failed --since 1d -o wide", ""},
                       {"trainyard job ls -w -o ndjson", "A line for every change"},
                       {"trainyard job ls -o jsonpath='.jobs[*].id'", ""}},
          .exits = exits_with_server(),
          .run = list};
}

}  // namespace

std::vector<CommandSpec> job_commands() {
  return {
      {.path = "job",
       .summary = "Submit, list, follow and cancel jobs",
       .description = "A job is named by its id, by 17[3] for an element of an array, or by last. Commands that take several jobs also "
                      "take 1-5, 1,3,7, @running, "
                      "@queued, @failed, @live and -l KEY=VALUE. Ids are short numbers, so they cannot be shortened."},
      submit_command(),
      list_command(),
      {.path = "job get",
       .summary = "Show everything about a job",
       .arguments = {kOneJob},
       .options = {{.name = "spec", .doc = "Only its spec, which can be submitted again"}, kWatch, kReconnect},
       .examples = {{"trainyard job get 17", ""}, {"trainyard job get last -o json", ""}, {"trainyard job get 17 --spec > job.yaml", ""}},
       .exits = exits_with_server(),
       .run = get},
      logs_command(),
      {.path = "job explain",
       .summary = "Why is it not running?",
       .description = "One reason, the numbers behind it, when it will start as far as that is known, and what alone would start it now.",
       .arguments = {kOneJob},
       .examples = {{"trainyard job explain 17", ""}, {"trainyard job explain last", ""}},
       .exits = exits_with_server(),
       .run = explain},
      {.path = "job wait",
       .summary = "Wait for the end and exit with the job's code",
       .description = "Of several jobs it waits for all and exits with the worst code. It goes on over restarts of the server.",
       .arguments = {{.name = "job", .doc = "Jobs, as 17, 1-5 or @running; default: last", .repeated = true, .names = Names::kJob}},
       .options = {kLabel,
                   {.name = "timeout", .value = "TIME", .doc = "Longest wait for one job", .type = ValueType::kDuration},
                   kReconnect},
       .examples = {{"trainyard job wait last", ""}, {"trainyard job wait 1-5 --timeout 1h", ""}},
       .exits = exits_of_job(),
       .run = wait},
      {.path = "job events",
       .summary = "What happened to a job",
       .arguments = {kOneJob},
       .options =
           {{.name = "follow", .letter = 'f', .doc = "Go on until the job ends"},
            {.name = "after", .value = "N", .doc = "Only events behind this number; latest: only those from now on"},
            {.name = "limit", .value = "N", .doc = "How many", .preset = "1000", .type = ValueType::kInteger, .min = 1, .max = 1'000'000},
            kReconnect},
       .examples = {{"trainyard job events 17", ""}, {"trainyard job events last -f -o ndjson", ""}},
       .exits = exits_with_server(),
       .run = events},
      {.path = "job attempts",
       .summary = "The launches of a job and how each ended",
       .arguments = {kOneJob},
       .examples = {{"trainyard job attempts 17", ""}},
       .exits = exits_with_server(),
       .run = attempts},
  };
}

std::vector<CommandSpec> job_shortcut_commands() {
  return {{.path = "ps",
           .summary = "List the jobs that wait or run",
           .options =
               {{.name = "limit", .value = "N", .doc = "How many", .preset = "50", .type = ValueType::kInteger, .min = 1, .max = 1'000'000},
                kWatch,
                kReconnect},
           .examples = {{"trainyard ps", ""}, {"trainyard ps -w", ""}},
           .exits = exits_with_server(),
           .run = list_live}};
}

}  // namespace trainyard::apps
