#include <popalign/base/error.hpp>
#include <popalign/base/gzip.hpp>
#include <popalign/base/text.hpp>
#include <popalign/evaluation/alpaca_annotations.hpp>
#include <popalign/store/rows/csv.hpp>
#include <popalign/store/rows/json_rows.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace popalign::evaluation {
namespace {

/// The first 32 bits of Python's random.Random(text): a Mersenne Twister (Matsumoto and Nishimura
/// 1998) seeded by array with the text and its SHA-512 as one big-endian number.
std::uint32_t first_python_word(std::string_view text) {
    std::array<unsigned char, 64> digest{};
    if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha512(), nullptr) != 1)
        throw_call_failed("EVP_Digest (SHA-512)", "OpenSSL refused");
    std::string number(text);
    for (const unsigned char byte : digest)
        number += static_cast<char>(byte);
    std::vector<std::uint32_t> key((number.size() + 3) / 4, 0);
    for (std::size_t i = 0; i < number.size(); ++i)
        key[i / 4] |=
            static_cast<std::uint32_t>(static_cast<unsigned char>(number[number.size() - 1 - i]))
            << (8 * (i % 4));
    constexpr std::uint32_t n = 624, m = 397;
    std::vector<std::uint32_t> state(n);
    state[0] = 19650218;
    for (std::uint32_t i = 1; i < n; ++i)
        state[i] = 1812433253U * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
    std::uint32_t i = 1;
    const auto next = [&] {
        if (++i >= n) {
            state[0] = state[n - 1];
            i = 1;
        }
    };
    const auto mixed = [&](std::uint32_t by) {
        return state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * by);
    };
    std::uint32_t j = 0;
    for (std::size_t k = std::max<std::size_t>(n, key.size()); k > 0; --k) {
        state[i] = mixed(1664525U) + key[j] + j;
        next();
        j = j + 1 < key.size() ? j + 1 : 0;
    }
    for (std::uint32_t k = n - 1; k > 0; --k) {
        state[i] = mixed(1566083941U) - i;
        next();
    }
    state[0] = 0x80000000U;
    const std::uint32_t joined = (state[0] & 0x80000000U) | (state[1] & 0x7FFFFFFFU);
    std::uint32_t word = state[m] ^ (joined >> 1) ^ ((joined & 1U) != 0 ? 0x9908B0DFU : 0U);
    word ^= word >> 11;
    word ^= (word << 7) & 0x9D2C5680U;
    word ^= (word << 15) & 0xEFC60000U;
    return word ^ (word >> 18);
}

/// Adds one annotation.
void add(const nlohmann::json& row, std::map<std::string, AlpacaAnnotations>& models,
         std::map<std::string, std::size_t>& seen) {
    const auto model = row.at("generator_2").get<std::string>();
    AlpacaAnnotations& annotations = models[model];
    AlpacaRow alpaca_row;
    alpaca_row.position = seen[model]++;
    alpaca_row.length_1 =
        static_cast<double>(code_points(row.at("output_1").get_ref<const std::string&>()));
    alpaca_row.length_2 =
        static_cast<double>(code_points(row.at("output_2").get_ref<const std::string&>()));
    std::optional<double> stated, computed;
    if (const auto found = row.find("preference"); found != row.end() && found->is_number())
        stated = found->get<double>();
    if (const auto found = row.find("raw_completion"); found != row.end() && found->is_object())
        if (const auto p = first_letter_probability(*found)) {
            const double reference_first = 2 - *p, model_first = 1 + *p;
            const bool is_model_first =
                stated
                    ? std::abs(model_first - *stated) < std::abs(reference_first - *stated)
                    : alpaca_shows_model_first(row.at("instruction").get_ref<const std::string&>());
            computed = is_model_first ? model_first : reference_first;
        }
    constexpr double rounding = 1e-6;  // annotations are written with ten digits
    if (computed && stated && std::abs(*computed - *stated) > rounding) {
        ++annotations.contradicted;
        computed.reset();
    }
    const auto preference = computed ? computed : stated;
    if (!preference || !std::isfinite(*preference) || *preference < 0 || *preference > 2) {
        ++annotations.without_preference;
        return;
    }
    alpaca_row.preference = *preference;
    annotations.rows.push_back(alpaca_row);
}

std::map<std::string, AlpacaAnnotations> from_csv(std::string_view text, const std::string& file) {
    const store::CsvTable table(text, file);
    const std::size_t model = table.column("model"), row = table.column("row"),
                      length_1 = table.column("len_output_1"),
                      length_2 = table.column("len_output_2"),
                      preference = table.column("preference");
    std::map<std::string, AlpacaAnnotations> models;
    for (std::size_t i = 0; i < table.size(); ++i) {
        AlpacaAnnotations& annotations = models[table.text(i, model)];
        if (table.text(i, preference).empty()) {
            ++annotations.without_preference;
            continue;
        }
        const double position = table.number(i, row), stated = table.number(i, preference);
        if (position < 0 || position >= 1e9 || stated < 0 || stated > 2)
            throw InputError(file, fmt::format("row {} of the table: `row` or `preference` is out "
                                               "of bounds",
                                               i + 1));
        annotations.rows.push_back({static_cast<std::size_t>(position), table.number(i, length_1),
                                    table.number(i, length_2), stated});
    }
    return models;
}

}  // namespace

bool alpaca_shows_model_first(std::string_view instruction) {
    // choices([False, True]) is the second from random() >= 0.5 on: the word's highest bit.
    return first_python_word("is_switched_outputs" + std::string(instruction) + "0") >> 31 != 0;
}

std::optional<double> first_letter_probability(const nlohmann::json& completion) {
    const auto logprobs = completion.find("logprobs");
    if (logprobs == completion.end() || !logprobs->is_object())
        return std::nullopt;
    const auto& tokens = logprobs->at("content");
    if (!tokens.is_array() || tokens.empty())
        return std::nullopt;
    double first = 0, second = 0;
    for (const auto& alternative : tokens.front().at("top_logprobs")) {
        const auto& token = alternative.at("token").get_ref<const std::string&>();
        const double probability = std::exp(alternative.at("logprob").get<double>());
        first += token == "m" ? probability : 0;
        second += token == "M" ? probability : 0;
    }
    if (!(first + second > 0) || !std::isfinite(first + second))
        return std::nullopt;
    return first / (first + second);
}

std::map<std::string, AlpacaAnnotations> read_alpaca_annotations(
    const std::filesystem::path& path) {
    const std::string text = read_text_or_gzip(path);
    const auto start = text.find_first_not_of(" \t\r\n");
    std::map<std::string, AlpacaAnnotations> models;
    if (start != std::string::npos && (text[start] == '[' || text[start] == '{')) {
        std::map<std::string, std::size_t> seen;
        store::visit_json_rows(text, path.native(),
                               [&](const nlohmann::json& row) { add(row, models, seen); });
    } else {
        models = from_csv(text, path.native());
    }
    if (models.empty())
        throw InputError(path.native(), "holds no annotations");
    return models;
}

}  // namespace popalign::evaluation
