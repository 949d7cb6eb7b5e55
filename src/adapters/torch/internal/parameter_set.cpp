#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "adapters/torch/internal/check_is_ours.h"

#include "adapters/torch/internal/parameter_set.h"

#include <algorithm>

#include "base/check.h"

namespace trainyard::adapters::torch::internal {

struct ParameterSet::State {
  struct Item {
    std::string name;
    Shape shape;
    std::vector<float> initial;  // Emptied by allocate.
    bool trainable = true;
    std::size_t begin = 0;  // In the flat buffer of its kind.
    std::size_t count = 0;
    at::Tensor tensor;
  };
  std::vector<Item> items;
  std::size_t trainable_count = 0;
  std::size_t buffer_count = 0;
  at::Tensor values;
  at::Tensor gradients;
  at::Tensor momenta;
  at::Tensor buffers;

  std::size_t add(std::string name, Shape shape, bool trainable) {
    CHECK(!values.defined(), "a parameter was added after allocate");
    const std::size_t count = element_count(shape).value();
    std::size_t& total = trainable ? trainable_count : buffer_count;
    items.push_back({.name = std::move(name),
                     .shape = std::move(shape),
                     .initial = std::vector<float>(count),
                     .trainable = trainable,
                     .begin = total,
                     .count = count,
                     .tensor = {}});
    total += count;
    return items.size() - 1;
  }
};

namespace {

at::Tensor slice(const at::Tensor& flat, std::size_t begin, std::size_t count, const Shape& shape) {
  return flat.narrow(0, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(count)).view(shape);
}

std::span<float> span_of(const at::Tensor& flat) { return {flat.data_ptr<float>(), static_cast<std::size_t>(flat.numel())}; }

at::Tensor flat_zeros(std::size_t count) { return at::zeros({static_cast<std::int64_t>(count)}, at::kFloat); }

}  // namespace

ParameterSet::ParameterSet() : state_(std::make_unique<State>()) {}
ParameterSet::~ParameterSet() = default;

std::size_t ParameterSet::add_uniform(std::string name, Shape shape, double bound, Rng& rng) {
  const std::size_t handle = state_->add(std::move(name), std::move(shape), true);
  for (float& value : state_->items[handle].initial) value = static_cast<float>((2 * rng.unit() - 1) * bound);
  return handle;
}

std::size_t ParameterSet::add_constant(std::string name, Shape shape, float value) {
  const std::size_t handle = state_->add(std::move(name), std::move(shape), true);
  std::fill(state_->items[handle].initial.begin(), state_->items[handle].initial.end(), value);
  return handle;
}

std::size_t ParameterSet::add_buffer(std::string name, Shape shape, float value) {
  const std::size_t handle = state_->add(std::move(name), std::move(shape), false);
  std::fill(state_->items[handle].initial.begin(), state_->items[handle].initial.end(), value);
  return handle;
}

void ParameterSet::allocate() {
  const at::NoGradGuard no_grad;
  state_->values = flat_zeros(state_->trainable_count);
  state_->gradients = flat_zeros(state_->trainable_count);
  state_->momenta = flat_zeros(state_->trainable_count);
  state_->buffers = flat_zeros(state_->buffer_count);
  for (State::Item& item : state_->items) {
    const at::Tensor& flat = item.trainable ? state_->values : state_->buffers;
    std::copy(item.initial.begin(), item.initial.end(), flat.data_ptr<float>() + item.begin);
    item.initial = {};
    item.tensor = slice(flat, item.begin, item.count, item.shape);
    if (!item.trainable) continue;
    // A leaf of its own over the memory of the flat buffer, whose gradient accumulates in place in the flat gradient.
    at::Tensor leaf = at::zeros(item.shape, at::kFloat);
    leaf.set_data(item.tensor);
    leaf.set_requires_grad(true);
    leaf.mutable_grad() = slice(state_->gradients, item.begin, item.count, item.shape);
    item.tensor = std::move(leaf);
  }
}

const at::Tensor& ParameterSet::operator[](std::size_t handle) const { return state_->items[handle].tensor; }

std::span<float> ParameterSet::values() { return span_of(state_->values); }
std::span<float> ParameterSet::gradients() { return span_of(state_->gradients); }
std::span<float> ParameterSet::momenta() { return span_of(state_->momenta); }

void ParameterSet::zero_gradients() {
  const std::span<float> all = gradients();
  std::fill(all.begin(), all.end(), 0.0F);
}

void ParameterSet::descend(double learning_rate, double momentum) {
  const at::NoGradGuard no_grad;
  state_->momenta.mul_(momentum).add_(state_->gradients);
  state_->values.add_(state_->momenta, -learning_rate);
}

std::vector<ParameterSet::Entry> ParameterSet::entries() {
  std::vector<Entry> all;
  for (const State::Item& item : state_->items) {
    Entry entry{.name = item.name, .shape = item.shape, .values = {}, .momenta = {}};
    entry.values = span_of(item.trainable ? state_->values : state_->buffers).subspan(item.begin, item.count);
    if (item.trainable) entry.momenta = momenta().subspan(item.begin, item.count);
    all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace trainyard::adapters::torch::internal
