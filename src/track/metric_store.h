#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "store/database.h"
#include "track/types.h"

namespace trainyard::track {

/// The histories of metrics. Methods run inside the caller's transaction, so that a batch is kept whole or not at all. Thread rules are
/// those of the connection. Errors of every method: those of the connection, DATA_LOSS "track.metric_block".
class MetricStore {
 public:
  virtual ~MetricStore() = default;

  /// Adds points of one metric. A point that is added twice shows once.
  virtual Result<void> append(store::Connection& sql, const RunId& run, std::string_view key, const std::vector<MetricPoint>& points) = 0;
  /// The whole history by (timestamp, step, value), each point once, points of replaced attempts left out; empty for an unknown key.
  virtual Result<std::vector<MetricPoint>> history(store::Connection& sql, const RunId& run, std::string_view key) = 0;
};

/// Checksummed blocks of up to a few hundred points in the table metric_block. The last block of a key grows until it is full.
class BlockMetricStore final : public MetricStore {
 public:
  Result<void> append(store::Connection& sql, const RunId& run, std::string_view key, const std::vector<MetricPoint>& points) override;
  Result<std::vector<MetricPoint>> history(store::Connection& sql, const RunId& run, std::string_view key) override;
};

/// The points of a history that count: equal points once; of the points that attempts reported for one step, those of the highest attempt.
/// Ordered by (timestamp, step, value), NaN first among equals.
std::vector<MetricPoint> effective_history(std::vector<MetricPoint> points);

/// True when `a` is the later value of a metric: greater (step, timestamp, value), NaN compared as 0.
bool is_later(const MetricPoint& a, const MetricPoint& b);

/// NaN stays, infinities become the largest finite numbers.
double storable(double value);

}  // namespace trainyard::track
