#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "workflow/task_kind.h"

namespace trainyard::workflow::testing {

/// What fake tasks did, and what they wait for. Outlives the service: the outside does not forget when a server dies.
struct FakeWorld {
  struct Running {
    TaskContext context;
    Document body;
    TaskReport report;
  };

  std::vector<std::string> starts;       ///< Keys, in the order of the calls.
  std::map<std::string, int> effects;    ///< By key: how often the outside was changed. More than once would be a fault.
  std::vector<std::string> cancels;      ///< "KEY: WHY".
  std::map<std::string, Running> tasks;  ///< By task name: those that are at work.
  /// What a task called so does at once when it is started; others wait for the test.
  std::map<std::string, TaskOutcome> immediate;
  std::function<void(const TaskContext&)> on_start = [](const TaskContext&) {};  ///< Looks at every start before it counts.
};

/// A task kind whose tasks end when the test says so. Like every kind it changes the outside once per key: started again after a crash it
/// finds what it did. Bodies with the member "invalid" are refused.
class FakeTaskKind final : public TaskKind {
 public:
  explicit FakeTaskKind(FakeWorld& world, std::string name = "fake") : world_(world), name_(std::move(name)) {}

  std::string name() const override { return name_; }
  Result<void> validate(const Document& body) const override {
    if (const Document* invalid = body.find("invalid")) return invalid_argument("fake.invalid", "told to refuse", invalid->where());
    return {};
  }
  std::unique_ptr<TaskRun> start(const TaskContext& context, const Document& body, TaskReport report) override {
    world_.on_start(context);
    world_.starts.push_back(context.key());
    world_.effects.try_emplace(context.key(), 1);
    if (const auto outcome = world_.immediate.find(context.task); outcome != world_.immediate.end()) {
      report.finish(outcome->second);
    } else {
      world_.tasks[context.task] = {context, body, std::move(report)};
    }
    return std::make_unique<Run>(world_, context);
  }

 private:
  class Run final : public TaskRun {
   public:
    Run(FakeWorld& world, TaskContext context) : world_(world), context_(std::move(context)) {}
    ~Run() override { world_.tasks.erase(context_.task); }
    void cancel(const std::string& why) override { world_.cancels.push_back(context_.key() + ": " + why); }

   private:
    FakeWorld& world_;
    TaskContext context_;
  };

  FakeWorld& world_;
  std::string name_;
};

}  // namespace trainyard::workflow::testing
