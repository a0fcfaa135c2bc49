#include "store/hdf5/hdf5.hpp"

#include "comm/native.hpp"

#include <popalign/base/error.hpp>
#include <popalign/comm/collectives.hpp>
#include <popalign/comm/run.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace popalign::store::hdf5 {
namespace {

constexpr std::size_t bytes_per_write = std::size_t{64} << 20;
constexpr hsize_t chunk_bytes = hsize_t{1} << 20;
constexpr std::size_t metadata_bytes = std::size_t{64} << 20;
constexpr hsize_t largest_chunk_rows = hsize_t{1} << 26;  // other writers may choose larger chunks

/// HDF5 would print its stack of errors; we put the innermost into our own message.
std::string take_reason() {
    std::string reason = "no reason given";
    H5Ewalk2(
        H5E_DEFAULT, H5E_WALK_UPWARD,
        [](unsigned depth, const H5E_error2_t* error, void* text) -> herr_t {
            if (depth == 0 && error->desc != nullptr)
                *static_cast<std::string*>(text) = error->desc;
            return 0;
        },
        &reason);
    H5Eclear2(H5E_DEFAULT);
    return reason;
}

void silence() {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

PropertyList property_list(hid_t kind) {
    return PropertyList(check(H5Pcreate(kind), "H5Pcreate", "a property list"));
}

/// One rank of an MPI program too writes through MPI, which gives the same bytes as many ranks do.
bool uses_mpi(const comm::Communicator& comm) {
    return comm.native() != nullptr;
}

PropertyList access_for(const comm::Communicator& comm) {
    PropertyList access = new_file_access();
    if (uses_mpi(comm)) {
        check_status(H5Pset_fapl_mpio(access.get(), comm::native_handle(comm), MPI_INFO_NULL),
                     "H5Pset_fapl_mpio", "");
        check_status(H5Pset_all_coll_metadata_ops(access.get(), true),
                     "H5Pset_all_coll_metadata_ops", "");
        check_status(H5Pset_coll_metadata_write(access.get(), true), "H5Pset_coll_metadata_write",
                     "");
    }
    return access;
}

Dataspace space_of(hsize_t count) {
    return Dataspace(check(H5Screate_simple(1, &count, nullptr), "H5Screate_simple", ""));
}

/// For what can fail on one rank, while the others would wait for it in the next call. Collective.
void check_together(const comm::Communicator& comm, herr_t result, std::string_view call,
                    std::string_view what) {
    comm::run_on_all(comm, [&] { check_status(result, call, what); });
}

File opened_together(const comm::Communicator& comm, hid_t file, std::string_view call,
                     std::string_view path) {
    File result(std::max(file, File().get()));
    check_together(comm, file < 0 ? -1 : 0, call, path);
    return result;
}

/// Returns the largest size to which the file can unpack (1032 is deflate's highest ratio). The
/// size that a file claims cannot be trusted.
std::uint64_t largest_content(hid_t object) {
    const File file(check(H5Iget_file_id(object), "H5Iget_file_id", ""));
    hsize_t bytes = 0;
    check_status(H5Fget_filesize(file.get(), &bytes), "H5Fget_filesize", "");
    return bytes * 1032;
}

void select(const Dataspace& space, hsize_t begin, hsize_t count) {
    if (count == 0)
        check_status(H5Sselect_none(space.get()), "H5Sselect_none", "");
    else
        check_status(
            H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &begin, nullptr, &count, nullptr),
            "H5Sselect_hyperslab", "");
}

}  // namespace

hid_t check(hid_t result, std::string_view call, std::string_view what) {
    if (result < 0)
        throw Error(
            fmt::format("{}{}{} failed ({})", what, what.empty() ? "" : ": ", call, take_reason()));
    return result;
}

void check_status(herr_t result, std::string_view call, std::string_view what) {
    check(result < 0 ? hid_t{-1} : hid_t{0}, call, what);
}

PropertyList new_file_access() {
    silence();
    PropertyList access = property_list(H5P_FILE_ACCESS);
    // This layout has checksums on all metadata and room for attributes above 64 KB (a long
    // config).
    check_status(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110),
                 "H5Pset_libver_bounds", "");
    return access;
}

