#include "fuzz/fuzz_one.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

// fuzz_<reader> SECONDS SEED-FOLDER FINDING: mutates the seeds and whatever reached new code since.
// The input at work is always in the file FINDING, so that it is there after a crash.

namespace {

/// Places of the code that an input came by, by a hash of their address.
std::array<std::uint8_t, 1 << 16> reached;

}  // namespace

/// Called by the compiler's instrumentation at every branch of the libraries.
extern "C" void __sanitizer_cov_trace_pc() {
    const auto place = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
    reached[(place * 0x9E3779B97F4A7C15U) >> 48] = 1;
}

namespace popalign::fuzz {
namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t longest_input = 65536;
constexpr unsigned hang_seconds = 10;

class Mutator {
  public:
    explicit Mutator(const std::vector<Input>& corpus) : corpus_(corpus) {}

    Input mutate() {
        Input input = any();
        for (std::size_t changes = 1 + below(8); changes > 0; --changes)
            change(input);
        input.resize(std::min(input.size(), longest_input));
        return input;
    }

  private:
    std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

    /// Half of the time one of the newest.
    const Input& any() {
        const std::size_t size = corpus_.size();
        return corpus_[below(2) == 0 ? below(size)
                                     : size - 1 - below(std::min<std::size_t>(size, 16))];
    }

    void change(Input& input) {
        const std::size_t at = below(input.size());
        const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
        const auto after = [&](std::size_t count) {
            return place + static_cast<std::ptrdiff_t>(std::min(count, input.size() - at));
        };
        switch (input.empty() ? 4 : below(7)) {
            case 0:
                *place ^= static_cast<std::uint8_t>(1U << below(8));
                break;
            case 1:
                *place = static_cast<std::uint8_t>(random_());
                break;
            case 2:
                number(input, at);
                break;
            case 3:
                input.erase(place, after(1 + below(64)));
                break;
            case 4: {  // a part of another
                const Input& other = any();
                const std::size_t from = below(other.size());
                const std::size_t count = std::min(1 + below(64), other.size() - from);
                const Input part(other.begin() + static_cast<std::ptrdiff_t>(from),
                                 other.begin() + static_cast<std::ptrdiff_t>(from + count));
                input.insert(place, part.begin(), part.end());
                break;
            }
            case 5:
                input.resize(at);
                break;
            default: {  // the same again
                const Input part(place, after(1 + below(32)));
                input.insert(place, part.begin(), part.end());
            }
        }
    }

    /// A number that lies at some border, in place of 1 to 8 bytes.
    void number(Input& input, std::size_t at) {
        const std::uint64_t power = std::uint64_t{1} << below(64);
        const std::uint64_t value =
            std::array{power, power - 1, ~power, std::uint64_t(below(300))}[below(4)];
        const std::size_t bytes =
            std::min<std::size_t>(std::size_t{1} << below(4), input.size() - at);
        std::memcpy(input.data() + at, &value, bytes);
    }

    const std::vector<Input>& corpus_;
    std::mt19937_64 random_{std::random_device{}()};
};

/// Keeps the input at work in a file that outlives a crash.
class Finding {
  public:
    explicit Finding(const std::string& path) {
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
        if (file < 0 || ::ftruncate(file, longest_input + sizeof(std::uint64_t)) != 0)
            throw_system_error("create it", path);
        void* mapped = ::mmap(nullptr, longest_input + sizeof(std::uint64_t),
                              PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        ::close(file);
        if (mapped == MAP_FAILED)
            throw_system_error("map it", path);
        bytes_ = static_cast<std::uint8_t*>(mapped);
    }
    /// The input, then its size in the last eight bytes.
    void note(const Input& input) {
        const std::uint64_t size = input.size();
        std::copy(input.begin(), input.end(), bytes_);
        std::memcpy(bytes_ + longest_input, &size, sizeof size);
    }

  private:
    std::uint8_t* bytes_;
};

void on_hang(int) {
    static constexpr char message[] = "an input takes more than 10 s\n";
    [[maybe_unused]] const auto written = ::write(2, message, sizeof message - 1);
    ::_exit(3);
}

class Fuzzer {
  public:
    explicit Fuzzer(const std::string& finding) : finding_(finding) {}

    void add_seeds(const std::filesystem::path& folder) {
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            const std::string text = read_text_file(entry.path());
            Input input(text.begin(), text.end());
            input.resize(std::min(input.size(), longest_input));
            run(input);
            corpus_.push_back(std::move(input));
        }
    }

    void run_for(std::chrono::seconds time) {
        Mutator mutator(corpus_);
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end)
            if (Input input = mutator.mutate(); run(input))
                corpus_.push_back(std::move(input));
    }

    void report() const {
        std::printf("%zu inputs, %zu kept, %zu places reached, nothing found\n", inputs_,
                    corpus_.size(), places_);
    }

  private:
    /// Whether it came by a place that none did before.
    bool run(const Input& input) {
        finding_.note(input);
        reached.fill(0);
        ::alarm(hang_seconds);
        fuzz_one(input);
        ::alarm(0);
        ++inputs_;
        bool fresh = false;
        for (std::size_t i = 0; i < reached.size(); ++i)
            if (reached[i] > seen_[i]) {
                seen_[i] = 1;
                ++places_;
                fresh = true;
            }
        return fresh;
    }

    Finding finding_;
    std::vector<Input> corpus_;
    std::array<std::uint8_t, reached.size()> seen_{};
    std::size_t inputs_ = 0, places_ = 0;
};

}  // namespace
}  // namespace popalign::fuzz

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: %s SECONDS SEED-FOLDER FINDING\n", argv[0]);
        return 2;
    }
    ::signal(SIGALRM, popalign::fuzz::on_hang);
    popalign::fuzz::Fuzzer fuzzer(argv[3]);
    fuzzer.add_seeds(argv[2]);
    fuzzer.run_for(std::chrono::seconds(std::stol(argv[1])));
    fuzzer.report();
    std::filesystem::remove(argv[3]);
    return 0;
}
