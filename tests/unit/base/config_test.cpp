#include <popalign/base/config.hpp>
#include <popalign/base/config_reference.hpp>
#include <popalign/base/config_values.hpp>
#include <popalign/base/error.hpp>
#include <popalign/base/fingerprint.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

enum class Colour { red, green, blue };
constexpr auto names_of(Colour) {
    return std::to_array<Named<Colour>>(
        {{Colour::red, "red"}, {Colour::green, "green", "as grass"}, {Colour::blue, "dark-blue"}});
}

struct Inner {
    double rate = 0.5;
    std::vector<std::string> names;
    template <class Visitor>
    void visit(Visitor& v) {
        v.field("rate", rate, "how fast");
        v.field("names", names, "who");
    }
};

struct Outer {
    std::int64_t count = 3;
    bool on = false;
    std::string text = "a: b";
    Inner inner;
    std::vector<Inner> list;
    std::map<std::string, Inner> table;
    std::optional<double> maybe;
    Colour colour = Colour::green;
    std::vector<Colour> palette;
    std::map<Colour, double> weights;
    template <class Visitor>
    void visit(Visitor& v) {
        v.field("count", count, "how many", Presence::required);
        v.field("on", on, "whether");
        v.field("text", text, "what");
        v.field("inner", inner, "part", Effect::speed);
        v.field("list", list, "parts");
        v.field("table", table, "named parts");
        v.field("maybe", maybe, "or nothing");
        v.field("colour", colour, "how it looks", {Presence::optional, Effect::file});
        v.field("palette", palette, "what else there is");
        v.field("weights", weights, "how much of each");
    }
};

Outer parse(const std::string& text) {
    Outer value;
    read_config(parse_config(text, "test.yaml"), value);
    return value;
}

std::string error_of(const std::string& text) {
    try {
        parse(text);
    } catch (const InputError& error) {
        return error.what();
    }
    return "no error";
}