template <>
hid_t memory_type<std::uint8_t>() {
    return H5T_NATIVE_UINT8;
}
template <>
hid_t memory_type<std::uint32_t>() {
    return H5T_NATIVE_UINT32;
}
template <>
hid_t memory_type<std::uint64_t>() {
    return H5T_NATIVE_UINT64;
}
template <>
hid_t memory_type<std::int32_t>() {
    return H5T_NATIVE_INT32;
}
template <>
hid_t memory_type<double>() {
    return H5T_NATIVE_DOUBLE;
}
template <>
hid_t file_type<std::uint8_t>() {
    return H5T_STD_U8LE;
}
template <>
hid_t file_type<std::uint32_t>() {
    return H5T_STD_U32LE;
}
template <>
hid_t file_type<std::uint64_t>() {
    return H5T_STD_U64LE;
}
template <>
hid_t file_type<std::int32_t>() {
    return H5T_STD_I32LE;
}
template <>
hid_t file_type<double>() {
    return H5T_IEEE_F64LE;
}

PropertyList new_file_creation() {
    PropertyList creation = property_list(H5P_FILE_CREATE);
    check_status(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times", "");
    return creation;
}

File open_for_update(const std::filesystem::path& path, const comm::Communicator& comm) {
    const PropertyList access = access_for(comm);
    return opened_together(comm, H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), "H5Fopen",
                           path.native());
}

namespace {

/// Random rows need the chunk lists of all columns, again and again.
void keep_more_metadata(const PropertyList& access) {
    H5AC_cache_config_t cache{};
    cache.version = H5AC__CURR_CACHE_CONFIG_VERSION;
    check_status(H5Pget_mdc_config(access.get(), &cache), "H5Pget_mdc_config", "");
    cache.set_initial_size = true;
    cache.initial_size = cache.min_size = metadata_bytes;
    cache.max_size = 2 * metadata_bytes;
    check_status(H5Pset_mdc_config(access.get(), &cache), "H5Pset_mdc_config", "");
}

}  // namespace

File open_for_reading(const std::filesystem::path& path) {
    silence();
    if (!std::filesystem::is_regular_file(path))
        throw InputError(path.native(), "no such pair file; make it with `popalign synthesize`");
    if (H5Fis_hdf5(path.c_str()) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        throw InputError(path.native(), "not an HDF5 file, or a truncated one");
    }
    const PropertyList access = property_list(H5P_FILE_ACCESS);
    keep_more_metadata(access);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get());
    if (file < 0)
        throw InputError(path.native(), fmt::format("cannot be opened ({})", take_reason()));
    return File(file);
}

void close(File file, const comm::Communicator& comm, std::string_view path) {
    check_together(comm, H5Fclose(file.take()), "H5Fclose", path);
}

