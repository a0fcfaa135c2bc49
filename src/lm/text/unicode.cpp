#include "lm/text/unicode.hpp"

#include "lm/text/unicode_tables.hpp"

#include <popalign/base/error.hpp>

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

namespace popalign::lm {
namespace {

const CodePointRange* find_range(std::span<const CodePointRange> ranges, char32_t code_point) {
    const auto range = std::lower_bound(
        ranges.begin(), ranges.end(), code_point,
        [](const CodePointRange& entry, char32_t value) { return entry.last < value; });
    return range != ranges.end() && range->first <= code_point ? &*range : nullptr;
}

struct Sequence {
    std::size_t length;
    bool valid;
};

/// The well-formed sequence at the start of `bytes`, or the part of one that is to be replaced.
Sequence leading_sequence(std::string_view bytes) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned lead = byte(0);
    if (lead < 0x80)
        return {1, true};
    if (lead < 0xC2 || lead > 0xF4)
        return {1, false};
    const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    // Overlong forms, surrogates and values beyond U+10FFFF show in the second byte.
    const unsigned lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (std::size_t i = 1; i < length; ++i)
        if (i >= bytes.size() || byte(i) < (i == 1 ? lowest : 0x80) ||
            byte(i) > (i == 1 ? highest : 0xBF))
            return {i, false};
    return {length, true};
}

/// Appends the composition of `points`, which are decomposed and ordered here: utf8proc's own
/// ordering takes quadratic time on long runs of marks.
void append_composed(std::vector<utf8proc_int32_t>& points, std::string& output) {
    const auto combining_class = [](utf8proc_int32_t point) {
        return utf8proc_get_property(point)->combining_class;
    };
    for (auto run = points.begin(); run != points.end();) {
        run = std::find_if(run, points.end(), combining_class);
        const auto end = std::find_if_not(run, points.end(), combining_class);
        std::stable_sort(run, end, [&](utf8proc_int32_t a, utf8proc_int32_t b) {
            return combining_class(a) < combining_class(b);
        });
        run = end;
    }
    const auto length = utf8proc_normalize_utf32(
        points.data(), std::ssize(points),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (length < 0)
        throw_call_failed("utf8proc_normalize_utf32", utf8proc_errmsg(length));
    for (auto point : std::span(points).first(static_cast<std::size_t>(length)))
        append_code_point(output, static_cast<char32_t>(point));
    points.clear();
}

void append_decomposed(char32_t code_point, std::vector<utf8proc_int32_t>& points) {
    std::array<utf8proc_int32_t, 32> parts{};
    int boundary_class = 0;
    const auto count = utf8proc_decompose_char(
        static_cast<utf8proc_int32_t>(code_point), parts.data(), std::ssize(parts),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), &boundary_class);
    if (count < 0 || count > std::ssize(parts))
        throw_call_failed("utf8proc_decompose_char", utf8proc_errmsg(count));
    points.insert(points.end(), parts.begin(), parts.begin() + count);
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& offset) {
    const auto byte = [&](std::size_t i) {
        return static_cast<char32_t>(static_cast<unsigned char>(text[offset + i]));
    };
    const char32_t lead = byte(0);
    char32_t point = lead;
    std::size_t length = 1;
    if (lead >= 0xF0) {
        point = ((lead & 0x07) << 18) | ((byte(1) & 0x3F) << 12) | ((byte(2) & 0x3F) << 6) |
                (byte(3) & 0x3F);
        length = 4;
    } else if (lead >= 0xE0) {
        point = ((lead & 0x0F) << 12) | ((byte(1) & 0x3F) << 6) | (byte(2) & 0x3F);
        length = 3;
    } else if (lead >= 0xC0) {
        point = ((lead & 0x1F) << 6) | (byte(1) & 0x3F);
        length = 2;
    }
    offset += length;
    return point;
}

void append_code_point(std::string& text, char32_t point) {
    if (point < 0x80) {
        text += static_cast<char>(point);
        return;
    }
    if (point < 0x800) {
        text += static_cast<char>(0xC0 | (point >> 6));
    } else {
        if (point < 0x10000) {
            text += static_cast<char>(0xE0 | (point >> 12));
        } else {
            text += static_cast<char>(0xF0 | (point >> 18));
            text += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
        }
        text += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    }
    text += static_cast<char>(0x80 | (point & 0x3F));
}

std::string repair_utf8(std::string_view bytes) {
    std::string repaired;
    repaired.reserve(bytes.size());
    while (!bytes.empty()) {
        const Sequence sequence = leading_sequence(bytes);
        repaired += sequence.valid ? bytes.substr(0, sequence.length) : "\uFFFD";
        bytes.remove_prefix(sequence.length);
    }
    return repaired;
}

bool is_white_space(char32_t point) {
    return (point >= 0x09 && point <= 0x0D) || point == 0x20 || point == 0x85 || point == 0xA0 ||
           point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x2028 ||
           point == 0x2029 || point == 0x202F || point == 0x205F || point == 0x3000;
}

bool is_python_space(char32_t point) {
    return is_white_space(point) || (point >= 0x1C && point <= 0x1F);
}

bool is_numeric(char32_t point) {
    return point < 0x80 ? point >= '0' && point <= '9'
                        : find_range(numeric_ranges, point) != nullptr;
}

std::string compose_nfc(const std::string& text) {
    // Nothing below U+0300 combines with what is before it.
    const auto composed_alone = [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; };
    if (std::all_of(text.begin(), text.end(), composed_alone))
        return text;
    std::string output;
    std::vector<utf8proc_int32_t> points;
    for (std::size_t offset = 0; offset < text.size();) {
        const char32_t point = next_code_point(text, offset);
        if (find_range(composition_barriers, point) != nullptr) {
            append_composed(points, output);
            append_code_point(output, point);
        } else {
            append_decomposed(point, points);
        }
    }
    append_composed(points, output);
    return output;
}

std::string with_stand_ins(std::string_view text) {
    std::string output(text);
    const auto affected = [](char byte) { return static_cast<unsigned char>(byte) >= 0xE0; };
    if (std::none_of(text.begin(), text.end(), affected))
        return output;
    output.clear();
    for (std::size_t offset = 0; offset < text.size();) {
        const char32_t point = next_code_point(text, offset);
        const CodePointRange* range = find_range(stand_ins, point);
        append_code_point(output, range != nullptr ? range->stand_in : point);
    }
    return output;
}

}  // namespace popalign::lm
