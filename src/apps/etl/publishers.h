#pragma once
#include <memory>
#include <string>

#include "base/time.h"
#include "data/data_task.h"
#include "runner/environment.h"
#include "runner/stop_signal.h"

namespace trainyard::apps {

/// Publishes through POST /api/v1/datasets/{name}/versions with the attempt's token. While the server is away it tries again for
/// `patience`, since a publication is idempotent; a stop request ends the wait. Errors: those of the server, UNAVAILABLE or
/// DEADLINE_EXCEEDED.
class ApiPublisher final : public data::VersionPublisher {
 public:
  struct Settings {
    std::string api_url;
    std::string token;
    Duration patience = std::chrono::seconds(60);
    std::string ca_file = {};  ///< Whom to trust with TLS; empty: whom the machine trusts.
  };
  ApiPublisher(Settings settings, runner::StopSignal& stop, const Clock& clock)
      : settings_(std::move(settings)), stop_(stop), clock_(clock) {}

  Result<DatasetVersionKey> publish(const data::VersionDraft& draft) override;

 private:
  Result<DatasetVersionKey> try_publish(const data::VersionDraft& draft) const;

  Settings settings_;
  runner::StopSignal& stop_;
  const Clock& clock_;
};

/// Publishes into files when no server is to be called: DIRECTORY/NAME/LAYER/VERSION.json, the form in which the server shows a version.
/// Idempotent as the catalog is. One process at a time.
class FilePublisher final : public data::VersionPublisher {
 public:
  FilePublisher(std::string directory, const Clock& clock) : directory_(std::move(directory)), clock_(clock) {}

  Result<DatasetVersionKey> publish(const data::VersionDraft& draft) override;

 private:
  std::string directory_;
  const Clock& clock_;
};

/// The publisher for a job: the server's API if the environment names a server, else files in `versions` of the working directory.
Result<std::unique_ptr<data::VersionPublisher>> make_publisher(const runner::Environment& environment, runner::StopSignal& stop,
                                                               const Clock& clock);

}  // namespace trainyard::apps
