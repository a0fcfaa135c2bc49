#pragma once

/// Compiles a function once for each level of vector instructions. One version is chosen when the
/// program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define POPALIGN_VECTOR_LEVELS \
    __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else  // a sanitizer's runtime is not there yet when the clones are chosen
#define POPALIGN_VECTOR_LEVELS
#endif
