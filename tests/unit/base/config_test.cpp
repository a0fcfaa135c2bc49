#include <popalign/base/config.hpp>
#include <popalign/base/error.hpp>

#include <gtest/gtest.h>

namespace popalign {
namespace {

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
    template <class Visitor>
    void visit(Visitor& v) {
        v.field("count", count, "how many", Presence::required);
        v.field("on", on, "whether");
        v.field("text", text, "what");
        v.field("inner", inner, "part");
        v.field("list", list, "parts");
        v.field("table", table, "named parts");
        v.field("maybe", maybe, "or nothing");
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

}  // namespace
}  // namespace popalign
