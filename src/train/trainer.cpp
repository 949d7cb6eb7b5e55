#include "train/trainer.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace trainyard::train {
namespace {

/// -log softmax(logits)[label], computed from the largest logit down so that nothing overflows.
double cross_entropy(std::span<const float> logits, std::size_t label) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return std::log(sum) + largest - static_cast<double>(logits[label]);
}

}  // namespace

BatchScore score_logits(std::span<const float> logits, const RecordBatch& batch, const RecordLayout& layout) {
  BatchScore score;
  if (batch.rows.empty()) return score;
  CHECK(logits.size() % batch.rows.size() == 0, "logits are not rows x classes");
  const std::size_t classes = logits.size() / batch.rows.size();
  for (std::size_t i = 0; i < batch.rows.size(); ++i) {
    const std::span<const float> row = logits.subspan(i * classes, classes);
    const auto label = std::to_integer<std::size_t>(batch.table.record(batch.rows[i])[layout.label_offset]);
    CHECK(label < classes, "a label beyond the classes of the model");
    const auto best = static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    score.loss += cross_entropy(row, label);
    score.correct += best == label ? 1 : 0;
    score.rows += 1;
  }
  return score;
}

}  // namespace trainyard::train
