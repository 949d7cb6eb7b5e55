#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "store/database.h"
#include "track/types.h"

namespace trainyard::track {

struct ModelAlias {
  std::string alias;
  std::int64_t version = 0;
};

/// One version of a registered model. Numbers count from 1 and are never used twice, deleted ones included.
struct ModelVersion {
  std::string model;
  std::int64_t version = 0;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::string description;
  std::string source;  ///< Where the files are: "ty://models/x.onnx", "mlflow-artifacts:/1/RUN/artifacts/model".
  RunId run;           ///< The run that made it; empty when nobody said.
  std::string run_link;
  std::string stage;  ///< "None", "Staging", "Production" or "Archived".
  std::string user;
  std::string dataset;         ///< The dataset version it was trained on, "name@3/curated"; empty when nobody said.
  std::vector<KeyValue> tags;  ///< By key.
  std::vector<std::string> aliases;
};

struct RegisteredModel {
  std::string name;
  std::string description;
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::vector<KeyValue> tags;                 ///< By key.
  std::vector<ModelAlias> aliases;            ///< By alias.
  std::vector<ModelVersion> latest_versions;  ///< The highest version of each stage.
};

struct NewModelVersion {
  std::string model;
  std::string source;
  RunId run;
  std::string run_link;
  std::string description;
  std::string user;
  std::string dataset;          ///< Empty: the run's tag "trainyard.dataset", if it has one.
  std::string idempotency_key;  ///< The same key again gives the version it made first; empty for none.
  std::vector<KeyValue> tags;
  bool create_model = false;  ///< Registers the model too when it is new.
};

struct RegistrySearch {
  std::string filter;
  std::vector<std::string> order_by;
  std::int64_t max_results = 100;
  std::string page_token;
};

struct ModelPage {
  std::vector<RegisteredModel> models;
  std::string next_page_token;  ///< Empty on the last page.
};

struct ModelVersionPage {
  std::vector<ModelVersion> versions;
  std::string next_page_token;  ///< Empty on the last page.
};

/// A version as clients name it.
struct ModelVersionName {
  std::string model;
  std::int64_t version = 0;
};

/// The tag of a run whose data is made up; its models are not registered.
inline constexpr std::string_view kSyntheticTag = "synthetic";
/// The tag of a run that names the dataset version it trained on.
inline constexpr std::string_view kDatasetTag = "trainyard.dataset";

/// Errors: INVALID_ARGUMENT for what no alias can be: empty, too long, a version number, "latest".
Result<void> check_alias(const std::string& alias);

/// Registered models, their versions and aliases. May be called from any thread; blocks. Texts of errors are those clients of MLflow match
/// on. Errors of every method: INVALID_ARGUMENT for bad values, NOT_FOUND "registry.unknown_model" and "registry.unknown_version", those of
/// the database.
class ModelRegistry {
 public:
  ModelRegistry(store::Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  /// Errors: also ALREADY_EXISTS "registry.model_exists".
  Result<RegisteredModel> create_model(const std::string& name, const std::string& description, const std::vector<KeyValue>& tags);
  Result<RegisteredModel> get_model(const std::string& name);
  Result<RegisteredModel> describe_model(const std::string& name, const std::string& description);
  /// Takes versions, tags and aliases along.
  Result<RegisteredModel> rename_model(const std::string& name, const std::string& new_name);
  Result<void> delete_model(const std::string& name);
  Result<void> set_model_tag(const std::string& name, const KeyValue& tag);
  /// An absent tag is no error.
  Result<void> delete_model_tag(const std::string& name, const std::string& key);
  Result<ModelPage> search_models(const RegistrySearch& search);

  /// Gives the model its next version. Errors: also FAILED_PRECONDITION "registry.synthetic" when the run is tagged as synthetic,
  /// INVALID_ARGUMENT "registry.source" for a source outside what the run owns, NOT_FOUND "track.unknown_run".
  Result<ModelVersion> create_version(const NewModelVersion& version);
  Result<ModelVersion> get_version(const ModelVersionName& name);
  Result<ModelVersion> describe_version(const ModelVersionName& name, const std::string& description);
  /// The sources of the versions that came out of a run; those of deleted versions are left out.
  Result<std::vector<std::string>> sources_in(const RunId& run);
  /// Hides the version and drops its aliases.
  Result<void> delete_version(const ModelVersionName& name);
  Result<void> set_version_tag(const ModelVersionName& name, const KeyValue& tag);
  Result<void> delete_version_tag(const ModelVersionName& name, const std::string& key);
  /// `stage` in any case. `archive_others` moves the versions that are there to Archived.
  Result<ModelVersion> set_stage(const ModelVersionName& name, const std::string& stage, bool archive_others);
  /// The highest version of each of `stages`, of every stage when empty.
  Result<std::vector<ModelVersion>> latest_versions(const std::string& name, const std::vector<std::string>& stages);
  Result<ModelVersionPage> search_versions(const RegistrySearch& search);

  /// Moves the alias to this version.
  Result<void> set_alias(const ModelVersionName& name, const std::string& alias);
  /// An absent alias is no error.
  Result<void> delete_alias(const std::string& model, const std::string& alias);
  /// "latest" in any case is the highest version. Errors: also INVALID_ARGUMENT "registry.unknown_alias".
  Result<ModelVersion> version_of_alias(const std::string& model, const std::string& alias);

 private:
  /// Runs `change` on a version that exists, notes the time, and returns the version as it is then.
  Result<ModelVersion> change_version(const ModelVersionName& name, const std::function<Result<void>(store::Connection&)>& change);
  Result<RegisteredModel> change_model(const std::string& name, const std::function<Result<void>(store::Connection&)>& change);
  std::int64_t now_ms() const { return micros(clock_.now()) / 1000; }

  store::Database& database_;
  const Clock& clock_;
};

}  // namespace trainyard::track
