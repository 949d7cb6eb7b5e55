#include <fmt/format.h>

#include <algorithm>

#include "apps/cli/arguments.h"
#include "apps/cli/gathered_items.h"
#include "apps/cli/resources.h"
#include "apps/cli/selectors.h"

namespace trainyard::apps {
namespace {

constexpr std::size_t kNamedMax = 10;

using Act = std::function<Result<Document>(client::ApiClient& api, const std::string& id)>;

std::string job_line(const Document& job) {
  const std::string& from = job["retried_from"].text();
  return fmt::format("job {} {}{}\n", job["id"].text(), job["state"].text(), from.empty() ? "" : " (job " + from + " again)");
}

/// "1, 2, 3 and 7 more"
std::string named(const std::vector<std::string>& ids) {
  const auto end = ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), kNamedMax));
  std::string text = fmt::format("{}", fmt::join(ids.begin(), end, ", "));
  if (ids.size() > kNamedMax) text += fmt::format(" and {} more", ids.size() - kNamedMax);
  return text;
}

/// Does it to every job in turn: a failure of one does not hold up the others, and the worst exit code counts.
void for_each_job(CommandContext& context, client::ApiClient& api, const std::vector<std::string>& ids, const Act& act) {
  GatheredItems answers(context, jobs_view().plural, ids.size() > 1);
  int worst = kOk;
  for (const std::string& id : ids) {
    Result<Document> job = act(api, id);
    if (job.ok()) {
      answers.add(std::move(job).value(), jobs_view(), job_line);
      continue;
    }
    context.fail(ids.size() > 1 ? std::move(job).error().with_context("job " + id) : job.error());
    worst = std::max(worst, context.exit_code);
  }
  answers.finish();
  context.exit_code = worst;
}

/// The selected jobs. What is wrong with the selectors is said before the server is looked for.
Result<std::vector<std::string>> selected(CommandContext& context, const Arguments& arguments) {
  if (!arguments.given("job") && !arguments.given("label")) {
    return invalid_argument("cli.usage", "an argument is missing: job: name them as 17, last or @queued, or give --label",
                            full_name(arguments.command()) + " --help");
  }
  for (const std::string& word : arguments.all("job")) {
    const Result<std::vector<JobSelector>> understood = parse_job_selector(word);
    if (!understood.ok()) return understood.error();
  }
  ASSIGN_OR_RETURN(client::ApiClient* const api, context.api());
  return resolve_jobs(*api, arguments.all("job"), arguments.all("label"));
}

void control(CommandContext& context, const Arguments& arguments, const Act& act) {
  const Result<std::vector<std::string>> ids = selected(context, arguments);
  const Result<client::ApiClient*> api = ids.ok() ? context.api() : Result<client::ApiClient*>(ids.error());
  if (!api.ok()) return context.fail(api.error());
  for_each_job(context, **api, *ids, act);
}

Act post(const std::string& verb, Document body = Document::object()) {
  return [verb, body = std::move(body)](client::ApiClient& api, const std::string& id) {
    return api.post("/api/v1/jobs/" + id + "/" + verb, body);
  };
}

/// What was selected, when that are elements of arrays by their indices and nothing else.
std::vector<JobSelector> elements_alone(const Arguments& arguments) {
  std::vector<JobSelector> elements;
  if (arguments.given("label")) return elements;
  for (const std::string& word : arguments.all("job")) {
    for (JobSelector& selector : parse_job_selector(word).value_or({})) {
      if (selector.kind != JobSelector::Kind::kElements) return {};
      elements.push_back(std::move(selector));
    }
  }
  return elements;
}

/// The server cancels them whether they are made or not.
void cancel_elements(CommandContext& context, const Arguments& arguments, const std::vector<JobSelector>& elements) {
  const Result<client::ApiClient*> api = context.api();
  if (!api.ok()) return context.fail(api.error());
  std::uint64_t count = 0;
  for (const JobSelector& selector : elements) count += selector.last - selector.first + 1;
  if (count > 1) {
    const std::string question = fmt::format("cancel {} elements of arrays: {}", count, fmt::join(arguments.all("job"), " "));
    if (const Result<void> sure = confirm(context, arguments.given("yes"), question); !sure.ok()) return context.fail(sure.error());
  }
  GatheredItems answers(context, jobs_view().plural, elements.size() > 1);
  int worst = kOk;
  for (const JobSelector& selector : elements) {
    Document body = Document::object({{"elements", fmt::format("{}-{}", selector.first, selector.last)}});
    if (arguments.given("reason")) body.set("reason", arguments.text("reason"));
    Result<Document> job = (*api)->post(fmt::format("/api/v1/jobs/{}/cancel", selector.array), body);
    if (job.ok()) {
      answers.add(std::move(job).value(), jobs_view(), job_line);
      continue;
    }
    context.fail(std::move(job).error().with_context(fmt::format("array {}", selector.array)));
    worst = std::max(worst, context.exit_code);
  }
  answers.finish();
  context.exit_code = worst;
}

