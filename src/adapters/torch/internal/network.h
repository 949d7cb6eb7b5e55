#pragma once
#include <cstdint>
#include <memory>

#include "adapters/torch/internal/parameter_set.h"
#include "adapters/torch/onnx_builder.h"
#include "base/rng.h"

namespace trainyard::adapters::torch::internal {

/// What a network is built for.
struct NetworkSettings {
  std::int64_t channels = 1;
  std::int64_t height = 28;
  std::int64_t width = 28;
  std::int64_t classes = 10;
  std::int64_t network_width = 0;  ///< 0: the network's default.
};

/// A classifier of images. Not thread-safe. Exceptions of the framework pass through.
class Network {
 public:
  virtual ~Network() = default;
  /// Logits [N, classes] of float pixels [N, channels, height, width] from 0 to 1. `training` updates running statistics, if there are any.
  virtual at::Tensor forward(const at::Tensor& pixels, bool training) = 0;
  virtual ParameterSet& parameters() = 0;
  /// Adds nodes and constants from "pixels" to "logits", in evaluation mode.
  virtual void write_onnx(OnnxBuilder& onnx) = 0;
};

/// One hidden layer of `network_width` (default 128) rectified units.
std::unique_ptr<Network> make_mlp(const NetworkSettings& settings, Rng& rng);
/// 5x5 convolution with stride 2 to w channels (default 16), 3x3 convolution to 2w, 2x2 max pooling, hidden layer of 4w.
std::unique_ptr<Network> make_cnn(const NetworkSettings& settings, Rng& rng);
/// ResNet-18 (He et al. 2015) with the stem for small images: 3x3 convolution with stride 1 and no pooling; w (default 64), 2w, 4w and 8w
/// channels in four stages of two basic blocks.
std::unique_ptr<Network> make_resnet18(const NetworkSettings& settings, Rng& rng);

}  // namespace trainyard::adapters::torch::internal
