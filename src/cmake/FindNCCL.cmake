# Finds the NCCL that libtorch was built with (beside it in its environment), else one on the system, and
# makes NCCL::NCCL.
get_filename_component(_nccl_site "${LibTorch_INCLUDE_DIR}/../.." ABSOLUTE)
find_path(NCCL_INCLUDE_DIR nccl.h HINTS "${_nccl_site}/nvidia/nccl" PATH_SUFFIXES include)
find_library(NCCL_LIBRARY NAMES libnccl.so.2 nccl HINTS "${_nccl_site}/nvidia/nccl" PATH_SUFFIXES lib)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE_DIR)

if(NCCL_FOUND AND NOT TARGET NCCL::NCCL)
  add_library(NCCL::NCCL UNKNOWN IMPORTED)
  set_target_properties(NCCL::NCCL PROPERTIES IMPORTED_LOCATION "${NCCL_LIBRARY}"
                                              INTERFACE_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}")
endif()
