#include "app/command/rows.hpp"

#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/store/rows/messages.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace popalign::app {
namespace {

void write_at(const std::filesystem::path& path, std::string_view text, std::uint64_t offset) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!file)
        throw_system_error("create it", path.native());
    while (!text.empty()) {
        const auto written =
            ::pwrite(file.get(), text.data(), text.size(), static_cast<off_t>(offset));
        if (written < 0)
            throw_system_error("write it", path.native());
        text.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    if (::fsync(file.get()) != 0)
        throw_system_error("flush it", path.native());
}

}  // namespace

void write_in_rank_order(const comm::Communicator& comm, const std::filesystem::path& path,
                         std::string_view mine) {
    const auto partial = partial_path(path);
    const std::uint64_t offset = comm::exclusive_scan(comm, mine.size());
    const auto remove_partial = [&] {
        std::error_code ignored;
        if (comm.is_root())
            std::filesystem::remove(partial, ignored);
    };
    comm::run_on_all(comm, remove_partial);
    try {
        comm::run_on_all(comm, [&] { write_at(partial, mine, offset); });
        comm::run_on_all(comm, [&] {
            if (comm.is_root())
                commit_path(partial, path);
        });
    } catch (const comm::AgreedError&) {
        remove_partial();
        throw;
    }
}

PromptRow read_prompt_row(const nlohmann::json& row, const lm::ModelFrontEnd& front_end,
                          const std::string& model, const std::string& file, std::size_t line) {
    try {
        PromptRow result;
        const auto id = row.find("id");
        result.id = id == row.end()   ? std::to_string(line)
                    : id->is_string() ? id->get<std::string>()
                                      : id->dump();
        if (row.contains("messages")) {
            const auto pieces = front_end.require_chat(model).render_prompt(
                store::messages_from_json(row["messages"]));
            result.text = lm::to_text(pieces);
            result.tokens = lm::encode_pieces(front_end.tokenizer, pieces);
        } else {
            result.text = row.at("prompt").get<std::string>();
            result.tokens = front_end.tokenizer.encode(result.text);
        }
        if (result.tokens.empty())
            throw UsageError("the prompt is empty; give it some text");
        return result;
    } catch (const nlohmann::json::exception& error) {
        throw InputError(file, line,
                         fmt::format("needs `prompt` or `messages` ({})", error.what()));
    } catch (const InputError&) {
        throw;
    } catch (const UsageError& error) {
        throw InputError(file, line, error.what());
    }
}

}  // namespace popalign::app
