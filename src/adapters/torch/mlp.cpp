#include <ATen/core/Tensor.h>
#include <ATen/ops/relu.h>

#include "adapters/torch/internal/check_is_ours.h"

#include "adapters/torch/internal/layers.h"
#include "adapters/torch/internal/network.h"

namespace trainyard::adapters::torch::internal {
namespace {

constexpr std::int64_t kDefaultWidth = 128;

class Mlp final : public Network {
 public:
  Mlp(const NetworkSettings& settings, Rng& rng) {
    const std::int64_t inputs = settings.channels * settings.height * settings.width;
    const std::int64_t hidden = settings.network_width > 0 ? settings.network_width : kDefaultWidth;
    hidden_ = add_linear(parameters_, "hidden", inputs, hidden, rng);
    output_ = add_linear(parameters_, "output", hidden, settings.classes, rng);
    parameters_.allocate();
  }

  at::Tensor forward(const at::Tensor& pixels, bool) override {
    const at::Tensor hidden = at::relu(apply(hidden_, parameters_, pixels.reshape({pixels.size(0), -1})));
    return apply(output_, parameters_, hidden);
  }

  ParameterSet& parameters() override { return parameters_; }

  void write_onnx(OnnxBuilder& onnx) override {
    onnx.node("Flatten", {"pixels"}, "flat", {{.name = "axis", .integers = {1}, .is_list = false}});
    internal::write_onnx(hidden_, parameters_, onnx, "flat", "hidden");
    onnx.node("Relu", {"hidden"}, "hidden_relu");
    internal::write_onnx(output_, parameters_, onnx, "hidden_relu", "logits");
  }

 private:
  ParameterSet parameters_;
  LinearLayer hidden_;
  LinearLayer output_;
};

}  // namespace

std::unique_ptr<Network> make_mlp(const NetworkSettings& settings, Rng& rng) { return std::make_unique<Mlp>(settings, rng); }

}  // namespace trainyard::adapters::torch::internal
