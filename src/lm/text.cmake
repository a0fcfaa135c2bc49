popalign_module(
  lm_text
  SOURCES added_tokens.cpp bpe_model.cpp pre_tokenizer.cpp split_regex.cpp tokenizer.cpp
          tokenizer_from_gguf.cpp tokenizer_from_json.cpp unicode.cpp
  PUBLIC popalign::base popalign::store
  PRIVATE PkgConfig::pcre2 PkgConfig::utf8proc nlohmann_json::nlohmann_json fmt::fmt)
