#pragma once
#include <memory>

#include "serve/servable.h"

namespace trainyard::adapters::openvino {

/// Loads ONNX (and OpenVINO IR) files and runs them on the CPU in 32-bit precision, one thread per instance.
/// Models whose inputs or outputs have no fixed number of dimensions are refused as unreadable. Thread-safe.
std::unique_ptr<serve::ModelLoader> make_openvino_loader();

}  // namespace trainyard::adapters::openvino
