#pragma once
#include <string>

#include "base/result.h"
#include "serve/servable.h"

namespace trainyard::apps {

/// The file behind `uri`, verified against its checksum when it is an object of the store below `object_root`.
/// Errors: INVALID_ARGUMENT "serve.model_uri", FAILED_PRECONDITION "serve.model_missing", DATA_LOSS "object.corrupt".
Result<std::string> resolve_model_file(const std::string& uri, const std::string& object_root);

/// What the loader reports, in the words of a job: a missing file is bad configuration, an unreadable model bad data.
Error model_failure(Error error);

}  // namespace trainyard::apps