Group create_group(hid_t parent, const std::string& name) {
    const PropertyList creation = property_list(H5P_GROUP_CREATE);
    check_status(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times", name);
    return Group(check(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                       "H5Gcreate2", name));
}

bool exists(hid_t parent, const std::string& name) {
    for (std::size_t slash = name.find('/'); slash != std::string::npos;
         slash = name.find('/', slash + 1))
        if (H5Lexists(parent, name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0)
            return false;
    return H5Lexists(parent, name.c_str(), H5P_DEFAULT) > 0;
}

void write_attribute(hid_t object, const std::string& name, const std::string& value) {
    const Datatype type(check(H5Tcopy(H5T_C_S1), "H5Tcopy", name));
    check_status(H5Tset_size(type.get(), std::max<std::size_t>(value.size(), 1)), "H5Tset_size",
                 name);
    check_status(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset", name);
    check_status(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "H5Tset_strpad", name);
    const Dataspace space(check(H5Screate(H5S_SCALAR), "H5Screate", name));
    const Attribute attribute(
        check(H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
              "H5Acreate2", name));
    check_status(H5Awrite(attribute.get(), type.get(), value.c_str()), "H5Awrite", name);
}

void write_attribute(hid_t object, const std::string& name, std::int64_t value) {
    const Dataspace space(check(H5Screate(H5S_SCALAR), "H5Screate", name));
    const Attribute attribute(check(
        H5Acreate2(object, name.c_str(), H5T_STD_I64LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
        "H5Acreate2", name));
    check_status(H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value), "H5Awrite", name);
}

std::string read_text_attribute(hid_t object, const std::string& name) {
    if (H5Aexists(object, name.c_str()) <= 0)
        throw UsageError(fmt::format("attribute '{}' is missing", name));
    const Attribute attribute(check(H5Aopen(object, name.c_str(), H5P_DEFAULT), "H5Aopen", name));
    const Datatype type(check(H5Aget_type(attribute.get()), "H5Aget_type", name));
    const Dataspace space(check(H5Aget_space(attribute.get()), "H5Aget_space", name));
    if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0 ||
        H5Sget_simple_extent_npoints(space.get()) != 1 ||
        H5Tget_size(type.get()) > largest_content(object))
        throw UsageError(fmt::format("attribute '{}' is no text of fixed length", name));
    std::string value(H5Tget_size(type.get()), '\0');
    check_status(H5Aread(attribute.get(), type.get(), value.data()), "H5Aread", name);
    value.resize(std::min(value.size(), value.find('\0')));
    return value;
}

std::int64_t read_integer_attribute(hid_t object, const std::string& name) {
    if (H5Aexists(object, name.c_str()) <= 0)
        throw UsageError(fmt::format("attribute '{}' is missing", name));
    const Attribute attribute(check(H5Aopen(object, name.c_str(), H5P_DEFAULT), "H5Aopen", name));
    const Datatype type(check(H5Aget_type(attribute.get()), "H5Aget_type", name));
    const Dataspace space(check(H5Aget_space(attribute.get()), "H5Aget_space", name));
    if (H5Tget_class(type.get()) != H5T_INTEGER || H5Sget_simple_extent_npoints(space.get()) != 1)
        throw UsageError(fmt::format("attribute '{}' is no number", name));
    std::int64_t value = 0;
    check_status(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), "H5Aread", name);
    return value;
}

template <class T>
Dataset create_column(hid_t parent, const std::string& name, std::uint64_t rows,
                      std::uint64_t chunk_rows, H5D_alloc_time_t when) {
    const PropertyList creation = property_list(H5P_DATASET_CREATE);
    const hsize_t chunk = chunk_rows;
    check_status(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times", name);
    check_status(H5Pset_chunk(creation.get(), 1, &chunk), "H5Pset_chunk", name);
    check_status(H5Pset_fletcher32(creation.get()), "H5Pset_fletcher32", name);
    check_status(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time", name);
    check_status(H5Pset_alloc_time(creation.get(), when), "H5Pset_alloc_time", name);
    const Dataspace space = space_of(rows);
    return Dataset(check(H5Dcreate2(parent, name.c_str(), file_type<T>(), space.get(), H5P_DEFAULT,
                                    creation.get(), H5P_DEFAULT),
                         "H5Dcreate2", name));
}

template <class T>
Dataset write_column(hid_t parent, const std::string& name, std::span<const T> mine,
                     const comm::Communicator& comm) {
    const std::uint64_t begin = comm::exclusive_scan(comm, mine.size());
    const auto total = comm::all_reduce<std::uint64_t>(comm, mine.size(), comm::Reduction::sum);
    Dataset dataset = create_column<T>(parent, name, total,
                                       std::clamp<std::uint64_t>(total, 1, chunk_bytes / sizeof(T)),
                                       H5D_ALLOC_TIME_DEFAULT);
    const Dataspace space = space_of(total);

    const PropertyList transfer = property_list(H5P_DATASET_XFER);
    if (uses_mpi(comm))  // filtered chunks can only be written together
        check_status(H5Pset_dxpl_mpio(transfer.get(), H5FD_MPIO_COLLECTIVE), "H5Pset_dxpl_mpio",
                     name);
    constexpr std::size_t step = bytes_per_write / sizeof(T);
    const auto rounds = comm::all_reduce<std::uint64_t>(comm, (mine.size() + step - 1) / step,
                                                        comm::Reduction::maximum);
    for (std::uint64_t round = 0; round < rounds; ++round) {
        const std::size_t offset = std::min<std::size_t>(round * step, mine.size());
        const std::size_t count = std::min(step, mine.size() - offset);
        select(space, begin + offset, count);
        const Dataspace memory = space_of(std::max<hsize_t>(count, 1));
        select(memory, 0, count);
        check_together(comm,
                       H5Dwrite(dataset.get(), memory_type<T>(), memory.get(), space.get(),
                                transfer.get(), mine.data() + offset),
                       "H5Dwrite", name);
    }
    return dataset;
}

template <class T>
Dataset open_column(hid_t parent, const std::string& name) {
    if (!exists(parent, name))
        throw UsageError(fmt::format("column '{}' is missing", name));
    Dataset column(check(H5Dopen2(parent, name.c_str(), H5P_DEFAULT), "H5Dopen2", name));
    const Dataspace space(check(H5Dget_space(column.get()), "H5Dget_space", name));
    const Datatype type(check(H5Dget_type(column.get()), "H5Dget_type", name));
    const auto kind = std::is_floating_point_v<T> ? H5T_FLOAT : H5T_INTEGER;
    if (H5Sget_simple_extent_ndims(space.get()) != 1 || H5Tget_class(type.get()) != kind ||
        H5Tget_size(type.get()) != sizeof(T))
        throw UsageError(fmt::format("column '{}' has another shape or type", name));
    if (column_size(column) > largest_content(column.get()) / sizeof(T))
        throw UsageError(fmt::format("column '{}' claims more rows than the file can hold", name));
    const PropertyList creation(
        check(H5Dget_create_plist(column.get()), "H5Dget_create_plist", name));
    hsize_t chunk = 0;
    if (H5Pget_layout(creation.get()) != H5D_CHUNKED ||
        H5Pget_chunk(creation.get(), 1, &chunk) != 1 || chunk > largest_chunk_rows)
        throw UsageError(fmt::format("column '{}' is not in chunks of a sensible size", name));
    return column;
}

std::uint64_t column_size(const Dataset& column) {
    const Dataspace space(check(H5Dget_space(column.get()), "H5Dget_space", ""));
    hsize_t count = 0;
    check(H5Sget_simple_extent_dims(space.get(), &count, nullptr), "H5Sget_simple_extent_dims", "");
    return count;
}

template <class T>
std::vector<T> read_column(const Dataset& column, const std::string& name, std::uint64_t begin,
                           std::uint64_t count) {
    const std::uint64_t size = column_size(column);
    if (begin > size || count > size - begin)
        throw UsageError(fmt::format("column '{}' has {} rows where more are needed", name, size));
    if (count == 0)
        return {};
    std::vector<T> values(count);
    const Dataspace space(check(H5Dget_space(column.get()), "H5Dget_space", name));
    const Dataspace memory = space_of(count);
    select(space, begin, count);
    check_status(H5Dread(column.get(), memory_type<T>(), memory.get(), space.get(), H5P_DEFAULT,
                         values.data()),
                 "H5Dread", name);
    return values;
}

#define POPALIGN_INSTANTIATE(T)                                                                \
    template Dataset create_column<T>(hid_t, const std::string&, std::uint64_t, std::uint64_t, \
                                      H5D_alloc_time_t);                                       \
    template Dataset write_column<T>(hid_t, const std::string&, std::span<const T>,            \
                                     const comm::Communicator&);                               \
    template Dataset open_column<T>(hid_t, const std::string&);                                \
    template std::vector<T> read_column<T>(const Dataset&, const std::string&, std::uint64_t,  \
                                           std::uint64_t);
POPALIGN_INSTANTIATE(std::uint8_t)
POPALIGN_INSTANTIATE(std::uint32_t)
POPALIGN_INSTANTIATE(std::uint64_t)
POPALIGN_INSTANTIATE(std::int32_t)
POPALIGN_INSTANTIATE(double)
#undef POPALIGN_INSTANTIATE

}  // namespace popalign::store::hdf5
