#pragma once

#include <popalign/record/instruction.hpp>
#include <popalign/record/preference_pair.hpp>
#include <popalign/record/response.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace popalign::store {

struct ModelRow {
    std::string name, path, sha256;
    std::uint64_t parameters = 0;
    std::string tokenizer_sha256, template_sha256;
    bool operator==(const ModelRow&) const = default;
};

struct GenerationRow {
    std::string name;           ///< e.g. "teacher/prefix/chosen"
    std::uint32_t model = 0;    ///< row of /models
    std::string template_text;  ///< column `template`: the turns, as YAML
    bool operator==(const GenerationRow&) const = default;
};

struct StrategyRow {
    std::string name, level, variant;
    bool operator==(const StrategyRow&) const = default;
};

/// Small tables of a pair file, equal on all ranks.
struct PairFileHeader {
    std::string config;      ///< YAML
    std::string provenance;  ///< JSON
    std::vector<ModelRow> models;
    std::vector<GenerationRow> generations;
    std::vector<StrategyRow> strategies;
};

/// One rank's consecutive rows of the large tables; row numbers inside are global.
struct PairBlock {
    std::vector<Instruction> instructions;
    std::vector<Response> responses;
    std::vector<PreferencePair> pairs;
};

struct JudgeRow {
    std::string name;   ///< e.g. "teacher"
    std::string model;  ///< sha256 of the model
    std::string template_name;
    std::string template_sha256;
    bool operator==(const JudgeRow&) const = default;
};

}  // namespace popalign::store
