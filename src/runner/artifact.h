#pragma once
#include <string>

#include "base/result.h"
#include "runner/event_writer.h"
#include "store/object_store.h"

namespace trainyard::runner {

/// Where an artifact goes: the object "BUCKET/HASH.EXTENSION", named by its content, so that storing it again changes nothing.
struct ArtifactPlace {
  std::string name;       ///< What people call it: "model.onnx".
  std::string bucket;     ///< "models"
  std::string extension;  ///< ".onnx"
};

/// Stores a file durably, reading it in bounded memory, and returns what the artifact event says. Errors: those of the store and of
/// reading.
Result<ArtifactEvent> put_object(store::ObjectStore& objects, const ArtifactPlace& place, const std::string& path);

}  // namespace trainyard::runner
