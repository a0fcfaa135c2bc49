# popalign_module(<name> SOURCES ... PUBLIC ... PRIVATE ...)
#
# One library per module, popalign::<name>. PUBLIC and PRIVATE are what it links: modules to its left in
# the order of src/README.md, and third parties.
add_library(popalign_warnings INTERFACE)
target_compile_options(popalign_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                                   -Wnon-virtual-dtor -Wold-style-cast -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms about std::string in g++ 12 (GCC bug 105329).
  target_compile_options(popalign_warnings INTERFACE -Wno-restrict)
endif()
if(POPALIGN_SANITIZE)
  add_compile_options(-fsanitize=${POPALIGN_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${POPALIGN_SANITIZE})
endif()

function(popalign_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(popalign_${name} STATIC ${ARG_SOURCES})
  add_library(popalign::${name} ALIAS popalign_${name})
  target_include_directories(
    popalign_${name}
    PUBLIC "${PROJECT_SOURCE_DIR}/include"
    PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(popalign_${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE}
                                                                     popalign_warnings)
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
