#pragma once

#include <popalign/comm/communicator.hpp>

namespace popalign::test {

/// All ranks of this test run; set by the tests' main.
const comm::Communicator& world();

}  // namespace popalign::test
