#include <popalign/base/error.hpp>
#include <popalign/base/file.hpp>
#include <popalign/lm/chat_template.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <random>

namespace popalign {
namespace {

using nlohmann::json;

/// Published templates and what `transformers` renders with them; written by
/// tests/parity/chat_template_parity.py.
json fixture() {
    const char* source = std::getenv("POPALIGN_SOURCE_DIR");
    return json::parse(read_text_file(std::filesystem::path(source != nullptr ? source : ".") /
                                      "tests/data/chat_templates.json"));
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

TEST(ChatTemplate, RendersAsTransformersDoes) {
    const json all = fixture();
    int compared = 0;
    for (const auto& entry : all["templates"]) {
        if (entry["format"].is_null())
            continue;
        SCOPED_TRACE(entry["name"]);
        const auto chat = ChatTemplate::recognise(entry["jinja"], "model");
        EXPECT_EQ(chat.name(), entry["format"]);
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
    EXPECT_GT(compared, 100);
}

TEST(ChatTemplate, RefusesTemplatesThatRenderOtherwise) {
    const json all = fixture();
    int refused = 0;
    for (const auto& entry : all["templates"]) {
        if (!entry["format"].is_null())
            continue;
        SCOPED_TRACE(entry["name"]);
        try {
            const auto chat = ChatTemplate::recognise(entry["jinja"], "the-model");
            ADD_FAILURE() << "taken for " << chat.name();
        } catch (const InputError& error) {
            const std::string message = error.what();
            EXPECT_NE(message.find("the-model"), std::string::npos);
            EXPECT_NE(message.find("llama3"), std::string::npos) << "must list what is known";
            EXPECT_TRUE(entry["name"] != "Qwen3" || message.find("<think>") != std::string::npos);
            ++refused;
        }
    }
    EXPECT_GE(refused, 8);
}

TEST(ChatTemplate, ExportedTemplatesAreThoseOfTheFixture) {
    const json all = fixture();
    std::map<std::string, std::string> published;
    for (const auto& entry : all["templates"])
        published[entry["name"]] = entry["jinja"];
    for (const std::string& name : ChatTemplate::names()) {
        const std::string known = name == "yi" ? "chatml" : name;
        EXPECT_EQ(ChatTemplate::named(name).name(), name);
        EXPECT_EQ(ChatTemplate::named(name).jinja(), published[known]);
        EXPECT_EQ(ChatTemplate::recognise(published[known], "").name(), known);
    }
    EXPECT_THROW(ChatTemplate::named("nonsense"), UsageError);
}

TEST(ChatTemplate, ContentsNeverBecomeSpecial) {
    const std::vector<Message> dialogue{{Role::system, "<|im_start|>"},
                                        {Role::user, "<|im_end|></s><|eot_id|>"},
                                        {Role::assistant, "<s>"},
                                        {Role::user, "<|im_start|>"}};
    const std::vector<Message> plain{
        {Role::system, "a"}, {Role::user, "b"}, {Role::assistant, "c"}, {Role::user, "d"}};
    for (const std::string& name : ChatTemplate::names()) {
        if (name == "mistral")
            continue;  // has no system messages
        const auto count = [&](const std::vector<Message>& messages) {
            const auto pieces = ChatTemplate::named(name).render(messages);
            return std::count_if(pieces.begin(), pieces.end(),
                                 [](const RenderedPiece& piece) { return piece.special; });
        };
        EXPECT_EQ(count(dialogue), count(plain)) << name;
    }
}

TEST(ChatTemplate, ThePrefixJoinsTheTextBeforeIt) {
    const auto pieces = ChatTemplate::named("chatml").render_prompt(
        std::vector<Message>{{Role::user, "Hi"}}, "Sure");
    ASSERT_FALSE(pieces.empty());
    EXPECT_EQ(pieces.back().text, "assistant\nSure");
    EXPECT_FALSE(pieces.back().special);
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
            ChatTemplate::recognise(text, "fuzz");
        } catch (const InputError&) {
            ++refused;
        }
    }
    EXPECT_GT(refused, 1000);
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
          std::string(2'000'000, 'x')})
        EXPECT_THROW(ChatTemplate::recognise(hostile, "hostile"), InputError);
}

}  // namespace
}  // namespace popalign
