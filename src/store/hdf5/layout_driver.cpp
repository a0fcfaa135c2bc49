#include "store/hdf5/layout_driver.hpp"

#include <popalign/base/error.hpp>

#include <cerrno>
#include <cstring>
#include <utility>

namespace popalign::store::hdf5 {
namespace {

constexpr hsize_t alignment = 4096, aligned_from = 8192;

struct Recorder {
    bool on = false;
    std::vector<std::uint64_t> addresses;
    /// `errno` of the first write that failed. HDF5 never hears of it: a file that it cannot close
    /// ends the program when MPI ends.
    int failure = 0;

    void note(herr_t status) {
        if (status < 0 && failure == 0)
            failure = errno == 0 ? EIO : errno;
    }
};

/// An open file as HDF5 sees it: its own POSIX driver behind a door that can keep data out.
struct DriverFile {
    H5FD_t base;  // first: HDF5 casts
    H5FD_t* posix;
    Recorder* recorder;
};

DriverFile* self(H5FD_t* file) {
    return reinterpret_cast<DriverFile*>(file);
}
const DriverFile* self(const H5FD_t* file) {
    return reinterpret_cast<const DriverFile*>(file);
}

/// Argument of `open` other than the path; HDF5 copies it with the property list.
struct DriverInfo {
    Recorder* recorder;
};

void* copy_info(const void* info) {
    return new DriverInfo(*static_cast<const DriverInfo*>(info));
}
herr_t free_info(void* info) {
    delete static_cast<DriverInfo*>(info);
    return 0;
}
void* get_info(H5FD_t* file) {
    return new DriverInfo{self(file)->recorder};
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t access, haddr_t largest) {
    const auto* info = static_cast<const DriverInfo*>(H5Pget_driver_info(access));
    const PropertyList posix(H5Pcreate(H5P_FILE_ACCESS));
    if (info == nullptr || !posix || H5Pset_fapl_sec2(posix.get()) < 0)
        return nullptr;
    H5FD_t* opened = H5FDopen(name, flags, posix.get(), largest);
    if (opened == nullptr)
        return nullptr;
    auto* file = new DriverFile{};
    file->posix = opened;
    file->recorder = info->recorder;
    return &file->base;
}
herr_t close_file(H5FD_t* file) {
    const herr_t result = H5FDclose(self(file)->posix);
    delete self(file);
    return result;
}
int compare(const H5FD_t* a, const H5FD_t* b) {
    return H5FDcmp(self(a)->posix, self(b)->posix);
}
herr_t query(const H5FD_t*, unsigned long* flags) {
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA;
    return 0;
}
haddr_t get_eoa(const H5FD_t* file, H5FD_mem_t type) {
    return H5FDget_eoa(self(file)->posix, type);
}
herr_t set_eoa(H5FD_t* file, H5FD_mem_t type, haddr_t address) {
    return H5FDset_eoa(self(file)->posix, type, address);
}
haddr_t get_eof(const H5FD_t* file, H5FD_mem_t type) {
    return H5FDget_eof(self(file)->posix, type);
}
herr_t read_file(H5FD_t* file, H5FD_mem_t type, hid_t, haddr_t address, size_t size, void* buffer) {
    return H5FDread(self(file)->posix, type, H5P_DEFAULT, address, size, buffer);
}
herr_t write_file(H5FD_t* file, H5FD_mem_t type, hid_t, haddr_t address, size_t size,
                  const void* buffer) {
    // Long attributes too are data to HDF5.
    Recorder& recorder = *self(file)->recorder;
    if (type == H5FD_MEM_DRAW && recorder.on)
        recorder.addresses.push_back(address);
    else
        recorder.note(H5FDwrite(self(file)->posix, type, H5P_DEFAULT, address, size, buffer));
    return 0;
}
herr_t truncate_file(H5FD_t* file, hid_t, hbool_t closing) {
    self(file)->recorder->note(H5FDtruncate(self(file)->posix, H5P_DEFAULT, closing));
    return 0;
}

H5FD_class_t driver_class() {
    H5FD_class_t driver;
    std::memset(&driver, 0, sizeof driver);
    driver.name = "popalign_layout";
    driver.maxaddr = (haddr_t{1} << 62) - 1;
    driver.fc_degree = H5F_CLOSE_STRONG;
    driver.fapl_size = sizeof(DriverInfo);
    driver.fapl_get = get_info;
    driver.fapl_copy = copy_info;
    driver.fapl_free = free_info;
    driver.open = open_file;
    driver.close = close_file;
    driver.cmp = compare;
    driver.query = query;
    driver.get_eoa = get_eoa;
    driver.set_eoa = set_eoa;
    driver.get_eof = get_eof;
    driver.read = read_file;
    driver.write = write_file;
    driver.truncate = truncate_file;
    const H5FD_mem_t one_kind[H5FD_MEM_NTYPES] = H5FD_FLMAP_DICHOTOMY;
    std::memcpy(driver.fl_map, one_kind, sizeof one_kind);
    return driver;
}

/// Lives as long as the file it opens.
struct Driver {
    Driver() : type(driver_class()), id(check(H5FDregister(&type), "H5FDregister", "")) {}
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    ~Driver() { H5FDunregister(id); }

    H5FD_class_t type;
    hid_t id;
};

}  // namespace

struct LayoutFile::State {
    std::filesystem::path path;
    Driver driver;
    Recorder recorder;
    File file;

    explicit State(const std::filesystem::path& file_path) : path(file_path) {
        const PropertyList access = new_file_access();
        const PropertyList creation = new_file_creation();
        const DriverInfo info{&recorder};
        check_status(H5Pset_driver(access.get(), driver.id, &info), "H5Pset_driver", "");
        check_status(H5Pset_alignment(access.get(), aligned_from, alignment), "H5Pset_alignment",
                     "");
        file.reset(check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()),
                         "H5Fcreate", path.native()));
    }
};

LayoutFile::LayoutFile(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
LayoutFile::LayoutFile(LayoutFile&&) noexcept = default;
LayoutFile& LayoutFile::operator=(LayoutFile&&) noexcept = default;
LayoutFile::~LayoutFile() = default;

hid_t LayoutFile::get() const noexcept {
    return state_->file.get();
}

std::vector<std::uint64_t> LayoutFile::record(const std::function<void()>& lay_out) {
    state_->recorder.on = true;
    lay_out();
    state_->recorder.on = false;
    return std::exchange(state_->recorder.addresses, {});
}

void LayoutFile::close() {
    check_status(H5Fclose(state_->file.take()), "H5Fclose", state_->path.native());
    errno = state_->recorder.failure;
    if (errno != 0)
        throw_system_error("write", state_->path.native());
}

}  // namespace popalign::store::hdf5
