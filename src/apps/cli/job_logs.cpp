#include "apps/cli/job_logs.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/arguments.h"
#include "apps/cli/following.h"
#include "apps/cli/job_submit.h"
#include "apps/cli/selectors.h"

namespace trainyard::apps {
namespace {

/// Jobs whose logs are printed by one command.
constexpr std::size_t kLogsMax = 100;

/// One of several jobs whose logs are printed.
struct MarkedJob {
  std::string id;
  std::string mark;  ///< As people name it: "17[3]" or "12".
};

LogFormat format_of(const Arguments& arguments) {
  return {.timestamps = arguments.given("timestamps"), .rank_prefix = arguments.given("prefix"), .grep = arguments.text("grep")};
}

Result<LogEnd> print_log(CommandContext& context, const Arguments& arguments, const std::string& id, const LogFormat& format) {
  ASSIGN_OR_RETURN(LogPrinter printer, LogPrinter::make(format, [](const std::string& stream, std::string_view text) {
                     write_out(stream == "stdout" ? stdout : stderr, text);
                   }));
  return follow_log(
      context,
      {id, arguments.given("follow"), arguments.text("rank"), arguments.text("attempt"), arguments.text("since"), arguments.text("tail")},
      printer, reconnect_time(context, arguments));
}

Result<void> print_only_log(CommandContext& context, const Arguments& arguments, const std::string& id) {
  const bool follows = arguments.given("follow");
  std::optional<InterruptHint> hint;
  if (follows) hint.emplace(fmt::format("job {0} goes on: `trainyard job logs -f {0}`", id));
  ASSIGN_OR_RETURN(const LogEnd end, print_log(context, arguments, id, format_of(arguments)));
  if (follows) context.exit_code = code_of_ended_job(end.state, end.exit_code);
  return {};
}

Error too_many(const std::string& fewer) {
  return invalid_argument(
      "cli.usage", fmt::format("the logs of at most {} jobs are printed at once: name fewer, as trainyard job logs {}", kLogsMax, fewer),
      "trainyard job logs --help");
}

/// The elements that an array has made so far, by index.
Result<std::vector<MarkedJob>> elements_of(client::ApiClient& api, const std::string& array) {
  ASSIGN_OR_RETURN(const Document page, fetch_list(api, "/api/v1/jobs" + Query().add("array", array).add("fields", "id,array_index").text(),
                                                   "jobs", static_cast<std::int64_t>(kLogsMax) + 1));
  std::vector<std::pair<std::int64_t, std::string>> found;
  for (const Document& job : page["jobs"].items()) found.emplace_back(job["array_index"].as_int().value_or(0), job["id"].text());
  if (found.size() > kLogsMax) return too_many(fmt::format("{}[0-{}]", array, kLogsMax - 1));
  std::sort(found.begin(), found.end());
  std::vector<MarkedJob> elements;
  for (const auto& [index, id] : found) elements.push_back({id, fmt::format("{}[{}]", array, index)});
  return elements;
}

Result<std::vector<MarkedJob>> marked(client::ApiClient& api, const std::vector<std::string>& ids) {
  if (ids.size() > kLogsMax) return too_many(fmt::format("{}-{}", ids.front(), ids[1]));
  std::vector<MarkedJob> jobs;
  for (const std::string& id : ids) {
    ASSIGN_OR_RETURN(const Document job, api.get("/api/v1/jobs/" + id));
    const std::string& array = job["array_parent"].text();
    jobs.push_back({id, array.empty() ? id : fmt::format("{}[{}]", array, job["array_index"].as_int().value_or(0))});
  }
  return jobs;
}

/// One log after the other, each line behind the name of its job. A failure of one does not hold up the others.
void print_logs(CommandContext& context, const Arguments& arguments, const std::vector<MarkedJob>& jobs) {
  for (const MarkedJob& job : jobs) {
    LogFormat format = format_of(arguments);
    format.mark = job.mark;
    const Result<LogEnd> end = print_log(context, arguments, job.id, format);
    if (!end.ok()) context.fail_own(Error(end.error()).with_context("job " + job.mark));
    if (is_lost(stdout)) return;
  }
}

Error cannot_follow(const std::string& what) {
  return invalid_argument(
      "cli.usage",
      fmt::format("--follow takes one job that has a log of its own, and {}: name one element, as trainyard job logs -f "
                  "17[0], or read what is there without --follow",
                  what),
      "trainyard job logs --help");
}

Result<void> print_selected(CommandContext& context, const Arguments& arguments) {
  TRY(moment(arguments.text("since")));
  TRY(LogPrinter::make(format_of(arguments), {}));
  const std::string selector = arguments.given("job") ? arguments.text("job") : "last";
  ASSIGN_OR_RETURN(client::ApiClient* const api, context.api());
  ASSIGN_OR_RETURN(const std::vector<std::string> ids, resolve_jobs(*api, {selector}, {}));
  if (ids.size() > 1) {
    if (arguments.given("follow")) return cannot_follow(fmt::format("these are {}", ids.size()));
    ASSIGN_OR_RETURN(const std::vector<MarkedJob> jobs, marked(*api, ids));
    print_logs(context, arguments, jobs);
    return {};
  }
  // A server that is away here is waited for below.
  const Result<Document> job = api->get("/api/v1/jobs/" + ids.front());
  if (!job.ok() || !(*job)["array"].is_object()) return print_only_log(context, arguments, ids.front());
  if (arguments.given("follow")) return cannot_follow(fmt::format("job {} is an array", ids.front()));
  ASSIGN_OR_RETURN(const std::vector<MarkedJob> elements, elements_of(*api, ids.front()));
  if (elements.empty()) {
    fmt::print(stderr, "job {0} is an array without a log of its own, and it has made no element so far: `trainyard job explain {0}`\n",
               ids.front());
  }
  print_logs(context, arguments, elements);
  return {};
}

void logs(CommandContext& context, const Arguments& arguments) {
  const Result<void> printed = print_selected(context, arguments);
  if (printed.ok()) return;
  printed.error().id == "cli.usage" ? context.fail(printed.error()) : context.fail_own(printed.error());
}

}  // namespace

CommandSpec logs_command() {
  return {
      .path = "job logs",
      .summary = "Print the log of a job",
      .description =
          "With --follow it goes on until the job ends and exits with the job's code. When the server goes away it waits, says so "
          "once, and goes on behind the last line it printed: none is lost and none comes twice.\n\nAn array has no log of its own: "
          "the logs of its elements are printed one after the other, as are those of 17[0-9] or 1-5, at most 100 of them, each line "
          "behind the name of its job.",
      .arguments = {{.name = "job",
                     .doc = "Job, 17[3] for an element of an array, several as 17[0-9], or last (the default)",
                     .names = Names::kJob}},
      .options = {{.name = "follow", .letter = 'f', .doc = "Go on until the job ends and exit with its code"},
                  {.name = "since", .value = "WHEN", .doc = "Only lines since, as 10m or a time"},
                  {.name = "tail",
                   .value = "N",
                   .doc = "Only the last N lines of what is there; 0: only what comes from now on",
                   .type = ValueType::kInteger,
                   .max = 1'000'000},
                  {.name = "rank", .value = "N", .doc = "Only this rank", .type = ValueType::kInteger},
                  {.name = "attempt", .value = "N", .doc = "Begin with this attempt", .type = ValueType::kInteger, .min = 1},
                  {.name = "grep", .value = "REGEX", .doc = "Only lines that match this extended regular expression"},
                  {.name = "timestamps", .doc = "Begin each line with its time"},
                  {.name = "prefix", .doc = "Begin each line with its rank, as [3]"},
                  {.name = "reconnect-for", .value = "TIME", .doc = "How long the server may be away [5m]", .type = ValueType::kDuration}},
      .examples = {{"trainyard job logs -f last", ""},
                   {"trainyard job logs 17 --rank 1 --tail 100", ""},
                   {"trainyard job logs -f 17 --tail 0", "Only what is written from now on"},
                   {"trainyard job logs 17[0-9] --grep 'loss|error' --timestamps", ""}},
      .exits = exits_of_job(),
      .run = logs};
}

}  // namespace trainyard::apps
