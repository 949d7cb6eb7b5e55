#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "net/http_client.h"
#include "serve/servable.h"

namespace trainyard::apps {

/// Labelled images that can be asked for in any order, from several threads.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual std::size_t rows() const = 0;
  /// Pixels of one row as 0..255, row-major; the same number for every row.
  virtual std::span<const std::byte> pixels(std::size_t row) const = 0;
  virtual std::size_t label(std::size_t row) const = 0;
};

struct PredictionSettings {
  std::string model;
  std::string token;
  std::size_t rows = 1000;  ///< At most as many as the source has.
  std::size_t batch_size = 1;
  std::size_t connections = 1;
  bool binary = true;
  std::chrono::milliseconds time_limit{30'000};
};

struct PredictionFigures {
  std::size_t rows = 0;
  std::size_t correct = 0;
  std::vector<Duration> latencies;  ///< Of each request, ascending.
  Duration elapsed{0};

  double accuracy() const;
  /// The latency that the share `rank` in (0, 1] of all requests does not exceed.
  double percentile_ms(double rank) const;
  double rows_per_second() const;
};

using ClientFactory = std::function<Result<std::unique_ptr<net::HttpClient>>()>;

/// Told after every request how many rows are done; false stops the run.
using PredictionProgress = std::function<bool(std::size_t done)>;

/// Asks the model for every row, scaled to 0..1, over `connections` connections at once, each with a client of its own. The model must have
/// one FP32 input; a row takes the shape of that input behind its first dimension. Latency runs from the encoded request to the decoded
/// answer. `progress` is called from all connections' threads. Errors: the first one of any connection.
/// CANCELLED "predict.stopped" when `progress` said so.
Result<PredictionFigures> run_predictions(const ImageSource& images, const PredictionSettings& settings, const ClientFactory& connect,
                                          const Clock& clock, const PredictionProgress& progress);

}  // namespace trainyard::apps
