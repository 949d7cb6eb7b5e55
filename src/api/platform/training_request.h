#pragma once
#include "base/describe_schema.h"
#include "base/document.h"

namespace trainyard::api {

/// True for the plain training request: an object without `kind` that has `model_config`, `training_config` or `dataset`.
bool is_training_request(const Document& body);

/// Turns {"model_config":..,"training_config":..,"dataset":..} into the spec of a training job: without a model the CNN, without a dataset
/// Fashion-MNIST, 900 milli-CPU a rank. Errors: INVALID_ARGUMENT as decode, with the position in the request.
Result<Document> training_job_spec(const Document& body);

/// The schema of the request.
Document training_request_schema(SchemaBook& book, SchemaStyle style);

}  // namespace trainyard::api
