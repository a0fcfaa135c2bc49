#include "lm/text/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>

namespace popalign::lm {

bool is_gguf(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path))
        throw InputError(path.native(), "no such model; give an HF directory or a GGUF file");
    return std::filesystem::is_regular_file(path);
}

nlohmann::json parse_json(const std::string& text, const std::string& file) {
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        const auto end =
            text.begin() + std::min(std::ssize(text), static_cast<std::ptrdiff_t>(error.byte));
        throw InputError(file, static_cast<std::size_t>(1 + std::count(text.begin(), end, '\n')),
                         "this is no JSON");
    } catch (const nlohmann::json::exception&) {  // a number beyond what a double holds
        throw InputError(file, "a number in it is too large");
    }
}

nlohmann::json read_json_file(const std::filesystem::path& path) {
    return parse_json(read_text_file(path), path.native());
}

}  // namespace popalign::lm
