# Tests: named `<module>.<file>` and labelled by kind. Both come from the folder, so that a test is one line.
find_package(Python3 COMPONENTS Interpreter REQUIRED)
set(popalign_python "${PROJECT_SOURCE_DIR}/build/venv/bin/python")
if(NOT EXISTS "${popalign_python}")
  set(popalign_python "${Python3_EXECUTABLE}")
endif()

# popalign_test(<file>... [SOURCES ...] [LINK ...] [RANKS 1 2 4] [TIMEOUT 120] [LABELS ...])
#
# One GoogleTest program for each <file>_test.cpp, and one CTest case for each of its rank counts:
# `<module>.<file>/<ranks>`. It links the library of the folder that it mirrors, and LINK; with LibTorch::CPU
# it finds libtorch's headers. The verdict is reduced over the ranks, and a run of no tests fails
# (tests/support/mpi_main.cpp). Every case has a timeout and claims as many processors as it has ranks.
function(popalign_test)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;RANKS;LABELS" ${ARGN})
  popalign_describe_test_folder()
  if(NOT ARG_RANKS)
    set(ARG_RANKS 1)
  endif()
  if(TARGET popalign::${library})
    list(APPEND ARG_LINK popalign::${library})
  endif()
  foreach(file IN LISTS ARG_UNPARSED_ARGUMENTS)
    popalign_register_test_file(${file}_test.cpp)
    set(target test_${module}_${file})
    add_executable(${target} ${file}_test.cpp ${ARG_SOURCES})
    target_link_libraries(${target} PRIVATE ${ARG_LINK} popalign::test_support popalign_common)
    if("${ARG_LINK}" MATCHES "LibTorch::")
      popalign_precompile(${target} tensor_test)
    else()
      popalign_precompile(${target} test)
    endif()
    foreach(ranks IN LISTS ARG_RANKS)
      set(launcher ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} --oversubscribe)
      if(ranks EQUAL 1)
        set(launcher)
      endif()
      add_test(NAME ${module}.${file}/${ranks} COMMAND ${launcher} $<TARGET_FILE:${target}>)
      popalign_test_properties(${module}.${file}/${ranks} "${ranks}" "${ARG_TIMEOUT}" "${label};${ARG_LABELS}")
    endforeach()
  endforeach()
endfunction()

# popalign_pytest(<file>... [PROCESSORS 1] [TIMEOUT 120])
#
# One CTest case for each test function of each <file>_test.py, `<module>.<file>.<function without test_>`, or one
# for the file where its functions share costly work, `<module>.<file>` (tests/README.md). Functions and markers
# are read from the file whenever it changes.
function(popalign_pytest)
  cmake_parse_arguments(ARG "" "PROCESSORS;TIMEOUT" "" ${ARGN})
  popalign_describe_test_folder()
  set(lister "${PROJECT_SOURCE_DIR}/tests/support/list_cases.py")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${lister}")
  foreach(file IN LISTS ARG_UNPARSED_ARGUMENTS)
    popalign_register_test_file(${file}_test.py)
    set(path "${CMAKE_CURRENT_SOURCE_DIR}/${file}_test.py")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
    execute_process(
      COMMAND "${popalign_python}" "${lister}" "${path}" --processors "${ARG_PROCESSORS}" --timeout "${ARG_TIMEOUT}"
      OUTPUT_VARIABLE cases OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    string(REPLACE "\n" ";" cases "${cases}")
    foreach(case IN LISTS cases)
      separate_arguments(case)
      list(POP_FRONT case function processors timeout) # what is left are labels
      string(REGEX REPLACE "^test_" "" name "${function}")
      set(name ${module}.${file}.${name})
      set(selected "${path}::${function}")
      if(function STREQUAL "all")
        set(name ${module}.${file})
        set(selected "${path}")
      endif()
      add_test(NAME ${name} COMMAND "${popalign_python}" -m pytest "${selected}")
      popalign_test_properties(${name} "${processors}" "${timeout}" "${label};${case}")
      set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "No module named pytest")
    endforeach()
  endforeach()
endfunction()

# popalign_script_test(<name> COMMAND ... [PROCESSORS 1] [TIMEOUT 120] [LABELS ...])
#
# Any other command, as `<module>.<name>`; exit status 77 means skipped, with the reason on its last line.
function(popalign_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;PROCESSORS" "COMMAND;LABELS" ${ARGN})
  popalign_describe_test_folder()
  add_test(NAME ${module}.${name} COMMAND ${ARG_COMMAND})
  popalign_test_properties(${module}.${name} "${ARG_PROCESSORS}" "${ARG_TIMEOUT}" "${label};${ARG_LABELS}")
endfunction()

# Sets what follows from the folder of tests/: `module`, `label`, and the `library` that it mirrors.
function(popalign_describe_test_folder)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY "${PROJECT_SOURCE_DIR}/tests" OUTPUT_VARIABLE folder)
  string(REPLACE "/" ";" folders "${folder}")
  list(GET folders 0 label)
  if(label STREQUAL "unit")
    list(POP_FRONT folders)
  elseif(label STREQUAL "analysis")
    set(label unit)
  endif()
  list(GET folders 0 module)
  list(JOIN folders "_" library)
  set(module ${module} PARENT_SCOPE)
  set(label ${label} PARENT_SCOPE)
  set(library ${library} PARENT_SCOPE)
endfunction()

function(popalign_test_properties name processors timeout labels)
  if(NOT processors)
    set(processors 1)
  endif()
  if(NOT timeout)
    set(timeout 120)
  endif()
  list(REMOVE_ITEM labels "")
  set_tests_properties(
    ${name} PROPERTIES TIMEOUT ${timeout} PROCESSORS ${processors} LABELS "${labels}" SKIP_RETURN_CODE 77)
  set_property(
    TEST ${name}
    PROPERTY ENVIRONMENT OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
             OMPI_MCA_btl_base_warn_component_unused=0 OMPI_MCA_rmaps_base_oversubscribe=1
             POPALIGN_SOURCE_DIR=${PROJECT_SOURCE_DIR} POPALIGN_BINARY_DIR=${PROJECT_BINARY_DIR}
             POPALIGN_TEST_DATA=${POPALIGN_TEST_DATA})
endfunction()

function(popalign_register_test_file file)
  set_property(GLOBAL APPEND PROPERTY popalign_test_files "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
endfunction()

# Fails where a test file below the current folder is in no CMakeLists.txt, and so would never run.
function(popalign_require_all_tests)
  cmake_parse_arguments(ARG "" "" "EXCEPT" ${ARGN})
  file(GLOB_RECURSE files CONFIGURE_DEPENDS *_test.cpp *_test.py)
  get_property(registered GLOBAL PROPERTY popalign_test_files)
  list(REMOVE_ITEM files ${registered})
  foreach(folder IN LISTS ARG_EXCEPT)
    list(FILTER files EXCLUDE REGEX "/${folder}/")
  endforeach()
  if(files)
    message(FATAL_ERROR "tests that no CMakeLists.txt names: ${files}")
  endif()
endfunction()
