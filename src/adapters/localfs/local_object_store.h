#pragma once
#include <memory>
#include <string>

#include "store/object_store.h"

namespace trainyard::adapters::localfs {

/// Opens the object store in directory `root`, which is made when it is absent: the object bucket/key is the file root/bucket/key, its size
/// and checksum are in root/@meta/bucket/key@json (docs/formats/object-store.md). Several processes may use one root at once. What writers
/// that died left behind is removed. Symbolic links below the root are never followed. Failpoints: "object.after_write_before_rename",
/// "object.after_rename_before_sync". Errors: also FAILED_PRECONDITION "object.name_conflict" when a part of a key is itself an object.
Result<std::unique_ptr<store::ObjectStore>> make_local_object_store(const std::string& root);

}  // namespace trainyard::adapters::localfs
