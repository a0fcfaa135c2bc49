#include "preference/data/prompts.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_file.hpp>

namespace popalign::preference {
namespace {

std::vector<Split> read_splits(const comm::Communicator& comm, const store::PairFile& file) {
    const std::vector<Split> mine = comm::run_on_all(comm, [&] {
        std::vector<Split> splits;
        in_blocks(partition(file.instruction_count(), comm.rank(), comm.size()), [&](Range rows) {
            for (const Instruction& instruction : file.instructions(rows))
                splits.push_back(instruction.split);
        });
        return splits;
    });
    return comm::all_gather_values(comm, mine);
}

}  // namespace

std::vector<bool> wanted_instructions(const comm::Communicator& comm, const store::PairFile& file,
                                      const PairSelection& selection) {
    const std::vector<Split> splits = read_splits(comm, file);
    std::vector<bool> wanted(splits.size(), false);
    std::int64_t count = 0;
    for (std::size_t i = 0; i < splits.size(); ++i)
        if (splits[i] == selection.split)
            wanted[i] =
                ++count <= selection.limit_instructions || selection.limit_instructions == 0;
    return wanted;
}

std::vector<TokenId> encode_prompt(const lm::ModelFrontEnd& front_end,
                                   const Instruction& instruction) {
    std::vector<Message> dialogue = instruction.context;
    dialogue.push_back({Role::user, instruction.text});
    const auto pieces = front_end.require_chat("train.model").render_prompt(dialogue);
    return lm::encode_pieces(front_end.tokenizer, pieces);
}

}  // namespace popalign::preference
