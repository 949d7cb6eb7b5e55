#pragma once
#include "api/platform/job_context.h"
#include "data/catalog.h"
#include "store/object_store.h"

namespace trainyard::apps {

/// Pins what a spec refers to at submit: dataset versions with their files, so that a job never asks the catalog.
class CatalogResolver final : public api::SubmissionResolver {
 public:
  struct Deps {
    data::CatalogRepository& catalog;
    store::ObjectStore& objects;
    std::string cache;                ///< Directory for scratch files.
    bool synthetic_fallback = false;  ///< A small synthetic dataset takes the place of one that is not in the catalog.
  };
  explicit CatalogResolver(Deps deps) : deps_(std::move(deps)) {}

  /// Without the fallback a synthetic version that an earlier server made counts as missing. Errors: INVALID_ARGUMENT "spec.kind" with the
  /// known kinds; NOT_FOUND "catalog.unknown_dataset" with the ways to get the dataset.
  Result<Document> resolve(JobSpec& spec) override;
  /// An input that a stand-in would be made for keeps its reference.
  Result<void> check(JobSpec& spec) override;

 private:
  bool is_replaceable(const Error& missing, const DatasetRef& ref) const;
  Result<Document> resolve_input(const std::string& reference);
  Result<data::DatasetVersion> find(const DatasetRef& ref);
  Result<data::DatasetVersion> find_or_make(const DatasetRef& ref);
  Result<data::DatasetVersion> publish_stand_in(const std::string& name);

  Deps deps_;
};

}  // namespace trainyard::apps
