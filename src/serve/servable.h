#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "domain/tensor.h"

namespace trainyard::serve {

/// A tensor under the name the model knows it by.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// What a model takes or gives under one name; -1 in the shape is a dimension of any length.
struct TensorSpec {
  std::string name;
  DataType type = DataType::kFp32;
  Shape shape;
};

/// The signature of a loaded model.
struct Signature {
  std::string platform;  ///< E.g. "openvino_onnx".
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;

  /// True when the first dimension of every input and output is free: requests may then share one run, row by row.
  bool batchable() const;
};

/// One loaded version of a model with a fixed number of instances. `infer` blocks; it may be called from several threads at once, but only
/// from one per instance.
class Servable {
 public:
  virtual ~Servable() = default;
  virtual const Signature& signature() const = 0;
  virtual std::size_t instances() const = 0;
  /// Runs `inputs`, which are in the order of the signature and fit it, on instance `instance` < instances(). Outputs are in the order of
  /// the signature. Errors: INVALID_ARGUMENT for values the model refuses, INTERNAL "serve.backend".
  virtual Result<std::vector<Tensor>> infer(std::size_t instance, const std::vector<Tensor>& inputs) = 0;
};

/// Where a model lies and how many calls it should answer at once.
struct ModelSource {
  std::string path;  ///< A file of this host.
  std::size_t instances = 1;
};

/// Reads models of one format. Thread-safe, blocks.
class ModelLoader {
 public:
  virtual ~ModelLoader() = default;
  /// Errors: NOT_FOUND "serve.model_missing", INVALID_ARGUMENT "serve.model_unreadable".
  virtual Result<std::unique_ptr<Servable>> load(const ModelSource& source) = 0;
};

}  // namespace trainyard::serve
