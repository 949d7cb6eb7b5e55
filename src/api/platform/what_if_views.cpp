#include "api/platform/what_if_views.h"

namespace trainyard::api {
namespace {

/// How the job that is tried is called.
constexpr const char* kNewJob = "new";

std::vector<std::string> texts_of(const std::vector<NodeName>& nodes) {
  std::vector<std::string> texts;
  for (const NodeName& node : nodes) texts.push_back(node.text);
  return texts;
}

std::optional<TimePoint> known(TimePoint time) { return time == sched::kNever ? std::nullopt : std::optional(time); }

}  // namespace

void JobPlanView::describe(FieldVisitor& fields) {
  fields.field("starts_now", starts_now, "Whether the next plan would start it; of an array, its first element.");
  fields.field("placement", placement, "The node of each rank, if it would start now.");
  fields.field("explanation", explanation, "Why it would not; its id is \"new\".");
}

void DryRunView::describe(FieldVisitor& fields) {
  fields.field("plan", plan, "What would become of it.");
  fields.field("spec", spec, "As it would be stored, with defaults.");
}

void WhatIfStart::describe(FieldVisitor& fields) {
  fields.field("job", job, "Number of the job; \"new\" is the one that was asked about.");
  fields.field("name", name, "Its name.");
  fields.field("before", before, "When it starts without the change; absent: nobody knows.");
  fields.field("after", after, "When it would start with it.");
  fields.field("nodes", nodes, "The node of each rank, if it would start now.");
}

void WhatIfStop::describe(FieldVisitor& fields) {
  fields.field("job", job, "Number of the job.");
  fields.field("name", name, "Its name.");
}

void WhatIfView::describe(FieldVisitor& fields) {
  fields.field("starts", starts, "Jobs that would start at another time.");
  fields.field("stops", stops, "Running jobs that would leave their nodes.");
  fields.field("others", others, {.min = 0}, "How many more of both there are, in namespaces that the caller does not see.");
  fields.field("plan", plan, "What would become of the job that was asked about.");
}

Document plan_document(const JobContext& context, const net::Principal& caller, const JobSpec& spec, jobs::TriedJob tried) {
  Document plan = Document::object();
  plan.set("starts_now", tried.starts_now);
  Document placement = Document::array();
  for (const NodeName& node : tried.placement) placement.push(node.text);
  plan.set("placement", std::move(placement));
  jobs::Job job;
  job.spec = spec;
  if (!tried.ends.empty()) {
    job.state = JobState::kCancelled;
    job.reason = tried.ends;
  }
  Document explanation = state_explanation(job);
  if (tried.explanation) {
    jobs::conceal_jobs(*tried.explanation, [&](JobId id) { return sees_job(context, caller, id); });
    Result<std::vector<sched::Fix>> fixes = std::move(tried.fixes);
    if (!tried.fixes_unknown.empty()) fixes = Error{Category::kResourceExhausted, "sched.slow_plan", tried.fixes_unknown, {}, {}};
    explanation = wait_explanation(job, *tried.explanation, fixes, std::nullopt);
  }
  explanation.set("id", kNewJob);
  if (!tried.starts_now) plan.set("explanation", std::move(explanation));
  return plan;
}

Document what_if_document(const JobContext& context, const net::Principal& caller, const JobSpec& spec, jobs::TrialAnswer answer) {
  WhatIfView view;
  for (const jobs::TriedStart& start : answer.starts) {
    const bool is_new = answer.job && start.job == answer.tried;
    if (!is_new && !sees_job(context, caller, start.job)) {
      ++view.others;
      continue;
    }
    const std::string name = is_new ? spec.name : context.jobs.label_of(start.job)->name;
    view.starts.push_back({is_new ? kNewJob : start.job.text(), name, known(start.before), known(start.after), texts_of(start.nodes)});
  }
  for (const JobId id : answer.stops) {
    if (sees_job(context, caller, id)) {
      view.stops.push_back({id.text(), context.jobs.label_of(id)->name});
    } else {
      ++view.others;
    }
  }
  Document document = encode(view);
  if (answer.job) document.set("plan", plan_document(context, caller, spec, std::move(*answer.job)));
  return document;
}

}  // namespace trainyard::api
