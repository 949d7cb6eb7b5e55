#pragma once
#include <optional>
#include <string>
#include <vector>

#include "api/platform/explain.h"
#include "api/platform/job_context.h"
#include "api/platform/job_views.h"
#include "jobs/what_if.h"

namespace trainyard::api {

struct JobPlanView {
  static constexpr std::string_view kSchemaName = "JobPlan";
  bool starts_now = false;
  std::vector<std::string> placement;
  std::optional<ExplanationView> explanation;
  void describe(FieldVisitor& fields);
};

struct DryRunView {
  static constexpr std::string_view kSchemaName = "DryRun";
  JobPlanView plan;
  JobSpec spec;
  void describe(FieldVisitor& fields);
};

struct WhatIfStart {
  static constexpr std::string_view kSchemaName = "WhatIfStart";
  std::string job;
  std::string name;
  std::optional<TimePoint> before;
  std::optional<TimePoint> after;
  std::vector<std::string> nodes;
  void describe(FieldVisitor& fields);
};

struct WhatIfStop {
  static constexpr std::string_view kSchemaName = "WhatIfStop";
  std::string job;
  std::string name;
  void describe(FieldVisitor& fields);
};

struct WhatIfView {
  static constexpr std::string_view kSchemaName = "WhatIf";
  std::vector<WhatIfStart> starts;
  std::vector<WhatIfStop> stops;
  std::int64_t others = 0;
  std::optional<JobPlanView> plan;
  void describe(FieldVisitor& fields);
};

/// The job that is tried, as the plan leaves it. On the strand.
Document plan_document(const JobContext& context, const net::Principal& caller, const JobSpec& spec, jobs::TriedJob tried);

/// What changes, as far as `caller` may see it. On the strand.
Document what_if_document(const JobContext& context, const net::Principal& caller, const JobSpec& spec, jobs::TrialAnswer answer);

}  // namespace trainyard::api
