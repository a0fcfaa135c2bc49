# Finds libtorch and makes LibTorch::CPU and, with POPALIGN_USE_CUDA, LibTorch::CUDA.
#
# Looks, in order, at LIBTORCH_ROOT (an unpacked libtorch, or the `torch` folder of a Python package),
# at CMAKE_PREFIX_PATH, and at the virtual environment that slurm/setup.sh makes. It needs no CUDA
# toolkit: the headers and libraries that the CUDA build wants come with the package.
set(LIBTORCH_ROOT "" CACHE PATH "Folder with libtorch's include/ and lib/")
file(GLOB _libtorch_environments "${CMAKE_CURRENT_SOURCE_DIR}/build/venv/lib/python3*/site-packages/torch")

find_path(LibTorch_INCLUDE_DIR ATen/ATen.h
          HINTS ${LIBTORCH_ROOT} PATHS ${_libtorch_environments} PATH_SUFFIXES include)
get_filename_component(_libtorch_root "${LibTorch_INCLUDE_DIR}" DIRECTORY)
find_library(LibTorch_CPU_LIBRARY torch_cpu HINTS ${_libtorch_root} PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_library(LibTorch_C10_LIBRARY c10 HINTS ${_libtorch_root} PATH_SUFFIXES lib NO_DEFAULT_PATH)

foreach(_header IN ITEMS torch/headeronly/version.h torch/version.h)
  if(NOT LibTorch_VERSION AND EXISTS "${LibTorch_INCLUDE_DIR}/${_header}")
    file(READ "${LibTorch_INCLUDE_DIR}/${_header}" _libtorch_version)
    string(REGEX MATCH "\"([0-9]+\\.[0-9]+\\.[0-9]+)" _libtorch_version "${_libtorch_version}")
    set(LibTorch_VERSION "${CMAKE_MATCH_1}")
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_CPU_LIBRARY LibTorch_C10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE
    "run slurm/setup.sh, or give -DLIBTORCH_ROOT=<libtorch> or CMAKE_PREFIX_PATH")

if(LibTorch_FOUND AND NOT TARGET LibTorch::CPU)
  # The wheel's CUDA runtime libraries lie in sibling folders; a stand-alone libtorch has none.
  get_filename_component(_site_packages "${_libtorch_root}" DIRECTORY)
  file(GLOB _nvidia_libraries LIST_DIRECTORIES true "${_site_packages}/nvidia/*/lib")
  set(_library_path "${_libtorch_root}/lib" ${_nvidia_libraries})
  set(_link_options "LINKER:--disable-new-dtags")
  foreach(_path IN LISTS _library_path)
    list(APPEND _link_options "LINKER:-rpath,${_path}" "LINKER:-rpath-link,${_path}")
  endforeach()

  add_library(LibTorch::CPU INTERFACE IMPORTED)
  target_include_directories(LibTorch::CPU SYSTEM
                             INTERFACE "${LibTorch_INCLUDE_DIR}"
                                       "${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  # Without OpenMP in the including file, at::parallel_for is a plain loop.
  # The runtime is libtorch's own where it brings one: its folder stands first in the search path.
  target_compile_options(LibTorch::CPU INTERFACE -fopenmp)
  target_link_libraries(LibTorch::CPU INTERFACE "${LibTorch_CPU_LIBRARY}" "${LibTorch_C10_LIBRARY}")
  target_link_options(LibTorch::CPU INTERFACE -fopenmp)
  target_link_options(LibTorch::CPU INTERFACE ${_link_options})
  # libtorch's headers bring another version of fmt, found before the system's library of it.
  target_compile_definitions(LibTorch::CPU INTERFACE FMT_HEADER_ONLY)

  if(POPALIGN_USE_CUDA)
    find_library(LibTorch_CUDA_LIBRARY torch_cuda HINTS ${_libtorch_root} PATH_SUFFIXES lib
                 NO_DEFAULT_PATH REQUIRED)
    find_library(LibTorch_C10_CUDA_LIBRARY c10_cuda HINTS ${_libtorch_root} PATH_SUFFIXES lib
                 NO_DEFAULT_PATH REQUIRED)
    find_path(LibTorch_CUDART_INCLUDE_DIR cuda_runtime_api.h
              HINTS "${_site_packages}/nvidia/cu13" "${_site_packages}/nvidia/cuda_runtime"
                    /usr/local/cuda PATH_SUFFIXES include REQUIRED)
    find_library(LibTorch_CUDART_LIBRARY NAMES cudart libcudart.so.13 libcudart.so.12
                 HINTS ${_nvidia_libraries} /usr/local/cuda/lib64 REQUIRED)
    add_library(LibTorch::CUDA INTERFACE IMPORTED)
    target_include_directories(LibTorch::CUDA SYSTEM INTERFACE "${LibTorch_CUDART_INCLUDE_DIR}")
    # Nothing refers to libtorch_cuda by name: its kernels register themselves when it is loaded.
    target_link_libraries(
      LibTorch::CUDA
      INTERFACE LibTorch::CPU -Wl,--no-as-needed "${LibTorch_CUDA_LIBRARY}"
                "${LibTorch_C10_CUDA_LIBRARY}" -Wl,--as-needed "${LibTorch_CUDART_LIBRARY}")
  endif()
endif()
