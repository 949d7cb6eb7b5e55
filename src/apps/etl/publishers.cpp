#include "apps/etl/publishers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "client/api_client.h"
#include "net/http_client.h"

namespace trainyard::apps {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(5);

bool worth_another_try(const Error& error) {
  return error.category == Category::kUnavailable || error.category == Category::kDeadlineExceeded;
}

Result<DatasetVersionKey> key_from(const Document& answer) {
  DatasetVersionKey key;
  ASSIGN_OR_RETURN(key.name, answer.string_at("name"));
  ASSIGN_OR_RETURN(const std::string layer, answer.string_at("layer"));
  ASSIGN_OR_RETURN(key.layer, parse_dataset_layer(layer));
  ASSIGN_OR_RETURN(key.version, answer.int_at("version"));
  return key;
}

}  // namespace

Result<DatasetVersionKey> ApiPublisher::try_publish(const data::VersionDraft& draft) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<net::HttpClient> http, net::make_http_client(settings_.api_url, {.ca_file = settings_.ca_file}));
  client::ApiClient api(*http, settings_.token);
  ASSIGN_OR_RETURN(const Document answer, api.post(fmt::format("/api/v1/datasets/{}/versions", net::percent_encode(draft.name)),
                                                   data::to_document(draft), draft.idempotency_key));
  return key_from(answer);
}

Result<DatasetVersionKey> ApiPublisher::publish(const data::VersionDraft& draft) {
  const MonotonicPoint deadline = clock_.monotonic_now() + settings_.patience;
  Duration pause = kFirstPause;
  for (;;) {
    Result<DatasetVersionKey> published = try_publish(draft);
    if (published.ok() || !worth_another_try(published.error()) || clock_.monotonic_now() + pause > deadline) return published;
    if (stop_.wait_for_stop(pause)) return published;
    pause = std::min(pause * 2, kLongestPause);
  }
}

Result<DatasetVersionKey> FilePublisher::publish(const data::VersionDraft& draft) {
  const std::string directory = fmt::format("{}/{}/{}", directory_, draft.name, name_of(draft.layer));
  TRY(make_directories(directory));
  data::DatasetVersion version{draft, 0, clock_.now()};
  for (version.version = 1;; ++version.version) {
    const std::string path = fmt::format("{}/{}.json", directory, version.version);
    if (!file_exists(path)) {
      TRY(write_file_durably(path, to_pretty_json(data::to_document(version))));
      return version.key();
    }
    ASSIGN_OR_RETURN(const std::string text, read_file(path));
    ASSIGN_OR_RETURN(const Document document, parse_json(text));
    ASSIGN_OR_RETURN(const data::DatasetVersion known, data::dataset_version_from(document));
    if (known.draft.idempotency_key == draft.idempotency_key) return known.key();
  }
}

Result<std::unique_ptr<data::VersionPublisher>> make_publisher(const runner::Environment& environment, runner::StopSignal& stop,
                                                               const Clock& clock) {
  if (environment.api_url.empty()) {
    return std::unique_ptr<data::VersionPublisher>(std::make_unique<FilePublisher>(environment.workdir + "/versions", clock));
  }
  ApiPublisher::Settings settings{.api_url = environment.api_url, .token = {}};
  settings.ca_file = environment.ca_file;
  if (!environment.token_file.empty()) {
    ASSIGN_OR_RETURN(settings.token, runner::read_token(environment));
  }
  return std::unique_ptr<data::VersionPublisher>(std::make_unique<ApiPublisher>(std::move(settings), stop, clock));
}

}  // namespace trainyard::apps
