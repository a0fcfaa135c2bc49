#include "lm/backends/model_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/store/rows/jsonl.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <limits>
#include <unordered_map>

namespace popalign::lm {
namespace {

/// Answers by what they answer: a generation of the plan (empty: the bare instruction) and the
/// instruction's id or, where rows have none, its text.
class AnswerTable {
  public:
    explicit AnswerTable(const std::string& path) : path_(path) {
        store::read_jsonl(path,
                          [&](std::size_t line, const nlohmann::json& row) { add(row, line); });
    }

    /// Null if there is none.
    const std::string* find(const Question& question) const {
        if (const auto* named = find(question.generation, question))
            return named;
        const bool bare = question.messages.size() == 1 && question.assistant_prefix.empty() &&
                          question.messages.front().content == question.instruction;
        return bare ? find("", question) : nullptr;
    }

    const std::string& require(const Question& question) const {
        if (const auto* answer = find(question))
            return *answer;
        throw UsageError(fmt::format(
            "{}: no answer of generation '{}' to instruction '{}'; add a row with that generation "
            "and id, or leave the strategy or the instruction out",
            path_, question.generation, question.id));
    }

  private:
    static std::string key(const std::string& generation, char kind, const std::string& of) {
        return generation + '\0' + kind + of;
    }

    const std::string* find(const std::string& generation, const Question& question) const {
        auto found = answers_.find(key(generation, 'i', question.id));
        if (found == answers_.end())
            found = answers_.find(key(generation, 't', question.instruction));
        return found == answers_.end() ? nullptr : &found->second;
    }

    void add(const nlohmann::json& row, std::size_t line) {
        const std::string generation = row.value("generation", "");
        const bool has_id = row.contains("id");
        const auto& of = has_id                        ? row.at("id")
                         : row.contains("instruction") ? row.at("instruction")
                                                       : row.at("prompt");
        const auto text =
            (row.contains("text") ? row.at("text") : row.at("output")).get<std::string>();
        const auto [at, fresh] = answers_.emplace(
            key(generation, has_id ? 'i' : 't', of.is_string() ? of.get<std::string>() : of.dump()),
            text);
        if (!fresh && at->second != text)
            throw InputError(path_, line, "another answer to the same stands above; remove one");
    }

    std::string path_;
    std::unordered_map<std::string, std::string> answers_;
};

class FileSession : public ModelSession {
  public:
    explicit FileSession(const AnswerTable& table) : table_(table) {}

    std::uint64_t answer(std::span<const Question> questions,
                         const std::function<void(std::size_t, Answer)>& done,
                         const std::function<bool()>& keep_going,
                         const RequestSource<Question>& more) override {
        constexpr std::size_t at_once = 1024;
        std::vector<Question> next(questions.begin(), questions.end());
        std::size_t number = 0;
        do {
            for (const Question& question : next) {
                if (keep_going && !keep_going())
                    return 0;
                Answer answer;
                answer.text = table_.require(question);
                answer.logprob = std::numeric_limits<double>::quiet_NaN();
                done(number++, std::move(answer));
            }
            next = more ? more({0, at_once}) : std::vector<Question>();
        } while (!next.empty());
        return 0;
    }

  private:
    const AnswerTable& table_;
};

class AnswerFile : public ModelBackend {
  public:
    explicit AnswerFile(const std::string& path) : path_(path), table_(path) {}

    ModelIdentity identify() const override { return {path_, sha256_file(path_), "", "", 0}; }

    std::uint64_t measure(const Question& question) const override {
        table_.require(question);
        return 0;
    }

    Preview preview(const Question& question) const override {
        return {table_.require(question), {}};
    }

    std::uint64_t weight_bytes(const ModelIdentity&) const override { return 0; }
    std::uint64_t cache_bytes(std::int64_t) const override { return 0; }

    std::unique_ptr<ModelSession> open(const AnswerOptions&) const override {
        return std::make_unique<FileSession>(table_);
    }

  private:
    std::string path_;
    AnswerTable table_;
};

}  // namespace

std::unique_ptr<ModelBackend> make_answer_file(const std::string& path) {
    return std::make_unique<AnswerFile>(path);
}

}  // namespace popalign::lm
