#include "api/platform/usage.h"

#include <fmt/format.h>

#include "net/permission.h"

namespace trainyard::api {
namespace {

constexpr Duration kSpan = std::chrono::hours(24 * 30);

struct UsageRow {
  static constexpr std::string_view kSchemaName = "UsageRow";
  std::string key;
  std::int64_t jobs = 0;
  double cpu_seconds = 0;
  double gpu_seconds = 0;
  double memory_gib_seconds = 0;
  double cpu_used_seconds = 0;
  void describe(FieldVisitor& fields) {
    fields.field("key", key, "Name of the user, queue or namespace, or the day in UTC.");
    fields.field("jobs", jobs, {.min = 0}, "Jobs that ended; an array counts as its elements.");
    fields.field("cpu_seconds", cpu_seconds, {.min = 0}, "Core-seconds that were theirs, used or not.");
    fields.field("gpu_seconds", gpu_seconds, {.min = 0}, "The same of GPUs.");
    fields.field("memory_gib_seconds", memory_gib_seconds, {.min = 0}, "The same of GiB of memory.");
    fields.field("cpu_used_seconds", cpu_used_seconds, {.min = 0}, "Processor time that their programs took.");
  }
};

struct UsageReport {
  static constexpr std::string_view kSchemaName = "UsageReport";
  std::string by;
  TimePoint from;
  TimePoint to;
  std::vector<UsageRow> usage;
  void describe(FieldVisitor& fields) {
    fields.field("by", by, "What the sums are grouped by.");
    fields.field("from", from, "Jobs that ended then or later.");
    fields.field("to", to, "Jobs that ended before.");
    fields.field("usage", usage, "One row for each group, by key.");
  }
};

Result<TimePoint> time_or(const net::Request& request, std::string_view name, TimePoint fallback) {
  const std::optional<std::string> text = request.query_value(name);
  if (!text) return fallback;
  Result<TimePoint> time = parse_rfc3339(*text);
  if (time.ok()) return time;
  return invalid_argument("query.time", fmt::format("{} is a time like 2026-01-02T03:04:05Z: {}", name, *text), "/" + std::string(name));
}

Result<Document> report(const UsageContext& context, const net::Request& request) {
  UsageReport answer;
  answer.by = request.query_value("by").value_or("user");
  ASSIGN_OR_RETURN(const jobs::UsageGroup group, jobs::usage_group_from(answer.by));
  ASSIGN_OR_RETURN(answer.to, time_or(request, "to", context.clock.now()));
  ASSIGN_OR_RETURN(answer.from, time_or(request, "from", answer.to - kSpan));
  ASSIGN_OR_RETURN(const std::vector<jobs::UsageSum> sums, context.history.usage(group, answer.from, answer.to));
  for (const jobs::UsageSum& sum : sums) {
    answer.usage.push_back({sum.key, sum.jobs, sum.cpu_seconds, sum.gpu_seconds, sum.memory_gib_seconds, sum.cpu_used_seconds});
  }
  return encode(answer);
}

void serve(const UsageContext& context, const net::Request& request, const net::ResponderPtr& responder) {
  if (!net::may_everywhere(request.principal, net::Permission::kViewer)) {
    return responder->respond(net::problem_response(
        Error{Category::kPermissionDenied, "auth.forbidden", "usage is for those who see all namespaces", {}, {}}, request.request_id));
  }
  context.reads.post([context, request, responder] {
    const Result<Document> answer = report(context, request);
    responder->respond(answer.ok() ? net::json_response(200, *answer) : net::problem_response(answer.error(), request.request_id));
  });
}

}  // namespace

void add_usage_route(net::Router& router, UsageContext context) {
  router.add({"GET",
              "/api/v1/usage",
              net::Permission::kViewer,
              [context](const net::Request& request, const net::ResponderPtr& responder) { serve(context, request, responder); },
              std::size_t{1} << 16,
              {.operation = "getUsage",
               .tag = "jobs",
               .summary = "What ended jobs have had of cores, GPUs and memory.",
               .parameters = {net::query_choice("by", {"user", "queue", "namespace", "day"}, "What to group by; user when absent."),
                              net::query_text("from", "Jobs that ended then or later; absent: 30 days before `to`."),
                              net::query_text("to", "Jobs that ended before; absent: now.")},
               .answers = {net::json_answer<UsageReport>(200, "The sums.")}}});
}

}  // namespace trainyard::api
