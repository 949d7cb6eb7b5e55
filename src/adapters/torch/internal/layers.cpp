#include <ATen/core/Tensor.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/linear.h>

#include "adapters/torch/internal/check_is_ours.h"

#include "adapters/torch/internal/layers.h"

#include <cmath>

namespace trainyard::adapters::torch::internal {
namespace {

void write_constant(ParameterSet& parameters, std::size_t handle, OnnxBuilder& onnx) {
  const ParameterSet::Entry entry = parameters.entries()[handle];
  onnx.initializer(entry.name, entry.shape, entry.values);
}

}  // namespace

LinearLayer add_linear(ParameterSet& parameters, const std::string& name, std::int64_t inputs, std::int64_t outputs, Rng& rng) {
  const double bound = 1 / std::sqrt(static_cast<double>(inputs));
  LinearLayer layer{.name = name, .weight = 0, .bias = 0};
  layer.weight = parameters.add_uniform(name + ".weight", {outputs, inputs}, bound, rng);
  layer.bias = parameters.add_uniform(name + ".bias", {outputs}, bound, rng);
  return layer;
}

at::Tensor apply(const LinearLayer& layer, const ParameterSet& parameters, const at::Tensor& input) {
  return at::linear(input, parameters[layer.weight], parameters[layer.bias]);
}

void write_onnx(const LinearLayer& layer, ParameterSet& parameters, OnnxBuilder& onnx, const std::string& input,
                const std::string& output) {
  write_constant(parameters, layer.weight, onnx);
  write_constant(parameters, layer.bias, onnx);
  onnx.node("Gemm", {input, layer.name + ".weight", layer.name + ".bias"}, output, {{.name = "transB", .integers = {1}, .is_list = false}});
}

ConvolutionLayer add_convolution(ParameterSet& parameters, const std::string& name, const ConvolutionShape& shape, Rng& rng) {
  const double bound = 1 / std::sqrt(static_cast<double>(shape.inputs * shape.kernel * shape.kernel));
  ConvolutionLayer layer{.name = name, .kernel = shape.kernel, .stride = shape.stride, .weight = 0, .bias = 0};
  layer.weight = parameters.add_uniform(name + ".weight", {shape.outputs, shape.inputs, shape.kernel, shape.kernel}, bound, rng);
  layer.bias = parameters.add_uniform(name + ".bias", {shape.outputs}, bound, rng);
  return layer;
}

at::Tensor apply(const ConvolutionLayer& layer, const ParameterSet& parameters, const at::Tensor& input) {
  return at::conv2d(input, parameters[layer.weight], parameters[layer.bias], layer.stride, layer.kernel / 2);
}

std::vector<OnnxAttribute> convolution_attributes(std::int64_t kernel, std::int64_t stride) {
  const std::int64_t padding = kernel / 2;
  return {{.name = "kernel_shape", .integers = {kernel, kernel}},
          {.name = "strides", .integers = {stride, stride}},
          {.name = "pads", .integers = {padding, padding, padding, padding}}};
}

void write_onnx(const ConvolutionLayer& layer, ParameterSet& parameters, OnnxBuilder& onnx, const std::string& input,
                const std::string& output) {
  write_constant(parameters, layer.weight, onnx);
  write_constant(parameters, layer.bias, onnx);
  onnx.node("Conv", {input, layer.name + ".weight", layer.name + ".bias"}, output, convolution_attributes(layer.kernel, layer.stride));
}

}  // namespace trainyard::adapters::torch::internal
