#include "track/metric_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "track/metric_block.h"

namespace trainyard::track {
namespace {

using store::Connection;
using store::Row;

constexpr std::size_t kBlockPoints = 256;

double comparable(double value) { return std::isnan(value) ? 0 : value; }

auto order_of(const MetricPoint& point) {
  return std::make_tuple(point.timestamp_ms, point.step, !std::isnan(point.value), comparable(point.value), point.attempt);
}

struct Tail {
  std::int64_t number = 0;  ///< 0: there is no block yet.
  std::vector<MetricPoint> points;
};

Result<Tail> load_tail(Connection& sql, const RunId& run, std::string_view key) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query("SELECT number, points, content FROM metric_block WHERE run = ? AND key = ? ORDER BY number DESC LIMIT 1",
                             {run.text, std::string(key)}));
  if (rows.empty()) return Tail{};
  Tail tail{rows.front().integer(0), {}};
  if (rows.front().integer(1) < static_cast<std::int64_t>(kBlockPoints)) {
    ASSIGN_OR_RETURN(tail.points, decode_metric_block(rows.front().text(2)));
  } else {
    ++tail.number;
  }
  return tail;
}

}  // namespace

Result<void> BlockMetricStore::append(Connection& sql, const RunId& run, std::string_view key, const std::vector<MetricPoint>& points) {
  ASSIGN_OR_RETURN(Tail tail, load_tail(sql, run, key));
  std::int64_t number = std::max<std::int64_t>(tail.number, 1);
  std::vector<MetricPoint> block = std::move(tail.points);
  std::size_t taken = 0;
  while (taken < points.size()) {
    const std::size_t count = std::min(kBlockPoints - block.size(), points.size() - taken);
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(taken);
    block.insert(block.end(), first, first + static_cast<std::ptrdiff_t>(count));
    taken += count;
    TRY(
        sql.execute("INSERT INTO metric_block(run, key, number, points, content) VALUES(?, ?, ?, ?, ?) "
                    "ON CONFLICT(run, key, number) DO UPDATE SET points = excluded.points, content = excluded.content",
                    {run.text, std::string(key), number, static_cast<std::int64_t>(block.size()), encode_metric_block(block)}));
    block.clear();
    ++number;
  }
  return {};
}

Result<std::vector<MetricPoint>> BlockMetricStore::history(Connection& sql, const RunId& run, std::string_view key) {
  ASSIGN_OR_RETURN(const std::vector<Row> rows,
                   sql.query("SELECT content FROM metric_block WHERE run = ? AND key = ? ORDER BY number", {run.text, std::string(key)}));
  std::vector<MetricPoint> points;
  for (const Row& row : rows) {
    ASSIGN_OR_RETURN(const std::vector<MetricPoint> block, decode_metric_block(row.text(0)));
    points.insert(points.end(), block.begin(), block.end());
  }
  return effective_history(std::move(points));
}

std::vector<MetricPoint> effective_history(std::vector<MetricPoint> points) {
  std::map<std::int64_t, std::uint32_t> attempt_of_step;
  for (const MetricPoint& point : points) {
    std::uint32_t& attempt = attempt_of_step[point.step];
    attempt = std::max(attempt, point.attempt);
  }
  std::erase_if(points, [&](const MetricPoint& point) { return point.attempt != 0 && point.attempt < attempt_of_step[point.step]; });
  std::sort(points.begin(), points.end(), [](const MetricPoint& a, const MetricPoint& b) { return order_of(a) < order_of(b); });
  points.erase(
      std::unique(points.begin(), points.end(), [](const MetricPoint& a, const MetricPoint& b) { return order_of(a) == order_of(b); }),
      points.end());
  return points;
}

bool is_later(const MetricPoint& a, const MetricPoint& b) {
  return std::make_tuple(a.step, a.timestamp_ms, comparable(a.value)) > std::make_tuple(b.step, b.timestamp_ms, comparable(b.value));
}

double storable(double value) {
  if (std::isinf(value)) return value > 0 ? std::numeric_limits<double>::max() : std::numeric_limits<double>::lowest();
  return value;
}

}  // namespace trainyard::track
