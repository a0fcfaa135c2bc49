# One file for each instruction set, chosen among when the program starts.
set(panel_kernels panel_kernel_portable.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND panel_kernels panel_kernel_avx2.cpp panel_kernel_avx512.cpp panel_kernel_choice_x86.cpp)
  set_source_files_properties(panel_kernel_avx2.cpp PROPERTIES COMPILE_OPTIONS "-O3;-mavx2;-mfma")
  set_source_files_properties(panel_kernel_avx512.cpp
                              PROPERTIES COMPILE_OPTIONS "-O3;-mavx512f;-mfma;-mprefer-vector-width=512")
else()
  list(APPEND panel_kernels panel_kernel_choice_other.cpp)
endif()
set_source_files_properties(panel_kernel_portable.cpp PROPERTIES COMPILE_OPTIONS "-O3")
