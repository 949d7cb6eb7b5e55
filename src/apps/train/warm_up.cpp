#include "apps/train/warm_up.h"

#include <array>
#include <cstddef>
#include <memory>

#include "adapters/torch/torch_trainer.h"

namespace trainyard::apps {

void warm_up_training() {
  constexpr train::RecordLayout kLayout{
      .record_bytes = 1 + 12 * 12, .label_offset = 0, .pixels_offset = 1, .channels = 1, .height = 12, .width = 12};
  constexpr std::array<std::uint64_t, 2> kRows{0, 0};
  const std::array<std::byte, kLayout.record_bytes> record{};
  const train::RecordTable table{.bytes = record, .record_bytes = kLayout.record_bytes};
  adapters::torch::configure_torch(1);
  const auto trainer = adapters::torch::make_torch_trainer({.model_width = 8, .classes = 2, .layout = kLayout, .seed = 1});
  // A failure shows when a job fails in the same way.
  if (trainer.ok()) (void)trainer.value()->forward({.table = table, .rows = kRows});
}

}  // namespace trainyard::apps
