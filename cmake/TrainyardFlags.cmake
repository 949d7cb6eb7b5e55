# Language level, warnings and optimisation. Assertions stay on in every preset: nothing here defines NDEBUG.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -D_FORTIFY_SOURCE=2 -fstack-protector-strong")
set(CMAKE_C_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")

add_compile_options(
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wconversion;-Wnon-virtual-dtor;-Wold-style-cast;-Wimplicit-fallthrough;-Wswitch-enum;-Werror>"
  # g++ 12 reports these of optimised standard library code that is right (gcc bugs 105562, 105329, 107852).
  "$<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized;-Wno-stringop-overflow;-Wno-array-bounds;-Wno-restrict>"
  # Designated initialisers name what they set; the rest has defaults.
  -Wno-missing-field-initializers
  # g++ 12 sees overflows in inlined std::vector<std::variant> and std::string code where there are none.
  "$<$<COMPILE_LANGUAGE:CXX>:-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-restrict;-Wno-array-bounds>"
  -fno-omit-frame-pointer
  # Keeps the place of the checkout out of objects, so that a second clone hits the compiler cache of the first.
  "-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.")
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_link_options(-Wl,-z,relro,-z,now)

set(TRAINYARD_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined or thread")
if(TRAINYARD_SANITIZE)
  add_compile_options("-fsanitize=${TRAINYARD_SANITIZE}" -fno-sanitize-recover=all)
  add_link_options("-fsanitize=${TRAINYARD_SANITIZE}")
  if(TRAINYARD_SANITIZE MATCHES thread)
    add_compile_options(-Wno-tsan)  # Asio uses fences, which g++ says it does not model.
  endif()
endif()
