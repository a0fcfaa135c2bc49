popalign_module(
  lm_text
  SOURCES added_tokens.cpp
          bpe_model.cpp
          chat_template.cpp
          chat_template_jinja_lexer.cpp
          chat_template_jinja_operations.cpp
          chat_template_jinja_parser.cpp
          chat_template_jinja_render.cpp
          chat_template_named.cpp
          model_files.cpp
          normalizer.cpp
          pre_tokenizer.cpp
          rating_text.cpp
          sentence_piece_file.cpp
          sentence_pieces.cpp
          split_regex.cpp
          stop_strings.cpp
          tokenizer.cpp
          tokenizer_from_gguf.cpp
          tokenizer_from_json.cpp
          tokenizer_from_model.cpp
          tokenizer_members.cpp
          unicode.cpp
          verdict_text.cpp
          verdict_words.cpp
  PUBLIC popalign::base popalign::store
  PRIVATE PkgConfig::pcre2 PkgConfig::utf8proc nlohmann_json::nlohmann_json fmt::fmt)
