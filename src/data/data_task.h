#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "data/dataset_version.h"
#include "data/table_io.h"
#include "store/object_store.h"

namespace trainyard::data {

/// Makes a version visible: the last step of every task, after all its bytes are durable.
class VersionPublisher {
 public:
  virtual ~VersionPublisher() = default;
  /// Publishes once per idempotency key; a repeat returns the first version. May block. Errors: those of the catalog, UNAVAILABLE when it
  /// cannot be reached.
  virtual Result<DatasetVersionKey> publish(const VersionDraft& draft) = 0;
};

/// Hears how far a task is, and says when it should stop. Called from the task's thread.
class TaskMonitor {
 public:
  virtual ~TaskMonitor() = default;
  virtual void progress(std::int64_t done, std::int64_t total, std::string_view message) = 0;
  virtual bool stop_requested() = 0;
};

/// CANCELLED "etl.stopped" once a stop was asked for: a task that stops has published nothing and can simply run again.
Result<void> check_stop(TaskMonitor& monitor);

/// Who runs the task, and where it may put scratch files.
struct DataTask {
  JobId job;
  AttemptNumber attempt;
  std::string idempotency_key;    ///< Of the version that is the task's output.
  std::string dataset;            ///< Name of the output dataset.
  std::string scratch_directory;  ///< There, private to the task, on the disk of the object store if possible; the caller removes it.
};

/// A draft with what the task knows of it: who publishes it, under which name and key.
VersionDraft draft_of(const DataTask& task, DatasetLayer layer);

/// What a task works with. The references outlive it.
struct DataDeps {
  TableIo& tables;
  store::ObjectStore& objects;
  VersionPublisher& publisher;
  TaskMonitor& monitor;
};

}  // namespace trainyard::data
