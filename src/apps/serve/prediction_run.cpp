#include "apps/serve/prediction_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "api/oip/codec.h"

namespace trainyard::apps {
namespace {

namespace oip = api::oip;

/// What the server says about the model's tensors.
struct RemoteModel {
  std::string input;
  Shape row_shape;  ///< Of the input behind its first dimension.
  std::size_t row_size = 0;
};

std::string model_path(const PredictionSettings& settings) { return "/v2/models/" + net::percent_encode(settings.model); }

net::ClientRequest request_to(const PredictionSettings& settings, std::string method, std::string target) {
  net::ClientRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.timeout = settings.time_limit;
  if (!settings.token.empty()) request.headers.add("Authorization", "Bearer " + settings.token);
  return request;
}

Result<RemoteModel> describe_model(net::HttpClient& client, const PredictionSettings& settings) {
  ASSIGN_OR_RETURN(const net::Response response, client.send(request_to(settings, "GET", model_path(settings))));
  if (response.status != 200) {
    return failed_precondition("predict.model", fmt::format("Model server does not serve the model, it answered with status {}: {}: {}",
                                                            response.status, settings.model, response.body.substr(0, 200)));
  }
  ASSIGN_OR_RETURN(const Document metadata, parse_json(response.body));
  const Document& inputs = metadata["inputs"];
  if (inputs.items().size() != 1 || inputs.items().front()["datatype"].as_string().value_or("") != "FP32") {
    return failed_precondition("predict.model", fmt::format("Model must have exactly one input of FP32: {}", settings.model));
  }
  const Document& input = inputs.items().front();
  RemoteModel model;
  ASSIGN_OR_RETURN(model.input, input.string_at("name"));
  for (const Document& dimension : input["shape"].items()) {
    ASSIGN_OR_RETURN(const std::int64_t length, dimension.as_int());
    model.row_shape.push_back(length);
  }
  if (model.row_shape.empty())
    return failed_precondition("predict.model", fmt::format("Input of the model has no rows: {}", settings.model));
  model.row_shape.erase(model.row_shape.begin());
  ASSIGN_OR_RETURN(model.row_size, element_count(model.row_shape));
  return model;
}

Tensor scaled_rows(const ImageSource& images, std::size_t first, std::size_t count, const RemoteModel& model) {
  std::vector<float> values;
  values.reserve(count * model.row_size);
  for (std::size_t row = first; row < first + count; ++row) {
    for (const std::byte pixel : images.pixels(row)) values.push_back(static_cast<float>(std::to_integer<int>(pixel)) / 255.0F);
  }
  Shape shape{static_cast<std::int64_t>(count)};
  shape.insert(shape.end(), model.row_shape.begin(), model.row_shape.end());
  return make_tensor<float>(DataType::kFp32, std::move(shape), values);
}

/// How many rows have their highest score at their label.
Result<std::size_t> count_correct(const Tensor& scores, const ImageSource& images, std::size_t first, std::size_t count) {
  const std::size_t width = scores.bytes.size() / sizeof(float) / count;
  if (scores.type != DataType::kFp32 || scores.shape.empty() || scores.shape.front() != static_cast<std::int64_t>(count) || width == 0) {
    return invalid_argument("predict.answer",
                            fmt::format("Model answered {} rows with {} of shape {}", count, name_of(scores.type), text_of(scores.shape)));
  }
  std::vector<float> values(width);
  std::size_t correct = 0;
  for (std::size_t row = 0; row < count; ++row) {
    std::memcpy(values.data(), scores.bytes.data() + row * width * sizeof(float), width * sizeof(float));
    const auto best = static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
    if (best == images.label(first + row)) ++correct;
  }
  return correct;
}

/// The work of all connections: each takes the next batch until none is left or one failed.
class PredictionRun {
 public:
  PredictionRun(const ImageSource& images, const PredictionSettings& settings, const Clock& clock, const PredictionProgress& progress)
      : images_(images), settings_(settings), clock_(clock), progress_(progress), rows_(std::min(settings.rows, images.rows())) {}

  void work(const ClientFactory& connect) {
    if (Result<void> done = send_batches(connect); !done.ok()) {
      next_row_ = rows_;
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::move(done).error();
    }
  }

