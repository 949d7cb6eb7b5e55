# libtorch for the CPU, from the Python wheel that tools/bootstrap unpacks or any other libtorch on CMAKE_PREFIX_PATH.
#
# The wheel's own configuration insists on a CUDA toolkit, so the targets are written out here:
#   Torch::Cpu   torch_cpu and c10 with their headers
# libtorch_cpu loads two small CUDA libraries from nvidia/cu13/lib beside it; its own RPATH finds them.
include(FindPackageHandleStandardArgs)
set(wheel "${TRAINYARD_DEPS_DIR}/torch/torch")

find_path(TorchWheel_INCLUDE_DIR torch/script.h HINTS "${wheel}/include" NO_CACHE)
find_path(TorchWheel_API_DIR torch/torch.h HINTS "${wheel}/include/torch/csrc/api/include"
          PATH_SUFFIXES include/torch/csrc/api/include NO_CACHE)
find_library(TorchWheel_LIBRARY torch_cpu HINTS "${wheel}/lib" NO_CACHE)
find_library(TorchWheel_C10_LIBRARY c10 HINTS "${wheel}/lib" NO_CACHE)
foreach(header "${TorchWheel_INCLUDE_DIR}/torch/headeronly/version.h" "${TorchWheel_API_DIR}/torch/version.h")
  if(EXISTS "${header}" AND NOT TorchWheel_VERSION)
    file(STRINGS "${header}" line REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
    string(REGEX MATCHALL "[0-9]+" numbers "${line}")
    list(JOIN numbers "." TorchWheel_VERSION)
  endif()
endforeach()
find_package_handle_standard_args(TorchWheel
  REQUIRED_VARS TorchWheel_LIBRARY TorchWheel_C10_LIBRARY TorchWheel_INCLUDE_DIR TorchWheel_API_DIR
  VERSION_VAR TorchWheel_VERSION REASON_FAILURE_MESSAGE "Run tools/bootstrap --only engines, which unpacks it below .deps.")

if(TorchWheel_FOUND AND NOT TARGET Torch::Cpu)
  get_filename_component(torch_library_dir "${TorchWheel_LIBRARY}" DIRECTORY)
  add_library(Torch::C10 SHARED IMPORTED GLOBAL)
  set_target_properties(Torch::C10 PROPERTIES IMPORTED_LOCATION "${TorchWheel_C10_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${TorchWheel_INCLUDE_DIR};${TorchWheel_API_DIR}")
  add_library(Torch::Cpu SHARED IMPORTED GLOBAL)
  set_target_properties(Torch::Cpu PROPERTIES IMPORTED_LOCATION "${TorchWheel_LIBRARY}" INTERFACE_LINK_LIBRARIES Torch::C10
    INTERFACE_LINK_OPTIONS "-Wl,--no-as-needed;-Wl,-rpath-link,${torch_library_dir}/../../nvidia/cu13/lib;-Wl,-rpath-link,${torch_library_dir}")
endif()
