#include <ATen/core/Tensor.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

#include "adapters/torch/internal/check_is_ours.h"

#include "adapters/torch/internal/layers.h"
#include "adapters/torch/internal/network.h"

namespace trainyard::adapters::torch::internal {
namespace {

constexpr std::int64_t kDefaultWidth = 16;
constexpr std::int64_t kPool = 2;

/// Small and quick: the stride of the first convolution quarters the work of the second, which holds most of it.
class Cnn final : public Network {
 public:
  Cnn(const NetworkSettings& settings, Rng& rng) {
    const std::int64_t width = settings.network_width > 0 ? settings.network_width : kDefaultWidth;
    first_ = add_convolution(parameters_, "conv1", {.inputs = settings.channels, .outputs = width, .kernel = 5, .stride = 2}, rng);
    second_ = add_convolution(parameters_, "conv2", {.inputs = width, .outputs = 2 * width, .kernel = 3, .stride = 1}, rng);
    const std::int64_t rows = strided(settings.height, 2) / kPool;
    const std::int64_t columns = strided(settings.width, 2) / kPool;
    hidden_ = add_linear(parameters_, "hidden", 2 * width * rows * columns, 4 * width, rng);
    output_ = add_linear(parameters_, "output", 4 * width, settings.classes, rng);
    parameters_.allocate();
  }

  at::Tensor forward(const at::Tensor& pixels, bool) override {
    const at::Tensor first = at::relu(apply(first_, parameters_, pixels));
    // Pooling before the rectifier gives the same numbers as after it, on a quarter of them.
    const at::Tensor second = at::relu(at::max_pool2d(apply(second_, parameters_, first), kPool, kPool));
    const at::Tensor hidden = at::relu(apply(hidden_, parameters_, second.reshape({second.size(0), -1})));
    return apply(output_, parameters_, hidden);
  }

  ParameterSet& parameters() override { return parameters_; }

  void write_onnx(OnnxBuilder& onnx) override {
    internal::write_onnx(first_, parameters_, onnx, "pixels", "conv1");
    onnx.node("Relu", {"conv1"}, "conv1_relu");
    internal::write_onnx(second_, parameters_, onnx, "conv1_relu", "conv2");
    onnx.node("MaxPool", {"conv2"}, "pool",
              {{.name = "kernel_shape", .integers = {kPool, kPool}}, {.name = "strides", .integers = {kPool, kPool}}});
    onnx.node("Relu", {"pool"}, "pool_relu");
    onnx.node("Flatten", {"pool_relu"}, "flat", {{.name = "axis", .integers = {1}, .is_list = false}});
    internal::write_onnx(hidden_, parameters_, onnx, "flat", "hidden");
    onnx.node("Relu", {"hidden"}, "hidden_relu");
    internal::write_onnx(output_, parameters_, onnx, "hidden_relu", "logits");
  }

 private:
  ParameterSet parameters_;
  ConvolutionLayer first_;
  ConvolutionLayer second_;
  LinearLayer hidden_;
  LinearLayer output_;
};

}  // namespace

std::unique_ptr<Network> make_cnn(const NetworkSettings& settings, Rng& rng) { return std::make_unique<Cnn>(settings, rng); }

}  // namespace trainyard::adapters::torch::internal
