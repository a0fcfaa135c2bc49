#include "lm/backends/endpoint_transfers.hpp"

#include <popalign/base/error.hpp>

#include <algorithm>
#include <array>
#include <mutex>
#include <new>
#include <string_view>

namespace popalign::lm {
namespace {

constexpr std::size_t longest_body = std::size_t{16} << 20;
constexpr long connect_seconds = 30;

struct EasyTraits {
    using Handle = CURL*;
    static Handle null() noexcept { return nullptr; }
    static void release(Handle handle) noexcept { curl_easy_cleanup(handle); }
};

void check(CURLcode code, const char* call) {
    if (code != CURLE_OK)
        throw_call_failed(call, curl_easy_strerror(code));
}

void check(CURLMcode code, const char* call) {
    if (code != CURLM_OK)
        throw_call_failed(call, curl_multi_strerror(code));
}

template <class T>
void set(CURL* handle, CURLoption option, T value) {
    check(curl_easy_setopt(handle, option, value), "curl_easy_setopt");
}

std::size_t keep_body(char* data, std::size_t, std::size_t size, void* user) {
    auto& body = *static_cast<std::string*>(user);
    if (body.size() + size > longest_body)
        return 0;
    body.append(data, size);
    return size;
}

std::size_t keep_retry_after(char* data, std::size_t, std::size_t size, void* user) {
    constexpr std::string_view name = "retry-after:";
    const std::string_view line(data, size);
    const bool same = line.size() > name.size() &&
                      std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
                          return a == (b >= 'A' && b <= 'Z' ? b - 'A' + 'a' : b);
                      });
    if (same) {
        const auto value = line.substr(name.size());
        const auto first = value.find_first_not_of(" \t");
        const auto last = value.find_last_not_of(" \t\r\n");
        if (first != value.npos)
            *static_cast<std::string*>(user) = value.substr(first, last - first + 1);
    }
    return size;
}

void initialise_curl() {
    static std::once_flag once;
    std::call_once(once, [] { check(curl_global_init(CURL_GLOBAL_DEFAULT), "curl_global_init"); });
}

}  // namespace

/// Never moves: libcurl holds the addresses of its members.
struct HttpTransfers::Transfer {
    UniqueHandle<EasyTraits> handle;
    std::string request;
    HttpReply reply;
    std::array<char, CURL_ERROR_SIZE> error{};
};

HttpTransfers::HttpTransfers(std::string url, const std::string& key, double timeout_seconds,
                             std::size_t connections)
    : url_(std::move(url)), timeout_(timeout_seconds) {
    initialise_curl();
    multi_.reset(curl_multi_init());
    if (!multi_)
        throw_call_failed("curl_multi_init", "no memory");
    check(curl_multi_setopt(multi_.get(), CURLMOPT_MAX_TOTAL_CONNECTIONS,
                            static_cast<long>(connections)),
          "curl_multi_setopt");
    add_header("Content-Type: application/json");
    add_header("Expect:");
    if (!key.empty())
        add_header("Authorization: Bearer " + key);
}

HttpTransfers::~HttpTransfers() {
    for (const auto& [handle, transfer] : transfers_)
        curl_multi_remove_handle(multi_.get(), handle);
}

void HttpTransfers::add_header(const std::string& line) {
    curl_slist* longer = curl_slist_append(headers_.get(), line.c_str());
    if (longer == nullptr)
        throw std::bad_alloc();
    headers_.take();
    headers_.reset(longer);
}

void HttpTransfers::start(std::size_t id, std::string body) {
    auto transfer = std::make_unique<Transfer>();
    transfer->request = std::move(body);
    transfer->reply.id = id;
    transfer->handle.reset(curl_easy_init());
    CURL* handle = transfer->handle.get();
    if (handle == nullptr)
        throw_call_failed("curl_easy_init", "no memory");
    set(handle, CURLOPT_URL, url_.c_str());
    set(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set(handle, CURLOPT_HTTPHEADER, headers_.get());
    set(handle, CURLOPT_POSTFIELDS, transfer->request.data());
    set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer->request.size()));
    set(handle, CURLOPT_NOSIGNAL, 1L);
    set(handle, CURLOPT_CONNECTTIMEOUT, connect_seconds);
    set(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ * 1000));
    set(handle, CURLOPT_ERRORBUFFER, transfer->error.data());
    set(handle, CURLOPT_WRITEFUNCTION, &keep_body);
    set(handle, CURLOPT_WRITEDATA, &transfer->reply.body);
    set(handle, CURLOPT_HEADERFUNCTION, &keep_retry_after);
    set(handle, CURLOPT_HEADERDATA, &transfer->reply.retry_after);
    check(curl_multi_add_handle(multi_.get(), handle), "curl_multi_add_handle");
    transfers_.emplace(handle, std::move(transfer));
}

std::vector<HttpReply> HttpTransfers::wait(std::chrono::milliseconds wait) {
    int running = 0;
    check(curl_multi_perform(multi_.get(), &running), "curl_multi_perform");
    if (static_cast<std::size_t>(running) == transfers_.size()) {
        check(curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(wait.count()), nullptr),
              "curl_multi_poll");
        check(curl_multi_perform(multi_.get(), &running), "curl_multi_perform");
    }
    std::vector<HttpReply> replies;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left))
        if (message->msg == CURLMSG_DONE)
            replies.push_back(finish(message->easy_handle, message->data.result));
    return replies;
}

HttpReply HttpTransfers::finish(CURL* handle, CURLcode result) {
    const auto found = transfers_.find(handle);
    Transfer& transfer = *found->second;
    if (result != CURLE_OK)
        transfer.reply.failure =
            transfer.error[0] != '\0' ? transfer.error.data() : curl_easy_strerror(result);
    transfer.reply.permanent =
        result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_URL_MALFORMAT ||
        result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_SSL_CACERT_BADFILE;
    check(curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &transfer.reply.status),
          "curl_easy_getinfo");
    HttpReply reply = std::move(transfer.reply);
    curl_multi_remove_handle(multi_.get(), handle);
    transfers_.erase(found);
    return reply;
}

}  // namespace popalign::lm
