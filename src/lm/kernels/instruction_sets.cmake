# One file for each instruction set, chosen among when the program starts.
set(instruction_set_kernels panel_kernel_portable.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND instruction_set_kernels panel_kernel_avx2.cpp panel_kernel_avx512.cpp panel_kernel_choice_x86.cpp
       tile_product_amx.cpp)
  popalign_compile_options("-O3;-mavx2;-mfma" panel_kernel_avx2.cpp)
  popalign_compile_options("-O3;-mavx512f;-mfma;-mprefer-vector-width=512" panel_kernel_avx512.cpp)
  set(amx -O3 -mavx512f -mavx512bw -mavx512vl -mavx512bf16 -mamx-tile -mamx-bf16)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 takes its own vector intrinsics for uses of uninitialized values (its bug 105593).
    list(APPEND amx -Wno-uninitialized -Wno-maybe-uninitialized)
  endif()
  popalign_compile_options("${amx}" tile_product_amx.cpp)
else()
  list(APPEND instruction_set_kernels panel_kernel_choice_other.cpp tile_product_other.cpp)
endif()
popalign_compile_options("-O3" panel_kernel_portable.cpp)
