#pragma once

#include <popalign/base/error.hpp>
#include <popalign/comm/communicator.hpp>

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>

namespace popalign::app {

/// Makes the result on one rank and prints it, or writes it to the file `output`. Collective.
ExitStatus print_result(const comm::Communicator& comm, const std::string& output,
                        const std::function<nlohmann::ordered_json()>& make);

}  // namespace popalign::app
