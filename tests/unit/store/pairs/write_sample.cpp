// Writes the sample pair file, with verdicts and a reference, for readers in other languages.
#include "unit/store/pairs/sample_rows.hpp"

#include <popalign/base/range.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/pairs/pair_update.hpp>
#include <popalign/store/pairs/pair_writer.hpp>

#include <vector>

int main(int argc, char** argv) {
    using namespace popalign;
    return comm::run_program(argc, argv, [&](const comm::Communicator& comm) {
        constexpr std::size_t count = 20;
        const std::filesystem::path path = argv[argc - 1];
        const Range mine = partition(count, comm.rank(), comm.size());
        write_pair_file(comm, path, test::sample_header(), test::sample_block(mine));
        write_verdicts(comm, path, test::sample_judges(),
                       test::sample_verdicts({2 * mine.begin, 2 * mine.end}));
        store::write_reference(
            comm, path, "key",
            {std::vector<double>(2 * count, -1.5), std::vector<double>(2 * count, -2)});
        return ExitStatus::done;
    });
}
