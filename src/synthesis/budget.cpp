#include "synthesis/budget.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <ratio>
#include <span>

namespace popalign::synthesis {
namespace {

constexpr std::chrono::seconds between_saves{60};
/// `ModelBackend::measure` takes a token for four bytes; none is shorter than one.
constexpr std::uint64_t most_tokens_per_estimated = 4;

double read_hours(const std::filesystem::path& file) {
    if (file.empty() || !std::filesystem::exists(file))
        return 0;
    const auto json = nlohmann::json::parse(read_text_file(file), nullptr, false);
    if (!json.is_object() || !json.contains("hours") || !json["hours"].is_number())
        throw InputError(file.native(), "does not say how many hours were used; remove it");
    return json["hours"].get<double>();
}

}  // namespace

double token_cost(const lm::ModelOptions& model, std::uint64_t prompt_tokens,
                  std::uint64_t answer_tokens) {
    if (model.endpoint.url.empty())
        return 0;
    return (static_cast<double>(prompt_tokens) * model.endpoint.prompt_price +
            static_cast<double>(answer_tokens) * model.endpoint.completion_price) /
           1e6;
}

Budget::Budget(const comm::Communicator& comm, const SynthesisInputs& inputs,
               const SynthesisSetup& setup, const ResponseLedger& ledger,
               const std::filesystem::path& directory)
    : inputs_(inputs),
      setup_(setup),
      file_(directory.empty() ? directory : directory / "spent.json"),
      writes_(comm.is_root() && !directory.empty()) {
    const BudgetOptions& limit = inputs.synthesis.max_budget;
    double spent = 0;
    for (std::size_t g = 0; g < setup.plan.generations.size(); ++g) {
        const AnswerTally& tally = ledger.earlier_tally()[g];
        spent += token_cost(inputs.models.at(setup.plan.generations[g].model), tally.prompt_tokens,
                            tally.answer_tokens);
    }
    share_ = std::max(0.0, limit.cost - spent) / comm.size();
    earlier_hours_ =
        comm::run_on_all(comm, [&] { return comm.is_root() ? read_hours(file_) : 0.0; });
    comm::broadcast(comm, std::span(&earlier_hours_, 1));
    comm::run_on_all(comm, [&] {
        if ((limit.cost > 0 && spent >= limit.cost) ||
            (limit.hours > 0 && earlier_hours_ >= limit.hours))
            throw UsageError(
                fmt::format("the budget is used up: cost {:.4f} of {:.4f}, {:.2f} of {:.2f} hours; "
                            "raise synthesis.max_budget",
                            spent, limit.cost, earlier_hours_, limit.hours));
    });
}

std::optional<double> Budget::reserve(const std::string& model, const lm::Question& question) {
    const lm::ModelOptions& options = inputs_.models.at(model);
    if (inputs_.synthesis.max_budget.cost <= 0 || options.endpoint.url.empty())
        return 0.0;
    const auto prompt =
        most_tokens_per_estimated * setup_.models.at(model).source->measure(question);
    const double most =
        token_cost(options, prompt, static_cast<std::uint64_t>(question.max_new_tokens));
    if (spent_ + reserved_ + most > share_)
        return std::nullopt;
    reserved_ += most;
    return most;
}

void Budget::settle(const std::string& model, double reserved, std::uint64_t prompt_tokens,
                    std::uint64_t answer_tokens) {
    reserved_ -= reserved;
    spent_ += token_cost(inputs_.models.at(model), prompt_tokens, answer_tokens);
}

double Budget::hours_used() const {
    const std::chrono::duration<double, std::ratio<3600>> here =
        std::chrono::steady_clock::now() - start_;
    return earlier_hours_ + here.count();
}

bool Budget::hours_left() {
    if (std::chrono::steady_clock::now() >= saved_ + between_saves)
        save();
    const double limit = inputs_.synthesis.max_budget.hours;
    return limit <= 0 || hours_used() < limit;
}

void Budget::save() {
    saved_ = std::chrono::steady_clock::now();
    if (writes_)
        write_text_file(file_, nlohmann::json{{"hours", hours_used()}}.dump() + "\n");
}

}  // namespace popalign::synthesis
