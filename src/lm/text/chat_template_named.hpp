#pragma once

#include <span>
#include <string_view>

namespace popalign::lm {

struct NamedTemplate {
    std::string_view name, jinja;
};

std::span<const NamedTemplate> named_templates();

}  // namespace popalign::lm
