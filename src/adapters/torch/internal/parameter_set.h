#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "domain/tensor.h"

namespace at {
class Tensor;
}

namespace trainyard::adapters::torch::internal {

/// The named tensors of one network. Trainable ones lie in one flat buffer, their gradients in another and the momenta of the optimizer in
/// a third, all in the order of `add`, so that a gradient sum or an optimizer step is one pass over memory. Buffers (running statistics)
/// are kept apart and are not trained. First add everything, then `allocate`; not thread-safe. Exceptions of the framework pass through.
class ParameterSet {
 public:
  ParameterSet();
  ~ParameterSet();
  ParameterSet(const ParameterSet&) = delete;
  ParameterSet& operator=(const ParameterSet&) = delete;

  /// A trainable tensor, uniform in [-bound, bound), drawn from `rng` in row-major order. Returns its handle.
  std::size_t add_uniform(std::string name, Shape shape, double bound, Rng& rng);
  /// A trainable tensor of one value.
  std::size_t add_constant(std::string name, Shape shape, float value);
  /// A tensor of one value that is state but not trained.
  std::size_t add_buffer(std::string name, Shape shape, float value);
  void allocate();

  const at::Tensor& operator[](std::size_t handle) const;

  std::span<float> values();
  std::span<float> gradients();
  std::span<float> momenta();
  void zero_gradients();
  /// momentum = `momentum` * momentum + gradient; value -= `learning_rate` * momentum.
  void descend(double learning_rate, double momentum);

  /// A tensor and where its numbers lie.
  struct Entry {
    std::string name;
    Shape shape;
    std::span<float> values;
    std::span<float> momenta;  ///< Empty for a buffer.
  };
  /// In the order of `add`.
  std::vector<Entry> entries();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trainyard::adapters::torch::internal
