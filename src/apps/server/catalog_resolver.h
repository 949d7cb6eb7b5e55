#pragma once
#include "api/platform/job_context.h"
#include "data/catalog.h"
#include "store/object_store.h"

namespace trainyard::apps {

/// Pins what a spec refers to at submit: dataset versions with their files, so that a job never asks the catalog.
class CatalogResolver final : public api::SubmissionResolver {
 public:
  CatalogResolver(data::CatalogRepository& catalog, store::ObjectStore& objects) : catalog_(catalog), objects_(objects) {}

  /// Errors: INVALID_ARGUMENT "spec.kind" with the known kinds; NOT_FOUND "catalog.unknown_dataset" with the ways to get the dataset.
  Result<Document> resolve(JobSpec& spec) override;

 private:
  Result<Document> resolve_input(const std::string& reference);

  data::CatalogRepository& catalog_;
  store::ObjectStore& objects_;
};

}  // namespace trainyard::apps
