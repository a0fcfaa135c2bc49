#include "app/evaluate/print_result.hpp"

#include <popalign/base/file.hpp>
#include <popalign/comm/run.hpp>

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>

namespace popalign::app {

ExitStatus print_result(const comm::Communicator& comm, const std::string& output,
                        const std::function<nlohmann::ordered_json()>& make) {
    comm::run_on_all(comm, [&] {
        if (!comm.is_root())
            return;
        const std::string text =
            make().dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
        if (output.empty()) {
            std::fputs(text.c_str(), stdout);
            return;
        }
        const std::filesystem::path path(output);
        if (path.has_parent_path())
            std::filesystem::create_directories(path.parent_path());
        write_text_file(path, text);
    });
    return ExitStatus::done;
}

}  // namespace popalign::app
