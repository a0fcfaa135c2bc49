#pragma once

#include <span>
#include <string_view>

namespace popalign {

/// A file that was built into the program, by its name without extension.
struct EmbeddedText {
    std::string_view name, text;
};

}  // namespace popalign
