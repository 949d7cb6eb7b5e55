#include <algorithm>

#include "apps/server/runners.h"

namespace trainyard::apps {

const std::vector<RunnerKind>& builtin_runners() {
  static const std::vector<RunnerKind> runners{
      {"command", {}},
      {"ingest", {"trainyard-etl", "ingest"}},
      {"curate", {"trainyard-etl", "curate"}},
      {"train", {"trainyard-train"}},
      {"serve", {"trainyard-serve"}},
      {"predict", {"trainyard-serve", "predict"}},
  };
  return runners;
}

const RunnerKind* find_runner(std::string_view kind) {
  const auto& runners = builtin_runners();
  const auto found = std::find_if(runners.begin(), runners.end(), [kind](const RunnerKind& runner) { return runner.kind == kind; });
  return found == runners.end() ? nullptr : &*found;
}

}  // namespace trainyard::apps
