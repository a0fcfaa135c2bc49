#pragma once

#include <popalign/base/unique_handle.hpp>
#include <popalign/comm/communicator.hpp>

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace popalign::store::hdf5 {

template <herr_t (*Close)(hid_t)>
struct HandleTraits {
    using Handle = hid_t;
    static Handle null() noexcept { return H5I_INVALID_HID; }
    static void release(Handle handle) noexcept { Close(handle); }
};
using File = UniqueHandle<HandleTraits<H5Fclose>>;
using Group = UniqueHandle<HandleTraits<H5Gclose>>;
using Dataset = UniqueHandle<HandleTraits<H5Dclose>>;
using Dataspace = UniqueHandle<HandleTraits<H5Sclose>>;
using Attribute = UniqueHandle<HandleTraits<H5Aclose>>;
using Datatype = UniqueHandle<HandleTraits<H5Tclose>>;
using PropertyList = UniqueHandle<HandleTraits<H5Pclose>>;

/// Returns the identifier or status. Throws Error with HDF5's own reason if it is negative.
hid_t check(hid_t result, std::string_view call, std::string_view what);
void check_status(herr_t result, std::string_view call, std::string_view what);

/// The HDF5 type of a column's elements, in memory and (little-endian) in the file.
template <class T>
hid_t memory_type();
template <class T>
hid_t file_type();

/// Properties of new files: layout with checksums on metadata; no times, so that equal contents are
/// equal bytes.
PropertyList new_file_access();
PropertyList new_file_creation();
/// Collective over `comm` unless that is serial.
File open_for_update(const std::filesystem::path& path, const comm::Communicator& comm);
File open_for_reading(const std::filesystem::path& path);
/// Throws where a destructor could not, e.g. when flushing meets a full disk. Collective.
void close(File file, const comm::Communicator& comm, std::string_view path);

Group create_group(hid_t parent, const std::string& name);
bool exists(hid_t parent, const std::string& name);

void write_attribute(hid_t object, const std::string& name, const std::string& value);
void write_attribute(hid_t object, const std::string& name, std::int64_t value);
std::string read_text_attribute(hid_t object, const std::string& name);
std::int64_t read_integer_attribute(hid_t object, const std::string& name);

/// A chunked, checksummed dataset of `rows` elements without any content.
template <class T>
Dataset create_column(hid_t parent, const std::string& name, std::uint64_t rows,
                      std::uint64_t chunk_rows, H5D_alloc_time_t when);
/// Writes a chunked, checksummed dataset of the ranks' parts in rank order. Collective.
template <class T>
Dataset write_column(hid_t parent, const std::string& name, std::span<const T> mine,
                     const comm::Communicator& comm);

/// A one-dimensional dataset of T. Throws UsageError if it is missing or of another kind.
template <class T>
Dataset open_column(hid_t parent, const std::string& name);
std::uint64_t column_size(const Dataset& column);
/// Elements [begin, begin + count). Throws UsageError if there are fewer.
template <class T>
std::vector<T> read_column(const Dataset& column, const std::string& name, std::uint64_t begin,
                           std::uint64_t count);

}  // namespace popalign::store::hdf5
