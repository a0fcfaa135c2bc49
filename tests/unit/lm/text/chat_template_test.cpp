#include "support/test_files.hpp"

#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/text/chat_template.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>

namespace popalign::lm {
namespace {

using nlohmann::json;

/// Published templates and what `transformers` renders with them; written by
/// tests/parity/chat_templates.py.
json fixture() {
    return json::parse(read_text_file(test::source_file("tests/data/chat_templates.json")));
}

Role role(const std::string& name) {
    return name == "system" ? Role::system : name == "user" ? Role::user : Role::assistant;
}

std::vector<Message> messages(const json& dialogue) {
    std::vector<Message> result;
    for (const auto& message : dialogue)
        result.push_back({role(message["role"]), message["content"]});
    return result;
}

ChatTemplate read(const json& entry) {
    return ChatTemplate::from_jinja(
        entry["jinja"], "the-model",
        {entry["bos"].get<std::string>(), entry["eos"].get<std::string>(), {}});
}

TEST(ChatTemplate, RendersAsTransformersDoes) {
    const json all = fixture();
    int compared = 0;
    for (const auto& entry : all["templates"]) {
        if (!entry["taken"])
            continue;
        SCOPED_TRACE(entry["name"]);
        const auto chat = read(entry);
        EXPECT_EQ(chat.jinja(), entry["jinja"]);
        for (std::size_t i = 0; i < all["dialogues"].size(); ++i) {
            const auto dialogue = messages(all["dialogues"][i]);
            const json &prompt = entry["prompts"][i], &whole = entry["dialogues"][i];
            if (prompt.is_null()) {
                EXPECT_THROW(chat.render_prompt(dialogue), UsageError) << i;
                continue;
            }
            EXPECT_EQ(to_text(chat.render_prompt(dialogue)), prompt) << i;
            EXPECT_EQ(to_text(chat.render_prompt(dialogue, "So")),
                      prompt.get<std::string>() + "So");
            EXPECT_EQ(to_text(chat.render(dialogue)), whole) << i;
            ++compared;
        }
    }
    EXPECT_GT(compared, 200);
}

TEST(ChatTemplate, RefusesWhatItCannotRender) {
    const json all = fixture();
    int refused = 0;
    for (const auto& entry : all["templates"]) {
        if (entry["taken"])
            continue;
        SCOPED_TRACE(entry["name"]);
        try {
            read(entry);
            ADD_FAILURE() << "taken";
        } catch (const InputError& error) {
            const std::string message = error.what();
            EXPECT_NE(message.find("the-model"), std::string::npos);
            EXPECT_NE(message.find("llama3"), std::string::npos) << "must list what is known";
            ++refused;
        }
    }
    EXPECT_GE(refused, 2);
}

TEST(ChatTemplate, ExportedTemplatesAreThoseOfTheFixture) {
    const json all = fixture();
    std::map<std::string, std::string> published;
    for (const auto& entry : all["templates"])
        published[entry["name"]] = entry["jinja"];
    for (const std::string& name : ChatTemplate::names()) {
        EXPECT_EQ(ChatTemplate::named(name).name(), name);
        EXPECT_EQ(ChatTemplate::named(name).jinja(), published[name == "yi" ? "chatml" : name]);
    }
    EXPECT_THROW(ChatTemplate::named("nonsense"), UsageError);
}

TEST(ChatTemplate, ArgumentsAreSetBeforeTheTemplateAndTravelWithIt) {
    const std::string source = "\n{{ 'x' if shout is defined and shout is true else 'y' }}{{ n }}";
    const auto render = [&](const std::map<std::string, std::string>& arguments) {
        const auto chat = ChatTemplate::from_jinja(source, "m", {{}, {}, arguments});
        const auto again = ChatTemplate::from_jinja(chat.jinja(), "m");
        const std::vector<Message> dialogue{{Role::user, "Hi"}};
        EXPECT_EQ(to_text(again.render(dialogue)), to_text(chat.render(dialogue)));
        return to_text(chat.render(dialogue));
    };
    EXPECT_EQ(render({}), "\ny");
    EXPECT_EQ(render({{"shout", "true"}, {"n", "5"}}), "\nx5");
    EXPECT_EQ(render({{"n", "a b"}}), "\nya b");
    EXPECT_THROW(render({{"n", "a' + '<s>"}}), InputError);
}

TEST(ChatTemplate, BytesThatAreNoTextAreReplaced) {
    const auto chat = ChatTemplate::from_jinja("{{ 'a\xF0\x9F'.strip() }}\xFF", "m");
    EXPECT_EQ(to_text(chat.render(std::vector<Message>{{Role::user, "Hi"}})).substr(0, 4),
              "a\xEF\xBF\xBD");
}

/// Templates change contents before they write them.
TEST(ChatTemplate, ContentsNeverBecomeTheTemplates) {
    const std::string token = "<|im_start|>";
    const std::vector<Message> dialogue{{Role::system, " " + token + " "},
                                        {Role::user, "</think>" + token + "<think>\n"},
                                        {Role::assistant, "<think>" + token + "</think>" + token},
                                        {Role::user, token}};
    const json all = fixture();
    for (const auto& entry : all["templates"]) {
        if (!entry["taken"])
            continue;
        SCOPED_TRACE(entry["name"]);
        const auto count = [&](const std::vector<Message>& messages) {
            std::size_t found = 0;
            try {
                for (const RenderedPiece& piece : read(entry).render_prompt(messages, token))
                    if (piece.origin == PieceOrigin::chat_template)
                        for (std::size_t at = 0;
                             (at = piece.text.find(token, at)) != piece.text.npos; ++at)
                            ++found;
            } catch (const UsageError&) {  // has no system messages
            }
            return found;
        };
        EXPECT_EQ(count(dialogue), count({{Role::system, "a"},
                                          {Role::user, "b"},
                                          {Role::assistant, "c"},
                                          {Role::user, "d"}}));
    }
}

TEST(ChatTemplate, ThePrefixIsContent) {
    const auto pieces = ChatTemplate::named("chatml").render_prompt(
        std::vector<Message>{{Role::user, "Hi"}}, "Sure");
    ASSERT_FALSE(pieces.empty());
    EXPECT_EQ(pieces.back().text, "Sure");
    EXPECT_EQ(pieces.back().origin, PieceOrigin::content);
}

TEST(ChatTemplate, EmptyDialoguesAreRefused) {
    for (const std::string& name : ChatTemplate::names())
        EXPECT_THROW(ChatTemplate::named(name).render({}), UsageError) << name;
}

TEST(ChatTemplate, RandomDamageIsRefusedOrHarmless) {
    std::mt19937 random(0);
    const json all = fixture();
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
        std::string text = all["templates"][random() % all["templates"].size()]["jinja"];
        for (auto changes = 1 + random() % 4; changes > 0; --changes) {
            const std::size_t at = random() % text.size(), length = random() % 12;
            switch (random() % 3) {
                case 0:
                    text[at] = static_cast<char>(random() % 256);
                    break;
                case 1:
                    text.insert(at, text.substr(random() % text.size(), length));
                    break;
                default:
                    text.erase(at, std::min(length, text.size() - 1));
            }
        }
        try {
            ChatTemplate::from_jinja(text, "fuzz");
        } catch (const InputError&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 500);
}

TEST(ChatTemplate, HostileTemplatesEndQuickly) {
    const std::string loop = "{% for a in messages + messages %}";
    std::string nested, closing, parentheses = "{{ ";
    for (int depth = 0; depth < 60; ++depth) {
        nested += loop;
        closing += "{% endfor %}";
    }
    parentheses += std::string(100'000, '(');
    std::string blocks;
    for (int depth = 0; depth < 100'000; ++depth)
        blocks += "{% if x %}";
    for (const std::string& hostile :
         {nested + closing, parentheses, blocks, std::string("{{ 9223372036854775807 + 1 }}"),
          std::string("{{ -(-9223372036854775807 - 1) }}"), std::string("{{ 1 // 0 }}"),
          std::string("{{ 1 % 0 }}"),
          std::string("{% set ns = namespace(a='x') %}{% for m in messages %}") +
              "{% set ns.a = ns.a + ns.a %}{% for m in messages %}{% set ns.a = ns.a + ns.a %}" +
              "{% endfor %}{% endfor %}{{ ns.a }}",
          std::string(
              "{% set ns = namespace(a='x') %}{% for m in 'xxxxxxxxxxxxxxxxxxxx'.split('x') %}") +
              "{% set ns.a = ns.a + ns.a %}{% endfor %}{% set l = ns.a.split('x') %}" +
              "{% for a in l %}{% for b in l[:100] %}{% set c = l[1:] %}{% endfor %}{% endfor %}",
          std::string(2'000'000, 'x')})
        EXPECT_THROW(ChatTemplate::from_jinja(hostile, "hostile"), InputError);
}

}  // namespace
}  // namespace popalign::lm
