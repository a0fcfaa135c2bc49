#include "lm/text/normalizer.hpp"

#include "lm/text/unicode.hpp"

#include <popalign/base/error.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::lm {

std::string replace_all(const std::string& text, const std::string& pattern,
                        const std::string& content) {
    std::string result;
    std::size_t done = 0;
    for (std::size_t found = text.find(pattern); found != std::string::npos;
         found = text.find(pattern, done)) {
        result.append(text, done, found - done).append(content);
        done = found + pattern.size();
    }
    return result.append(text, done);
}

void Normalizer::add(const nlohmann::json& description, int depth) {
    if (description.is_null())
        return;
    if (depth > 4)
        throw UsageError("normalizers are nested too deeply");
    const auto type = description.at("type").get<std::string>();
    if (type == "Sequence") {
        for (const auto& step : description.at("normalizers"))
            add(step, depth + 1);
    } else if (type == "NFC") {
        steps_.emplace_back(Compose{});
    } else if (type == "Prepend") {
        steps_.emplace_back(Prepend{description.at("prepend").get<std::string>()});
    } else if (type == "Replace") {
        const auto& pattern = description.at("pattern");
        if (!pattern.contains("String") || pattern["String"] == "")
            throw UsageError("normalizer 'Replace' of anything but a String is not supported");
        steps_.emplace_back(Replace{pattern["String"].get<std::string>(),
                                    description.at("content").get<std::string>()});
    } else {
        throw UsageError(fmt::format("normalizer '{}' is not supported", type));
    }
}

std::string Normalizer::apply(std::string text) const {
    for (const auto& step : steps_) {
        if (const auto* prepend = std::get_if<Prepend>(&step)) {
            if (!text.empty())
                text.insert(0, prepend->text);
        } else if (const auto* replace = std::get_if<Replace>(&step)) {
            text = replace_all(text, replace->pattern, replace->content);
        } else {
            text = compose_nfc(text);
        }
    }
    return text;
}

bool Normalizer::removes(const std::string& pattern) const {
    return std::ranges::any_of(steps_, [&](const auto& step) {
        const auto* replace = std::get_if<Replace>(&step);
        return replace != nullptr && replace->pattern == pattern &&
               replace->content.find(pattern) == std::string::npos;
    });
}

}  // namespace popalign::lm
