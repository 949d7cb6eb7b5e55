#pragma once
#include "base/executor.h"
#include "data/catalog.h"
#include "net/router.h"
#include "store/object_store.h"

namespace trainyard::api {

/// What the dataset routes work on; all of it outlives the HTTP server. `blocking` is a thread for database and file access.
struct DatasetContext {
  Executor& blocking;
  data::CatalogRepository& catalog;
  store::ObjectStore& objects;
};

/// Adds POST /api/v1/datasets/{name}/versions, which publishes a version: 201, or 200 when its key did so before. A job may publish
/// in its own attempt's name only, and every file must lie in the object store.
/// Adds GET /api/v1/datasets (the newest version of each layer), /api/v1/datasets/{name} (all versions, without their files) and
/// /api/v1/datasets/{name}/versions/{version}?layer= (a number or "latest", by default of the curated layer; with files and lineage).
void add_dataset_routes(net::Router& router, DatasetContext context);

}  // namespace trainyard::api