void cancel(CommandContext& context, const Arguments& arguments) {
  if (const std::vector<JobSelector> elements = elements_alone(arguments); !elements.empty() && !arguments.given("dry-run")) {
    return cancel_elements(context, arguments, elements);
  }
  const Result<std::vector<std::string>> ids = selected(context, arguments);
  const Result<client::ApiClient*> api = ids.ok() ? context.api() : Result<client::ApiClient*>(ids.error());
  if (!api.ok()) return context.fail(api.error());
  if (arguments.given("dry-run")) {
    if (!context.output.quiet) fmt::print(stderr, "would cancel {} jobs:\n", ids->size());
    return for_each_job(context, **api, *ids,
                        [](client::ApiClient& client, const std::string& id) { return client.get("/api/v1/jobs/" + id); });
  }
  if (ids->size() > 1) {
    const Result<void> sure = confirm(context, arguments.given("yes"), fmt::format("cancel {} jobs: {}", ids->size(), named(*ids)));
    if (!sure.ok()) return context.fail(sure.error());
  }
  Document body = Document::object();
  if (arguments.given("reason")) body.set("reason", arguments.text("reason"));
  for_each_job(context, **api, *ids, post("cancel", std::move(body)));
}

void retry(CommandContext& context, const Arguments& arguments) { control(context, arguments, post("retry")); }
void hold(CommandContext& context, const Arguments& arguments) { control(context, arguments, post("hold")); }
void release(CommandContext& context, const Arguments& arguments) { control(context, arguments, post("release")); }
void checkpoint(CommandContext& context, const Arguments& arguments) { control(context, arguments, post("checkpoint")); }
void preempt(CommandContext& context, const Arguments& arguments) { control(context, arguments, post("preempt")); }

void priority(CommandContext& context, const Arguments& arguments) {
  const std::string text = arguments.text("priority");
  const Result<std::int64_t> value = Document(text).as_int();
  if (!value.ok())
    return context.fail(invalid_argument("cli.usage", "a priority is a whole number: " + text, "trainyard job priority --help"));
  control(context, arguments, post("priority", Document::object({{"priority", *value}})));
}

const OptionSpec kLabel{.name = "label", .letter = 'l', .value = "KEY=VALUE", .doc = "Jobs with this label", .repeated = true};

ArgumentSpec jobs_argument() {
  return {.name = "job", .doc = "Jobs, as 17, 1-5, 1,3,7, 17[3], last or @queued", .repeated = true, .names = Names::kJob};
}

struct Verb {
  std::string name;
  std::string summary;
  std::string description;
  CommandHandler run;
};

CommandSpec verb_command(const Verb& verb) {
  return {.path = "job " + verb.name,
          .summary = verb.summary,
          .description = verb.description,
          .arguments = {jobs_argument()},
          .options = {kLabel},
          .examples = {{fmt::format("trainyard job {} 17", verb.name), ""}, {fmt::format("trainyard job {} 3-5 -o json", verb.name), ""}},
          .exits = exits_with_server(),
          .run = verb.run};
}

}  // namespace

std::vector<CommandSpec> job_control_commands() {
  std::vector<CommandSpec> commands{
      {.path = "job cancel",
       .summary = "Ask jobs to stop",
       .description = "A running job gets SIGTERM and, after the grace of its limits, SIGKILL. Elements of an array, as 17[10-19], are "
                      "cancelled whether they are made or not. More than one is only cancelled after a question, or with --yes.",
       .arguments = {jobs_argument()},
       .options = {kLabel,
                   {.name = "reason", .value = "TEXT", .doc = "Why, for whoever looks at the job"},
                   {.name = "yes", .letter = 'y', .doc = "Do not ask"},
                   {.name = "dry-run", .doc = "Only show which jobs"}},
       .examples = {{"trainyard job cancel 17", ""},
                    {"trainyard job cancel @queued --yes", ""},
                    {"trainyard job cancel -l sweep=a --dry-run", ""}},
       .exits = exits_with_server(),
       .run = cancel},
  };
  for (const Verb& verb : std::vector<Verb>{
           {"retry", "Submit ended jobs again", "A new job with the same spec, which says what it comes from.", retry},
           {"hold", "Keep waiting jobs from starting", "", hold},
           {"release", "Let held jobs start", "", release},
           {"checkpoint", "Ask running jobs to write a checkpoint now", "", checkpoint},
           {"preempt", "Send running jobs back to the queue", "They write a checkpoint first and go on from it later.", preempt},
       }) {
    commands.push_back(verb_command(verb));
  }
  commands.push_back({.path = "job priority",
                      .summary = "Change the priority of waiting jobs",
                      .arguments = {{.name = "priority", .doc = "Higher comes first within the queue", .required = true}, jobs_argument()},
                      .options = {kLabel},
                      .examples = {{"trainyard job priority 5 17", ""}, {"trainyard job priority -5 @queued", ""}},
                      .exits = exits_with_server(),
                      .run = priority});
  return commands;
}

}  // namespace trainyard::apps
