#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace popalign::store {

/// How much there is of everything, of one rank or of all.
struct PairSizes {
    std::uint64_t instructions = 0, id_bytes = 0, source_bytes = 0, instruction_bytes = 0,
                  context_bytes = 0, responses = 0, response_bytes = 0, thought_bytes = 0,
                  tokens = 0, pairs = 0;

    void add(const Instruction& row);
    void add(const Response& row);
};

/// Writes a pair file of format version 1 (the contract's layout) in parallel and in parts: the
/// ranks' rows follow each other in rank order. Written beside, synced and renamed; on failure
/// nothing is left. The file's bytes depend neither on the ranks nor on the parts nor on the time
/// (a serial communicator's, which HDF5 places otherwise, hold the same).
class PairFileWriter {
  public:
    /// `mine`: what this rank is going to write in all. Takes the whole file's space. Throws
    /// AgreedError. Collective.
    PairFileWriter(const comm::Communicator& comm, const std::filesystem::path& path,
                   const PairFileHeader& header, const PairSizes& mine);
    ~PairFileWriter();

    /// This rank's next rows; row numbers inside are global. Throws Error.
    void write(const PairBlock& rows);
    /// Throws AgreedError, e.g. if any rank wrote something else than it said. Collective.
    void commit();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Writes a whole pair file from one block a rank. Throws AgreedError. Collective.
void write_pair_file(const comm::Communicator& comm, const std::filesystem::path& path,
                     const PairFileHeader& header, const PairBlock& block);

}  // namespace popalign::store
