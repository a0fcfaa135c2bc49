#pragma once

#include <span>
#include <string_view>

namespace popalign {

/// A file that is built into the program. `name` is its file name without extension.
struct EmbeddedText {
    std::string_view name, text;
};

}  // namespace popalign
