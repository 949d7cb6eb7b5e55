#include "apps/serve/predict_job.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <atomic>
#include <cstdio>

#include "data/pack.h"

namespace trainyard::apps {
namespace {

constexpr std::int64_t kProgressEveryMicros = 1'000'000;

/// The records of a pack as images: a uint8 field "label" and a uint8 field "pixels".
class PackImages final : public ImageSource {
 public:
  static Result<PackImages> open(const std::string& path) {
    ASSIGN_OR_RETURN(data::PackReader reader, data::PackReader::open(path));
    TRY(reader.verify());
    const auto field = [&](std::string_view name) -> Result<data::PackField> {
      for (const data::PackField& candidate : reader.header().fields) {
        if (candidate.name == name && candidate.type == "uint8") return candidate;
      }
      return invalid_argument("predict.pack", fmt::format("Pack has no field {} of uint8: {}", name, path));
    };
    ASSIGN_OR_RETURN(const data::PackField label, field("label"));
    ASSIGN_OR_RETURN(const data::PackField pixels, field("pixels"));
    std::size_t size = 1;
    for (const std::int64_t length : pixels.shape) size *= static_cast<std::size_t>(length);
    return PackImages(std::move(reader), label.offset, pixels.offset, size);
  }

  std::size_t rows() const override { return static_cast<std::size_t>(reader_.rows()); }
  std::span<const std::byte> pixels(std::size_t row) const override {
    return reader_.record(static_cast<std::int64_t>(row)).subspan(pixels_offset_, pixels_size_);
  }
  std::size_t label(std::size_t row) const override {
    return std::to_integer<std::size_t>(reader_.record(static_cast<std::int64_t>(row))[label_offset_]);
  }

 private:
  PackImages(data::PackReader reader, std::size_t label_offset, std::size_t pixels_offset, std::size_t pixels_size)
      : reader_(std::move(reader)), label_offset_(label_offset), pixels_offset_(pixels_offset), pixels_size_(pixels_size) {}

  data::PackReader reader_;
  std::size_t label_offset_;
  std::size_t pixels_offset_;
  std::size_t pixels_size_;
};

PredictionSettings settings_of(const PredictConfig& config) {
  return {.model = config.model_name,
          .token = config.token,
          .rows = static_cast<std::size_t>(config.limit),
          .batch_size = static_cast<std::size_t>(config.batch_size),
          .connections = static_cast<std::size_t>(config.connections),
          .binary = config.encoding == "binary",
          .time_limit = std::chrono::duration_cast<std::chrono::milliseconds>(config.time_limit)};
}

void print_figures(const PredictionFigures& figures, const PredictConfig& config) {
  fmt::print("model      {} at {}\n", config.model_name, config.url);
  fmt::print("images     {} in requests of {} over {} connection(s)\n", figures.rows, config.batch_size, config.connections);
  fmt::print("accuracy   {:.4f} ({} correct)\n", figures.accuracy(), figures.correct);
  fmt::print("latency    p50 {:.3f} ms, p99 {:.3f} ms\n", figures.percentile_ms(0.5), figures.percentile_ms(0.99));
  fmt::print("throughput {:.0f} images/s\n", figures.rows_per_second());
  std::fflush(stdout);
}

}  // namespace

Document result_of(const PredictionFigures& figures, const PredictConfig& config) {
  return Document::object({{"accuracy", figures.accuracy()},
                           {"correct", static_cast<std::int64_t>(figures.correct)},
                           {"rows", static_cast<std::int64_t>(figures.rows)},
                           {"p50_ms", figures.percentile_ms(0.5)},
                           {"p99_ms", figures.percentile_ms(0.99)},
                           {"throughput_per_s", figures.rows_per_second()},
                           {"seconds", static_cast<double>(figures.elapsed.count()) / 1e6},
                           {"batch_size", config.batch_size},
                           {"connections", config.connections},
                           {"model_name", config.model_name},
                           {"url", config.url}});
}

Result<runner::ExitCode> run_predict_job(runner::JobContext& context) {
  ASSIGN_OR_RETURN(const PredictConfig config, decode<PredictConfig>(context.spec.config));
  ASSIGN_OR_RETURN(const runner::InputDataset dataset, context.spec.input("data"));
  ASSIGN_OR_RETURN(const runner::InputFile file, dataset.only_file_of("pack:test"));
  ASSIGN_OR_RETURN(const PackImages images, PackImages::open(file.path));

  const auto total = static_cast<std::int64_t>(std::min(images.rows(), static_cast<std::size_t>(config.limit)));
  std::atomic<std::int64_t> report_at{0};
  const PredictionProgress progress = [&](std::size_t done) {
    const std::int64_t now = context.clock.monotonic_now().time_since_epoch().count();
    std::int64_t due = report_at.load();
    if (now >= due && report_at.compare_exchange_strong(due, now + kProgressEveryMicros)) {
      context.events.progress(static_cast<std::int64_t>(done), total, "images sent");
    }
    return !context.stop.stop_requested();
  };
  const ClientFactory connect = [&config, &context] { return net::make_http_client(config.url, {.ca_file = context.environment.ca_file}); };
  Result<PredictionFigures> figures = run_predictions(images, settings_of(config), connect, context.clock, progress);
  if (!figures.ok() && figures.error().category == Category::kCancelled) return runner::ExitCode::kStoppedOnRequest;
  if (!figures.ok()) return std::move(figures).error().with_context(fmt::format("asking {}", config.url));

  context.events.progress(total, total, "done");
  context.events.metric("accuracy", figures->accuracy(), 0);
  context.events.metric("latency_p50_ms", figures->percentile_ms(0.5), 0);
  context.events.metric("latency_p99_ms", figures->percentile_ms(0.99), 0);
  context.events.metric("throughput_per_s", figures->rows_per_second(), 0);
  context.events.result(result_of(*figures, config));
  print_figures(*figures, config);
  return runner::ExitCode::kDone;
}

}  // namespace trainyard::apps
