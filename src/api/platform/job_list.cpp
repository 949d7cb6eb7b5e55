#include "api/platform/job_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/platform/job_views.h"
#include "api/platform/paging.h"

namespace trainyard::api {
namespace {

constexpr std::int64_t kPageDefault = 100;
constexpr std::size_t kRecordsAtOnce = 500;
/// Records that one page looks at: one that finds little ends early, and its cursor goes on from there.
constexpr std::size_t kRecordsMax = 10'000;

/// All that the pages of one list have in common.
struct Question {
  jobs::JobFilter filter;
  net::Principal caller;
  std::size_t limit = 0;
  JobId before;
  std::set<std::string> fields;  ///< Top-level members to answer; empty: all.
  std::string text;              ///< What a cursor is good for.
};

Result<std::optional<TimePoint>> time_of(const net::Request& request, std::string_view name) {
  const std::optional<std::string> text = request.query_value(name);
  if (!text) return std::optional<TimePoint>();
  Result<TimePoint> time = parse_rfc3339(*text);
  if (time.ok()) return std::optional(*time);
  return invalid_argument("query.time", fmt::format("{} is a time like 2026-01-02T03:04:05Z: {}", name, *text), "/" + std::string(name));
}

Result<std::vector<JobState>> states_of(const net::Request& request) {
  std::vector<JobState> states;
  std::string_view rest = "";
  const std::string text = request.query_value("state").value_or("");
  for (rest = text; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::optional<JobState> state = job_state_from(rest.substr(0, comma));
    if (!state) {
      return invalid_argument(
          "job.state",
          fmt::format("a state is QUEUED, STARTING, RUNNING, STOPPING, SUCCEEDED, FAILED, CANCELLED or TIMED_OUT; several "
                      "are separated by commas: {}",
                      rest.substr(0, comma)),
          "/state");
    }
    states.push_back(*state);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return states;
}

Result<JobId> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return JobId(number);
  return invalid_argument("job.id", fmt::format("a job id is a number from 1: {}", text), "/array");
}

Result<Question> question_of(const net::Request& request) {
  Question question;
  ASSIGN_OR_RETURN(question.filter, job_filter_from(request));
  question.caller = request.principal;
  question.limit = static_cast<std::size_t>(net::query_number(request, "limit", kPageDefault));
  question.text = "jobs of " + request.principal.name;
  for (const auto& [name, value] : request.query) {
    if (name != "cursor" && name != "limit" && name != "fields") question.text += fmt::format("&{}={}", name, value);
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> fields,
                   wanted_fields(request.query_value("fields").value_or(""), field_names<JobView>()));
  question.fields = {fields.begin(), fields.end()};
  if (const std::optional<std::string> cursor = request.query_value("cursor")) {
    ASSIGN_OR_RETURN(const std::string position, read_cursor(*cursor, question.text));
    ASSIGN_OR_RETURN(question.before, number_of(position));
  }
  return question;
}

/// Blocks. The ledger has them all, live and ended.
Result<Document> list_page(store::JobLedger& ledger, const Question& question) {
  Document items = Document::array();
  JobId before = question.before;
  bool more = true;
  for (std::size_t looked_at = 0; more && items.items().size() < question.limit && looked_at < kRecordsMax;) {
    const std::size_t wanted = std::min(kRecordsAtOnce, std::max(question.limit - items.items().size(), std::size_t{50}));
    ASSIGN_OR_RETURN(const std::vector<store::JobRecord> records, ledger.list(before, wanted));
    more = records.size() == wanted;
    for (const store::JobRecord& record : records) {
      if (items.items().size() == question.limit) {
        more = true;
        break;
      }
      ASSIGN_OR_RETURN(const jobs::Job job, jobs::decode_job(record.body));
      before = record.id;
      ++looked_at;
      const bool seen = net::may(question.caller, net::Permission::kViewer, job.spec.name_space);
      if (!seen || !jobs::matches(question.filter, job)) continue;
      items.push(question.fields.empty() ? jobs::job_view(job) : jobs::job_view(job, question.fields));
    }
    if (records.empty() || before.value == 1) more = false;
  }
  Document page = Document::object();
  page.set("jobs", std::move(items));
  if (more) page.set("next_cursor", make_cursor(question.text, before.text()));
  return page;
}

void list(const JobContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  Result<Question> question = question_of(request);
  if (!question.ok()) return responder->respond(net::problem_response(question.error(), request.request_id));
  context.strand.post([context, question = std::move(question).value(), responder, request_id = request.request_id]() mutable {
    context.jobs.barrier([context, question = std::move(question), responder, request_id] {
      context.reads.post([context, question, responder, request_id] {
        reply(responder, request_id, list_page(context.ledger, question),
              [](const Document& page) { return net::json_response(200, page); });
      });
    });
  });
}

Document write_job_page_schema(SchemaBook& book, SchemaStyle style) {
  return Document::object({{"anyOf", Document::array({book.schema<JobPage>(style), book.schema<JobPartPage>(style)})}});
}

}  // namespace

Result<jobs::JobFilter> job_filter_from(const net::Request& request) {
  jobs::JobFilter filter;
  ASSIGN_OR_RETURN(filter.states, states_of(request));
  filter.queue = request.query_value("queue").value_or("");
  filter.owner = request.query_value("owner").value_or("");
  filter.name_space = request.query_value("namespace").value_or("");
  filter.kind = request.query_value("kind").value_or("");
  filter.name_part = request.query_value("name").value_or("");
  const auto labels = request.query.equal_range("label");
  for (auto it = labels.first; it != labels.second; ++it) {
    const std::size_t equals = it->second.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid_argument("query.label", "a label is given as label=KEY=VALUE: " + it->second, "/label");
    }
    filter.labels[it->second.substr(0, equals)] = it->second.substr(equals + 1);
  }
  ASSIGN_OR_RETURN(filter.since, time_of(request, "since"));
  ASSIGN_OR_RETURN(filter.until, time_of(request, "until"));
  if (const std::optional<std::string> array = request.query_value("array")) {
    ASSIGN_OR_RETURN(filter.array, number_of(*array));
  }
  return filter;
}

void add_job_list_route(net::Router& router, JobContext context) {
  net::ParameterDoc label = net::query_text("label", "KEY=VALUE: only jobs with this label; may be repeated.");
  label.repeated = true;
  router.add(
      {"GET",
       "/api/v1/jobs",
       net::Permission::kViewer,
       [context](const net::Request& request, const net::ResponderPtr& responder) { list(context, request, responder); },
       std::size_t{1} << 16,
       {.operation = "listJobs",
        .tag = "jobs",
        .summary = "Lists jobs, newest first.",
        .parameters = {net::query_text("state", "Only jobs in one of these states, separated by commas."),
                       net::query_text("queue", "Only jobs of this queue."), net::query_text("owner", "Only jobs of this user."),
                       net::query_text("namespace", "Only jobs of this namespace."), net::query_text("kind", "Only jobs of this kind."),
                       net::query_text("name", "Only jobs with this in their name."), std::move(label),
                       net::query_text("since", "Only jobs submitted then or later."),
                       net::query_text("until", "Only jobs submitted before."), net::query_text("array", "Only elements of this array."),
                       limit_parameter(kPageDefault), cursor_parameter(), fields_parameter()},
        .answers = {net::AnswerDoc{
            200, "The page. It may be short, or empty, and yet not be the last.", &write_job_page_schema, "application/json", {}}},
        .namespaced = true}});
}

}  // namespace trainyard::api