  Result<PredictionFigures> finish(Duration elapsed) {
    if (error_) return *std::move(error_);
    figures_.elapsed = elapsed;
    std::sort(figures_.latencies.begin(), figures_.latencies.end());
    return std::move(figures_);
  }

 private:
  Result<void> send_batches(const ClientFactory& connect) {
    ASSIGN_OR_RETURN(const std::unique_ptr<net::HttpClient> client, connect());
    ASSIGN_OR_RETURN(const RemoteModel model, describe_model(*client, settings_));
    if (rows_ > 0 && model.row_size != images_.pixels(0).size()) {
      return failed_precondition("predict.model", fmt::format("Model takes rows of {} values, the images have {} pixels: {}",
                                                              model.row_size, images_.pixels(0).size(), settings_.model));
    }
    for (;;) {
      const std::size_t first = next_row_.fetch_add(settings_.batch_size);
      if (first >= rows_) return {};
      TRY(send_batch(*client, model, first, std::min(settings_.batch_size, rows_ - first)));
    }
  }

  Result<void> send_batch(net::HttpClient& client, const RemoteModel& model, std::size_t first, std::size_t count) {
    ASSIGN_OR_RETURN(oip::EncodedRequest encoded,
                     oip::encode_infer_request({{model.input, scaled_rows(images_, first, count, model)}}, settings_.binary));
    net::ClientRequest request = request_to(settings_, "POST", model_path(settings_) + "/infer");
    for (const auto& [name, value] : encoded.headers.fields()) request.headers.add(name, value);
    request.body = std::move(encoded.body);
    const MonotonicPoint started = clock_.monotonic_now();
    ASSIGN_OR_RETURN(const net::Response response, client.send(request));
    ASSIGN_OR_RETURN(const std::vector<serve::NamedTensor> outputs, oip::decode_infer_response(response));
    const Duration latency = clock_.monotonic_now() - started;
    if (outputs.empty()) return invalid_argument("predict.answer", "Model answered without an output");
    ASSIGN_OR_RETURN(const std::size_t correct, count_correct(outputs.front().tensor, images_, first, count));
    return record(count, correct, latency);
  }

  Result<void> record(std::size_t count, std::size_t correct, Duration latency) {
    std::size_t done = 0;
    {
      const std::lock_guard lock(mutex_);
      figures_.rows += count;
      figures_.correct += correct;
      figures_.latencies.push_back(latency);
      done = figures_.rows;
    }
    if (progress_(done)) return {};
    return Error{Category::kCancelled, "predict.stopped", "The run was stopped on request", {}, {}};
  }

  const ImageSource& images_;
  const PredictionSettings& settings_;
  const Clock& clock_;
  const PredictionProgress& progress_;
  const std::size_t rows_;
  std::atomic<std::size_t> next_row_{0};
  std::mutex mutex_;
  PredictionFigures figures_;   // guarded by mutex_
  std::optional<Error> error_;  // guarded by mutex_
};

}  // namespace

double PredictionFigures::accuracy() const { return rows == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(rows); }

double PredictionFigures::percentile_ms(double rank) const {
  if (latencies.empty()) return 0;
  const auto position = static_cast<std::size_t>(std::ceil(rank * static_cast<double>(latencies.size())));
  return static_cast<double>(latencies[std::clamp<std::size_t>(position, 1, latencies.size()) - 1].count()) / 1000.0;
}

double PredictionFigures::rows_per_second() const {
  return elapsed.count() == 0 ? 0 : static_cast<double>(rows) * 1e6 / static_cast<double>(elapsed.count());
}

Result<PredictionFigures> run_predictions(const ImageSource& images, const PredictionSettings& settings, const ClientFactory& connect,
                                          const Clock& clock, const PredictionProgress& progress) {
  PredictionRun run(images, settings, clock, progress);
  const MonotonicPoint started = clock.monotonic_now();
  {
    std::vector<std::jthread> connections;
    for (std::size_t i = 0; i < settings.connections; ++i) connections.emplace_back([&run, &connect] { run.work(connect); });
  }
  return run.finish(clock.monotonic_now() - started);
}

}  // namespace trainyard::apps
