#pragma once
#include "base/executor.h"
#include "data/catalog.h"
#include "track/model_registry.h"
#include "workflow/task_kind.h"

namespace trainyard::tasks {

/// The kind `register`: {model, uri, run_id, dataset, alias}. Makes the next version of a model, once per task whatever happens, and moves
/// the alias to it. Output: {"result":{"model","version","alias"}}. What comes from synthetic data is refused.
class RegisterTaskKind final : public workflow::TaskKind {
 public:
  struct Deps {
    Executor& strand;
    Executor& writes;  ///< Where the registry is called, since it blocks.
    track::ModelRegistry& models;
    data::CatalogRepository& catalog;
  };
  explicit RegisterTaskKind(Deps deps) : deps_(deps) {}
  std::string name() const override { return "register"; }
  Result<void> validate(const Document& body) const override;
  std::unique_ptr<workflow::TaskRun> start(const workflow::TaskContext& context, const Document& body,
                                           workflow::TaskReport report) override;

 private:
  Deps deps_;
};

}  // namespace trainyard::tasks
