#include "lm/judge/judge_kinds.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/hash.hpp>
#include <popalign/lm/backends/model_options.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/engine/scorer.hpp>
#include <popalign/lm/text/chat_template.hpp>
#include <popalign/lm/transformer/causal_lm.hpp>
#include <popalign/record/token.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <unordered_map>

namespace popalign::lm {
namespace {

/// Encodes the input of a reward model: the dialogue and the answer, as training encodes a pair.
class RewardReader {
  public:
    explicit RewardReader(const ModelOptions& model)
        : front_end_(load_front_end(model.path, model.chat_template, model.template_arguments)) {
        const ChatTemplate& chat = front_end_.require_chat(model.path);
        end_ = end_of_turn(chat, front_end_.tokenizer);
        if (!end_)
            end_ = front_end_.tokenizer.eos_token();
        if (!end_)
            throw UsageError(fmt::format(
                "{}: chat template '{}' writes no special token behind an answer, and the "
                "tokenizer has no EOS; set the chat_template that it was trained with",
                model.path, chat.name()));
    }

    /// Returns the tokens for the answer shown first.
    std::vector<TokenId> read(const JudgeQuery& query) const {
        std::vector<Message> dialogue = query.dialogue;
        if (dialogue.empty())
            dialogue.push_back({Role::user, query.instruction});
        const bool two_turns = !query.instruction_2.empty();
        if (two_turns) {
            dialogue.push_back({Role::assistant, query.first});
            dialogue.push_back({Role::user, query.instruction_2});
        }
        auto tokens = encode_pieces(front_end_.tokenizer, front_end_.chat->render_prompt(dialogue));
        const auto answer = front_end_.tokenizer.encode(two_turns ? query.first_2 : query.first);
        tokens.insert(tokens.end(), answer.begin(), answer.end());
        if (!query.first_cut)
            tokens.push_back(*end_);
        return tokens;
    }

  private:
    ModelFrontEnd front_end_;
    std::optional<TokenId> end_;
};

std::string key_of(const std::vector<TokenId>& tokens) {
    return sha256_hex(bytes_of(tokens));
}

/// Scores each answer once, however many queries have it; what its scores differ by are the
/// log-odds that the first is better (Bradley and Terry 1952).
class RewardJudge : public AnswerJudge {
  public:
    RewardJudge(const ModelOptions& model, const JudgeRunOptions& options)
        : reader_(model),
          model_(load_reward_model(model.path,
                                   model.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat,
                                   select_device(options.device, options.ranks.node().rank()))),
          batch_tokens_(options.batch_tokens) {}

    JudgeUsage judge(std::span<const JudgeQuery> queries,
                     const std::function<void(std::size_t, Judgement)>& done,
                     const std::function<bool()>& keep_going) override {
        // Even: both orders of a pair are next to each other.
        constexpr std::size_t part = 32;
        JudgeUsage usage;
        for (std::size_t begin = 0; begin < queries.size() && (!keep_going || keep_going());
             begin += part) {
            const auto now = queries.subspan(begin, std::min(part, queries.size() - begin));
            std::vector<std::string> first, second;
            std::vector<std::vector<TokenId>> wanted;
            for (const JudgeQuery& query : now) {
                first.push_back(want(reader_.read(query), wanted));
                second.push_back(want(reader_.read(swapped(query)), wanted));
            }
            for (const auto& tokens : wanted)
                usage.prompt_tokens += tokens.size();
            score_endings(model_, wanted, batch_tokens_, [&](std::size_t index, double score) {
                scores_.at(key_of(wanted[index])) = score;
            });
            for (std::size_t i = 0; i < now.size(); ++i)
                done(begin + i, judgement(scores_.at(first[i]), scores_.at(second[i])));
        }
        return usage;
    }

  private:
    /// The key of the answer's score, which is asked for if it is not known.
    std::string want(std::vector<TokenId> tokens, std::vector<std::vector<TokenId>>& wanted) {
        std::string key = key_of(tokens);
        if (scores_.emplace(key, 0.0).second)
            wanted.push_back(std::move(tokens));
        return key;
    }

    static Judgement judgement(double first, double second) {
        Judgement judgement = judgement_of(first - second);
        judgement.raw = nlohmann::json{{"score", {first, second}}}.dump();
        return judgement;
    }

    RewardReader reader_;
    CausalLm model_;
    std::int64_t batch_tokens_;
    std::unordered_map<std::string, double> scores_;
};

}  // namespace

JudgeUsage measure_reward_queries(const ModelOptions& model, std::span<const JudgeQuery> queries) {
    const RewardReader reader(model);
    std::set<std::string> seen;
    JudgeUsage usage;
    for (const JudgeQuery& query : queries)
        for (const JudgeQuery& shown : {query, swapped(query)})
            if (const auto tokens = reader.read(shown); seen.insert(key_of(tokens)).second)
                usage.prompt_tokens += tokens.size();
    return usage;
}

std::unique_ptr<AnswerJudge> open_reward_judge(const ModelOptions& model,
                                               const JudgeRunOptions& options) {
    return std::make_unique<RewardJudge>(model, options);
}

}  // namespace popalign::lm
