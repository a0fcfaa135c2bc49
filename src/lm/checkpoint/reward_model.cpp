#include "lm/text/model_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/lm/checkpoint/reward_model.hpp>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

namespace popalign::lm {

bool is_reward_model(const CausalLm& model) noexcept {
    return !model.parameters().empty() && model.parameters().back().name == "score.weight";
}

bool is_reward_model(const std::filesystem::path& path) {
    if (is_gguf(path))
        return false;
    const auto json = read_json_file(path / "config.json");
    const auto names = json.find("architectures");
    if (names == json.end() || !names->is_array() || names->empty() ||
        !names->front().is_string() ||
        !names->front().get<std::string>().ends_with("ForSequenceClassification"))
        return false;
    const auto labels = json.find("id2label");
    if (labels == json.end() || labels->size() != 1)
        throw InputError((path / "config.json").native(),
                         "a classifier with other than one label; a reward model has one score");
    return true;
}

at::Tensor reward_scores(const CausalLm& model, const at::Tensor& hidden) {
    return at::linear(hidden, model.parameters().back().tensor).squeeze(1);
}

}  // namespace popalign::lm
