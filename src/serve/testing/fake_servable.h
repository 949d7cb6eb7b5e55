#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "serve/servable.h"

namespace trainyard::serve::testing {

/// Answers by a function of the inputs and remembers how many rows each run had. The function is called from every instance's thread.
class FakeServable final : public Servable {
 public:
  using Function = std::function<Result<std::vector<Tensor>>(const std::vector<Tensor>&)>;

  FakeServable(Signature signature, std::size_t instances, Function function)
      : signature_(std::move(signature)), instances_(instances), function_(std::move(function)) {}

  const Signature& signature() const override { return signature_; }
  std::size_t instances() const override { return instances_; }
  Result<std::vector<Tensor>> infer(std::size_t instance, const std::vector<Tensor>& inputs) override {
    CHECK(instance < instances_, "no such instance");
    {
      const std::lock_guard lock(mutex_);
      runs_.push_back(inputs.front().shape.empty() ? 1 : inputs.front().shape.front());
    }
    return function_(inputs);
  }

  /// The first dimension of the first input of each run so far.
  std::vector<std::int64_t> runs() const {
    const std::lock_guard lock(mutex_);
    return runs_;
  }

 private:
  Signature signature_;
  std::size_t instances_;
  Function function_;
  mutable std::mutex mutex_;
  std::vector<std::int64_t> runs_;  // guarded by mutex_
};

/// A model with input "x" and output "y", both FP32 [-1, width], that doubles every value and refuses rows that start with a negative one.
inline Signature doubling_signature(std::int64_t width = 2) {
  return {"fake", {{"x", DataType::kFp32, {-1, width}}}, {{"y", DataType::kFp32, {-1, width}}}};
}

inline std::vector<float> floats_of(const Tensor& tensor) {
  const auto* values = static_cast<const float*>(static_cast<const void*>(tensor.bytes.data()));
  return {values, values + tensor.bytes.size() / sizeof(float)};
}

inline Result<std::vector<Tensor>> double_values(const std::vector<Tensor>& inputs) {
  std::vector<float> values = floats_of(inputs.front());
  const auto width = static_cast<std::size_t>(inputs.front().shape.back());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % width == 0 && values[i] < 0) return invalid_argument("fake.negative", "Row starts with a negative value");
    values[i] *= 2;
  }
  return std::vector<Tensor>{make_tensor<float>(DataType::kFp32, inputs.front().shape, values)};
}

inline std::unique_ptr<FakeServable> make_doubling_servable(std::size_t instances = 1) {
  return std::make_unique<FakeServable>(doubling_signature(), instances, double_values);
}

/// Loads doubling models; paths put into `failures` fail with their error.
class FakeModelLoader final : public ModelLoader {
 public:
  Result<std::unique_ptr<Servable>> load(const ModelSource& source) override {
    if (const auto failure = failures.find(source.path); failure != failures.end()) return failure->second;
    return std::unique_ptr<Servable>(make_doubling_servable(source.instances));
  }
  std::map<std::string, Error> failures;
};

}  // namespace trainyard::serve::testing
