#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/relu.h>

#include "adapters/torch/internal/check_is_ours.h"

#include <cmath>
#include <optional>

#include "adapters/torch/internal/layers.h"
#include "adapters/torch/internal/network.h"

namespace trainyard::adapters::torch::internal {
namespace {

constexpr std::int64_t kDefaultWidth = 64;
constexpr double kEpsilon = 1e-5;
constexpr double kStatisticsMomentum = 0.1;

/// A convolution without bias and the normalisation after it.
struct NormalisedConvolution {
  std::string name;
  ConvolutionShape shape;
  std::size_t weight = 0;
  std::size_t scale = 0;
  std::size_t shift = 0;
  std::size_t mean = 0;
  std::size_t variance = 0;
};

struct Block {
  NormalisedConvolution first;
  NormalisedConvolution second;
  std::optional<NormalisedConvolution> shortcut;  ///< Where the shape changes.
};

NormalisedConvolution add_normalised(ParameterSet& parameters, const std::string& name, const ConvolutionShape& shape, Rng& rng) {
  NormalisedConvolution layer{.name = name, .shape = shape};
  // He initialisation for rectifiers, by fan-in: uniform with standard deviation sqrt(2 / inputs).
  const double bound = std::sqrt(6.0 / static_cast<double>(shape.inputs * shape.kernel * shape.kernel));
  layer.weight = parameters.add_uniform(name + ".weight", {shape.outputs, shape.inputs, shape.kernel, shape.kernel}, bound, rng);
  layer.scale = parameters.add_constant(name + ".norm.weight", {shape.outputs}, 1);
  layer.shift = parameters.add_constant(name + ".norm.bias", {shape.outputs}, 0);
  layer.mean = parameters.add_buffer(name + ".norm.running_mean", {shape.outputs}, 0);
  layer.variance = parameters.add_buffer(name + ".norm.running_var", {shape.outputs}, 1);
  return layer;
}

class ResNet18 final : public Network {
 public:
  ResNet18(const NetworkSettings& settings, Rng& rng) {
    const std::int64_t width = settings.network_width > 0 ? settings.network_width : kDefaultWidth;
    stem_ = add_normalised(parameters_, "stem", {.inputs = settings.channels, .outputs = width, .kernel = 3, .stride = 1}, rng);
    std::int64_t inputs = width;
    for (std::int64_t stage = 0; stage < 4; ++stage) {
      const std::int64_t outputs = width << stage;
      for (std::int64_t block = 0; block < 2; ++block) {
        const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        add_block("stage" + std::to_string(stage + 1) + ".block" + std::to_string(block + 1), inputs, outputs, stride, rng);
        inputs = outputs;
      }
    }
    output_ = add_linear(parameters_, "output", inputs, settings.classes, rng);
    parameters_.allocate();
  }

  at::Tensor forward(const at::Tensor& pixels, bool training) override {
    at::Tensor x = at::relu(normalised(stem_, pixels, training));
    for (const Block& block : blocks_) {
      const at::Tensor inner = at::relu(normalised(block.first, x, training));
      const at::Tensor shortcut = block.shortcut ? normalised(*block.shortcut, x, training) : x;
      x = at::relu(normalised(block.second, inner, training) + shortcut);
    }
    return apply(output_, parameters_, x.mean({2, 3}));
  }

  ParameterSet& parameters() override { return parameters_; }

  void write_onnx(OnnxBuilder& onnx) override {
    write_folded(stem_, onnx, "pixels", "stem");
    onnx.node("Relu", {"stem"}, "x0");
    std::string x = "x0";
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const Block& block = blocks_[i];
      const std::string prefix = "block" + std::to_string(i + 1);
      write_folded(block.first, onnx, x, prefix + "_first");
      onnx.node("Relu", {prefix + "_first"}, prefix + "_first_relu");
      write_folded(block.second, onnx, prefix + "_first_relu", prefix + "_second");
      std::string shortcut = x;
      if (block.shortcut) {
        shortcut = prefix + "_shortcut";
        write_folded(*block.shortcut, onnx, x, shortcut);
      }
      onnx.node("Add", {prefix + "_second", shortcut}, prefix + "_sum");
      x = prefix + "_out";
      onnx.node("Relu", {prefix + "_sum"}, x);
    }
    onnx.node("GlobalAveragePool", {x}, "pool");
    onnx.node("Flatten", {"pool"}, "flat", {{.name = "axis", .integers = {1}, .is_list = false}});
    internal::write_onnx(output_, parameters_, onnx, "flat", "logits");
  }

 private:
  void add_block(const std::string& name, std::int64_t inputs, std::int64_t outputs, std::int64_t stride, Rng& rng) {
    Block block;
    block.first = add_normalised(parameters_, name + ".first", {.inputs = inputs, .outputs = outputs, .kernel = 3, .stride = stride}, rng);
    block.second = add_normalised(parameters_, name + ".second", {.inputs = outputs, .outputs = outputs, .kernel = 3, .stride = 1}, rng);
    if (stride != 1 || inputs != outputs) {
      block.shortcut =
          add_normalised(parameters_, name + ".shortcut", {.inputs = inputs, .outputs = outputs, .kernel = 1, .stride = stride}, rng);
    }
    blocks_.push_back(std::move(block));
  }

  at::Tensor normalised(const NormalisedConvolution& layer, const at::Tensor& input, bool training) const {
    const at::Tensor sum = at::conv2d(input, parameters_[layer.weight], {}, layer.shape.stride, layer.shape.kernel / 2);
    return at::batch_norm(sum, parameters_[layer.scale], parameters_[layer.shift], parameters_[layer.mean], parameters_[layer.variance],
                          training, kStatisticsMomentum, kEpsilon, false);
  }

  /// Convolution and normalisation as one convolution: the statistics are constants once training is over.
  void write_folded(const NormalisedConvolution& layer, OnnxBuilder& onnx, const std::string& input, const std::string& output) {
    const std::vector<ParameterSet::Entry> entries = parameters_.entries();
    const ParameterSet::Entry& weight = entries[layer.weight];
    std::vector<float> folded(weight.values.begin(), weight.values.end());
    const auto outputs = static_cast<std::size_t>(layer.shape.outputs);
    std::vector<float> bias(outputs);
    const std::size_t per_output = folded.size() / outputs;
    for (std::size_t channel = 0; channel < outputs; ++channel) {
      const double factor = entries[layer.scale].values[channel] / std::sqrt(entries[layer.variance].values[channel] + kEpsilon);
      for (std::size_t i = channel * per_output; i < (channel + 1) * per_output; ++i) folded[i] = static_cast<float>(folded[i] * factor);
      bias[channel] = static_cast<float>(entries[layer.shift].values[channel] - entries[layer.mean].values[channel] * factor);
    }
    onnx.initializer(weight.name, weight.shape, folded);
    onnx.initializer(layer.name + ".bias", {layer.shape.outputs}, bias);
    onnx.node("Conv", {input, weight.name, layer.name + ".bias"}, output, convolution_attributes(layer.shape.kernel, layer.shape.stride));
  }

  ParameterSet parameters_;
  NormalisedConvolution stem_;
  std::vector<Block> blocks_;
  LinearLayer output_;
};

}  // namespace

std::unique_ptr<Network> make_resnet18(const NetworkSettings& settings, Rng& rng) { return std::make_unique<ResNet18>(settings, rng); }

}  // namespace trainyard::adapters::torch::internal
