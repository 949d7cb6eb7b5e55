#include "api/platform/explain.h"

namespace trainyard::api {
namespace {

Document ids(const std::vector<JobId>& jobs) {
  Document list = Document::array();
  for (const JobId job : jobs) list.push(job.text());
  return list;
}

Document nodes(const sched::Explanation& explanation) {
  Document list = Document::array();
  for (const sched::NodeShortfall& node : explanation.nodes) {
    Document item = Document::object();
    item.set("name", node.node.text);
    item.set("slots", static_cast<std::int64_t>(node.slots));
    item.set("lacks", node.lacks);
    item.set("shortfall", node.shortfall);
    list.push(std::move(item));
  }
  return list;
}

Document histogram(const sched::Explanation& explanation) {
  Document counts = Document::object();
  for (const sched::ShortfallCount& count : explanation.histogram) counts.set(count.lacks, count.nodes);
  return counts;
}

Document fix_list(const std::vector<sched::Fix>& fixes) {
  Document list = Document::array();
  for (const sched::Fix& fix : fixes) {
    Document item = Document::object();
    item.set("dimension", fix.dimension);
    item.set("text", fix.text);
    if (fix.change) {
      if (fix.from != sched::kUnlimited) item.set("from", fix.from);
      item.set("to", fix.to);
      item.set("unit", fix.unit);
    }
    list.push(std::move(item));
  }
  return list;
}

}  // namespace

Document state_explanation(const jobs::Job& job) {
  Document body = Document::object();
  body.set("id", job.id.text());
  body.set("state", name_of(job.state));
  body.set("code", std::string(name_of(job.state)));
  body.set("text", job.reason);
  return body;
}

Document wait_explanation(const jobs::Job& job, const sched::Explanation& explanation, const Result<std::vector<sched::Fix>>& fixes,
                          std::optional<TimePoint> planned_start) {
  Document body = state_explanation(job);
  body.set("code", std::string(sched::name_of(explanation.reason)));
  body.set("rank", static_cast<std::int64_t>(explanation.reason));
  body.set("text", explanation.message);
  body.set("queue", job.spec.queue);
  body.set("position", static_cast<std::int64_t>(explanation.position));
  body.set("epoch", static_cast<std::int64_t>(explanation.epoch));
  if (explanation.promised_start) body.set("promised_start", to_rfc3339(*explanation.promised_start));
  if (planned_start) body.set("planned_start", to_rfc3339(*planned_start));
  body.set("blocking", ids(explanation.blocking));
  Document also = Document::array();
  for (const sched::Reason reason : explanation.also) also.push(std::string(sched::name_of(reason)));
  body.set("also", std::move(also));
  body.set("shortfalls", histogram(explanation));
  body.set("nodes", nodes(explanation));
  body.set("fix", fixes.ok() ? fix_list(*fixes) : Document::array());
  if (!fixes.ok()) body.set("fix_error", fixes.error().message);
  return body;
}

}  // namespace trainyard::api
