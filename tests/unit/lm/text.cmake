pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)
popalign_test(lm.chat_template SOURCES chat_template_test.cpp LINK popalign::lm_text
                                                                   nlohmann_json::nlohmann_json)
popalign_test(lm.verdict_text SOURCES verdict_text_test.cpp LINK popalign::lm_judge
                                                                 nlohmann_json::nlohmann_json)
popalign_test(
  lm.tokenizer
  SOURCES tokenizer_test.cpp tokenizer_gguf_test.cpp tokenizer_malformed_test.cpp tokenizer_model_test.cpp
          stop_strings_test.cpp tiny_tokenizer.cpp
  LINK popalign::lm_text nlohmann_json::nlohmann_json fmt::fmt PkgConfig::sentencepiece sentencepiece_train)
