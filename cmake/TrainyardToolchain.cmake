# mold and ccache when they are there, and the compile timer behind the cache.
#
# The timer records the user CPU seconds of every unit that is really compiled. Records live beside ccache's own
# objects, so that a unit restored from the cache still has the measure of the day it was compiled.
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

set(TRAINYARD_COMPILE_TIMER "${CMAKE_SOURCE_DIR}/tools/compile-timer")
get_filename_component(TRAINYARD_PRESET "${CMAKE_BINARY_DIR}" NAME)
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  execute_process(COMMAND "${CCACHE_PROGRAM}" --get-config cache_dir
                  OUTPUT_VARIABLE ccache_directory OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(TRAINYARD_TIMINGS "${ccache_directory}/trainyard-timings/${TRAINYARD_PRESET}")
  set(launcher "${CMAKE_COMMAND}" -E env
      "CCACHE_SLOPPINESS=pch_defines,time_macros" "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1
      "CCACHE_PREFIX=${TRAINYARD_COMPILE_TIMER}" "TRAINYARD_TIMINGS=${TRAINYARD_TIMINGS}" "${CCACHE_PROGRAM}")
  # ccache needs this to see which precompiled header a unit used.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>")
else()
  set(TRAINYARD_TIMINGS "${CMAKE_BINARY_DIR}/timings")
  set(launcher "${CMAKE_COMMAND}" -E env "TRAINYARD_TIMINGS=${TRAINYARD_TIMINGS}" "${TRAINYARD_COMPILE_TIMER}")
endif()
set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
# Where the build-time check looks for records.
file(WRITE "${CMAKE_BINARY_DIR}/timings.path" "${TRAINYARD_TIMINGS}\n")

# A unit with torch headers takes up to 1.5 GB, so only one is compiled at a time.
set_property(GLOBAL PROPERTY JOB_POOLS torch_pool=1)
