#pragma once

#include <popalign/comm/communicator.hpp>
#include <popalign/store/pairs/pair_rows.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace popalign::store {

/// Numbers of rows, bytes and tokens of a pair file, of one rank or of all.
struct PairSizes {
    std::uint64_t instructions = 0, id_bytes = 0, source_bytes = 0, instruction_bytes = 0,
                  context_bytes = 0, responses = 0, response_bytes = 0, thought_bytes = 0,
                  tokens = 0, pairs = 0;

    void add(const Instruction& row);
    void add(const Response& row);
};

/// Writes a pair file of format version 1 (the contract's layout) in parallel and in parts; rows
/// are in rank order. Writes to a temporary file, which is synced and renamed; on failure no file
/// is left. The bytes of the file do not depend on the number of ranks, on the parts or on the
/// time. With a serial communicator the contents are equal, but HDF5 places them differently.
class PairFileWriter {
  public:
    /// `mine` is the total size of the rows that this rank will write. Allocates the whole file.
    /// Throws AgreedError. Collective.
    PairFileWriter(const comm::Communicator& comm, const std::filesystem::path& path,
                   const PairFileHeader& header, const PairSizes& mine);
    ~PairFileWriter();

    /// Writes this rank's next rows; row numbers inside are global. Throws Error.
    void write(const PairBlock& rows);
    /// Completes the file. Throws AgreedError, e.g. if a rank wrote other sizes than it announced.
    /// Collective.
    void commit();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Writes a whole pair file from one block per rank. Throws AgreedError. Collective.
void write_pair_file(const comm::Communicator& comm, const std::filesystem::path& path,
                     const PairFileHeader& header, const PairBlock& block);

}  // namespace popalign::store
