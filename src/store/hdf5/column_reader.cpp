#include "store/hdf5/column_reader.hpp"

#include "store/hdf5/fletcher32.hpp"

#include <popalign/base/error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace popalign::store {
namespace {

constexpr std::size_t checksum_bytes = sizeof(std::uint32_t);
constexpr std::size_t kept_bytes = std::size_t{2} << 20;  // of a column, if its chunks are smaller

bool has_only_a_checksum(hid_t properties) {
    if (H5Pget_nfilters(properties) != 1)
        return false;
    unsigned flags = 0, configuration = 0;
    std::size_t values = 0;
    return H5Pget_filter2(properties, 0, &flags, &values, nullptr, 0, nullptr, &configuration) ==
           H5Z_FILTER_FLETCHER32;
}

}  // namespace

template <class T>
ColumnReader<T>::ColumnReader(hid_t parent, std::string name)
    : name_(std::move(name)),
      column_(hdf5::open_column<T>(parent, name_)),
      size_(hdf5::column_size(column_)) {
    const hdf5::PropertyList properties(
        hdf5::check(H5Dget_create_plist(column_.get()), "H5Dget_create_plist", name_));
    const hdf5::Datatype type(hdf5::check(H5Dget_type(column_.get()), "H5Dget_type", name_));
    hsize_t chunk = 0;
    hdf5::check(H5Pget_chunk(properties.get(), 1, &chunk), "H5Pget_chunk", name_);
    chunk_rows_ = chunk;
    const bool as_in_memory = H5Tequal(type.get(), hdf5::memory_type<T>()) > 0;
    storage_ = as_in_memory && has_only_a_checksum(properties.get()) ? Storage::checksum_only
                                                                     : Storage::other;
    const std::uint64_t chunks = (size_ + chunk_rows_ - 1) / chunk_rows_;
    kept_.resize(std::max<std::uint64_t>(
        1, std::min<std::uint64_t>(chunks, kept_bytes / (chunk_rows_ * sizeof(T)))));
}

template <class T>
const std::byte* ColumnReader<T>::chunk(std::uint64_t number) const {
    Chunk& place = kept_[number % kept_.size()];
    if (place.number == number)
        return place.stored.data();
    place.number = ~std::uint64_t{0};
    const hsize_t first = number * chunk_rows_;
    const std::size_t bytes = chunk_rows_ * sizeof(T);
    hsize_t stored = 0;
    if (H5Dget_chunk_storage_size(column_.get(), &first, &stored) < 0 ||
        stored != bytes + checksum_bytes)
        return nullptr;
    place.stored.resize(stored);
    std::uint32_t filters_left_out = 0;
    hdf5::check_status(
        H5Dread_chunk(column_.get(), H5P_DEFAULT, &first, &filters_left_out, place.stored.data()),
        "H5Dread_chunk", name_);
    if (filters_left_out != 0)
        return nullptr;
    std::uint32_t checksum = 0;
    std::memcpy(&checksum, place.stored.data() + bytes, checksum_bytes);
    if (checksum != fletcher32(std::span(place.stored).first(bytes)))
        throw Error(fmt::format("column '{}': the checksum of rows {} to {} is wrong", name_, first,
                                std::min<std::uint64_t>(first + chunk_rows_, size_) - 1));
    place.number = number;
    return place.stored.data();
}

template <class T>
std::vector<T> ColumnReader<T>::read(std::uint64_t begin, std::uint64_t count) const {
    if (storage_ == Storage::other || count == 0 || begin > size_ || count > size_ - begin)
        return hdf5::read_column<T>(column_, name_, begin, count);
    std::vector<T> values(count);
    for (std::uint64_t done = 0; done < count;) {
        const std::uint64_t row = (begin + done) % chunk_rows_;
        const std::byte* data = chunk((begin + done) / chunk_rows_);
        if (data == nullptr)
            return hdf5::read_column<T>(column_, name_, begin, count);
        const std::uint64_t part = std::min(chunk_rows_ - row, count - done);
        std::memcpy(values.data() + done, data + row * sizeof(T), part * sizeof(T));
        done += part;
    }
    return values;
}

template class ColumnReader<std::uint8_t>;
template class ColumnReader<std::uint32_t>;
template class ColumnReader<std::uint64_t>;
template class ColumnReader<std::int32_t>;
template class ColumnReader<double>;

}  // namespace popalign::store