TEST(Config, ReadsEveryKindOfValue) {
    const Outer value = parse(
        "count: -7\non: true\ntext: x\ninner: {rate: 2.5e-3, names: [a, b]}\n"
        "list:\n- {rate: 1}\ntable:\n  one: {rate: 4}\nmaybe: 1.5\n");
    EXPECT_EQ(value.count, -7);
    EXPECT_TRUE(value.on);
    EXPECT_EQ(value.inner.rate, 2.5e-3);
    EXPECT_EQ(value.inner.names, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(value.list.at(0).rate, 1);
    EXPECT_EQ(value.table.at("one").rate, 4);
    EXPECT_EQ(value.maybe, 1.5);
}

TEST(Config, EnumsAreReadAndPrintedByTheirNames) {
    const Outer value =
        parse("count: 1\ncolour: dark-blue\npalette: [red, green]\nweights: {green: 2}\n");
    EXPECT_EQ(value.colour, Colour::blue);
    EXPECT_EQ(value.palette, (std::vector{Colour::red, Colour::green}));
    EXPECT_EQ(value.weights, (std::map<Colour, double>{{Colour::green, 2}}));
    const std::string printed = print_config(value);
    EXPECT_NE(printed.find("palette:\n  - red\n  - green\nweights:\n  green: 2\n"),
              std::string::npos)
        << printed;
    EXPECT_EQ(print_config(parse(printed)), printed);
}

TEST(Config, ANameThatIsNoChoiceListsTheChoicesWithItsPlace) {
    EXPECT_EQ(error_of("count: 1\ncolour: pink\n"),
              "test.yaml:2: colour: 'pink' is not red, green or dark-blue");
    EXPECT_EQ(error_of("count: 1\nweights:\n  pink: 1\n"),
              "test.yaml:3: weights: 'pink' is not red, green or dark-blue");
    ConfigNode root = parse_config("count: 1\n", "test.yaml");
    apply_override(root, "palette=[pink]");
    Outer value;
    try {
        read_config(root, value);
        FAIL() << "no error";
    } catch (const InputError& error) {
        EXPECT_EQ(std::string(error.what()),
                  "--set palette=[pink]:1: palette.0: 'pink' is not red, green or dark-blue");
    }
}

TEST(Config, PrintedConfigReadsBackTheSame) {
    const Outer value = parse(
        "count: 5\ntext: \"line\\nbreak \\\"quoted\\\" : #\"\nlist: [{rate: 1, names: [x]}, {}]\n"
        "table: {a b: {rate: 0.1}}\n");
    const std::string printed = print_config(value);
    EXPECT_EQ(print_config(parse(printed)), printed);
    EXPECT_EQ(parse(printed).text, value.text);
}

TEST(Config, WrongKeysAreNamedWithTheirLine) {
    EXPECT_NE(error_of("count: 1\ninner:\n  rat: 2\n").find("test.yaml:3: unknown key 'inner.rat'"),
              std::string::npos);
    EXPECT_NE(error_of("on: true\n").find("'count' is missing"), std::string::npos);
    EXPECT_NE(error_of("count: 1.5\n").find("test.yaml:1: count: '1.5' is not a whole number"),
              std::string::npos);
    EXPECT_NE(error_of("count: 1\ncount: 2\n").find("repeated"), std::string::npos);
    EXPECT_NE(error_of("count: [1\n").find("not YAML"), std::string::npos);
    EXPECT_NE(error_of("count: 1\nlist: {}\n").find("a list is expected"), std::string::npos);
}

TEST(Config, AliasesThatCouldExplodeAreRefused) {
    EXPECT_NE(error_of("count: 1\ntext: &a x\n").find("test.yaml"), std::string::npos);
    EXPECT_NE(error_of("- &a [1]\n- *a\n").find("anchors"), std::string::npos);
}

TEST(Config, OverridesReplaceValuesAndUnusedOnesAreErrors) {
    ConfigNode root = parse_config("count: 1\nlist: [{rate: 1}]\n", "test.yaml");
    apply_override(root, "inner.rate=7");
    apply_override(root, "list.0.rate=8");
    Outer value;
    read_config(root, value);
    EXPECT_EQ(value.inner.rate, 7);
    EXPECT_EQ(value.list.at(0).rate, 8);
    apply_override(root, "inner.rte=7");
    EXPECT_THROW(read_config(root, value), InputError);
    EXPECT_THROW(apply_override(root, "novalue"), UsageError);
    EXPECT_THROW(apply_override(root, "list.5.rate=1"), UsageError);
}

TEST(Config, TheReferenceHasDefaultsEffectsAndChoices) {
    ConfigDocumenter documenter("");
    Outer value;
    value.visit(documenter);
    std::map<std::string, ConfigEntry> entries;
    for (const ConfigEntry& entry : documenter.entries())
        entries[entry.path] = entry;
    EXPECT_EQ(entries.at("count").value, "required");
    EXPECT_EQ(entries.at("count").effect, Effect::result);
    EXPECT_EQ(entries.at("inner").effect, std::nullopt) << "a section has none of its own";
    EXPECT_EQ(entries.at("inner.rate").effect, Effect::speed) << "its section's";
    EXPECT_EQ(entries.at("list[].rate").effect, Effect::result);
    EXPECT_EQ(entries.at("table.<name>.names").value, "[]");
    EXPECT_EQ(entries.at("colour").documentation,
              "how it looks: red, green (as grass) or dark-blue");
    EXPECT_EQ(entries.at("palette").documentation,
              "what else there is: red, green (as grass) or dark-blue");
}

TEST(Config, ValuesAreListedByThePathsThatOverridesTake) {
    const Outer value = parse("count: 1\nlist: [{rate: 4}]\ntable: {one: {names: [a b]}}\n");
    std::map<std::string, ConfigValue> values;
    for (const ConfigValue& key : config_values(value, "top"))
        values[key.path] = key;
    EXPECT_EQ(values.at("top.list.0.rate").yaml, " 4\n");
    EXPECT_EQ(values.at("top.table.one.names").yaml, "\n- \"a b\"\n");
    EXPECT_EQ(values.at("top.text").bare, "a: b");
    EXPECT_TRUE(values.at("top.inner").section);
    EXPECT_EQ(values.at("top.inner.rate").effect, Effect::speed);
    EXPECT_EQ(values.at("top.colour").effect, Effect::file);
}

TEST(Fingerprint, HoldsTheKeysOfTheAskedEffects) {
    Outer value = parse("count: 3\ntext: x\ninner: {rate: 1}\nlist: [{rate: 4}]\n");
    EXPECT_EQ(
        changed_keys_of({Effect::result}, value, "top"),
        (Fingerprint{{"top.text", "x"}, {"top.list.0.rate", "4"}, {"top.list.0.names", "[]"}}));
    EXPECT_EQ(keys_of({Effect::file}, value, "top"), (Fingerprint{{"top.colour", "green"}}));
    value.colour = Colour::red;
    EXPECT_EQ(changed_keys_of({Effect::file}, value, "top"), (Fingerprint{{"top.colour", "red"}}));
}

TEST(Fingerprint, TheFirstDifferenceIsNamed) {
    const Fingerprint before{{"a", "1"}, {"b", "2"}};
    EXPECT_EQ(difference(before, before), std::nullopt);
    EXPECT_EQ(difference(before, {{"a", "1"}, {"b", "3"}}), "made with b = 2, which is now 3");
    EXPECT_EQ(difference(before, {{"b", "2"}}), "made with a = 1, which is now (not given)");
    EXPECT_THROW(require_same(before, {{"a", "1"}}, "run"), UsageError);
}

}  // namespace
}  // namespace popalign
