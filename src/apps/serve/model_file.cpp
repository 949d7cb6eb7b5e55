#include "apps/serve/model_file.h"

#include <fmt/format.h>

#include "adapters/localfs/local_object_store.h"
#include "base/file.h"

namespace trainyard::apps {
namespace {

constexpr std::string_view kObjectScheme = "ty://";

Error missing(const std::string& uri) {
  return failed_precondition("serve.model_missing", fmt::format("Model file does not exist; train or register it first: {}", uri));
}

}  // namespace

Result<std::string> resolve_model_file(const std::string& uri, const std::string& object_root) {
  if (!uri.starts_with(kObjectScheme)) {
    if (!uri.starts_with('/')) {
      return invalid_argument("serve.model_uri", fmt::format("model_uri must be ty://bucket/key or an absolute path: {}", uri),
                              "/config/model_uri");
    }
    return file_exists(uri) ? Result<std::string>(uri) : missing(uri);
  }
  ASSIGN_OR_RETURN(const store::ObjectName name, store::parse_object_uri(uri));
  if (object_root.empty())
    return invalid_argument("serve.model_uri", fmt::format("The spec has no object_root to find the model in: {}", uri));
  ASSIGN_OR_RETURN(const std::unique_ptr<store::ObjectStore> objects, adapters::localfs::make_local_object_store(object_root));
  if (const Result<void> verified = objects->verify(name); !verified.ok()) {
    return verified.error().category == Category::kNotFound ? missing(uri) : verified.error();
  }
  return objects->local_path(name);
}

Error model_failure(Error error) {
  if (error.id == "serve.model_unreadable") error.category = Category::kDataLoss;
  if (error.category == Category::kNotFound) error.category = Category::kFailedPrecondition;
  return error;
}

}  // namespace trainyard::apps
