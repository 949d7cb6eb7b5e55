# Arrow C++ from the Python wheel that tools/bootstrap unpacks. The wheel has no CMake configuration and no development links.
#   Arrow::Arrow, Arrow::Compute, Arrow::Parquet, Arrow::Acero, Arrow::Dataset
# libparquet exports a bundled OpenSSL: a program that uses OpenSSL too names OpenSSL::Crypto before these targets.
include(FindPackageHandleStandardArgs)
set(wheel "${TRAINYARD_DEPS_DIR}/arrow/pyarrow")

find_path(ArrowWheel_INCLUDE_DIR arrow/api.h HINTS "${wheel}/include" NO_DEFAULT_PATH NO_CACHE)
file(GLOB ArrowWheel_LIBRARY "${wheel}/libarrow.so.*")
if(ArrowWheel_INCLUDE_DIR)
  file(STRINGS "${ArrowWheel_INCLUDE_DIR}/arrow/util/config.h" line REGEX "#define ARROW_VERSION_STRING ")
  string(REGEX MATCH "[0-9.]+" ArrowWheel_VERSION "${line}")
endif()
find_package_handle_standard_args(ArrowWheel REQUIRED_VARS ArrowWheel_LIBRARY ArrowWheel_INCLUDE_DIR VERSION_VAR ArrowWheel_VERSION
  REASON_FAILURE_MESSAGE "Run tools/bootstrap --only engines, which unpacks it below .deps.")

function(arrow_target name file)
  file(GLOB location "${wheel}/${file}.so.*")
  add_library(Arrow::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(Arrow::${name} PROPERTIES IMPORTED_LOCATION "${location}"
    INTERFACE_INCLUDE_DIRECTORIES "${ArrowWheel_INCLUDE_DIR}" INTERFACE_LINK_LIBRARIES "${ARGN}"
    INTERFACE_LINK_OPTIONS "-Wl,-rpath-link,${wheel}")
endfunction()
if(ArrowWheel_FOUND AND NOT TARGET Arrow::Arrow)
  arrow_target(Arrow libarrow)
  arrow_target(Compute libarrow_compute Arrow::Arrow)
  arrow_target(Parquet libparquet Arrow::Arrow)
  arrow_target(Acero libarrow_acero Arrow::Compute)
  arrow_target(Dataset libarrow_dataset Arrow::Acero Arrow::Parquet)
endif()
