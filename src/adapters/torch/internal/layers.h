#pragma once
#include <cstdint>
#include <string>

#include "adapters/torch/internal/parameter_set.h"
#include "adapters/torch/onnx_builder.h"

namespace trainyard::adapters::torch::internal {

/// A fully connected layer: handles of its tensors. Weights and biases start uniform in +-1/sqrt(inputs).
struct LinearLayer {
  std::string name;
  std::size_t weight = 0;  ///< [outputs, inputs]
  std::size_t bias = 0;    ///< [outputs]
};
LinearLayer add_linear(ParameterSet& parameters, const std::string& name, std::int64_t inputs, std::int64_t outputs, Rng& rng);
at::Tensor apply(const LinearLayer& layer, const ParameterSet& parameters, const at::Tensor& input);
void write_onnx(const LinearLayer& layer, ParameterSet& parameters, OnnxBuilder& onnx, const std::string& input, const std::string& output);

/// A square convolution with "same" padding. Weights and biases start uniform in +-1/sqrt(inputs x kernel^2).
struct ConvolutionLayer {
  std::string name;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::size_t weight = 0;  ///< [outputs, inputs, kernel, kernel]
  std::size_t bias = 0;    ///< [outputs]
};
struct ConvolutionShape {
  std::int64_t inputs = 1;
  std::int64_t outputs = 1;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
};
ConvolutionLayer add_convolution(ParameterSet& parameters, const std::string& name, const ConvolutionShape& shape, Rng& rng);
at::Tensor apply(const ConvolutionLayer& layer, const ParameterSet& parameters, const at::Tensor& input);
void write_onnx(const ConvolutionLayer& layer, ParameterSet& parameters, OnnxBuilder& onnx, const std::string& input,
                const std::string& output);

/// The attributes of an ONNX convolution with "same" padding.
std::vector<OnnxAttribute> convolution_attributes(std::int64_t kernel, std::int64_t stride);

/// The length of an axis after a step of `stride`, rounded up.
constexpr std::int64_t strided(std::int64_t length, std::int64_t stride) { return (length + stride - 1) / stride; }

}  // namespace trainyard::adapters::torch::internal
