popalign_module(
  lm_endpoint
  SOURCES endpoint_client.cpp endpoint_messages.cpp endpoint_pacing.cpp endpoint_transfers.cpp
  PUBLIC popalign::lm_text
  PRIVATE CURL::libcurl nlohmann_json::nlohmann_json fmt::fmt)
