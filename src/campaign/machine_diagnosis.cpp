#include "campaign/arithmetic_check.hpp"

#include <popalign/base/descriptor.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/base/memory.hpp>
#include <popalign/base/range.hpp>
#include <popalign/campaign/machine_diagnosis.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/device_group.hpp>
#include <popalign/comm/objects.hpp>
#include <popalign/comm/run.hpp>
#include <popalign/lm/checkpoint/front_end.hpp>
#include <popalign/lm/checkpoint/language_model.hpp>
#include <popalign/lm/transformer/model_config.hpp>
#include <popalign/store/pairs/pair_file.hpp>
#include <popalign/store/pairs/pair_writer.hpp>

#include <ATen/detail/CUDAHooksInterface.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace popalign::campaign {
namespace {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::optional<int> number(const char* name) {
    const std::string text = variable(name);
    return text.empty() ? std::nullopt : std::optional(std::atoi(text.c_str()));
}

/// Returns the number of tasks of this process's Slurm step, or of mpirun.
std::optional<int> launched_tasks() {
    const auto step = number("SLURM_STEP_NUM_TASKS");
    return step ? step : number("OMPI_COMM_WORLD_SIZE");
}

/// Returns an identifier of the GPU that a rank would use; empty: none.
std::string device_of(const std::string& option, int local_rank) {
    const int count = option == "cpu" ? 0 : at::detail::getCUDAHooks().deviceCount();
    if (count <= 0)
        return "";
    const int index = local_rank % count;
    std::string visible = variable("CUDA_VISIBLE_DEVICES");
    for (int skipped = 0; skipped < index && !visible.empty(); ++skipped)
        visible.erase(0, std::min(visible.find(','), visible.size() - 1) + 1);
    visible = visible.substr(0, visible.find(','));
    return "GPU " + (visible.empty() ? std::to_string(index) : visible);
}

RankFacts facts_of_this_rank(const comm::Communicator& node, const std::string& device) {
    RankFacts facts;
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    // Slurm's name: two nodes of a test may share one machine.
    facts.host = variable("SLURMD_NODENAME").empty() ? host.data() : variable("SLURMD_NODENAME");
    facts.device = device_of(device, node.rank());
    cpu_set_t cores;
    CPU_ZERO(&cores);
    if (::sched_getaffinity(0, sizeof cores, &cores) == 0)
        facts.cores = CPU_COUNT(&cores);
    facts.threads = number("OMP_NUM_THREADS").value_or(static_cast<int>(facts.cores));
    facts.available_memory = available_memory();
    facts.clock =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    return facts;
}

/// Runs one check on all ranks; an error that they agree on becomes the finding.
template <class Body>
MachineCheck attempt(const std::string& name, const std::string& advice, Body&& body) {
    try {
        return {name, Finding::ok, body(), ""};
    } catch (const comm::AgreedError& error) {
        return {name, Finding::problem, error.what(), advice};
    }
}

/// Checks arithmetic in the types that models use on the device, as libtorch, this build's kernels
/// and the driver compute it together.
std::string look_at_arithmetic(const comm::Communicator& comm, const std::string& device) {
    const int local_rank = comm.split_node().rank();
    double worst = 0;
    comm::run_on_all(comm, [&] {
        const at::Device place = lm::select_device(device, local_rank);
        for (const auto& [dtype, limit] : {std::pair{at::kFloat, 1e-4}, {at::kBFloat16, 0.15}}) {
            const ArithmeticError error = measure_arithmetic_error(dtype, place);
            for (const double part : {error.logits, error.gradients})
                if (!(part < limit))
                    throw Error(
                        fmt::format("in {} a small model is {:.2g} of its size away from "
                                    "float64 ({:.2g} is rounding)",
                                    at::toString(dtype), part, limit));
            if (dtype == at::kFloat)
                worst = std::max({worst, error.logits, error.gradients});
        }
    });
    return fmt::format("a small model in float32 is within {:.1g} of float64",
                       comm::all_reduce(comm, worst, comm::Reduction::maximum));
}

std::string write_and_read_pairs(const comm::Communicator& comm,
                                 const std::filesystem::path& path) {
    const auto rank = static_cast<std::uint64_t>(comm.rank());
    const std::string text(4096, static_cast<char>('a' + comm.rank() % 26));
    store::PairBlock block;
    block.instructions.push_back({std::to_string(rank), "doctor", text});
    for (std::uint32_t side = 0; side < 2; ++side) {
        Response response;
        response.instruction = rank;
        response.generation = side;
        response.text = text + std::to_string(side);
        block.responses.push_back(std::move(response));
    }
    block.pairs.push_back({rank, 0, 2 * rank, 2 * rank + 1, 0});
    store::PairFileHeader header;
    header.models.push_back({"none", "", "", 0, "", ""});
    header.generations = {{"chosen", 0, ""}, {"rejected", 0, ""}};
    header.strategies.push_back({"doctor", "prompt", ""});
    const auto start = std::chrono::steady_clock::now();
    store::write_pair_file(comm, path, header, block);
    comm::run_on_all(comm, [&] {
        const store::PairFile file(path);
        const auto rows = static_cast<std::size_t>(comm.size());
        const std::size_t other = static_cast<std::size_t>(comm.rank() + 1) % rows;
        if (file.pair_count() != rows ||
            file.instructions(Range{other, other + 1}).front().text.size() != text.size() ||
            (comm.is_root() && !file.verify().empty()))
            throw Error(path.native() + ": does not read back as it was written");
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    return fmt::format("{} ranks wrote and read one file in {:.2f} s", comm.size(),
                       seconds.count());
}

std::string see_each_other(const comm::Communicator& comm, const std::filesystem::path& folder) {
    const auto mark = [&](int rank) { return folder / fmt::format("rank-{}", rank); };
    comm::run_on_all(comm,
                     [&] { write_text_file(mark(comm.rank()), std::to_string(comm.rank())); });
    comm::run_on_all(comm, [&] {
        const int next = (comm.rank() + 1) % comm.size();
        if (!std::filesystem::exists(mark(next)))
            throw Error(fmt::format("{} is not seen by rank {}", mark(next).native(), comm.rank()));
    });
    return "every rank sees what another wrote";
}

std::string lock_file(const comm::Communicator& comm, const std::filesystem::path& folder) {
    comm::run_on_all(comm, [&] {
        const std::filesystem::path path = folder / fmt::format("lock-{}", comm.rank());
        const Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
        struct flock lock {};
        lock.l_type = F_WRLCK;
        if (!file || ::fcntl(file.get(), F_SETLK, &lock) != 0)
            throw_system_error("lock", path.native());
    });
    return "files can be locked";
}

MachineCheck check_limits() {
    MachineCheck check{"limits", Finding::ok, "", ""};
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    const std::string end = variable("SLURM_JOB_END_TIME");
    if (!end.empty())
        check.found = fmt::format("the job ends at {:%Y-%m-%dT%H:%M:%SZ}, ",
                                  fmt::gmtime(std::atoll(end.c_str())));
    else if (!variable("SLURM_JOB_ID").empty())
        check = {"limits", Finding::warning, "the job's end is not known (SLURM_JOB_END_TIME), ",
                 "the scripts of slurm/ set it; otherwise ask for a signal: --signal=USR1@120"};
    else
        check.found = "no job's end, ";
    check.found += fmt::format("{} files may be open", files.rlim_cur);
    if (files.rlim_cur < 1024) {
        check.finding = Finding::warning;
        check.advice = "raise the number of open files: ulimit -n 4096";
    }
    return check;
}

MachineCheck check_model(const comm::Communicator& comm, const std::string& name,
                         const lm::ModelOptions& options) {
    if (options.path.empty())
        return {"model " + name, Finding::skipped, "no weights on this machine", ""};
    return attempt("model " + name, "fetch it, or correct models." + name + ".path", [&] {
        return comm::run_on_all(comm, [&] {
            const lm::ModelConfig config = lm::load_model_config(options.path);
            const lm::ModelFrontEnd front_end =
                lm::load_front_end(options.path, options.chat_template);
            return fmt::format("{}, {} layers, template {}", config.architecture,
                               config.num_hidden_layers,
                               front_end.chat ? front_end.chat->name() : "none");
        });
    });
}

/// A folder that exists as long as this object, on all ranks.
class ScratchFolder {
  public:
    ScratchFolder(const comm::Communicator& comm, const std::filesystem::path& parent)
        : comm_(comm),
          path_(parent / fmt::format("doctor-{}", comm::broadcast_object(comm, ::getpid()))) {
        comm::run_on_all(comm, [&] {
            std::error_code error;
            std::filesystem::create_directories(path_, error);
            if (error)
                throw Error(
                    fmt::format("{}: cannot be made ({})", path_.native(), error.message()));
        });
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        if (comm_.is_root())
            std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const noexcept { return path_; }

  private:
    const comm::Communicator& comm_;
    std::filesystem::path path_;
};

void check_file_system(const comm::Communicator& comm, const std::filesystem::path& directory,
                       std::vector<MachineCheck>& checks) {
    const std::string elsewhere =
        "choose another run.directory, on a parallel file system that all "
        "nodes mount, with room";
    std::optional<ScratchFolder> folder;
    checks.push_back(attempt("directory", elsewhere, [&] {
        folder.emplace(comm, directory);
        return directory.native();
    }));
    if (!folder)
        return;
    checks.push_back(
        attempt("shared files", elsewhere, [&] { return see_each_other(comm, folder->path()); }));
    if (checks.back().finding == Finding::ok)
        checks.push_back(attempt("parallel HDF5", elsewhere, [&] {
            return write_and_read_pairs(comm, folder->path() / "pairs.h5");
        }));
    checks.push_back(attempt("file locks",
                             "set HDF5_USE_FILE_LOCKING=FALSE: writers here never share a file",
                             [&] { return lock_file(comm, folder->path()); }));
    comm::barrier(comm);
}

}  // namespace

std::vector<MachineCheck> diagnose_machine(const comm::Communicator& comm,
                                           const DiagnosisInputs& inputs) {
    const comm::Communicator node = comm.split_node();
    comm::barrier(comm);
    const auto facts = comm::all_gather_objects(comm, facts_of_this_rank(node, inputs.device));
    std::vector<MachineCheck> checks{
        check_launcher(comm.size(), launched_tasks(), !variable("PMIX_NAMESPACE").empty()),
        check_nodes(facts),
        check_devices(facts),
        check_nccl(comm::DeviceGroup::compiled_version(), comm::DeviceGroup::library_version()),
        attempt("arithmetic", "do not train here: try another libtorch, or run.device cpu",
                [&] { return look_at_arithmetic(comm, inputs.device); }),
        check_clocks(facts),
        check_limits()};
    check_file_system(comm, inputs.directory, checks);
    for (const auto& [name, options] : inputs.models)
        checks.push_back(check_model(comm, name, options));
    return checks;
}

}  // namespace popalign::campaign
