# popalign_test(<name> SOURCES ... LINK ... [RANKS 1 2 4] [TIMEOUT 60] [LABELS ...])
#
# One GoogleTest program, one CTest case for each rank count, `<name>/<ranks>`. The verdict is reduced
# over the ranks and a run of no tests fails (tests/support/mpi_main.cpp). Every case has a timeout and
# claims as many processors as it has ranks. Those that link LibTorch::CPU find its headers.
function(popalign_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINK;RANKS;LABELS" ${ARGN})
  if(NOT ARG_RANKS)
    set(ARG_RANKS 1)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  string(REPLACE "." "_" target "test_${name}")
  add_executable(${target} ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_LINK} popalign::test_support popalign_common)
  if("${ARG_LINK}" MATCHES "LibTorch::")
    popalign_precompile(${target} tensor_test)
  else()
    popalign_precompile(${target} test)
  endif()
  foreach(ranks IN LISTS ARG_RANKS)
    if(ranks EQUAL 1)
      set(command $<TARGET_FILE:${target}>)
    else()
      set(command ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks} --oversubscribe
                  $<TARGET_FILE:${target}>)
    endif()
    add_test(NAME ${name}/${ranks} COMMAND ${command})
    popalign_test_properties(${name}/${ranks} ${ranks} ${ARG_TIMEOUT} "${ARG_LABELS}")
  endforeach()
endfunction()

# popalign_script_test(<name> COMMAND ... [PROCESSORS 1] [TIMEOUT 120] [LABELS ...])
#
# A test written in another language; exit status 77 means skipped, with the reason on its last line.
function(popalign_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT;PROCESSORS" "COMMAND;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_PROCESSORS)
    set(ARG_PROCESSORS 1)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND})
  popalign_test_properties(${name} ${ARG_PROCESSORS} ${ARG_TIMEOUT} "${ARG_LABELS}")
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

function(popalign_test_properties name processors timeout labels)
  set_tests_properties(
    ${name}
    PROPERTIES TIMEOUT ${timeout} PROCESSORS ${processors} LABELS "${labels}" ENVIRONMENT
               "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1;OMPI_MCA_btl_base_warn_component_unused=0;OMPI_MCA_rmaps_base_oversubscribe=1;POPALIGN_SOURCE_DIR=${PROJECT_SOURCE_DIR};POPALIGN_BINARY_DIR=${PROJECT_BINARY_DIR}"
  )
endfunction()
