#include "preference/data/prompt_data.hpp"

#include "preference/data/prompts.hpp"

#include <popalign/base/hash.hpp>
#include <popalign/base/range.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_file.hpp>

#include <memory>

namespace popalign::preference {

PromptData open_prompt_data(const comm::Communicator& comm, const std::filesystem::path& path,
                            const lm::ModelFrontEnd& front_end, const PairSelection& selection,
                            std::int64_t max_prompt_length) {
    const auto file =
        comm::run_on_all(comm, [&] { return std::make_shared<const store::PairFile>(path); });
    const auto wanted = wanted_instructions(comm, *file, selection);
    PromptData data;
    for (std::size_t row = 0; row < wanted.size(); ++row)
        if (wanted[row])
            data.rows.push_back(row);
    data.prompt = [file, front_end, rows = data.rows, max_prompt_length](std::size_t item) {
        const std::uint64_t row = rows.at(item);
        auto tokens = encode_prompt(front_end, file->instructions({row, row + 1}).at(0));
        if (std::ssize(tokens) > max_prompt_length)
            tokens.erase(tokens.begin(), tokens.end() - max_prompt_length);
        return tokens;
    };
    const auto mine = comm::run_on_all(comm, [&] {
        std::vector<std::uint64_t> hashes;
        const Range share = partition(data.size(), comm.rank(), comm.size());
        for (std::size_t item = share.begin; item < share.end; ++item)
            hashes.push_back(token_hash(data.prompt(item)));
        return hashes;
    });
    data.digest = sha256_hex(bytes_of(comm::all_gather_values(comm, mine)));
    return data;
}

}  // namespace popalign::preference
