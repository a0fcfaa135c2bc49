#include "synthesis/response_ledger.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/journal/response_record.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace popalign::synthesis {

void AnswerTally::add(const store::ResponseKey& key) {
    ++answers;
    attempts += key.attempts;
    prompt_tokens += key.prompt_tokens;
    answer_tokens += key.answer_tokens;
    bytes += std::uint64_t{key.text_bytes} + key.thought_bytes +
             sizeof(std::int32_t) * std::uint64_t{key.tokens};
}

std::vector<AnswerTally> sum_over_ranks(const comm::Communicator& comm,
                                        const std::vector<AnswerTally>& mine) {
    std::vector<std::uint64_t> sums;
    for (const AnswerTally& tally : mine)
        sums.insert(sums.end(), {tally.answers, tally.attempts, tally.prompt_tokens,
                                 tally.answer_tokens, tally.bytes});
    comm::all_reduce(comm, std::span(sums), comm::Reduction::sum);
    std::vector<AnswerTally> result(mine.size());
    for (std::size_t g = 0; g < mine.size(); ++g) {
        const std::uint64_t* of_generation = sums.data() + 5 * g;
        result[g].answers = of_generation[0];
        result[g].attempts = of_generation[1];
        result[g].prompt_tokens = of_generation[2];
        result[g].answer_tokens = of_generation[3];
        result[g].bytes = of_generation[4];
    }
    return result;
}

ResponseLedger::ResponseLedger(std::uint64_t instructions, const GenerationPlan& plan, Needs needs)
    : generations_(plan.generations.size()),
      next_turns_(generations_),
      later_turns_(generations_),
      made_(instructions * generations_, 0),
      needs_(std::move(needs)),
      earlier_tally_(generations_),
      own_tally_(generations_),
      reader_({}) {
    for (std::size_t g = 0; g < generations_; ++g) {
        const auto previous = plan.generations[g].previous;
        if (previous)
            next_turns_[*previous].push_back(g);
        for (auto earlier = previous; earlier; earlier = plan.generations[*earlier].previous)
            later_turns_[*earlier].push_back(g);
    }
    for (std::uint64_t i = 0; i < instructions; ++i)
        for (std::size_t g = 0; g < generations_; ++g)
            wanted_ += needs_(i, g) ? 1 : 0;
}

ResponseLedger::ResponseLedger(const comm::Communicator& comm,
                               const std::filesystem::path& directory, std::uint64_t instructions,
                               const GenerationPlan& plan, Needs needs, const Logger& logger)
    : ResponseLedger(instructions, plan, std::move(needs)) {
    comm::run_on_all(comm, [&] {
        if (comm.is_root())
            std::filesystem::create_directories(directory);
    });
    // Opened first: this cuts off the unfinished end of a killed writer before any rank reads it.
    comm::run_on_all(comm, [&] {
        const auto path = store::journal_path(directory, comm.rank());
        journal_.emplace(path);
        if (journal_->torn_bytes() > 0)
            logger.warn_local(
                fmt::format("{}: {} bytes of an unfinished record at its end are cut off; that "
                            "answer is made again",
                            path.native(), journal_->torn_bytes()));
    });
    const store::ResponseIndex index(comm, directory, instructions,
                                     static_cast<std::uint32_t>(generations_),
                                     store::ResponseIndex::Writers::gone, logger);
    reader_ = store::RecordReader(index.journals());
    take_stock(comm, index);
    locate_earlier_turns(comm, index);
}

void ResponseLedger::take_stock(const comm::Communicator& comm, const store::ResponseIndex& index) {
    std::vector<AnswerTally> mine(generations_);
    for (const auto& [key, place] : index.responses()) {
        if (needs_(key.instruction, key.generation))
            made_[slot(key.instruction, key.generation)] = by_earlier_run;
        mine[key.generation].add(key);
    }
    comm::all_reduce(comm, std::span(made_), comm::Reduction::maximum);
    earlier_tally_ = sum_over_ranks(comm, mine);
    made_before_ = static_cast<std::uint64_t>(std::ranges::count(made_, by_earlier_run));
}

/// Tells all ranks where first turns are, since any rank may make the second.
void ResponseLedger::locate_earlier_turns(const comm::Communicator& comm,
                                          const store::ResponseIndex& index) {
    struct Located {
        std::uint64_t slot;
        store::JournalPlace place;
    };
    std::vector<Located> mine;
    for (const auto& [key, place] : index.responses())
        if (is_awaited(key.instruction, key.generation))
            mine.push_back({slot(key.instruction, key.generation), place});
    for (const auto& bytes : comm::all_gather_bytes(comm, std::as_bytes(std::span(mine)))) {
        std::vector<Located> part(bytes.size() / sizeof(Located));
        if (!part.empty())
            std::memcpy(part.data(), bytes.data(), bytes.size());
        for (const Located& located : part)
            earlier_.emplace(located.slot, located.place);
    }
}

bool ResponseLedger::is_awaited(std::uint64_t instruction, std::size_t generation) const {
    return std::ranges::any_of(later_turns_[generation], [&](std::size_t later) {
        return needs_(instruction, later) && !is_made(instruction, later);
    });
}

std::string ResponseLedger::text(std::uint64_t instruction, std::size_t generation) {
    const std::size_t index = slot(instruction, generation);
    if (const auto found = texts_.find(index); found != texts_.end())
        return found->second;
    const store::JournalPlace& place = earlier_.at(index);
    std::vector<std::byte> record(place.bytes);
    reader_.read(place, record);
    return store::decode_response(record).text;
}

void ResponseLedger::add(const Response& response) {
    const std::vector<std::byte> record = store::encode_response(response);
    if (journal_)
        journal_->append(record);
    own_tally_[response.generation].add(store::read_response_key(record));
    made_[slot(response.instruction, response.generation)] = by_this_rank;
    ++added_;
    if (is_awaited(response.instruction, response.generation))
        texts_.emplace(slot(response.instruction, response.generation), response.text);
    for (std::size_t g = 0; g < generations_; ++g)
        if (std::ranges::count(later_turns_[g], response.generation) > 0 &&
            !is_awaited(response.instruction, g))
            texts_.erase(slot(response.instruction, g));
}

void ResponseLedger::sync() {
    if (journal_)
        journal_->sync();
}

void ResponseLedger::close() {
    sync();
    journal_.reset();
}

}  // namespace popalign::synthesis
