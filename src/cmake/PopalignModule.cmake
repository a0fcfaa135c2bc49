# Options that every file of the project is compiled with.
add_library(popalign_warnings INTERFACE)
target_compile_options(popalign_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                   -Wnon-virtual-dtor -Wold-style-cast)
if(POPALIGN_WERROR)
  target_compile_options(popalign_warnings INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms about std::string in g++ 12 (GCC bug 105329).
  target_compile_options(popalign_warnings INTERFACE -Wno-restrict)
endif()
if(POPALIGN_SANITIZE)
  add_compile_options(-fsanitize=${POPALIGN_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${POPALIGN_SANITIZE})
endif()
add_library(popalign_common INTERFACE)
target_include_directories(popalign_common INTERFACE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
target_link_libraries(popalign_common INTERFACE popalign_warnings fmt::fmt nlohmann_json::nlohmann_json)

# Headers that are compiled once for all files that read them: third parties' alone, so that no change of
# ours makes them stale. libtorch's take longer than all else in a file.
set(popalign_common_headers
    <algorithm> <cstdint> <filesystem> <functional> <map> <memory> <optional> <span> <string> <vector>
    <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>)
set(popalign_command_headers ${popalign_common_headers} <CLI/CLI.hpp>)
set(popalign_tensor_headers ${popalign_common_headers} <ATen/ATen.h> <ATen/Parallel.h>)
set(popalign_test_headers ${popalign_common_headers} <gtest/gtest.h>)
set(popalign_tensor_test_headers ${popalign_tensor_headers} <gtest/gtest.h>)

# popalign_precompile(<target> <kind>): the first target of a kind compiles its headers, the others use them.
function(popalign_precompile target kind)
  get_property(owner GLOBAL PROPERTY popalign_precompiled_${kind})
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE ${popalign_${kind}_headers})
    set_property(GLOBAL PROPERTY popalign_precompiled_${kind} ${target})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Lets a compiler cache see through them.
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()

# popalign_compile_options(<options> <file> ...): for these files alone.
function(popalign_compile_options options)
  # Precompiled headers hold for the options that they were compiled with.
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS "${options}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()

# popalign_module(<name> [SOURCES ...] [TENSOR_SOURCES ...] [PUBLIC ...] [PRIVATE ...] [PRECOMPILE <kind>])
#
# One library, popalign::<name>. PUBLIC and PRIVATE are what it links besides fmt and nlohmann-json: modules
# to its left in the order of src/README.md, and third parties. Only TENSOR_SOURCES find libtorch's headers.
function(popalign_module name)
  cmake_parse_arguments(ARG "" "PRECOMPILE" "SOURCES;TENSOR_SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(NOT ARG_PRECOMPILE)
    set(ARG_PRECOMPILE common)
  endif()
  set(target popalign_${name})
  if(ARG_TENSOR_SOURCES)
    add_library(${target}_tensors OBJECT ${ARG_TENSOR_SOURCES})
    target_link_libraries(${target}_tensors PRIVATE LibTorch::CPU popalign_common ${ARG_PUBLIC} ${ARG_PRIVATE})
    popalign_precompile(${target}_tensors tensor)
    list(APPEND ARG_SOURCES $<TARGET_OBJECTS:${target}_tensors>)
  endif()
  add_library(${target} STATIC ${ARG_SOURCES})
  add_library(popalign::${name} ALIAS ${target})
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(${target} PUBLIC ${ARG_PUBLIC} PRIVATE popalign_common ${ARG_PRIVATE})
  if(ARG_TENSOR_SOURCES)
    target_link_libraries(${target} INTERFACE $<LINK_ONLY:LibTorch::CPU>)
  endif()
  popalign_precompile(${target} ${ARG_PRECOMPILE})
endfunction()

# popalign_umbrella(<name> LIBRARIES ...)
#
# popalign::<name>, which links the libraries of a module that is several.
function(popalign_umbrella name)
  cmake_parse_arguments(ARG "" "" "LIBRARIES" ${ARGN})
  add_library(popalign_${name} INTERFACE)
  add_library(popalign::${name} ALIAS popalign_${name})
  list(TRANSFORM ARG_LIBRARIES PREPEND popalign::)
  target_link_libraries(popalign_${name} INTERFACE ${ARG_LIBRARIES})
endfunction()
