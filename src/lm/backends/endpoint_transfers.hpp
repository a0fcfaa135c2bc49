#pragma once

#include <popalign/base/unique_handle.hpp>

#include <curl/curl.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace popalign::lm {

/// Reply to one POST.
struct HttpReply {
    std::size_t id = 0;
    std::string failure;     ///< why there is no whole reply; empty if there is one
    bool permanent = false;  ///< of a failure: another attempt would end the same
    long status = 0;
    std::string body, retry_after;
};

/// POSTs JSON to one address, many at a time, on the calling thread.
class HttpTransfers {
  public:
    /// `key` is sent as a bearer token; empty: none. Throws Error.
    HttpTransfers(std::string url, const std::string& key, double timeout_seconds,
                  std::size_t connections);
    ~HttpTransfers();
    HttpTransfers(const HttpTransfers&) = delete;
    HttpTransfers& operator=(const HttpTransfers&) = delete;

    void start(std::size_t id, std::string body);
    std::size_t in_flight() const noexcept { return transfers_.size(); }
    /// Waits for at most `wait` and returns the finished replies.
    std::vector<HttpReply> wait(std::chrono::milliseconds wait);

  private:
    struct MultiTraits {
        using Handle = CURLM*;
        static Handle null() noexcept { return nullptr; }
        static void release(Handle handle) noexcept { curl_multi_cleanup(handle); }
    };
    struct ListTraits {
        using Handle = curl_slist*;
        static Handle null() noexcept { return nullptr; }
        static void release(Handle handle) noexcept { curl_slist_free_all(handle); }
    };
    struct Transfer;

    void add_header(const std::string& line);
    HttpReply finish(CURL* handle, CURLcode result);

    std::string url_;
    double timeout_;
    UniqueHandle<ListTraits> headers_;
    UniqueHandle<MultiTraits> multi_;
    std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
};

}  // namespace popalign::lm
