#pragma once
#include <string>

#include "data/dataset_version.h"
#include "store/object_store.h"

namespace trainyard::data {

/// The property of a version whose rows are made up, or were made from such rows.
inline constexpr std::string_view kSyntheticProperty = "synthetic";

bool is_synthetic(const VersionDraft& draft);

/// Makes up a small curated dataset with the shape that `name` is known to have (cifar10 and cifar100: 3x32x32; everything else as
/// Fashion-MNIST: 1x28x28 and 10 classes), stores its packs and describes them: 2,000 training, 200 validation and 400 test rows. Every
/// class is a pattern under noise, so that a model can learn it. The same name always gives the same bytes. `scratch` is an existing
/// directory. Errors: INVALID_ARGUMENT "dataset.name", those of files and of the store.
Result<VersionDraft> make_synthetic_dataset(const std::string& name, store::ObjectStore& objects, const std::string& scratch);

}  // namespace trainyard::data
